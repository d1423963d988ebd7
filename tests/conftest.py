"""What every test gets: a clean environment, an issuer, and servers on loopback."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from requests_scitokens import discovery, memory
from requests_scitokens.testing import Issuer, ProtectedServer

from .recorder import World
from .xrootd import XRootD, available

# The user's tokens, certificates, proxies and passwords have no part in a test.
VARIABLES = (
    "BEARER_TOKEN",
    "BEARER_TOKEN_FILE",
    "SCITOKEN",
    "SCITOKEN_FILE",
    "_CONDOR_CREDS",
    "XDG_RUNTIME_DIR",
    "REQUESTS_SCITOKENS_AUTOPATCH",
    "REQUESTS_SCITOKENS_HOSTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NETRC",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Hide what the user has, and forget what other tests did."""
    for name in list(os.environ):
        if name.upper() in VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    umask = os.umask(0o077)  # token files are for their owner alone
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    memory.taken.clear()
    memory.said.clear()
    discovery._remembered.clear()
    yield
    os.umask(umask)
    assert not memory.autopatched, "a test left the autopatch on"


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """Mints tokens, and publishes its keys."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def trusted(issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Requests trust the servers' certificates; the file that says so."""
    path = tmp_path / "ca.pem"
    issuer.ca.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return path


@pytest.fixture
def serve(issuer: Issuer, trusted: Path) -> Iterator[Callable[..., ProtectedServer]]:
    """Start protected servers; they stop when the test ends."""
    with ExitStack() as stack:

        def start(files: Any = None, **options: Any) -> ProtectedServer:
            files = {"/hello.txt": b"hello\n"} if files is None else files
            return stack.enter_context(ProtectedServer(issuer, files, **options))

        yield start


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
def token_file() -> Path:
    """Where discovery finds a token; the test writes it."""
    return Path(os.environ["XDG_RUNTIME_DIR"], f"bt_u{os.geteuid()}")


@pytest.fixture
def patched() -> Iterator[None]:
    """Run the test under the autopatch."""
    from importlib import import_module

    patch = import_module("requests_scitokens.patch")
    patch.enable()
    yield
    patch.disable()


@pytest.fixture(scope="session")
def xrootd(issuer: Issuer) -> Iterator[XRootD]:
    """Start a real XRootD; without one the test is skipped, or fails where it must not."""
    reason = available()
    if reason and os.environ.get("REQUIRE_REAL_SERVERS") == "1":
        pytest.fail(f"a real XRootD is required: {reason}")
    if reason:
        pytest.skip(f"no real XRootD: {reason}")
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
