"""What the process remembers, how much of it; and how the log is shown."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from requests_scitokens import _state as state
from requests_scitokens._state import Memory, first_time, show_log


def test_it_remembers():
    memory = Memory(10)
    memory.put("a", 1)
    memory.put("a", 2)
    assert memory == {"a": 2}


def test_it_forgets_its_oldest_entries_where_there_are_too_many():
    memory = Memory(100)
    for number in range(1000):
        memory.put(number, number)
        assert len(memory) <= 100
    assert 999 in memory
    assert 0 not in memory
    assert list(memory) == sorted(memory)


@pytest.mark.usefixtures("impatient")
def test_threads_share_it_without_a_lock():
    memory = Memory(100)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: memory.put(number, number), range(10_000)))
    assert len(memory) <= 108  # each thread may be about to forget


def test_a_thing_is_said_once():
    assert [first_time("a", 1), first_time("a", 1), first_time("a", 2)] == [
        True,
        False,
        True,
    ]


@pytest.mark.usefixtures("impatient")
def test_of_many_threads_one_says_it():
    with ThreadPoolExecutor(8) as pool:
        for turn in range(200):
            said = list(pool.map(lambda _, turn=turn: first_time(turn), range(8)))
            assert sum(said) == 1


def test_what_is_long_is_as_quick():
    started = time.process_time()
    assert first_time("a", "9" * 60_000)
    assert time.process_time() - started < 1


def test_it_does_not_matter_which_origins_there_were_long_ago():
    for number in range(20_000):
        first_time(number)
    assert len(state.said) <= 10_000


# --- the log


@pytest.fixture
def log(monkeypatch):
    """Put the log back as it was."""
    monkeypatch.setattr(state.stderr, "asked", False)
    level, handlers = state.log.level, state.log.handlers[:]
    yield state.log
    state.log.setLevel(level)
    assert state.log.handlers == handlers


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("debug", ["debug", "info", "warning"]),
        ("info", ["info", "warning"]),
        (" 1 ", ["info", "warning"]),
        (" Warning ", ["warning"]),
    ],
)
def test_the_log_is_shown_on_stderr_from_a_level_on(log, capsys, setting, shown):
    show_log(setting)
    for level in ("debug", "info", "warning"):
        getattr(log, level)("this is %s", level)
    lines = [f"requests-scitokens: this is {level}" for level in shown]
    assert capsys.readouterr().err.splitlines() == lines


def test_its_records_still_propagate(log, caplog, capsys):
    show_log("info")
    log.info("both")
    assert caplog.messages == ["both"]
    assert capsys.readouterr().err == "requests-scitokens: both\n"
    assert log.handlers
    assert all(type(one).__name__ != "_Stderr" for one in logging.getLogger().handlers)


@pytest.mark.parametrize("setting", ["off", "OFF "])
def test_off_shows_nothing_at_all(log, caplog, capsys, setting):
    show_log(setting)
    log.error("nothing")
    assert not caplog.messages
    assert capsys.readouterr().err == ""


def set_up(monkeypatch, **options):
    """Let logging be set up like this; not at all without options, as mostly."""
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest has its own there
    if options:
        logging.basicConfig(**options)


@pytest.mark.parametrize("setting", ["", "  "])
def test_without_the_variable_only_a_warning_is_shown_and_says_who_speaks(
    log, capsys, monkeypatch, setting
):
    set_up(monkeypatch)
    show_log(setting)
    for level in ("debug", "info", "warning"):
        getattr(log, level)("this is %s", level)
    assert capsys.readouterr().err == "requests-scitokens: this is warning\n"


def test_where_logging_is_set_up_the_line_is_there_alone(log, capsys, monkeypatch):
    set_up(monkeypatch, format="mine: %(message)s")
    log.warning("this")
    assert capsys.readouterr().err == "mine: this\n"


def test_who_sets_the_variable_sees_it_beside_what_is_set_up(log, capsys, monkeypatch):
    set_up(monkeypatch, format="mine: %(message)s")
    show_log("warning")
    log.warning("this")
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "mine: this",
        "requests-scitokens: this",
    ]


def test_anything_else_is_said_and_ignored(log, caplog):
    show_log("verbose")
    (message,) = caplog.messages
    assert message.startswith("REQUESTS_SCITOKENS_LOG is none of debug, info, warning and")
    assert "verbose" not in message


class Broken:
    """What stderr may be: closed, full, or of a graphical program."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    "stderr", [None, Broken(OSError(28, "No space left")), Broken(ValueError("closed"))]
)
def test_a_stderr_that_cannot_be_written_to_is_no_error(log, monkeypatch, stderr):
    show_log("info")
    monkeypatch.setattr(sys, "stderr", stderr)
    log.info("nobody reads this")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_where_the_disk_is_full_a_program_ends_with_its_own_status(monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_LOG", "debug")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    code = (
        "from requests_scitokens import _state; _state.log.debug('x'); raise SystemExit(3)"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stderr=full, check=False)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("setting", "shown"), [("debug", ["more", "seen"]), ("1", ["seen"]), ("off", [])]
)
def test_the_variable_is_read_when_the_package_is_first_used(monkeypatch, setting, shown):
    monkeypatch.setenv("REQUESTS_SCITOKENS_LOG", setting)
    code = "from requests_scitokens._state import log; log.debug('more'); log.info('seen')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [f"requests-scitokens: {one}" for one in shown]
