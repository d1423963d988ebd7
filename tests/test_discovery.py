"""Where tokens are found, in which order, and when a file is read again.

No test depends on who runs it: where a mode would not keep a superuser out, opening
fails by itself, and instead of another user's file there is another effective user.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from requests_scitokens import discovery, files, memory
from requests_scitokens.discovery import find, look_everywhere
from requests_scitokens.look import Look
from requests_scitokens.token import LIMIT, BearerToken

NOW = 1_800_000_000
STORAGE = "https://storage.example.org"
OTHER = "https://other.example.org"

WHITE = " \t\n\v\f\r"


def jwt(aud: str = "", exp: int = NOW + 3600, **claims: object) -> str:
    claims |= {"exp": exp, **({"aud": aud} if aud else {})}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return f"e30.{payload.decode()}.c2ln"


def found(url: str | None = None, **options: object) -> str | None:
    look, _ = find(url, **options)
    assert look is None or look.token is not None
    return look.token.serialized if look and look.token else None


def reasons(url: str | None = None) -> list[str]:
    return [str(look) for look in find(url)[1]]


def write(path: Path, content: str | bytes) -> Path:
    """Write a file as its owner's tools do: under another name first."""
    temporary = path.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return temporary.rename(path)


@pytest.fixture(autouse=True)
def shared(tmp_path, monkeypatch) -> Path:
    """Stand in for /tmp."""
    directory = tmp_path / "shared"
    directory.mkdir()
    monkeypatch.setattr(discovery, "SHARED_DIRECTORY", str(directory))
    return directory


@pytest.fixture(autouse=True)
def set_clock(monkeypatch) -> Callable[[float], None]:
    def set_to(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: seconds)

    set_to(NOW)
    return set_to


@pytest.fixture
def shared_file(shared) -> Path:
    return shared / f"bt_u{os.geteuid()}"


@pytest.fixture
def creds(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Make HTCondor's directory, as it was left some time ago."""
    directory = tmp_path / "creds"
    directory.mkdir()
    monkeypatch.setenv("_CONDOR_CREDS", str(directory))

    def fill(**files: str | bytes) -> Path:
        for name, content in files.items():
            write(directory / f"{name}.use", content)
        # File systems' clocks tick slowly: without this, what a test does next might
        # happen at the same time as what it did here.
        os.utime(directory, (NOW - 60, NOW - 60))
        return directory

    return fill


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """Record what is asked of the operating system."""
    recorded: list[str] = []

    def record(name: str) -> None:
        function = getattr(os, name)

        def recording(path: object, *args: object, **kwargs: object) -> object:
            if not str(path).endswith(".tmp"):  # what the tests themselves write
                recorded.append(f"{name} {os.path.basename(str(path))}")
            return function(path, *args, **kwargs)

        monkeypatch.setattr(os, name, recording)

    for name in ("stat", "open", "listdir"):
        record(name)
    return recorded


def opened(calls: list[str]) -> int:
    return sum(call.startswith("open ") for call in calls)


# --- the order of places

PLACES = [
    "BEARER_TOKEN",
    "BEARER_TOKEN_FILE",
    "SCITOKEN",
    "SCITOKEN_FILE",
    "_CONDOR_CREDS",
    "XDG_RUNTIME_DIR",
    "/tmp",
]


@pytest.fixture
def fill_place(monkeypatch, tmp_path, token_file, shared_file, creds):
    def fill(place: str, content: str) -> None:
        if place == "_CONDOR_CREDS":
            creds(scitokens=content)
        elif place == "XDG_RUNTIME_DIR":
            write(token_file, content)
        elif place == "/tmp":
            write(shared_file, content)
        elif place.endswith("_FILE"):
            monkeypatch.setenv(place, str(write(tmp_path / place, content)))
        else:
            monkeypatch.setenv(place, content)

    return fill


@pytest.mark.parametrize("first", range(len(PLACES)))
def test_the_first_place_with_a_token_ends_the_search(fill_place, first):
    for number, place in list(enumerate(PLACES))[first:]:
        fill_place(place, f"token{number}")
    assert found() == f"token{first}"
    assert len(find()[1]) == first


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("content", ["", WHITE])
def test_an_empty_place_continues_the_search(fill_place, place, content):
    fill_place(place, content)
    assert find()[0] is None
    assert sum(reason.endswith(": empty") for reason in reasons()) == 1
    fill_place("/tmp" if place != "/tmp" else "XDG_RUNTIME_DIR", "token")
    assert found() == "token"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "content", ["to ken", "to\nken", "to\x7fken", "tok\xe9n", '"token"', "t" * (LIMIT + 1)]
)
def test_a_malformed_place_ends_the_search(fill_place, place, content):
    fill_place(place, content)
    for later in PLACES[PLACES.index(place) + 1 :]:
        fill_place(later, "token")
    look, passed = find()
    assert look is None
    assert passed[-1].ends
    assert (
        passed[-1]
        .place.lstrip("$")
        .startswith((place, "_CONDOR_CREDS/scitokens.use", discovery.SHARED_DIRECTORY))
    )
    assert "ken" not in passed[-1].reason.replace("token", "")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("token", ["opaque", "a.b.c", "-._~+/=="])
