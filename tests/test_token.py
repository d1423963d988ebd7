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
    certain_path,
    duration,
    may_be_shown,
    plain,
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
        ("secret\nsecret", "more than one line"),
        ("secret\r\nX-Header: secret", "more than one line"),
        ("Bearer secret", "the word Bearer"),
        ("bearer\tsecret", "the word Bearer"),
        ("\ufeffsecret", "byte order mark"),
        ("'secret'", "quotes"),
        ("secret\x00", "control character"),
        ("\x7fsecret", "control character"),
        ("secret\x1b[2J", "control character"),
        ("secrét", "no token has"),
        ("\u00a0secret", "no token has"),  # only C99 white space is removed
        ("secret\u2028", "no token has"),
        ('"secret"', "quotes"),
        ("secret,secret", "no token has"),
        ("sec=ret", "no token has"),
        ("=", "no token has"),
        ("eyJhbGciOiJFUzI1Ni", "it is cut short"),
        ("eyJzZWNyZXQi.eyJhdWQiOiJzZWNyZXQi", "it is cut short"),
        ("s" * (LIMIT + 1), "longer than 65536 bytes"),
    ],
)
def test_anything_else_is_malformed_and_never_quoted(text, reason):
    for form in (text, text.encode()):
        with pytest.raises(MalformedTokenError, match=reason) as caught:
            BearerToken.parse(form)
        assert isinstance(caught.value, ValueError)
        assert "secr" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_file_in_utf_16_is_told(encoding):
    with pytest.raises(MalformedTokenError, match="in UTF-16"):
        BearerToken.parse("\ufeffsecret".encode(encoding))


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
    assert BearerToken.parse(text).serialized == text


def test_its_representation_does_not_show_it():
    token = claiming(sub="me")
    assert repr(token) == "BearerToken()"


def test_equal_text_makes_equal_tokens():
    text = jwt({"sub": "me"})
    assert BearerToken.parse(text) == BearerToken(text)
    assert hash(BearerToken.parse(text)) == hash(BearerToken(text))
    assert BearerToken.parse(text) != BearerToken.parse("abc")
    assert BearerToken("abc") != "abc"
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


def test_an_opaque_token_has_no_scope():
    assert BearerToken.parse("opaque").scope == ""


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


# --- text that can be shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("a b", "a b"),
        ("caf\xe9", "caf\xe9"),
        ("a\nb\tc", "a\ufffdb\ufffdc"),
        ("\x1b[2J", "\ufffd[2J"),
        ("a" * 300, "a" * 300),
        ("a" * 301, "a" * 300 + "... (301 characters)"),
        ("\n" * 301, "\ufffd" * 300 + "... (301 characters)"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_strangers_text_is_shown_in_one_line_and_not_long(text, shown):
    assert plain(text) == shown


PATHS = [
    "/tmp/bt_u1000",
    "/run/user/1000/bt_u1000",
    "/home/Jane.Doe/.condor_creds/scitokens.use",
    "/pnfs/desy.de/cms/tier2/token",
    "/a b/\xfcbung",
]


@pytest.mark.parametrize("text", PATHS)
def test_a_path_can_be_shown(text):
    assert certain_path(text) == text


@pytest.mark.parametrize(
    "text",
    [
        jwt({}),
        jwt({"sub": "me"})[:11],
        "0123456789abcdef" * 3,
        "Ab3" * 7,
        "a" * 201,
        "a\nb",
        "\x1b[2J",
    ],
)
def test_what_may_be_a_token_cannot(text):
    assert not may_be_shown(text)
    assert certain_path(f"/{text}") == ""


@pytest.mark.parametrize("text", ["", "token", "./token", "~/token", "file:///token"])
def test_what_is_not_absolute_is_not_certainly_a_path(text):
    assert certain_path(text) == ""
