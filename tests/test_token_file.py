"""What a token file holds, and which token stands in while it is rewritten.

No test depends on who runs it: where a mode would not keep a superuser out, opening
fails by itself, and instead of another user's file there is another effective user.
Time is what the tests say it is.
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

from requests_scitokens import _state as state
from requests_scitokens._messages import Code, because, text
from requests_scitokens._token import LIMIT, BearerToken
from requests_scitokens._token_file import Lookup, read_file, read_lately, read_text

NOW = 1_800_000_000.0
WHITE = " \t\n\v\f\r"


def jwt(name: str = "me", exp: float = NOW + 3600) -> str:
    claims = {"iss": "https://issuer.example.org", "sub": name, "exp": exp}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return f"eyJhbGciOiJFUzI1NiJ9.{payload.decode()}.c2lnbmF0dXJl"


GOOD, NEW, EXPIRED = jwt(), jwt("new"), jwt("old", NOW - 1)


class Clock:
    """The clocks of this process and of this machine; both stand still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic, self.wall = 1000.0, NOW
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)
        monkeypatch.setattr(time, "time", lambda: self.wall)

    def wait(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token"


def look(path: Path | str, **options: object) -> Lookup:
    return read_file("a place", str(path), **options)


def why(lookup: Lookup) -> tuple[Code | None, bool]:
    """Return why a place gave no token, and whether that ends the search."""
    return (lookup.reason.code if lookup.reason else None, lookup.ends)


def used(path: Path | str) -> str | None:
    """Return the token that would be sent."""
    lookup = look(path)
    return lookup.token.serialized if lookup.token and not lookup.reason else None


def deny(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """Let no file be opened any more, as where a file server is away."""

    def fail(path: str, flags: int) -> int:
        raise error

    monkeypatch.setattr(os, "open", fail)


# --- while a file is rewritten

ABSENT: dict[str, Callable[[Path], object]] = {
    "absent": Path.unlink,
    "empty": lambda path: path.write_text(""),
    "white space": lambda path: path.write_text(WHITE),
    "torn in the header": lambda path: path.write_text(NEW[:10]),
    "torn in the claims": lambda path: path.write_text(NEW[:40]),
    "torn before the signature": lambda path: path.write_text(NEW.rpartition(".")[0]),
    "torn JSON": lambda path: path.write_text('{"access_token": "ey'),
    "not a token": lambda path: path.write_text("no token at all"),
    "zeros": lambda path: path.write_bytes(b"\0" * 100),
    "expired": lambda path: path.write_text(EXPIRED),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "a link to nowhere": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "a link to itself": lambda path: (path.unlink(), path.symlink_to(path)),
    "too long": lambda path: path.write_bytes(b"a" * (LIMIT + 1)),
}
every_absence = pytest.mark.parametrize("goes", ABSENT.values(), ids=ABSENT)


@every_absence
def test_the_last_token_stands_in_for_up_to_a_second(path, clock, goes):
    path.write_text(GOOD)
    assert used(path) == GOOD
    goes(path)
    for seconds in (0, 0.5, 0.5):
        clock.wait(seconds)
        assert used(path) == GOOD
    clock.wait(0.01)
    assert used(path) is None
    clock.wait(0.01)
    assert used(path) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError(13, "Permission denied"), Code.UNREADABLE),
        (OSError(5, "Input/output error"), Code.FAILS),
        (OSError(116, "Stale file handle"), Code.FAILS),
        (TimeoutError(), Code.FAILS),
        (FileNotFoundError(2, "No such file"), Code.NO_FILE),
        (NotADirectoryError(20, "Not a directory"), Code.NO_FILE),
    ],
    ids=repr,
)
def test_any_error_of_the_file_system_is_as_if_the_file_were_absent(
    path, clock, monkeypatch, error, code
):
    path.write_text(GOOD)
    assert used(path) == GOOD
    deny(monkeypatch, error)
    assert used(path) == GOOD
    clock.wait(1.01)
    lookup = look(path)
    assert lookup.token is None
    assert why(lookup) == (code, False)
    if code is not Code.NO_FILE:
        assert text(lookup.reason) == (error.strerror or "TimeoutError")