def test_white_space_around_any_token_is_no_part_of_it(fill_place, place, token):
    fill_place(place, f"{WHITE}{token}{WHITE}")
    assert found() == token


def test_every_place_has_its_reason(token_file, shared_file):
    uid = os.geteuid()
    assert reasons() == [
        "$BEARER_TOKEN: not set",
        "$BEARER_TOKEN_FILE: not set",
        "$SCITOKEN: not set",
        "$SCITOKEN_FILE: not set",
        "$_CONDOR_CREDS: not set",
        f"$XDG_RUNTIME_DIR/bt_u{uid} ({token_file}): No such file or directory",
        f"{shared_file}: No such file or directory",
    ]


def test_variables_that_are_set_to_nothing_are_passed_over(monkeypatch, shared_file):
    for name in PLACES[:-1]:
        monkeypatch.setenv(name, "")
    assert reasons() == [
        "$BEARER_TOKEN: empty",
        "$BEARER_TOKEN_FILE: not set",
        "$SCITOKEN: empty",
        "$SCITOKEN_FILE: not set",
        "$_CONDOR_CREDS: not set",
        "$XDG_RUNTIME_DIR: not set",
        f"{shared_file}: No such file or directory",
    ]


@pytest.mark.parametrize("variable", ["BEARER_TOKEN_FILE", "SCITOKEN_FILE"])
@pytest.mark.parametrize("text", [jwt(), jwt(jti="long" * 99)], ids=["short", "long"])
def test_a_token_in_place_of_a_path_is_missed_but_not_shown(
    monkeypatch, token_file, variable, text
):
    monkeypatch.setenv(variable, text)
    write(token_file, "token")
    assert found() == "token"
    right = variable.removesuffix("_FILE")
    reason = f"it holds a token, not the name of a file; ${right} is for that"
    assert f"${variable}: {reason}" in reasons()
    assert text not in str(list(look_everywhere()))


@pytest.mark.parametrize("variable", ["BEARER_TOKEN_FILE", "SCITOKEN_FILE"])
def test_a_file_that_is_missing_continues_the_search(
    monkeypatch, tmp_path, token_file, variable
):
    monkeypatch.setenv(variable, str(tmp_path / "nowhere" / "token"))
    write(token_file, "token")
    assert found() == "token"
    reason = f"${variable} ({tmp_path}/nowhere/token): No such file or directory"
    assert reason in reasons()


def test_the_user_is_the_effective_one(monkeypatch, token_file):
    write(token_file, "real")
    write(token_file.with_name("bt_u4242"), "effective")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert found() == "effective"


def test_without_an_effective_user_the_last_two_places_are_left_out(
    monkeypatch, token_file, shared_file
):
    write(token_file, "runtime")
    write(shared_file, "shared")
    monkeypatch.delattr(os, "geteuid")
    assert find()[0] is None
    assert len(reasons()) == 5
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(token_file))
    assert found() == "runtime"


