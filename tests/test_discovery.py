"""Where tokens are found, and in which order; test_token_file is about one file."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from requests_scitokens import _environment as environment
from requests_scitokens._discovery import Found, find
from requests_scitokens._messages import Code, because, full, text
from requests_scitokens._origin import NOWHERE, Origin
from requests_scitokens._policy import Situation
from requests_scitokens._token import LIMIT, BearerToken

NOW = 1_800_000_000
STORAGE = Origin("https", "storage.example.org", 443)
OTHER = Origin("https", "other.example.org", 443)

WHITE = " \t\n\v\f\r"


def jwt(aud: object = "", exp: int = NOW + 3600, **claims: object) -> str:
    claims |= {"exp": exp, **({"aud": aud} if aud else {})}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return f"eyJhbGciOiJFUzI1NiJ9.{payload.decode()}.c2lnbmF0dXJl"


def look_for(origin: Origin = NOWHERE, method: str = "GET", *audience: str) -> Found:
    return find(Situation(origin=origin, method=method, start=origin), audience)


def found(
    origin: Origin = NOWHERE, method: str = "GET", *, refused: tuple[str, ...] = ()
) -> str | None:
    tokens = [BearerToken(one) for one in refused]
    token = find(Situation(origin=origin, method=method), (), tokens).token
    return token and token.serialized


def found_for(*audience: str, origin: Origin = STORAGE) -> str | None:
    token = look_for(origin, "GET", *audience).token
    return token and token.serialized


def passed(origin: Origin = NOWHERE) -> list[str]:
    """Return what is said of every place that was passed over."""
    none = look_for(origin)
    lookups = none.looked if none.token is None else none.looked[:-1]
    return [str(lookup) for lookup in lookups]


def why() -> Code | None:
    """Return the reason why there is no token."""
    reason = find().reason
    return reason and reason.code


@pytest.fixture(autouse=True)
def set_clock(monkeypatch) -> Callable[[float], None]:
    def set_to(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: seconds)

    set_to(NOW)
    return set_to


@pytest.fixture
def shared_file() -> Path:
    """Return the file in what stands in for /tmp."""
    (shared,) = [place.path for place in environment.PLACES if not place.variable]
    return Path(shared, f"bt_u{os.geteuid()}")


@pytest.fixture
def creds(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Make HTCondor's directory, with a file for each service."""
    directory = tmp_path / "creds"
    directory.mkdir()

    def fill(**files: str) -> Path:
        monkeypatch.setenv("_CONDOR_CREDS", str(directory))
        for name, content in files.items():
            (directory / f"{name}.use").write_text(content)
        return directory

    return fill


# --- the order of places

#: The order of WLCG Bearer Token Discovery 1.0, with what others document in between.
PLACES = [
    "BEARER_TOKEN",
    "BEARER_TOKEN_FILE",
    "SCITOKEN",
    "SCITOKEN_FILE",
    "_CONDOR_CREDS",
    "XDG_RUNTIME_DIR",
    "/tmp",
]
FILES = ["BEARER_TOKEN_FILE", "SCITOKEN_FILE"]
TOKENS = ["BEARER_TOKEN", "SCITOKEN"]


def token_named(name: str) -> str:
    return jwt(jti=name)


@pytest.fixture
def fill_place(monkeypatch, tmp_path, token_file, shared_file, creds):
    def fill(place: str, content: str) -> None:
        if place == "_CONDOR_CREDS":
            creds(scitokens=content)
        elif place == "XDG_RUNTIME_DIR":
            token_file.write_text(content)
        elif place == "/tmp":
            shared_file.write_text(content)
        elif place in FILES:
            (tmp_path / place).write_text(content)
            monkeypatch.setenv(place, str(tmp_path / place))
        else:
            monkeypatch.setenv(place, content)

    return fill