@every_absence
def test_nothing_stands_in_where_no_token_was_read(path, goes):
    path.write_text("")
    assert used(path) is None
    goes(path)
    assert used(path) is None


@every_absence
@pytest.mark.parametrize(("seconds", "stands_in"), [(59.9, True), (60.1, False)])
def test_the_last_token_stands_in_only_if_it_was_read_within_a_minute(
    path, clock, goes, seconds, stands_in
):
    path.write_text(GOOD)
    assert used(path) == GOOD
    clock.wait(seconds)
    goes(path)
    assert used(path) == (GOOD if stands_in else None)


def test_the_second_begins_when_the_file_is_first_seen_without_a_token(path, clock):
    path.write_text(GOOD)
    assert used(path) == GOOD
    clock.wait(30)
    path.unlink()
    clock.wait(5)
    assert used(path) == GOOD
    clock.wait(0.9)
    assert used(path) == GOOD
    clock.wait(0.2)
    assert used(path) is None


def test_the_second_begins_anew_after_a_token_was_there(path, clock):
    path.write_text(GOOD)
    assert used(path) == GOOD
    for _ in range(3):
        path.unlink()
        clock.wait(0.9)
        assert used(path) == GOOD
        path.write_text(GOOD)
        clock.wait(0.9)
        assert used(path) == GOOD


def test_from_absent_to_torn_is_one_time_without_a_token(path, clock):
    path.write_text(GOOD)
    assert used(path) == GOOD
    path.unlink()
    assert used(path) == GOOD
    clock.wait(0.7)
    path.write_text(NEW[:10])
    assert used(path) == GOOD
    clock.wait(0.7)
    assert used(path) is None


def test_a_token_that_has_expired_stands_in_for_nothing(path, clock):
    path.write_text(jwt(exp=NOW + 10))
    assert used(path)
    clock.wait(9.9)
    path.unlink()
    assert used(path)
    clock.wait(0.2)
    assert used(path) is None


def test_a_token_that_was_never_usable_stands_in_for_nothing(path):
    path.write_text(EXPIRED)
    assert used(path) is None
    path.unlink()
    assert used(path) is None


def test_a_new_token_is_used_at_once(path):
    path.write_text(GOOD)
    assert used(path) == GOOD
    path.write_text(NEW)
    assert used(path) == NEW
    path.unlink()
    assert used(path) == NEW


def test_a_file_is_read_each_time_even_if_its_times_stay(path):
    path.write_text(GOOD)
    before = path.stat()
    assert used(path) == GOOD
    other = GOOD[:-1] + "x"
    path.write_text(other)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert used(path) == other


@every_absence
@pytest.mark.parametrize("off", [-2, 2, -3600, 3600])
def test_the_file_servers_clock_does_not_matter(path, clock, goes, off):
    path.write_text(GOOD)
    os.utime(path, (NOW + off, NOW + off))
    assert used(path) == GOOD
    goes(path)
    if path.is_file():
        os.utime(path, (NOW + off, NOW + off))
    assert used(path) == GOOD
    clock.wait(1.01)
    assert used(path) is None


@pytest.mark.parametrize("step", [-3000, 3000])
def test_neither_does_a_step_of_this_machines_clock(path, clock, step):
    path.write_text(GOOD)
    assert used(path) == GOOD
    path.unlink()
    assert used(path) == GOOD
    clock.wall += step
    clock.monotonic += 0.5
    assert used(path) == GOOD
    clock.monotonic += 0.6
    assert used(path) is None


def test_each_file_has_a_last_token_of_its_own(path, tmp_path):
    path.write_text(GOOD)
    assert used(path) == GOOD
    assert used(tmp_path / "other") is None


def test_a_relative_path_means_the_file_in_the_directory_that_the_program_is_in(
    tmp_path, monkeypatch
):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    Path("token").write_text(GOOD)
    assert used("token") == GOOD
    Path("token").unlink()
    monkeypatch.chdir(tmp_path / "other")
    assert used("token") is None
    monkeypatch.chdir(tmp_path / "one")
    assert used("token") == GOOD
    assert used(tmp_path / "one" / "token") == GOOD


