"""bearer_challenge: the Bearer challenge among all that a server may send."""

from __future__ import annotations

import pytest

from requests_scitokens.challenge import bearer_challenge

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
