"""What every test gets: a clean environment, an issuer, and servers on loopback."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from requests_scitokens import _state as state
from requests_scitokens.testing import Issuer, ProtectedServer

from .recorder import World
from .xrootd import XRootD, available

pytest_plugins = ["requests_scitokens.testing.fixtures"]


@pytest.fixture(autouse=True)
def clean(
    scitokens_environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Hide what the user has, and forget what other tests did."""
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("HOME", str(tmp_path))
    umask = os.umask(0o077)  # token files are for their owner alone
    level = state.log.level
    yield
    state.log.setLevel(level)  # an example of the documentation sets it
    os.umask(umask)
    assert not state.patching.on, "a test left the autopatch on"


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Catch this package's lines alone; other libraries log from threads, and later."""
    ours = logging.Filter("requests_scitokens")
    caplog.handler.addFilter(ours)
    yield caplog
    caplog.handler.removeFilter(ours)


@pytest.fixture(scope="session")
def issuer(scitokens_issuer: Issuer) -> Issuer:
    """Mints tokens, and publishes its keys."""
    return scitokens_issuer


@pytest.fixture
def trusted(scitokens_ca: Path) -> Path:
    """Let Requests trust the servers' certificates; the file that says so."""
    return scitokens_ca


@pytest.fixture
def serve(
    scitokens_server: Callable[..., ProtectedServer],
) -> Callable[..., ProtectedServer]:
    """Start protected servers; they stop when the test ends."""

    def start(files: Any = None, **options: Any) -> ProtectedServer:
        files = {"/hello.txt": b"hello\n"} if files is None else files
        return scitokens_server(files, **options)

    return start


@pytest.fixture
def world(
    issuer: Issuer, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    """Start servers at made-up origins; there are no others then."""
    with ExitStack() as stack:

        def start(*origins: str) -> World:
            world = stack.enter_context(World(issuer.ca, *origins))
            monkeypatch.setattr("socket.getaddrinfo", world.getaddrinfo)
            return world

        yield start


@pytest.fixture
def impatient() -> Iterator[None]:
    """Have Python go from thread to thread all the time, as it would without its GIL."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def uncovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run programs that the test starts without coverage, which they would notice."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def token_file() -> Path:
    """Where discovery finds a token; the test writes it."""
    return Path(os.environ["XDG_RUNTIME_DIR"], f"bt_u{os.geteuid()}")


@pytest.fixture
def patched(scitokens_autopatch: None) -> None:
    """Run the test under the autopatch."""


@pytest.fixture(scope="session")
def installed_xrootd() -> None:
    """Skip the test where XRootD is missing, or let it fail where it must run."""
    reason = available()
    if reason and os.environ.get("REQUIRE_REAL_SERVERS") == "1":
        pytest.fail(f"a real XRootD is required: {reason}")
    if reason:
        pytest.skip(f"no real XRootD: {reason}")


@pytest.fixture(scope="session")
def xrootd(installed_xrootd: None, issuer: Issuer) -> Iterator[XRootD]:
    """Start a real XRootD."""
    with XRootD(issuer) as server:
        yield server


def pytest_terminal_summary(terminalreporter):
    """Say how many cells of the leak matrix were as the decision table has them."""
    for outcome in ("passed", "failed"):
        counts = [
            count
            for report in terminalreporter.stats.get(outcome, ())
            for name, count in report.user_properties
            if name == "cells of the leak matrix"
        ]
        if counts:
            terminalreporter.write_line(
                f"leak matrix: {sum(counts)} cells in {len(counts)} tests that {outcome}"
            )