@pytest.mark.parametrize("first", PLACES)
def test_the_first_place_with_a_token_ends_the_search(fill_place, first):
    for place in PLACES[PLACES.index(first) :]:
        fill_place(place, token_named(place))
    there = look_for()
    assert there.token == BearerToken(token_named(first))
    assert there.place is not None
    assert first in (there.place.variable, "/tmp")
    assert there.looked[-1].token == there.token


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("content", ["", WHITE])
def test_an_empty_place_continues_the_search(fill_place, place, content):
    fill_place(place, content)
    assert found() is None
    assert sum(said.endswith(": empty") for said in passed()) == 1
    fill_place("/tmp" if place != "/tmp" else "XDG_RUNTIME_DIR", "token")
    assert found() == "token"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("to ken", Code.WHITE_SPACE),
        ("tok\xe9n", Code.CHARACTERS),
        ("t" * (LIMIT + 1), Code.TOO_LONG),
        ("/usr/bin/", Code.A_PATH),
        (__file__, Code.A_PATH),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_malformed_place_ends_the_search(fill_place, place, content, code):
    fill_place(place, content)
    for later in PLACES[PLACES.index(place) + 1 :]:
        fill_place(later, "token")
    none = find()
    assert none.token is None
    assert none.reason is not None
    assert none.reason.code is code
    assert none.looked[-1].ends
    assert content not in none.everything()


@pytest.mark.parametrize("place", TOKENS)
def test_a_path_in_place_of_a_token_is_said_with_the_variable_that_takes_one(
    fill_place, place, shared_file
):
    fill_place(place, str(shared_file))
    reason = find().reason
    assert reason is not None
    assert full(reason) == f"${place}: this is a path, and no token; set {place}_FILE to it"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("token", ["opaque", "a.b.c", "-._~+/==", jwt()])
def test_white_space_around_any_token_is_no_part_of_it(fill_place, place, token):
    fill_place(place, f"{WHITE}{token}{WHITE}")
    opaque = not token.startswith("eyJ")
    assert found() == (None if opaque and place == "_CONDOR_CREDS" else token)


def test_only_places_that_are_set_are_looked_in(token_file, shared_file):
    assert passed() == [
        f"$XDG_RUNTIME_DIR/{token_file.name} ({token_file}): no such file",
        f"/tmp/{shared_file.name} ({shared_file}): no such file",
    ]


def test_variables_that_are_set_to_nothing_are_passed_over(monkeypatch, shared_file):
    for name in PLACES[:-1]:
        monkeypatch.setenv(name, "")
    assert passed() == [
        *(f"${name}: empty" for name in PLACES[:-1]),
        f"/tmp/{shared_file.name} ({shared_file}): no such file",
    ]


@pytest.mark.parametrize("variable", FILES)
def test_a_named_file_that_is_missing_continues_the_search(
    monkeypatch, tmp_path, token_file, variable
):
    monkeypatch.setenv(variable, str(tmp_path / "nowhere" / "token"))
    token_file.write_text("token")
    assert found() == "token"
    assert passed() == [f"${variable} ({tmp_path}/nowhere/token): the file does not exist"]


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_changes_is_noticed(fill_place, place):
    for token in map(token_named, ("first", "second")):
        fill_place(place, token)
        assert found() == token


def test_the_user_is_the_effective_one(monkeypatch, token_file):
    token_file.write_text("real")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert found() is None
    assert passed()[0].startswith("$XDG_RUNTIME_DIR/bt_u4242 ")


@pytest.mark.parametrize("place", ["XDG_RUNTIME_DIR", "/tmp"])
def test_in_the_last_two_places_a_file_is_read_only_if_this_user_owns_it(
    token_file, shared_file, monkeypatch, place
):
    uid, owner = os.geteuid() + 4242, os.geteuid()
    directory = (token_file if place == "XDG_RUNTIME_DIR" else shared_file).parent
    (directory / f"bt_u{uid}").write_text("token")
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    none = find()
    assert none.token is None
    assert none.reason is not None
    assert f": it belongs to another user (uid {owner})" in text(none.reason)


def test_a_file_of_another_user_that_is_named_is_read(tmp_path, monkeypatch):
    (tmp_path / "theirs").write_text("token")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(tmp_path / "theirs"))
    uid = os.geteuid() + 4242
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert found() == "token"


def test_without_an_effective_user_the_last_two_places_are_left_out(
    monkeypatch, token_file, shared_file
):
    token_file.write_text("runtime")
    shared_file.write_text("shared")
    monkeypatch.delattr(os, "geteuid")
    assert found() is None
    assert passed() == []
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(token_file))
    assert found() == "runtime"


