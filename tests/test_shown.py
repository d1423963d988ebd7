"""What may be shown of text that others wrote."""

from __future__ import annotations

import time

import pytest

from requests_scitokens._shown import (
    certain_path,
    duration,
    hide,
    may_be_shown,
    printable,
)

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2ln"


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
    assert printable(text) == shown


PATHS = [
    "/tmp/bt_u1000",
    "/run/user/1000/bt_u1000",
    "/home/Jane.Doe/.condor_creds/scitokens.use",
    "/pnfs/desy.de/cms/tier2/token",
    "/a b/\xfcbung",
    "~/token",
    "~jane/token",
    "C:\\Users\\Jane\\token",
    "C:/Users/Jane/token",
    "\\\\server\\share\\token",
]


@pytest.mark.parametrize("text", PATHS)
def test_a_path_can_be_shown(text):
    assert certain_path(text) == text


@pytest.mark.parametrize(
    "text",
    [
        JWT,
        JWT[:11],
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


@pytest.mark.parametrize("text", ["", "token", "./token", "~", "C:token", "file:///token"])
def test_what_is_not_absolute_is_not_certainly_a_path(text):
    assert certain_path(text) == ""


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


# --- what others repeat of a token

HOW = {
    "whole": "a {0} z",
    "twice": "a {0}{0} z",
    "in part": "a {1} z",
    "in capitals": "a {2} z",
    "spaced out": "a {3} z",
    "percent-encoded": "a {4} z",
    "percent-encoded twice": "a {5} z",
}


@pytest.mark.parametrize(
    "token", [JWT, "b3BhcXVlIHNlY3JldCBvcGFxdWU"], ids=["JWT", "opaque"]
)
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_a_known_token_is_hidden_however_it_is_repeated(token, how):
    encoded = "".join(f"%{ord(one):02x}" for one in token)
    spellings = (token[4:], token.upper(), " ".join(token), encoded)
    text = how.format(token, *spellings, encoded.replace("%", "%25"))
    hidden = hide(text, [token])
    assert hidden[:2] == "a "
    assert hidden[-2:] == " z"
    letters = "".join(filter(str.isalnum, hidden)).lower()
    known = "".join(filter(str.isalnum, token)).lower()
    assert not [i for i in range(len(known) - 11) if known[i : i + 12] in letters]


def test_a_jwt_that_nobody_knows_is_hidden_too():
    assert hide(f"error: {JWT}", []) == "error: (a token)"


@pytest.mark.parametrize("text", ["", "read:/frames", "100%", "%41", "eyJhbGci", "c2ln"])
def test_everything_else_is_shown_as_it_came(text):
    assert hide(text, [JWT, "short", ""]) == text


def test_what_takes_long_to_search_is_cut_short():
    started = time.process_time()
    assert hide("%" + "25" * 40_000, ["abcdefghijklmnop"]) == "%" + "25" * 1999 + "2"
    assert time.process_time() - started < 5
