"""BearerToken: what counts as a token, and what it says about itself."""

from __future__ import annotations

import base64
import json
import math
import pickle
import sys
import time

import pytest

from requests_scitokens._messages import Code, Reason
from requests_scitokens._origin import Origin
from requests_scitokens._policy import Standing, standing
from requests_scitokens._token import LIMIT, BearerToken, parse

NOW = 1_800_000_000.0


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def three_parts(header: bytes, payload: bytes) -> str:
    return f"{encode(header)}.{encode(payload)}.c2ln"


def jwt(payload: object) -> str:
    return three_parts(b'{"alg":"none"}', json.dumps(payload).encode())


def read(text: str | bytes) -> BearerToken:
    token = parse(text)
    assert isinstance(token, BearerToken)
    return token


def claiming(**claims: object) -> BearerToken:
    return read(jwt(claims))


@pytest.mark.parametrize(
    "text",
    ["a", "abc.def.ghi", "-._~+/", "a=", "a===", "0" * LIMIT, jwt({"sub": "me"})],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("form", [str, str.encode])
@pytest.mark.parametrize(("before", "after"), [("", ""), (" \t\n\v\f\r", "\r\f\v\n\t ")])
def test_what_rfc_6750_calls_a_token_is_one(text, form, before, after):
    token = read(form(before + text + after))
    assert token.serialized == text
    assert token.header == f"Bearer {text}"


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        (Code.NOTHING, ["", " \t\n\v\f\r"]),
        (Code.WHITE_SPACE, ["secret secret"]),
        (Code.LINES, ["secret\nsecret", "secret\r\nX-Header: secret"]),
        (Code.WORD_BEARER, ["Bearer secret", "bearer\tsecret"]),
        (Code.BYTE_ORDER_MARK, ["\ufeffsecret"]),
        (Code.QUOTES, ["'secret'", '"secret"']),
        (Code.CONTROLS, ["secret\x00", "\x7fsecret", "secret\x1b[2J"]),
        (Code.CHARACTERS, ["secrét", "secret\u2028", "secret,secret", "sec=ret", "="]),
        (Code.CHARACTERS, ["\u00a0secret"]),  # only C99 white space is removed
        (Code.CUT_SHORT, ["eyJhbGciOiJFUzI1Ni", "eyJzZWNyZXQi.eyJhdWQiOiJzZWNyZXQi"]),
        (Code.TOO_LONG, ["s" * (LIMIT + 1)]),
    ],
)
def test_anything_else_is_a_reason_that_holds_nothing_of_it(code, texts):
    for text in texts:
        for form in (text, text.encode()):
            reason = parse(form)
            assert isinstance(reason, Reason)
            assert reason.code is code
            assert "secr" not in repr(reason)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_file_in_utf_16_is_told(encoding):
    reason = parse("\ufeffsecret".encode(encoding))
    assert isinstance(reason, Reason)
    assert reason.code is Code.UTF_16


@pytest.mark.parametrize(
    "text",
    [
        encode(b'{"an":"opaque token"}'),
        f"{encode(b'{}')}.{encode(b'{}')}",
        f"{encode(b'{')[:2]}.abc",
        "eyJ.two.dots",
        "ey.J",
    ],
)
def test_an_opaque_token_that_is_all_there_is_not_cut_short(text):
    assert read(text).serialized == text


def test_its_representation_does_not_show_it():
    token = claiming(sub="me")
    assert repr(token) == "BearerToken()"


def test_equal_text_makes_equal_tokens():
    text = jwt({"sub": "me"})
    assert read(text) == BearerToken(text)
    assert hash(read(text)) == hash(BearerToken(text))
    assert read(text) != read("abc")
    assert BearerToken("abc") != "abc"
    assert pickle.loads(pickle.dumps(read(text))).claims == {"sub": "me"}


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "two.parts",
        "four.parts.are.many",
        "eyJ.two.dots",
        three_parts(b"not json", b"{}"),
        three_parts(b"[]", b"{}"),
    ],
)
def test_a_token_that_is_no_jwt_is_opaque(text):
    token = read(text)
    assert token.claims is None
    assert token.audience == ()
    assert token.scope == ""
    assert token.expires == math.inf
    assert token.expired() is False
    assert token.holder == (text,)