# --- what has expired is passed over


@pytest.mark.parametrize("place", PLACES[:-1])
def test_an_expired_token_does_not_hide_a_good_one(fill_place, place):
    fill_place(place, jwt(exp=NOW - 1))
    fill_place("/tmp", jwt(jti="good"))
    assert found() == jwt(jti="good")


@pytest.mark.parametrize("place", PLACES)
def test_an_expired_token_is_the_reason_if_nothing_else_is_found(fill_place, place):
    fill_place(place, jwt(exp=NOW - 120))
    none = find()
    assert none.token is None
    assert none.reason is not None
    assert none.reason.code is Code.EXPIRED
    assert full(none.reason).endswith(
        ": it expired 2 min ago; renew it, for example with htgettoken"
    )


def test_something_malformed_after_an_expired_token_ends_the_search(fill_place):
    fill_place("BEARER_TOKEN", jwt(exp=NOW - 60))
    fill_place("SCITOKEN", "not a token")
    fill_place("/tmp", "token")
    assert why() is Code.WHITE_SPACE
    assert "$BEARER_TOKEN: it expired 1 min ago" in find().everything()


def test_expiry_is_judged_at_each_request(token_file, set_clock):
    token_file.write_text(jwt(exp=NOW + 60))
    assert found()
    set_clock(NOW + 60)
    assert found() is None


def test_a_token_that_is_not_valid_yet_is_found(token_file):
    """Clocks differ."""
    token_file.write_text(jwt(nbf=NOW + 3600))
    assert found() == jwt(nbf=NOW + 3600)


def test_the_last_token_of_a_file_stands_in_before_the_next_place(token_file, shared_file):
    token_file.write_text("first")
    shared_file.write_text("next")
    assert found() == "first"
    token_file.unlink()
    assert found() == "first"


# --- why there is none: first what is wrong with what a person set


@pytest.mark.parametrize(
    ("filled", "says"),
    [
        ({}, "no token was found"),
        ({"XDG_RUNTIME_DIR": ""}, "no token was found; $XDG_RUNTIME_DIR/"),
        ({"_CONDOR_CREDS": "opaque"}, "no token was found; $_CONDOR_CREDS/scitokens.use ("),
        ({"BEARER_TOKEN": " ", "SCITOKEN": jwt(exp=NOW - 60)}, "$SCITOKEN: it expired 1"),
        (
            {"SCITOKEN": jwt(exp=NOW - 60), "/tmp": jwt(exp=NOW - 120)},
            "$SCITOKEN: it expired 1 min ago",
        ),
        (
            {"BEARER_TOKEN_FILE": None, "SCITOKEN": jwt(exp=NOW - 60)},
            "$BEARER_TOKEN_FILE (/no/such/file): the file does not exist",
        ),
        (
            {"BEARER_TOKEN": "", "SCITOKEN_FILE": None, "XDG_RUNTIME_DIR": ""},
            "$SCITOKEN_FILE (/no/such/file): the file does not exist",
        ),
    ],
)
def test_the_first_thing_that_is_wrong_is_the_reason(fill_place, monkeypatch, filled, says):
    for place, content in filled.items():
        if content is None:
            monkeypatch.setenv(place, "/no/such/file")
        else:
            fill_place(place, content)
    reason = find().reason
    assert reason is not None
    assert text(reason).startswith(says)
    assert full(reason) in find().everything()


def test_a_reason_is_followed_by_every_place_that_it_does_not_name(
    fill_place, token_file, shared_file
):
    fill_place("BEARER_TOKEN", "")
    fill_place("SCITOKEN", jwt(exp=NOW - 60))
    assert find().everything() == (
        "no usable token: $SCITOKEN: it expired 1 min ago; renew it, for example with "
        "htgettoken; looked in: $BEARER_TOKEN: empty; $BEARER_TOKEN_FILE: not set; "
        "$SCITOKEN_FILE: not set; $_CONDOR_CREDS: not set; "
        f"$XDG_RUNTIME_DIR/{token_file.name} ({token_file}): no such file; "
        f"/tmp/{shared_file.name} ({shared_file}): no such file"
    )
    reason = because(Code.SWITCHED_OFF)
    assert Found(reason=reason).everything() == "no usable token: token=False was given"


