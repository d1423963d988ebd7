"""The Bearer challenge among all that a server sends; what it has against a token."""

from __future__ import annotations

import secrets

import pytest

from requests_scitokens._challenge import bearer_challenge, objection
from requests_scitokens._messages import Code, full
from requests_scitokens._token import BearerToken

MOD_AUTH_OPENIDC = (
    'Bearer error="invalid_request", '
    'error_description="No bearer token found in the request"'
)


@pytest.mark.parametrize(
    ("field", "parameters"),
    [
        # a bare scheme, in any case
        ("Bearer", {}),
        ("bearer", {}),
        ("BEARER", {}),
        ("Bearer ", {}),
        (" ,, Bearer ,,", {}),
        # what servers send
        (
            MOD_AUTH_OPENIDC,
            {
                "error": "invalid_request",
                "error_description": "No bearer token found in the request",
            },
        ),
        (
            'Bearer realm="a", scope="read:/ write:/"',
            {"realm": "a", "scope": "read:/ write:/"},
        ),
        ("Bearer error=invalid_token", {"error": "invalid_token"}),
        # quoted strings
        (r'Bearer realm="x \"y\" \\ z"', {"realm": r'x "y" \ z'}),
        ('Bearer realm=""', {"realm": ""}),
        ('Bearer realm="a, Basic b=c"', {"realm": "a, Basic b=c"}),
        ('Bearer realm="never closed', {"realm": "never closed"}),
        ('Bearer realm="ends in \\', {"realm": "ends in "}),
        ('Bearer realm="new\nline"', {"realm": "new\nline"}),
        # white space around "=" (RFC 9110 appendix A: "bad" white space)
        ('Bearer realm = "a" , scope\t=\tb', {"realm": "a", "scope": "b"}),
        ("Bearer\trealm=a", {"realm": "a"}),
        # names of parameters, in any case; the first of several counts
        ("Bearer REALM=a, Realm=b", {"realm": "a"}),
        # among other challenges
        ('Basic realm="y", Bearer scope=a', {"scope": "a"}),
        ('Bearer scope=a, Basic realm="y"', {"scope": "a"}),
        ("Negotiate, Bearer, Basic realm=y", {}),
        ("Negotiate YWJj==, Bearer error=invalid_token", {"error": "invalid_token"}),
        ("Bearer YWJj==", {}),
        ("Bearer YWJj==, Basic realm=a", {}),
        ("Bearer realm=a, Bearer realm=b, scope=c", {"realm": "a"}),
        ("Basic realm=a Bearer scope=b", {"scope": "b"}),  # a comma forgotten
        ("Bearer scope=a error=b", {"scope": "a", "error": "b"}),
        # what no grammar has
        ('"quoted", Bearer realm=a', {"realm": "a"}),
        ("@@@, Bearer realm=a", {"realm": "a"}),
        ("=, Bearer realm=a", {"realm": "a"}),
        ("Bearer realm=a, =b, @, scope=c", {"realm": "a", "scope": "c"}),
        ("Bearer realm=, scope=c", {"scope": "c"}),
        ("Basic realm=, Bearer realm=, x=y", {"x": "y"}),
    ],
)
def test_the_bearer_challenge_is_found(field, parameters):
    assert bearer_challenge(field) == parameters


@pytest.mark.parametrize(
    "field",
    [
        None,
        "",
        "   ,,",
        "Basic",
        'Basic realm="Bearer"',
        'Basic realm="x\\", Bearer realm=y"',
        'Basic realm=", Bearer realm=y',
        "Basic Bearer=1",
        "Basic realm=Bearer",
        "Bearers",
        "BearerToken realm=a",
        "Negotiate Bearer",  # a token68
        "Negotiate Bearer==",
        'Bearer"realm"',
        "Bearer@realm",
        "DPoP algs=ES256",
        "\N{KELVIN SIGN}earer Beare\u0280",
    ],
)
def test_no_bearer_challenge_is_none(field):
    assert bearer_challenge(field) is None


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_all_of_ten_thousand_challenges_are_read(scheme):
    field = ", ".join(f'{scheme} realm="{number}"' for number in range(10_000))
    field += ", Bearer scope=last"
    expected = {"realm": "0"} if scheme == "Bearer" else {"scope": "last"}
    assert bearer_challenge(field) == expected


