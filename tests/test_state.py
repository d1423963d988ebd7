"""What the process remembers, how much of it; and how the log is shown."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from requests_scitokens import state
from requests_scitokens.state import Memory, first_time, show_log


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


def test_it_does_not_matter_which_origins_there_were_long_ago():
    for number in range(20_000):
        first_time(number)
    assert len(state.said) <= 10_000


# --- the log


@pytest.fixture
def log(monkeypatch):
    """Put the log back as it was; its handlers too."""
    level, disabled, handlers = state.log.level, state.log.disabled, state.log.handlers[:]
    yield state.log
    state.log.setLevel(level)
    state.log.disabled, state.log.handlers[:] = disabled, handlers


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("debug", ["debug", "info", "warning"]),
        ("info", ["info", "warning"]),
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


@pytest.mark.parametrize("setting", ["", "  "])
def test_unset_changes_nothing(log, setting):
    before = (log.level, log.disabled, log.handlers[:])
    show_log(setting)
    assert (log.level, log.disabled, log.handlers) == before


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


@pytest.mark.parametrize(
    ("setting", "err"), [("debug", "requests-scitokens: seen\n"), ("off", "")]
)
def test_the_variable_is_read_when_the_package_is_first_used(monkeypatch, setting, err):
    monkeypatch.setenv("REQUESTS_SCITOKENS_LOG", setting)
    code = "from requests_scitokens import state; state.log.debug('seen')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == err