@pytest.mark.parametrize(
    ("sudo", "code"), [("1001", Code.NO_TOKEN_UNDER_SUDO), ("me", Code.NO_TOKEN)]
)
def test_under_sudo_the_user_is_named_whose_files_are_not_looked_for(
    monkeypatch, sudo, code
):
    monkeypatch.setenv("SUDO_UID", sudo)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert why() is code
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    assert why() is Code.NO_TOKEN
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("BEARER_TOKEN_FILE", "/no/such/file")
    assert why() is Code.NO_FILE


def test_a_tilde_that_no_shell_has_replaced_is_said(monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN_FILE", "~/token")
    reason = find().reason
    assert reason is not None
    assert full(reason) == (
        "$BEARER_TOKEN_FILE (~/token): the file does not exist: ~ stands for nothing here; "
        "write the whole path"
    )


def test_what_was_found_has_a_name(token_file):
    token_file.write_text("token")
    name = f"the token in $XDG_RUNTIME_DIR/{token_file.name} ({token_file})"
    assert find().name == name
    assert Found().name == "the token"


# --- a token where a path belongs

TOKEN = jwt("https://storage.example.org", jti="long" * 9)
MACAROON = "MDAxY2xvY2F0aW9uIE9wdGlvbmFsLmVtcHR5CjAwMThpZGVudGlmaWVyIGFiY2RlZg"
IN_PLACE_OF_A_PATH = {
    "a token": TOKEN,
    "short": jwt(),
    "with Bearer": f"Bearer {TOKEN}",
    "a header": f"Authorization: Bearer {TOKEN}",
    "HTCondor's JSON": json.dumps({"access_token": TOKEN}),
    "quoted": f'"{TOKEN}"',
    "with a BOM": f"\ufeff{TOKEN}",
    "with a newline": f"{TOKEN}\n",
    "opaque": "b3BhcXVlIHNlY3JldA",
    "opaque in hex": "0123456789abcdef" * 4,
    "a macaroon": MACAROON,
    "cut short": TOKEN[:40],
    "its claims": TOKEN.split(".")[1],
    "its end": TOKEN[-14:],
    "twice": f"{TOKEN}{TOKEN}",
    "twice, two lines": f"{TOKEN}\n{TOKEN}",
    "after a slash": f"/{TOKEN}",
    "a macaroon after a slash": f"/{MACAROON}",
    "an opaque one in hex after a slash": "/" + "0123456789abcdef" * 4,
    "after a path": f"/tmp/{TOKEN}",
    "a file's URL": f"file:///tmp/{TOKEN}",
    "a very long one": TOKEN + "x" * 5000,
}


@pytest.mark.parametrize("value", IN_PLACE_OF_A_PATH.values(), ids=IN_PLACE_OF_A_PATH)
@pytest.mark.parametrize(
    "variable", ["BEARER_TOKEN_FILE", "SCITOKEN_FILE", "_CONDOR_CREDS", "XDG_RUNTIME_DIR"]
)
def test_a_token_in_place_of_a_path_is_missed_but_not_shown(
    monkeypatch, shared_file, tmp_path, caplog, variable, value
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    none = find()
    shown = f"{none.everything()} {passed()} {none.reason!r} {caplog.text}"
    shared_file.write_text("token")
    assert found() == "token"
    pieces = {value, value.strip(), *(value[at : at + 14] for at in range(len(value) - 13))}
    harmless = {piece for piece in pieces if piece in f"{tmp_path} access_token Bearer "}
    assert not [piece for piece in pieces - harmless if piece in shown]


@pytest.mark.parametrize("variable", ["BEARER_TOKEN_FILE", "SCITOKEN_FILE"])
@pytest.mark.parametrize("value", ["opaque-secret", "token.txt"])
def test_what_is_not_certainly_a_path_is_said_without_it(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    (said, *_) = passed()
    assert value not in said
    right = variable.removesuffix("_FILE")
    assert said == (
        f"${variable}: no such file (not shown: a token itself would go into ${right})"
    )


def test_a_relative_path_that_is_there_is_read(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("token.txt").write_text("token")
    monkeypatch.setenv("BEARER_TOKEN_FILE", "token.txt")
    assert found() == "token"
    assert find().name == "the token in $BEARER_TOKEN_FILE"
    monkeypatch.setenv("BEARER_TOKEN_FILE", "other.txt")
    Path("other.txt").write_text("not a token")
    assert find().reason == because(Code.WHITE_SPACE, place="$BEARER_TOKEN_FILE")


# --- the audience that the caller wants


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "aud",
    ["mine", "ANY", "https://wlcg.cern.ch/jwt/v1/any", ["storage.example.org", "mine"]],
    ids=str,
)
def test_a_token_with_the_wanted_audience_or_for_any_server_is_found(
    fill_place, place, aud
):
    fill_place(place, jwt(aud))
    assert found_for("yours", "mine") == jwt(aud)


@pytest.mark.parametrize("place", [place for place in PLACES if place != "_CONDOR_CREDS"])
@pytest.mark.parametrize(
    ("aud", "whom"),
    [
        ("https://a.example.org", "https://a.example.org"),
        (["b", "c"], "b, c"),
        ("", "any server"),
        ([42], "an audience that cannot be read"),
    ],
)
def test_one_that_does_not_fit_ends_the_search_with_the_reason(
    fill_place, shared_file, place, aud, whom
):
    fill_place(place, jwt(aud))
    if place != "/tmp":
        shared_file.write_text(jwt("mine"))
    none = look_for(STORAGE, "GET", "mine", "yours")
    assert none.token is None
    assert none.reason is not None
    assert full(none.reason).endswith(
        f": it is for {whom}, not for mine, yours; get one for mine, yours"
    )
    assert found() == jwt(aud)


def test_a_wanted_audience_cannot_break_the_line(token_file):
    token_file.write_text("token")
    reason = find(audience=("a\nb", "c" * 1000)).reason
    assert reason is not None
    assert full(reason).isprintable()
    assert len(full(reason)) < 1000


# --- HTCondor's directory

FOR_STORAGE = jwt("https://storage.example.org")
FOR_OTHER = jwt("https://other.example.org")
FOR_ANY, FOR_ANY_TOO = jwt("ANY"), jwt("ANY", jti="2")
UNREADABLE = FOR_STORAGE.replace(".", ".x", 1)
BOX, GOOGLE = "Bx9sT0k3n-" * 3, "ya29.a0AfB_byC-opaque"
EXPIRED = jwt("https://storage.example.org", exp=NOW)
READ, WRITE = jwt("ANY", scope="read:/a"), jwt("ANY", scope="write:/a")
READ_STORAGE = jwt("https://storage.example.org", scope="storage.read:/ openid")


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        # for this server, else for any
        ({"a": FOR_ANY, "b": FOR_STORAGE}, FOR_STORAGE),
        ({"a": FOR_OTHER, "b": FOR_ANY}, FOR_ANY),
        # only a JSON Web Token: the others are of other services
        ({"a": BOX, "b": GOOGLE, "c": FOR_ANY}, FOR_ANY),
        ({"a": FOR_OTHER, "scitokens": BOX, "c": FOR_STORAGE}, FOR_STORAGE),
        ({"a": BOX}, None),
        ({"a": FOR_OTHER, "b": json.dumps({"access_token": GOOGLE})}, None),
        ({"a": UNREADABLE, "b": FOR_ANY}, FOR_ANY),
        ({"a": UNREADABLE}, None),
        ({"a": FOR_STORAGE, "b": jwt("storage.example.org")}, FOR_STORAGE),
        ({"scitokens": READ, "a": FOR_STORAGE}, FOR_STORAGE),
        # then the one whose scope has the request's verb
        ({"scitokens": FOR_ANY, "a": WRITE, "b": READ}, READ),
        ({"a": FOR_STORAGE, "b": READ_STORAGE, "c": READ}, READ_STORAGE),
        # then scitokens.use, then by name
        ({"a": FOR_ANY, "scitokens": FOR_ANY_TOO}, FOR_ANY_TOO),
        ({"b": FOR_ANY, "a": FOR_ANY_TOO}, FOR_ANY_TOO),
        ({"Z": FOR_ANY, "a": FOR_ANY_TOO}, FOR_ANY),
        ({"a": READ, "scitokens": jwt("ANY", scope="read:/")}, jwt("ANY", scope="read:/")),
        # what has expired, is empty or malformed
        ({"a": EXPIRED, "b": FOR_ANY}, FOR_ANY),
        ({"a": "", "b": FOR_ANY}, FOR_ANY),
        ({"a": "not a token", "b": FOR_ANY}, FOR_ANY),
        ({"a": FOR_ANY, "b": "not a token"}, FOR_ANY),
        ({"a": FOR_OTHER}, None),
        ({"a": EXPIRED}, None),
        ({"a": "not a token", "b": FOR_OTHER}, None),
        ({"a": jwt([42])}, None),
        # JSON
        ({"a": json.dumps({"access_token": FOR_STORAGE})}, FOR_STORAGE),
    ],
)
def test_which_file_of_htcondors_directory_is_chosen(creds, files, chosen):
    creds(**files)
    assert found(STORAGE) == chosen


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize(
    "scope",
    ["read", "read:/a", "openid storage.read:/ x", "storage.stage:/tape", ["read"]],
    ids=str,
)
def test_to_read_the_scope_says_read(creds, method, scope):
    creds(a=WRITE, b=FOR_ANY, c=jwt("ANY", scope=scope))
    assert found(STORAGE, method) == jwt("ANY", scope=scope)


@pytest.mark.parametrize(
    "method", ["PUT", "POST", "PATCH", "DELETE", "MKCOL", "COPY", "get"]
)
@pytest.mark.parametrize(
    "scope", ["write", "write:/a", "storage.modify:/", "a storage.create:/"], ids=str
)
def test_for_everything_else_it_says_write(creds, method, scope):
    creds(a=READ, b=FOR_ANY, c=jwt("ANY", scope=scope))
    assert found(STORAGE, method) == jwt("ANY", scope=scope)


@pytest.mark.parametrize(
    "scope", ["readable:/", "reads", "storage.readonly:/", "a:read", 42]
)
def test_a_scope_that_only_looks_like_it_does_not(creds, scope):
    creds(a=FOR_ANY, b=jwt("ANY", scope=scope))
    assert found(STORAGE) == FOR_ANY


def test_without_an_origin_every_file_that_has_not_expired_fits(creds):
    creds(a=EXPIRED, b=FOR_OTHER, c=FOR_ANY)
    assert found() == FOR_OTHER


def test_each_origin_has_its_own_choice(creds):
    creds(a=FOR_STORAGE, b=FOR_OTHER)
    assert found(STORAGE) == FOR_STORAGE
    assert found(OTHER) == FOR_OTHER


def test_to_a_401_or_403_the_next_one_that_fits_is_another(creds, token_file):
    token_file.write_text("later")
    creds(a=FOR_STORAGE, b=FOR_OTHER, c=READ, d=FOR_ANY)
    assert found(STORAGE) == FOR_STORAGE
    assert found(STORAGE, refused=(FOR_STORAGE,)) == READ
    assert found(STORAGE, refused=(FOR_STORAGE, READ)) == FOR_ANY


def test_where_every_one_was_refused_it_is_the_same_again(creds, token_file):
    token_file.write_text("later")
    creds(a=FOR_STORAGE)
    assert found(STORAGE, refused=(FOR_STORAGE,)) == FOR_STORAGE


def test_the_audience_that_the_caller_wants_chooses(creds):
    creds(a=FOR_OTHER, b=FOR_STORAGE, c=jwt("mine"), d=BOX)
    assert found_for("mine") == jwt("mine")
    assert found_for("mine", "https://storage.example.org") == FOR_STORAGE
    assert found(STORAGE) == FOR_STORAGE


def test_it_makes_no_token_fit_that_is_for_another_server(creds):
    creds(a=FOR_OTHER, b=jwt(["mine", "https://other.example.org"]))
    assert found_for("mine", "https://other.example.org") is None


def test_where_none_has_the_wanted_audience_the_search_goes_on(creds, token_file):
    creds(a=FOR_STORAGE)
    token_file.write_text(FOR_ANY)
    assert found_for("mine") == FOR_ANY


def test_only_files_called_use_are_looked_at(creds):
    directory = creds()
    (directory / "a.top").write_text(FOR_ANY)
    (directory / "a.use.bak").write_text(FOR_ANY)
    assert found(STORAGE) is None
    assert f"$_CONDOR_CREDS ({directory}): no file there is called *.use" in passed()


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_directory_that_cannot_be_listed_continues_the_search(
    monkeypatch, tmp_path, token_file, kind
):
    path = tmp_path / "nowhere"
    if kind == "a file":
        path.write_text("")
    monkeypatch.setenv("_CONDOR_CREDS", str(path))
    token_file.write_text("token")
    assert found(STORAGE) == "token"
    what = "Not a directory" if kind == "a file" else "No such file or directory"
    assert f"$_CONDOR_CREDS ({path}): {what}" in passed(STORAGE)


def test_an_error_without_words_is_named_by_its_type(creds, monkeypatch):
    def fail(path: str) -> list[str]:
        raise TimeoutError

    directory = creds()
    monkeypatch.setattr(os, "listdir", fail)
    assert f"$_CONDOR_CREDS ({directory}): TimeoutError" in passed()


def test_why_each_file_was_not_chosen_is_kept(creds, token_file):
    directory = creds(a=EXPIRED, b=FOR_OTHER, c="", d=jwt("https://a"), e=BOX)
    token_file.write_text("token")
    assert found(STORAGE) == "token"
    place = "$_CONDOR_CREDS"
    assert passed(STORAGE) == [
        f"{place}/a.use ({directory}/a.use): it expired 0 s ago",
        f"{place}/b.use ({directory}/b.use): it is for https://other.example.org; "
        "not for this server",
        f"{place}/c.use ({directory}/c.use): empty",
        f"{place}/d.use ({directory}/d.use): it is for https://a; not for this server",
        f"{place}/e.use ({directory}/e.use): no JSON Web Token, so it may be of another "
        "service",
    ]


def test_a_malformed_file_ends_the_search_only_where_no_other_serves(creds, token_file):
    creds(a="not a token", b=FOR_OTHER)
    token_file.write_text("token")
    assert found(STORAGE) is None
    reason = look_for(STORAGE).reason
    assert reason is not None
    assert reason.code is Code.WHITE_SPACE
    assert "/a.use" in text(reason)
    assert found(OTHER) == FOR_OTHER


def test_a_file_that_is_rewritten_keeps_its_choice(creds):
    directory = creds(a=FOR_ANY, b=FOR_STORAGE)
    assert found(STORAGE) == FOR_STORAGE
    (directory / "b.use").write_text("")
    assert found(STORAGE) == FOR_STORAGE


@pytest.mark.parametrize("after", [0, 59, 61])
def test_a_file_that_is_missing_for_a_moment_keeps_its_choice(creds, monkeypatch, after):
    """The directory does not list it, but it was read there within the minute."""
    directory = creds(a=FOR_ANY, b=FOR_STORAGE)
    assert found(STORAGE) == FOR_STORAGE
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + after)
    (directory / "b.use").unlink()
    assert found(STORAGE) == (FOR_STORAGE if after < 60 else FOR_ANY)
    monkeypatch.setattr(time, "monotonic", lambda: now + after + 1.01)
    assert found(STORAGE) == FOR_ANY
    assert not [said for said in passed(STORAGE) if "b.use" in said]


def test_another_directory_has_other_files(creds, monkeypatch, tmp_path):
    creds(a=FOR_STORAGE)
    assert found(STORAGE) == FOR_STORAGE
    (tmp_path / "creds2").mkdir()
    monkeypatch.setenv("_CONDOR_CREDS", str(tmp_path / "creds2"))
    assert found(STORAGE) is None


def test_files_are_read_at_each_request(creds, monkeypatch):
    directory = creds(a=FOR_ANY)
    assert found(STORAGE) == FOR_ANY
    (directory / "b.use").write_text(FOR_STORAGE)
    assert found(STORAGE) == FOR_STORAGE
    (directory / "b.use").unlink()
    assert found(STORAGE) == FOR_STORAGE
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.01)
    assert found(STORAGE) == FOR_ANY


def test_a_file_name_cannot_break_the_line(creds):
    (creds() / "a\nb.use").write_text("")
    assert all(line.isprintable() for line in passed())