@pytest.mark.parametrize(
    "text",
    [
        three_parts(b"{}", b"not json"),
        three_parts(b"{}", b"[]"),
        three_parts(b"{}", b"\xff\xfe\xfd"),
        three_parts(b"{ }", b""),
        encode(b"{}") + ".aaaaa.c2ln",  # no length that base64 has
        encode(b"{}") + ".a~a.c2ln",
        three_parts(b"{}", b"[" * 30_000),  # nested too deep
        pytest.param(
            three_parts(b"{}", b'{"aud":"ANY","a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
            marks=pytest.mark.skipif(sys.version_info >= (3, 15), reason="it can be read"),
        ),
        three_parts(b"{}", b'{"exp":' + b"9" * 5000 + b"}"),
    ],
    ids=lambda text: text[:30],
)
def test_a_jwt_whose_claims_cannot_be_read_is_for_another_server(text):
    """Three parts, of which the first is a JSON object (RFC 7515 section 3.1)."""
    token = read(text)
    assert token.audience == ("",)
    assert token.whom == "an audience that cannot be read"
    assert standing(token, Origin("https", "a.example.org", 443)) is Standing.ANOTHER
    assert token.expires == math.inf
    assert token.holder == (text,)


@pytest.mark.parametrize(
    ("aud", "audience"),
    [
        ("ANY", ("ANY",)),
        (["https://a", "https://b"], ("https://a", "https://b")),
        ([], ()),
        ("", ("",)),
        (None, ("",)),
        (1, ("",)),
        ({"https://a": 1}, ("",)),
        (["https://a", None, 1, ["https://b"]], ("https://a", "", "", "")),
    ],
)
def test_the_audience_is_a_tuple_of_strings_empty_ones_where_it_cannot_be_read(
    aud, audience
):
    assert claiming(aud=aud).audience == audience


@pytest.mark.parametrize(
    ("claims", "whom"),
    [
        ({"aud": "https://a"}, "https://a"),
        ({"aud": ["a", "b"]}, "a, b"),
        ({"aud": ["a", 1]}, "a, an audience that cannot be read"),
        ({"aud": None}, "an audience that cannot be read"),
        ({"aud": []}, "any server"),
        ({}, "any server"),
        ({"aud": "a\nb\x1b"}, "a\ufffdb\ufffd"),
        ({"aud": "a" * 400}, "a" * 300 + "... (400 characters)"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_audience_is_put_into_words(claims, whom):
    assert claiming(**claims).whom == whom


@pytest.mark.parametrize(
    ("claims", "scope"),
    [
        ({"scope": "read:/ write:/"}, "read:/ write:/"),
        ({"scp": "read:/"}, "read:/"),
        ({"scope": "a", "scp": "b"}, "a"),
        ({"scope": ["read:/", "write:/"]}, "read:/ write:/"),
        ({"scp": ["read:/", None, 1, ["x"]]}, "read:/"),
        ({"scope": None}, ""),
        ({"scope": {"a": 1}}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_the_scope_is_text_whatever_it_says(claims, scope):
    assert claiming(**claims).scope == scope


def test_without_an_aud_claim_the_audience_is_empty():
    assert claiming(sub="me").audience == ()


@pytest.mark.parametrize(
    ("exp", "expires"),
    [
        (NOW, NOW),
        (1_800_000_000.5, 1_800_000_000.5),
        (0, 0.0),
        (-1, 0.0),
        (10**400, math.inf),
        (-(10**400), 0.0),
        (math.inf, math.inf),
        (-math.inf, 0.0),
        (math.nan, math.inf),
        ("1800000000", math.inf),
        (None, math.inf),
        (True, math.inf),
        ([1], math.inf),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_when_it_expires_is_a_number_whatever_it_says(exp, expires):
    token = claiming(exp=exp)
    assert token.expires == expires
    assert isinstance(token.expires, float)
    assert isinstance(token.expired(), bool)


@pytest.mark.parametrize(("late", "expired"), [(-0.5, False), (0, True), (1, True)])
def test_expiry_is_judged_anew_each_time(monkeypatch, late, expired):
    token = claiming(exp=NOW)
    monkeypatch.setattr(time, "time", lambda: NOW - 1)
    assert token.expired() is False
    monkeypatch.setattr(time, "time", lambda: NOW + late)
    assert token.expired() is expired


def test_a_renewed_token_has_the_same_holder():
    old, new = (
        claiming(iss="https://issuer", sub="me", aud="ANY", exp=exp, jti=str(exp))
        for exp in (1, 2)
    )
    assert old != new
    assert old.holder == new.holder == ("https://issuer", "me", "ANY")


@pytest.mark.parametrize(
    "other",
    [
        {"iss": "https://other", "sub": "me"},
        {"iss": "https://issuer", "sub": "you"},
        {"iss": "https://issuer", "sub": "me", "aud": "https://a"},
        {"iss": "https://issuer"},
        {"sub": "me"},
        {"iss": ["https://issuer"], "sub": "me"},
        {"iss": "https://issuer", "sub": {"me": 1}},
    ],
)
def test_another_issuer_subject_or_audience_is_another_holder(other):
    assert claiming(**other).holder != claiming(iss="https://issuer", sub="me").holder


@pytest.mark.parametrize(
    "claims", [{"iss": [1]}, {"iss": "https://issuer", "sub": [1]}, {}], ids=str
)
def test_a_holder_that_is_not_said_is_nobody_else(claims):
    one, other = (claiming(**claims, jti=jti) for jti in "ab")
    assert one.holder != other.holder
    assert claiming(iss="None").holder != claiming(jti="a").holder