def test_a_relative_path_in_a_directory_that_is_gone_is_absent(tmp_path, monkeypatch):
    directory = tmp_path / "gone"
    directory.mkdir()
    monkeypatch.chdir(directory)
    directory.rmdir()
    assert why(look("token")) == (Code.NO_FILE, False)


def test_what_stands_in_is_said_once(path, caplog):
    caplog.set_level(logging.INFO, "requests_scitokens")
    path.write_text(GOOD)
    for change in (lambda: None, path.unlink, lambda: None):
        change()
        assert used(path) == GOOD
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        f"a place ({path}) is being rewritten; its last token stands in"
    )


@pytest.mark.parametrize(
    "after",
    [GOOD[:-1], NEW[:-5], NEW + "x", "opaque", f"{NEW.rpartition('.')[0]}."],
    ids=["shorter", "another, shorter", "longer", "opaque", "without a signature"],
)
def test_what_may_be_whole_is_used_at_once(path, after):
    """Nobody but the server can tell that a token is not all there."""
    path.write_text(GOOD)
    assert used(path) == GOOD
    path.write_text(after)
    assert used(path) == after


# --- what was read lately


def test_the_files_of_a_directory_that_were_read_within_a_minute_are_known(tmp_path, clock):
    directory = tmp_path / "creds"
    directory.mkdir()
    for path in (directory / "a", directory / "b", tmp_path / "creds2"):
        path.write_text(GOOD)
        assert used(path) == GOOD
        clock.wait(25)
    (directory / "empty").write_text("")
    assert used(directory / "empty") is None
    assert read_lately(str(directory)) == ["b"]
    (directory / "b").unlink()
    assert used(directory / "b") == GOOD
    clock.wait(10.1)
    assert read_lately(str(directory)) == []


def test_a_relative_directory_is_the_same_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a").write_text(GOOD)
    assert used("./a")
    assert read_lately(".") == read_lately(str(tmp_path)) == ["a"]


# --- what is in a file


@pytest.mark.parametrize(
    "content",
    [
        "token",
        f"{WHITE}token{WHITE}",
        '{"access_token": "token"}',
        WHITE + '{"expires_in": 1200, "access_token": "token"}' + WHITE,
        '{"access_token": " token\\n", "refresh": [1, {"a": null}]}',
    ],
    ids=repr,
)
def test_a_file_holds_a_token_or_htcondors_json(path, content):
    path.write_text(content)
    assert used(path) == "token"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", Code.NO_ACCESS_TOKEN),
        (b"{}", Code.NO_ACCESS_TOKEN),
        (b'{"access_token": null}', Code.NO_ACCESS_TOKEN),
        (b'{"access_token": 1}', Code.NO_ACCESS_TOKEN),
        (b'{"access_token": ["token"]}', Code.NO_ACCESS_TOKEN),
        (b'{"refresh_token": "token"}', Code.NO_ACCESS_TOKEN),
        (b'{"a":' * 12_000, Code.NO_ACCESS_TOKEN),
        (b'{"access_token": "to ken"}', Code.WHITE_SPACE),
        (b'{"access_token": "t\\u0000"}', Code.CONTROLS),
        (b'["token"]', Code.CHARACTERS),
        (b"\xff\xfet\0o\0k\0e\0n\0", Code.UTF_16),
        (b"t" * (LIMIT + 1), Code.TOO_LONG),
        (b"\0" * 10_000_000, Code.TOO_LONG),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_something_malformed_ends_the_search(path, content, code):
    path.write_bytes(content)
    lookup = look(path)
    assert lookup.token is None
    assert why(lookup) == (code, True)


@pytest.mark.parametrize("content", ["", WHITE, '{"access_token": ""}'], ids=repr)
def test_something_empty_does_not(path, content):
    path.write_text(content)
    lookup = look(path)
    assert lookup.token is None
    assert why(lookup) == (Code.EMPTY, False)


def test_an_expired_token_comes_with_the_reason(path):
    path.write_text(jwt(exp=NOW - 120))
    lookup = look(path)
    assert why(lookup) == (Code.EXPIRED, False)
    assert text(lookup.reason) == "it expired 2 min ago"
    assert lookup.token is not None


