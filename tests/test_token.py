"""BearerToken: what counts as a token, and what it says about itself."""

from __future__ import annotations

import base64
import json
import math
import pickle
import time

import pytest

from requests_scitokens.token import (
    LIMIT,
    BearerToken,
    MalformedTokenError,
    duration,
)

NOW = 1_800_000_000.0


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def three_parts(header: bytes, payload: bytes) -> str:
    return f"{encode(header)}.{encode(payload)}.c2ln"


def jwt(payload: object) -> str:
    return three_parts(b'{"alg":"none"}', json.dumps(payload).encode())


def claiming(**claims: object) -> BearerToken:
    return BearerToken.parse(jwt(claims))


@pytest.mark.parametrize(
    "text",
    ["a", "abc.def.ghi", "-._~+/", "a=", "a===", "0" * LIMIT, jwt({"sub": "me"})],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("form", [str, str.encode])
@pytest.mark.parametrize(("before", "after"), [("", ""), (" \t\n\v\f\r", "\r\f\v\n\t ")])
def test_what_rfc_6750_calls_a_token_is_one(text, form, before, after):
    token = BearerToken.parse(form(before + text + after))
    assert token.serialized == text
    assert token.header == f"Bearer {text}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (" \t\n\v\f\r", "it is empty"),
        ("secret secret", "white space inside"),
        ("secret\nsecret", "white space inside"),
        ("secret\r\nX-Header: secret", "white space inside"),
        ("secret\x00", "control character"),
        ("\x7fsecret", "control character"),
        ("secret\x1b[2J", "control character"),
        ("secrét", "no token has"),
        ("\u00a0secret", "no token has"),  # only C99 white space is removed
        ("secret\u2028", "no token has"),
        ('"secret"', "no token has"),
        ("secret,secret", "no token has"),
        ("sec=ret", "no token has"),
        ("=", "no token has"),
        ("s" * (LIMIT + 1), "longer than 65536 bytes"),
    ],
)
def test_anything_else_is_malformed_and_never_quoted(text, reason):
    for form in (text, text.encode()):
        with pytest.raises(MalformedTokenError, match=reason) as caught:
            BearerToken.parse(form)
        assert isinstance(caught.value, ValueError)
        assert "secr" not in str(caught.value)


def test_its_representation_does_not_show_it():
    token = claiming(sub="me")
    assert repr(token) == "BearerToken()"


def test_equal_text_makes_equal_tokens():
    text = jwt({"sub": "me"})
    assert BearerToken.parse(text) == BearerToken(text)
    assert hash(BearerToken.parse(text)) == hash(BearerToken(text))
    assert BearerToken.parse(text) != BearerToken.parse("abc")
    assert pickle.loads(pickle.dumps(BearerToken.parse(text))).claims == {"sub": "me"}


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "two.parts",
        "four.parts.are.many",
        three_parts(b"{}", b"not json"),
        three_parts(b"not json", b"{}"),
        three_parts(b"{}", b"[]"),
        three_parts(b"[]", b"{}"),
        three_parts(b"{}", b"\xff\xfe\xfd"),
        encode(b"{}") + ".aaaaa.c2ln",  # no length that base64 has
        three_parts(b"{}", b"[" * 30_000),  # nested too deep
        three_parts(b"{}", b'{"exp":' + b"9" * 5000 + b"}"),
    ],
    ids=lambda text: text[:30],
)
def test_a_token_that_is_no_jwt_is_opaque(text):
    token = BearerToken.parse(text)
    assert token.claims is None
    assert token.audience == ()
    assert token.expires == math.inf
    assert token.expired() == ""
    assert token.holder == (text,)


@pytest.mark.parametrize(
    ("aud", "audience"),
    [
        ("ANY", ("ANY",)),
        (["https://a", "https://b"], ("https://a", "https://b")),
        ([], ()),
        (None, ()),
        (1, ()),
        ({"https://a": 1}, ()),
        (["https://a", None, 1, ["https://b"]], ("https://a",)),
    ],
)
def test_the_audience_is_always_a_tuple_of_strings(aud, audience):
    assert claiming(aud=aud).audience == audience


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
    assert isinstance(token.expired(), str)


@pytest.mark.parametrize(
    ("late", "says"),
    [
        (-0.5, ""),
        (0, "expired 0 s ago"),
        (59, "expired 59 s ago"),
        (60, "expired 1 min ago"),
        (3600, "expired 1 h ago"),
        (2 * 86400, "expired 2 days ago"),
    ],
)
def test_it_says_how_long_ago_it_expired(monkeypatch, late, says):
    monkeypatch.setattr(time, "time", lambda: NOW + late)
    assert claiming(exp=NOW).expired() == says


def test_expiry_is_judged_anew_each_time(monkeypatch):
    token = claiming(exp=NOW)
    monkeypatch.setattr(time, "time", lambda: NOW - 1)
    assert not token.expired()
    monkeypatch.setattr(time, "time", lambda: NOW + 1)
    assert token.expired()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (4800, "1 h 20 min"),
        (2 * 86400 - 1, "47 h 59 min"),
        (2 * 86400, "2 days"),
    ],
)
def test_a_duration_is_put_into_words(seconds, words):
    assert duration(seconds) == words


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
