"""WWW-Authenticate -> the Bearer challenge in it; what a server has against a token."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ._messages import Code, Reason, because
from ._origin import NOWHERE, origin_of
from ._policy import READ_SCOPES, READS, WRITE_SCOPES, Standing, standing
from ._shown import hide, may_be_shown, printable
from ._token import BearerToken

# RFC 9110 section 11: a challenge is a scheme followed by nothing, by one token68,
# or by a list of name=value. Commas separate challenges and parameters alike, so
# the field is read item by item, and an item's own form says what it is. The
# patterns hold no nested repetition that could match in two ways: reading takes
# linear time, whatever a server sends.
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"?'  # never closed: it goes on to the end
_PARAMETER = rf'({_WORD})[ \t]*=[ \t]*(?:{_QUOTED}|([^ \t,"=]+))'
_TOKEN68 = r"[ \t]+[A-Za-z0-9\-._~+/]+=*[ \t]*(?=,|\Z)"
_SCHEME = rf"({_WORD})(?=[ \t,]|\Z)(?:{_TOKEN68})?"
_JUNK = rf'{_QUOTED}|[^ \t,"]+'
_ITEM = f"(?s:{_PARAMETER}|{_SCHEME}|{_JUNK})"


def bearer_challenge(field: object) -> dict[str, str] | None:
    r"""Find the Bearer challenge in a `WWW-Authenticate` field.

    Several fields are given as one, joined with commas, as RFC 9110 section 5.3 allows and
    urllib3 does. The result has the parameters of the first Bearer challenge (RFC 6750
    section 3), names in lower case; it is `None` where there is no such challenge.

    Examples
    --------
    >>> bearer_challenge('Basic realm="y", bearer scope="read:/", error="x \\"y\\""')
    {'scope': 'read:/', 'error': 'x "y"'}
    >>> bearer_challenge('Basic realm="Bearer"') is None
    True
    """
    if not isinstance(field, str):
        return None
    found: dict[str, str] | None = None
    in_bearer = False
    for match in re.finditer(_ITEM, field):
        name, quoted, plain, scheme, _ = match.groups()
        if scheme:
            in_bearer = found is None and scheme.lower() == "bearer"
            found = {} if in_bearer else found
        elif name and in_bearer and found is not None:
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found.setdefault(name.lower(), value)
    return found


def objection(
    token: BearerToken, method: str, url: str, challenge: dict[str, str] | None
) -> Reason:
    """Guess what a server has against the token that it got, and answered 401 or 403."""
    origin = origin_of(url) or NOWHERE
    if token.expired():
        return because(Code.EXPIRED, expires=token.expires)
    if standing(token, origin) is Standing.ANOTHER:
        return because(Code.SENT_ELSEWHERE, whom=token.whom, origin=origin)
    has = printable(token.scope) or "no scope"
    wanted = (challenge or {}).get("scope")
    if wanted is not None:
        return because(Code.SCOPE_WANTED, scope=has, wanted=_shown(wanted, token))
    if token.claims is None:
        return because(Code.OPAQUE)
    path = urlsplit(url).path or "/"
    reads = method in READS
    if any(
        _covers(entry, READ_SCOPES if reads else WRITE_SCOPES, path)
        for entry in token.scope.split()
    ):
        issuer = printable(str(token.claims.get("iss")))
        return because(Code.SCOPE_COVERS, issuer=issuer, whom=token.whom)
    wlcg = "wlcg.ver" in token.claims or token.scope.startswith("storage.")
    names = ("storage.read", "storage.modify") if wlcg else ("read", "write")
    return because(
        Code.SCOPE_LACKS, scope=has, verb=names[not reads], path=_shown(path, token)
    )


def _shown(text: str, token: BearerToken) -> str:
    """Return what a server wrote, without what it may have repeated of the token."""
    text = printable(hide(text, [token.serialized]))
    return text if may_be_shown(text) else "(not shown: it may hold a token)"


def _covers(entry: str, verbs: frozenset[str], path: str) -> bool:
    """Tell whether this entry of a scope lets one do that with the path."""
    verb, _, below = entry.partition(":")
    below = below.rstrip("/")
    return verb in verbs and (path == below or path.startswith(f"{below}/"))