def test_looking_everywhere_does_not_stop_at_what_is_found(fill_place):
    for place in PLACES:
        fill_place(place, "token")
    looks = list(look_everywhere())
    assert [look.token for look in looks] == [BearerToken("token")] * len(PLACES)
    assert {str(look).rpartition(": ")[2] for look in looks} == {"a token"}


def test_a_token_that_has_expired_is_found_all_the_same(token_file, shared_file):
    write(token_file, jwt(exp=NOW - 1, jti="old"))
    write(shared_file, jwt(jti="new"))
    assert found() == jwt(exp=NOW - 1, jti="old")


# --- what is in a file


@pytest.mark.parametrize(
    "content",
    [
        '{"access_token": "token"}',
        f'{WHITE}{{"expires_in": 1200, "access_token": "{{}}"}}{WHITE}'.replace(
            "{}", "token"
        ),
        '{"access_token": " token\\n", "refresh": [1, {"a": null}]}',
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", ["BEARER_TOKEN_FILE", "_CONDOR_CREDS", "/tmp"])
def test_a_file_may_hold_htcondors_json(fill_place, place, content):
    fill_place(place, content)
    assert found() == "token"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "it is JSON without an access_token"),
        ("{}", "it is JSON without an access_token"),
        ('{"access_token": null}', "it is JSON without an access_token"),
        ('{"access_token": 1}', "it is JSON without an access_token"),
        ('{"access_token": ["token"]}', "it is JSON without an access_token"),
        ('{"refresh_token": "token"}', "it is JSON without an access_token"),
        ('{"a":' * 12_000, "it is JSON without an access_token"),
        ('{"access_token": ""}', "not a bearer token: it is empty"),
        ('{"access_token": "to ken"}', "not a bearer token: it has white space inside"),
        ('["token"]', "not a bearer token: it has a character that no token has"),
        ("\ufeff{}", "not a bearer token: it has a character that no token has"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_json_without_a_token_ends_the_search(token_file, shared_file, content, reason):
    write(token_file, content)
    write(shared_file, "token")
    look, passed = find()
    assert look is None
    assert passed[-1].reason.startswith(reason)


# --- what is no file


@pytest.fixture
def named(monkeypatch, token_file) -> Path:
    """Name a file in `BEARER_TOKEN_FILE`; a later place has a token."""
    path = token_file.with_name("named")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    write(token_file, "token")
    return path


def ended_with(path: Path | str) -> str:
    look, passed = find()
    assert look is None
    assert passed[-1].place == f"$BEARER_TOKEN_FILE ({path})"
    assert passed[-1].ends
    return passed[-1].reason


def test_a_fifo_does_not_block(named):
    os.mkfifo(named)
    assert ended_with(named) == "it is not a regular file"


def test_a_directory_is_no_token(named):
    named.mkdir()
    assert ended_with(named) == "it is not a regular file"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_a_device_is_not_read(named, monkeypatch, device):
    monkeypatch.setenv("BEARER_TOKEN_FILE", device)
    assert ended_with(device) == "it is not a regular file"


@pytest.mark.parametrize("content", [b"\x00" * 10_000_000, b"a" * (LIMIT + 1)])
def test_a_file_too_long_to_be_a_token_is_not_read(named, content):
    named.write_bytes(content)
    assert ended_with(named) == "it is longer than 65536 bytes, and no token is"


def test_a_file_as_long_as_a_token_can_be_is_read(named):
    named.write_bytes(b"a" * LIMIT)
    assert found() == "a" * LIMIT


def test_a_file_that_cannot_be_read_ends_the_search(named, monkeypatch):
    named.touch(mode=0)

    def deny(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    if os.geteuid() == 0:  # whom no mode keeps out
        monkeypatch.setattr(os, "open", deny)
    assert ended_with(named) == "it cannot be read: Permission denied"


def test_an_error_without_words_is_named_by_its_type(named, monkeypatch):
    named.touch()

    def fail(path: str, flags: int) -> int:
        raise TimeoutError

    monkeypatch.setattr(os, "open", fail)
    assert ended_with(named) == "it cannot be read: TimeoutError"


def before_opening(monkeypatch, act: Callable[[], object]) -> None:
    real = os.open

    def late(*args: object) -> int:
        act()
        return real(*args)

    monkeypatch.setattr(os, "open", late)


def test_a_file_that_goes_away_before_it_is_opened_was_missing(named, monkeypatch):
    write(named, "gone")
    write(named.with_name(f"bt_u{os.geteuid()}"), "token")
    before_opening(monkeypatch, lambda: named.unlink(missing_ok=True))
    assert found() == "token"
    assert find()[1][1].reason == "No such file or directory"


def test_a_file_that_becomes_a_fifo_before_it_is_opened_does_not_block(named, monkeypatch):
    write(named, "gone")
    before_opening(monkeypatch, lambda: (named.unlink(), os.mkfifo(named)))
    assert ended_with(named) == "it is not a regular file"


def growing(monkeypatch, path: Path, pieces: list[bytes]) -> None:
    """Let somebody add to the file each time that a piece of it has been read."""
    real = os.read

    def read(descriptor: int, size: int) -> bytes:
        content = real(descriptor, size)
        if pieces:
            with path.open("ab") as file:
                file.write(pieces.pop())
        return content

    monkeypatch.setattr(os, "read", read)


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(named, monkeypatch):
    write(named, "abc")
    growing(monkeypatch, named, [b"ghi", b"def"])
    assert found() == "abcdefghi"


def test_a_file_that_never_stops_growing_is_given_up(named, monkeypatch):
    write(named, "abc")
    pieces = [b"a" * 1024] * 10_000
    growing(monkeypatch, named, pieces)
    assert ended_with(named) == "not a bearer token: it is longer than 65536 bytes"
    assert len(pieces) > 9_900


def test_a_file_that_grew_is_read_again(named, monkeypatch, calls):
    write(named, "abc")
    assert found() == "abc"
    with named.open("a") as file:
        file.write("def")
    assert found() == "abcdef"


# --- the directory that everybody shares


@pytest.fixture
def other_user(monkeypatch) -> int:
    """Become a user to whom no file here belongs."""
    uid = os.geteuid() + 4242
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    return uid


def test_in_tmp_a_file_of_ones_own_is_read(shared_file):
    write(shared_file, "token")
    assert found() == "token"


def test_in_tmp_another_users_file_is_not_read(shared, other_user):
    path = write(shared / f"bt_u{other_user}", "token")
    look, passed = find()
    assert look is None
    owner = path.stat().st_uid
    assert str(passed[-1]) == f"{path}: it belongs to another user (uid {owner})"
    assert passed[-1].ends


def test_in_tmp_another_users_link_is_not_followed_even_to_ones_own_file(
    shared, tmp_path, other_user
):
    link = shared / f"bt_u{other_user}"
    link.symlink_to(write(tmp_path / "mine", "token"))
    look, passed = find()
    assert look is None
    assert (
        str(passed[-1]) == f"{link}: it cannot be read: it is another user's symbolic link"
    )
    assert passed[-1].ends


def test_in_tmp_a_link_of_ones_own_is_followed(shared_file, tmp_path):
    shared_file.symlink_to(write(tmp_path / "mine", "token"))
    assert found() == "token"


def give_away(monkeypatch, path: Path) -> Path:
    """Let a file belong to another user, as far as an open one can tell."""
    theirs, real = path.stat(), os.fstat

    def fstat(descriptor: int) -> object:
        status = real(descriptor)
        if status.st_ino != theirs.st_ino:
            return status
        facts = {name: getattr(status, name) for name in dir(status) if name[:3] == "st_"}
        return SimpleNamespace(**facts | {"st_uid": 4242})

    monkeypatch.setattr(os, "fstat", fstat)
    return path


def test_in_tmp_a_link_of_ones_own_to_another_users_file_is_not_read(
    shared_file, tmp_path, monkeypatch
):
    shared_file.symlink_to(give_away(monkeypatch, write(tmp_path / "theirs", "token")))
    assert find()[0] is None
    assert find()[1][-1].reason == "it belongs to another user (uid 4242)"


@pytest.mark.parametrize("by", ["rename", "symlink_to", "hardlink_to"])
def test_in_tmp_a_file_that_is_another_users_when_it_is_opened_is_not_read(
    shared_file, tmp_path, monkeypatch, by
):
    """Whoever swaps it between a look at the path and the opening gains nothing."""
    theirs = give_away(monkeypatch, write(tmp_path / "theirs", "token"))
    write(shared_file, "mine")

    def swap() -> None:
        if theirs.exists():
            shared_file.unlink(missing_ok=True)
            theirs.rename(shared_file) if by == "rename" else getattr(shared_file, by)(
                theirs
            )

    before_opening(monkeypatch, swap)
    assert find()[0] is None
    assert find()[1][-1].reason == "it belongs to another user (uid 4242)"


def test_what_is_put_in_its_place_after_it_was_opened_is_not_read(
    shared_file, shared, monkeypatch
):
    """Neither its content nor its owner counts, until the next look."""
    write(shared_file, "mine")
    theirs = give_away(monkeypatch, write(shared / "theirs", "theirs"))
    really = os.open

    def early(*args: object) -> int:
        descriptor = really(*args)
        theirs.replace(shared_file)
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", early)
        assert found() == "mine"
    assert found() is None


def test_in_tmp_what_is_no_file_is_not_read(shared_file):
    for make, remove in (
        (shared_file.mkdir, shared_file.rmdir),
        (lambda: os.mkfifo(shared_file), shared_file.unlink),
    ):
        make()
        assert find()[1][-1].reason == "it is not a regular file"
        remove()
    shared_file.symlink_to("/dev/zero")
    assert find()[1][-1].reason == "it is not a regular file"


def test_in_tmp_a_file_that_cannot_be_opened_is_not_taken_for_a_link(
    shared_file, monkeypatch
):
    write(shared_file, "token")

    def deny(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", deny)
    assert find()[1][-1].reason == "it cannot be read: Permission denied"


def test_elsewhere_another_users_file_is_read(token_file, other_user):
    write(token_file.with_name(f"bt_u{other_user}"), "token")
    assert found() == "token"


def test_elsewhere_a_link_to_a_file_of_ones_own_is_followed(token_file, tmp_path):
    token_file.symlink_to(write(tmp_path / "mine", "token"))
    assert found() == "token"


def test_in_tmp_another_users_file_is_not_read_after_it_was_read_elsewhere(
    shared, other_user, monkeypatch
):
    path = write(shared / f"bt_u{other_user}", jwt())
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    assert found() == jwt()
    monkeypatch.delenv("BEARER_TOKEN_FILE")
    assert found() is None


# --- what is remembered


def test_a_file_is_read_once_while_nothing_changes(token_file, calls):
    write(token_file, jwt())
    for _ in range(5):
        assert found() == jwt()
    assert opened(calls) == 1


def rewrite(path: Path) -> None:
    path.write_text(jwt(jti="longer than before"))


def replace(path: Path) -> None:
    write(path, jwt(jti="b"))


def touch(path: Path) -> None:
    os.utime(path, (NOW, NOW))


@pytest.mark.parametrize("change", [rewrite, replace, touch])
def test_a_file_is_read_again_when_it_has_changed(token_file, calls, change):
    write(token_file, jwt(jti="a"))
    assert found() == jwt(jti="a")
    change(token_file)
    assert found() == token_file.read_text()
    assert opened(calls) == 2


@pytest.mark.parametrize("place", ["BEARER_TOKEN", "BEARER_TOKEN_FILE", "_CONDOR_CREDS"])
def test_a_variable_that_changes_is_noticed(fill_place, monkeypatch, tmp_path, place):
    fill_place(place, "first")
    assert found() == "first"
    other = tmp_path / "other"
    other.mkdir()
    file = write(other / "x.use", "second")
    values = {"BEARER_TOKEN": "second", "BEARER_TOKEN_FILE": file, "_CONDOR_CREDS": other}
    monkeypatch.setenv(place, str(values[place]))
    assert found() == "second"


@pytest.mark.parametrize(("left", "reads"), [(3600, 1), (10, 1), (9, 4), (0, 4), (-60, 4)])
def test_a_file_is_read_each_time_when_its_token_is_about_to_expire(
    token_file, calls, set_clock, left, reads
):
    write(token_file, jwt(exp=NOW + 7200))
    found()
    set_clock(NOW + 7200 - left)
    for _ in range(3):
        found()
    assert opened(calls) == reads


def test_expiry_is_looked_at_each_time(token_file, set_clock):
    write(token_file, jwt(exp=NOW + 60))
    for seconds, expired in ((59, False), (60, True), (61, True)):
        set_clock(NOW + seconds)
        look, _ = find()
        assert look is not None
        assert look.token is not None
        assert bool(look.token.expired()) is expired


def test_a_fresh_look_reads_again(token_file, calls):
    write(token_file, jwt())
    assert found() == found(fresh=True) == found(fresh=True) == found()
    assert opened(calls) == 3


def test_one_file_in_two_places_is_read_once_and_named_twice(
    monkeypatch, token_file, calls
):
    write(token_file, jwt())
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(token_file))
    monkeypatch.setenv("SCITOKEN_FILE", str(token_file))
    places = [look.place for look in look_everywhere() if look.token]
    assert places[:2] == [
        f"${name}_FILE ({token_file})" for name in ("BEARER_TOKEN", "SCITOKEN")
    ]
    assert opened(calls) == 1


@pytest.mark.parametrize(
    ("module", "cache"), [(files, "_remembered"), (discovery, "_choices")]
)
def test_what_is_remembered_has_a_limit(creds, monkeypatch, module, cache):
    entries = getattr(module, cache)
    monkeypatch.setattr(module, cache, {**entries, **dict.fromkeys(range(5000))})
    creds(a=jwt())
    assert found(STORAGE) == jwt()
    assert len(getattr(module, cache)) == 1


# --- HTCondor's directory

FOR_STORAGE = jwt("https://storage.example.org")
FOR_OTHER = jwt("https://other.example.org")
UNBOUND = jwt("ANY")
EXPIRED = jwt("https://storage.example.org", exp=NOW)


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        # the first that names the origin, else the first that is unbound
        ({"a": UNBOUND, "b": FOR_STORAGE}, FOR_STORAGE),
        ({"a": FOR_OTHER, "b": UNBOUND}, UNBOUND),
        ({"a": FOR_OTHER, "b": "opaque", "c": UNBOUND}, "opaque"),
        ({"a": FOR_STORAGE, "b": jwt("storage.example.org")}, FOR_STORAGE),
        # scitokens.use first, then by name
        ({"a": UNBOUND, "scitokens": "opaque"}, "opaque"),
        ({"a": FOR_STORAGE, "scitokens": "opaque"}, FOR_STORAGE),
        ({"b": UNBOUND, "a": "opaque"}, "opaque"),
        ({"Z": UNBOUND, "a": "opaque"}, UNBOUND),
        # what has expired, is empty or malformed
        ({"a": EXPIRED, "b": UNBOUND}, UNBOUND),
        ({"a": "", "b": UNBOUND}, UNBOUND),
        ({"a": "not a token", "b": UNBOUND}, UNBOUND),
        ({"a": UNBOUND, "b": "not a token"}, UNBOUND),
        ({"a": FOR_OTHER}, None),
        ({"a": EXPIRED}, None),
        ({"a": "not a token", "b": FOR_OTHER}, None),
        # JSON
        ({"a": json.dumps({"access_token": FOR_STORAGE})}, FOR_STORAGE),
    ],
)
def test_which_file_of_htcondors_directory_is_chosen(creds, files, chosen):
    creds(**files)
    for _ in range(3):
        assert found(STORAGE) == chosen


def test_without_an_origin_the_first_valid_file_is_chosen(creds):
    creds(a=EXPIRED, b=FOR_OTHER, c=UNBOUND)
    assert found() == FOR_OTHER


def test_the_audience_that_the_caller_wants_decides(creds):
    wanted = jwt("mine")
    creds(a=UNBOUND, b=FOR_STORAGE, c=wanted)
    assert found(STORAGE, audience=("mine",)) == wanted
    assert found(STORAGE) == FOR_STORAGE


def test_only_files_called_use_are_looked_at(creds):
    directory = creds()
    write(directory / "a.top", UNBOUND)
    write(directory / "a.use.bak", UNBOUND)
    assert found(STORAGE) is None
    assert f"$_CONDOR_CREDS ({directory}): no file there is called *.use" in reasons()


def test_a_directory_that_is_missing_continues_the_search(
    monkeypatch, tmp_path, token_file
):
    monkeypatch.setenv("_CONDOR_CREDS", str(tmp_path / "nowhere"))
    write(token_file, "token")
    assert found(STORAGE) == "token"
    place = f"$_CONDOR_CREDS ({tmp_path}/nowhere)"
    assert f"{place}: No such file or directory" in reasons(STORAGE)


def test_why_each_file_was_not_chosen_is_kept(creds, token_file):
    creds(a=EXPIRED, b=FOR_OTHER, c="", d=jwt("https://a", aud2=1), e=jwt("https://b"))
    write(token_file, "token")
    assert found(STORAGE) == "token"
    assert reasons(STORAGE)[4:] == [
        "$_CONDOR_CREDS/a.use: expired 0 s ago",
        "$_CONDOR_CREDS/b.use: it is for https://other.example.org, not for this server",
        "$_CONDOR_CREDS/c.use: empty",
        "$_CONDOR_CREDS/d.use: it is for https://a, not for this server",
        "$_CONDOR_CREDS/e.use: it is for https://b, not for this server",
    ]


def test_all_files_are_listed_where_all_places_are_looked_at(creds):
    creds(a="opaque", b=UNBOUND, c=jwt())
    looks = [str(look) for look in look_everywhere(STORAGE)][4:7]
    assert looks == [
        "$_CONDOR_CREDS/a.use: a token",
        "$_CONDOR_CREDS/b.use: it is for ANY; another file there was chosen",
        "$_CONDOR_CREDS/c.use: it is for no server in particular; another file there "
        "was chosen",
    ]


def test_the_audience_that_the_caller_wants_is_named(creds):
    creds(a=UNBOUND)
    looks = [str(look) for look in look_everywhere(STORAGE, ("mine", "yours"))]
    assert looks[4] == "$_CONDOR_CREDS/a.use: it is for ANY, not for mine, yours"


def test_only_the_chosen_file_is_listed_again_unless_the_look_is_fresh(creds):
    creds(a="opaque", b=UNBOUND)
    first = [str(look) for look in look_everywhere(STORAGE)]
    again = [str(look) for look in look_everywhere(STORAGE)]
    assert again == [look for look in first if "b.use" not in look]
    assert [str(look) for look in look_everywhere(STORAGE, fresh=True)] == first


def test_a_malformed_file_ends_the_search_only_where_no_other_fits(creds, token_file):
    creds(a="not a token", b=FOR_OTHER)
    write(token_file, "token")
    assert found(STORAGE) is None
    assert found(OTHER) == FOR_OTHER


@pytest.mark.parametrize("files", [1, 1000])
def test_a_request_costs_the_same_however_many_files_there_are(creds, calls, files):
    creds(**{f"f{number:04}": jwt(f"https://a{number}") for number in range(files - 1)})
    creds(zz=FOR_STORAGE)
    assert found(STORAGE) == FOR_STORAGE
    assert opened(calls) == files
    calls.clear()
    assert found(STORAGE) == FOR_STORAGE
    assert calls == ["stat creds", "stat zz.use"]


def test_a_better_file_that_comes_is_chosen(creds):
    directory = creds(b=UNBOUND)
    assert found(STORAGE) == UNBOUND
    write(directory / "c.use", FOR_STORAGE)
    assert found(STORAGE) == FOR_STORAGE
    (directory / "c.use").unlink()
    assert found(STORAGE) == UNBOUND


def test_a_chosen_file_that_is_written_in_place_is_read_again(creds):
    directory = creds(a=UNBOUND, b="opaque")
    assert found(STORAGE) == UNBOUND
    (directory / "a.use").write_text(FOR_OTHER)
    assert found(STORAGE) == "opaque"
    (directory / "b.use").write_text(FOR_STORAGE)
    assert found(STORAGE) == FOR_STORAGE


def test_a_chosen_file_that_is_about_to_expire_makes_all_be_looked_at(creds, set_clock):
    directory = creds(a=jwt(exp=NOW + 60, jti="a"), b=EXPIRED)
    assert found(STORAGE) == jwt(exp=NOW + 60, jti="a")
    (directory / "b.use").write_text(FOR_STORAGE)
    assert found(STORAGE) == jwt(exp=NOW + 60, jti="a")
    set_clock(NOW + 51)
    assert found(STORAGE) == FOR_STORAGE


def test_a_fresh_look_looks_at_all_files(creds):
    directory = creds(a=UNBOUND, b=EXPIRED)
    assert found(STORAGE) == UNBOUND
    (directory / "b.use").write_text(FOR_STORAGE)
    assert found(STORAGE, fresh=True) == FOR_STORAGE
    assert found(STORAGE) == FOR_STORAGE


def test_each_origin_has_its_own_choice(creds):
    creds(a=FOR_STORAGE, b=FOR_OTHER)
    for _ in range(3):
        assert found(STORAGE) == FOR_STORAGE
        assert found(OTHER) == FOR_OTHER


# --- files that others can read


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_a_file_that_others_can_read_is_used_and_said_once(token_file, caplog, mode):
    write(token_file, jwt()).chmod(mode)
    for fresh in (False, True, True):
        assert found(fresh=fresh) == jwt()
    (record,) = caplog.records
    assert (record.name, record.levelno) == (
        "requests_scitokens.files",
        logging.WARNING,
    )
    assert str(token_file) in record.getMessage()
    assert f"chmod 600 {token_file}" in record.getMessage()
    assert jwt() not in record.getMessage()


def test_each_such_file_is_named(creds, caplog):
    directory = creds(a=UNBOUND, b=FOR_STORAGE)
    for name in "ab":
        (directory / f"{name}.use").chmod(0o644)
    assert found(STORAGE) == FOR_STORAGE
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert all(f"{name}.use" in text for name, text in zip("ab", messages, strict=True))


def test_a_name_that_a_shell_would_split_is_quoted(monkeypatch, tmp_path, caplog):
    path = write(tmp_path / "a b", "token")
    path.chmod(0o644)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    assert found() == "token"
    assert f"chmod 600 '{path}'" in caplog.text


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o602, 0o611])
def test_a_file_that_others_cannot_read_is_used_in_silence(token_file, caplog, mode):
    write(token_file, jwt()).chmod(mode)
    assert found() == jwt()
    assert not caplog.records


@pytest.mark.parametrize("content", ["", "not a token"])
def test_a_file_without_a_token_may_be_read_by_anybody(token_file, caplog, content):
    write(token_file, content).chmod(0o644)
    assert found() is None
    assert not caplog.records


def test_where_modes_say_nothing_nothing_is_said(monkeypatch, token_file, caplog):
    write(token_file, "token").chmod(0o644)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(token_file))
    monkeypatch.delattr(os, "geteuid")  # as on Windows
    assert found() == "token"
    assert not caplog.records
    assert ("exposed", str(token_file)) not in memory.said


def test_a_look_shows_no_token():
    look = Look("$BEARER_TOKEN", BearerToken("secret"))
    assert "secret" not in f"{look} {look!r}"
