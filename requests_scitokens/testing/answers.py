"""How servers refuse: to the letter of RFC 6750, and as the servers people use do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """How a server refuses; challenges are `WWW-Authenticate` fields, one each.

    Attributes
    ----------
    status, bad_status : int
        To a request without a token; to a token that is expired or otherwise not good.
        A good one that lacks the scope gets a 403.
    challenges, bad_challenges, scope_challenges : tuple of str
        What goes with each of the three; `{scope}` in the last is what was lacking.
    body, content_type : bytes, str
        What is in the refusal.
    closes : bool
        Whether it hangs up, without reading the request's body.
    cookie : str
        A `Set-Cookie` field that goes with it, if not empty.
    login : str
        The path of a login page, if not empty: everybody gets it, and a request without a
        token is redirected there, if `status` is 302.
    """

    status: int = 401
    challenges: tuple[str, ...] = ()
    bad_status: int = 401
    bad_challenges: tuple[str, ...] = ()
    scope_challenges: tuple[str, ...] = ()
    body: bytes = b"refused\n"
    content_type: str = "text/plain"
    closes: bool = False
    cookie: str = ""
    login: str = ""


def _bearer(*challenges: str, invalid: str = 'Bearer error="invalid_token"') -> Answer:
    lacking = 'Bearer error="insufficient_scope", scope="{scope}"'
    return Answer(401, challenges, 401, (invalid,), (lacking,))


#: How servers refuse, by name: forms of the Bearer challenge (RFC 6750 section 3), and
#: what storage servers and services do instead.
ANSWERS: Mapping[str, Answer] = {
    "bearer": _bearer("Bearer"),
    "bearer-lower": _bearer("bearer"),
    "bearer-parameters": _bearer(
        'Bearer realm="x", scope="read:/", error="invalid_request", '
        r'error_description="no, \"quoted\" token"'
    ),
    "basic-then-bearer": _bearer('Basic realm="y", Bearer realm="x"'),
    "several-fields": _bearer('Basic realm="y"', "Bearer"),
    "apache": _bearer(
        'Bearer error="invalid_request", '
        'error_description="No bearer token found in the request"',
        invalid='Bearer error="invalid_token", error_description="the token is not valid"',
    ),
    "apache-login": Answer(302, (), 401, ('Bearer error="invalid_token"',), login="/login"),
    "dcache": Answer(challenges=('Basic realm=""',), bad_challenges=('Basic realm=""',)),
    "storm": Answer(),
    "nginx": Answer(),  # with auth-jwt
    "xrootd": Answer(status=403, bad_status=403, closes=True),
    "gwdatafind": Answer(
        bad_status=403, body=b'{"error": "no token"}', content_type="application/json"
    ),
}