# --- what a server has against a token that it got

URL = "https://storage.example.org/frames/1?secret=1"
EXPIRED = {"exp": 1, "aud": "https://other.example.org"}
ELSEWHERE = {"aud": "https://other.example.org", "scope": "read:/"}
READS = {"iss": "https://i.example.org", "scope": "read:/frames storage.stage:/"}
WLCG = {"scope": "storage.read:/ storage.create:/other", "wlcg.ver": "1.0"}


@pytest.mark.parametrize(
    ("claims", "method", "scope", "code", "says"),
    [
        (EXPIRED, "GET", "read:/", Code.EXPIRED, "ago; renew it"),
        (
            ELSEWHERE,
            "GET",
            "read:/",
            Code.SENT_ELSEWHERE,
            "it is for https://other.example.org; get one for https://storage.example.org",
        ),
        (
            READS,
            "PUT",
            "write:/frames",
            Code.SCOPE_WANTED,
            "it has read:/frames storage.stage:/, the server wants write:/frames; get a",
        ),
        (
            {},
            "GET",
            "read:/",
            Code.SCOPE_WANTED,
            "it has no scope, the server wants read:/",
        ),
        (None, "GET", "read:/", Code.SCOPE_WANTED, "it has no scope, the server wants rea"),
        (
            None,
            "GET",
            None,
            Code.OPAQUE,
            "it is opaque, so nothing in it says why; `python",
        ),
        (READS, "GET", None, Code.SCOPE_COVERS, "accepts https://i.example.org as issuer"),
        (READS, "PROPFIND", None, Code.SCOPE_COVERS, "and any server as audience"),
        ({"scope": "read"}, "HEAD", None, Code.SCOPE_COVERS, "its scope covers this path"),
        (WLCG, "GET", None, Code.SCOPE_COVERS, "its scope covers this path"),
        (WLCG, "PUT", None, Code.SCOPE_LACKS, "may want storage.modify:/frames/1, or a"),
        (
            {"scope": "storage.read:/a"},
            "GET",
            None,
            Code.SCOPE_LACKS,
            "want storage.read:/f",
        ),
        (
            READS,
            "DELETE",
            None,
            Code.SCOPE_LACKS,
            "the server may want write:/frames/1, or",
        ),
        (
            {"scope": "read:/frame"},
            "GET",
            None,
            Code.SCOPE_LACKS,
            "it has read:/frame; the",
        ),
        ({}, "GET", None, Code.SCOPE_LACKS, "it has no scope; the server may want read:/f"),
    ],
)
def test_what_a_server_may_have_against_a_token(claims, method, scope, code, says):
    challenge = {} if scope is None else {"scope": scope}
    reason = objection(BearerToken("abc", claims), method, URL, challenge)
    assert reason.code is code
    assert says in full(reason)
    assert "secret" not in full(reason)


TOKENS = {
    "a JWT": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl",
    "opaque": secrets.token_urlsafe(60),
}


@pytest.mark.parametrize("where", ["the challenge", "the path that it redirects to"])
@pytest.mark.parametrize("sent", TOKENS.values(), ids=TOKENS)
@pytest.mark.parametrize("other", TOKENS.values(), ids=TOKENS)
@pytest.mark.parametrize("form", ["{}", "read:/{}", "{} read:/", '"{}', "x\n{}", "{}{}"])
def test_a_server_that_repeats_a_token_does_not_bring_it_into_the_log(
    where, sent, other, form
):
    """The token that it got, or another one that nobody here knows."""
    text = form.replace("{}", other)
    challenge, url = {"scope": text}, URL
    if where != "the challenge":
        challenge, url = {}, f"https://storage.example.org/{text}"
    said = full(objection(BearerToken(sent, {"scope": "read:/a"}), "GET", url, challenge))
    assert said.isprintable()
    assert not any(other[i : i + 14] in said for i in range(len(other) - 13))