def test_a_file_as_long_as_a_token_can_be_is_read(path):
    path.write_bytes(b"a" * LIMIT)
    assert used(path) == "a" * LIMIT


def test_a_fifo_does_not_block(path):
    os.mkfifo(path)
    assert why(look(path)) == (Code.NO_REGULAR_FILE, True)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_a_device_is_not_read(device):
    assert why(look(device)) == (Code.NO_REGULAR_FILE, True)


# --- a path in place of a token


@pytest.mark.parametrize("there", ["the file", "only its directory"])
@pytest.mark.parametrize("form", ["{}", " {}\n", '{{"access_token": "{}"}}'])
def test_an_absolute_path_in_place_of_a_token_is_refused(path, tmp_path, there, form):
    (tmp_path / "elsewhere").mkdir()
    named = tmp_path / "elsewhere" / "token"
    if there == "the file":
        named.write_text(GOOD)
    path.write_text(form.format(named))
    lookup = look(path)
    assert lookup.token is None
    assert why(lookup) == (Code.A_PATH, True)
    assert str(named) not in text(lookup.reason)


@pytest.mark.parametrize("value", ["/tmp", "/etc/hostname-or-not", "/usr/bin/"])
def test_so_it_is_in_a_variable(value):
    assert why(read_text("$BEARER_TOKEN", value)) == (Code.A_PATH, True)


@pytest.mark.parametrize("value", ["/no-token", "/9j/4AAQSkZJRg==", "//8A", "tmp/token"])
def test_base64_may_begin_with_a_slash_too_but_there_is_no_such_directory(value):
    assert read_text("$BEARER_TOKEN", value).token == BearerToken(value)


# --- other users' files, where the file must be one's own


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> int:
    """Become a user to whom no file here belongs."""
    uid = os.geteuid() + 4242
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    return uid


def give_away(monkeypatch: pytest.MonkeyPatch, path: Path) -> Path:
    """Let a file belong to another user, as far as an open one can tell."""
    theirs, really = path.stat(), os.fstat

    def fstat(descriptor: int) -> object:
        status = really(descriptor)
        if status.st_ino != theirs.st_ino:
            return status
        facts = {name: getattr(status, name) for name in dir(status) if name[:3] == "st_"}
        return SimpleNamespace(**facts | {"st_uid": 4242})

    monkeypatch.setattr(os, "fstat", fstat)
    return path


THEIRS = because(Code.ANOTHER_OWNER, uid=4242)


def test_a_file_of_ones_own_is_read(path):
    path.write_text("token")
    assert look(path, owner=os.geteuid()).token == BearerToken("token")


def test_another_users_file_is_not_read(path, stranger):
    path.write_text("token")
    lookup = look(path, owner=os.geteuid())
    assert (lookup.token, lookup.ends) == (None, True)
    assert lookup.reason == because(Code.ANOTHER_OWNER, uid=path.stat().st_uid)


def test_elsewhere_it_is(path, stranger):
    path.write_text("token")
    assert look(path).token == BearerToken("token")


def test_another_users_link_is_not_followed_even_to_ones_own_file(path, tmp_path, stranger):
    (tmp_path / "mine").write_text("token")
    path.symlink_to(tmp_path / "mine")
    lookup = look(path, owner=os.geteuid())
    assert (lookup.token, lookup.reason) == (None, because(Code.ANOTHER_LINK))


@pytest.mark.parametrize("own", [True, False])
def test_a_link_of_ones_own_is_followed(path, tmp_path, own):
    (tmp_path / "mine").write_text("token")
    path.symlink_to(tmp_path / "mine")
    assert look(path, owner=os.geteuid() if own else None).token == BearerToken("token")


def test_a_link_of_ones_own_to_another_users_file_is_followed_but_not_read(
    path, tmp_path, monkeypatch
):
    (tmp_path / "theirs").write_text("token")
    path.symlink_to(give_away(monkeypatch, tmp_path / "theirs"))
    lookup = look(path, owner=os.geteuid())
    assert (lookup.token, lookup.reason) == (None, THEIRS)


def test_a_file_that_cannot_be_opened_is_not_taken_for_a_link(path, monkeypatch):
    path.write_text("token")
    deny(monkeypatch, PermissionError(13, "Permission denied"))
    assert why(look(path, owner=os.geteuid())) == (Code.UNREADABLE, False)


@pytest.mark.parametrize(
    "put",
    [os.rename, os.symlink, os.link],
    ids=["rename", "symlink_to", "hardlink_to"],
)
def test_a_file_that_is_another_users_when_it_is_opened_is_not_read(
    path, tmp_path, monkeypatch, put
):
    """Whoever swaps it before it is opened gains nothing."""
    path.write_text("mine")
    (tmp_path / "theirs").write_text("theirs")
    theirs, really = give_away(monkeypatch, tmp_path / "theirs"), os.open

    def late(*args: object) -> int:
        if theirs.exists():
            path.unlink(missing_ok=True)
            put(theirs, path)
        return really(*args)

    monkeypatch.setattr(os, "open", late)
    assert look(path, owner=os.geteuid()).reason == THEIRS


def test_what_is_put_in_its_place_after_it_was_opened_does_not_count(
    path, tmp_path, monkeypatch
):
    path.write_text("mine")
    (tmp_path / "theirs").write_text("theirs")
    theirs, really = give_away(monkeypatch, tmp_path / "theirs"), os.open

    def early(*args: object) -> int:
        descriptor = really(*args)
        theirs.replace(path)
        return descriptor

    monkeypatch.setattr(os, "open", early)
    assert look(path, owner=os.geteuid()).token == BearerToken("mine")


# --- files that others can read


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
@pytest.mark.parametrize("content", [GOOD, EXPIRED], ids=["good", "expired"])
def test_a_file_that_every_user_can_read_is_used_and_said_once(path, caplog, mode, content):
    path.write_text(content)
    path.chmod(mode)
    for _ in range(3):
        assert look(path).token == BearerToken(content)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("requests_scitokens", logging.WARNING)
    assert str(path) in record.getMessage()
    assert "chmod 600" in record.getMessage()
    assert content not in record.getMessage()


def test_each_such_file_is_said(tmp_path, caplog):
    for name in ("one", "two"):
        (tmp_path / name).write_text("token")
        (tmp_path / name).chmod(0o644)
        assert used(tmp_path / name) == "token"
    assert [name in caplog.text for name in ("one", "two")] == [True, True]
    assert len(caplog.records) == 2


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o602, 0o611])
def test_a_file_that_others_cannot_read_is_used_in_silence(path, caplog, mode):
    path.write_text("token")
    path.chmod(mode)
    assert used(path) == "token"
    assert not caplog.records


@pytest.mark.parametrize("content", ["", "not a token"])
def test_a_file_without_a_token_may_be_read_by_anybody(path, caplog, content):
    path.write_text(content)
    path.chmod(0o644)
    assert used(path) is None
    assert not caplog.records


def test_where_modes_say_nothing_nothing_is_said(path, caplog, monkeypatch):
    path.write_text("token")
    path.chmod(0o644)
    monkeypatch.delattr(os, "geteuid")  # as on Windows
    assert used(path) == "token"
    assert not caplog.records
    assert ("exposed", str(path)) not in state.said


# --- what a look says


@pytest.mark.parametrize(
    ("lookup", "says"),
    [
        (Lookup("$A"), "$A: a token"),
        (Lookup("$A", reason=because(Code.EMPTY)), "$A: empty"),
        (Lookup("$A", path="/a/token"), "$A (/a/token): a token"),
        (Lookup("/tmp/a", path="/tmp/a"), "/tmp/a: a token"),
        (Lookup("$A", path="a/token"), "$A: a token"),  # may be anything
        (Lookup("$A", path=f"/{GOOD}"), "$A: a token"),
    ],
)
def test_a_look_names_its_place_and_the_path_only_if_it_can_be_shown(lookup, says):
    assert str(lookup) == says


def test_a_look_shows_no_token():
    lookup = read_text("$BEARER_TOKEN", "secret")
    assert lookup.token == BearerToken("secret")
    assert "secret" not in f"{lookup} {lookup!r}"
