"""pytest fixtures to test one's own code against a real protected HTTPS server.

They are there only for those who ask, in `conftest.py` or in a test's own file:
`pytest_plugins = ["requests_scitokens.testing.fixtures"]`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from requests_scitokens import _environment as environment
from requests_scitokens import _state as state

from . import Issuer, ProtectedServer

#: What decides about tokens, trust and proxies, and may be set where tests run.
VARIABLES = frozenset(
    {
        *environment.SETTINGS,
        *(place.variable for place in environment.PLACES),
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    }
)


@pytest.fixture(scope="session")
def scitokens_issuer() -> Iterator[Issuer]:
    """Mint tokens: `scitokens_issuer.mint("read:/frames", audience=..., lifetime=...)`."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def scitokens_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Hide the developer's own tokens, passwords, proxies and certificates.

    The other fixtures use it; alone it is for tests of what happens without a token. Its
    value is the directory in `XDG_RUNTIME_DIR`.
    """
    for name in list(os.environ):
        if name.upper() in VARIABLES:  # proxies have lower-case names too
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("scitokens")  # tmp_path is the test's own
    for variable in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        (folder / variable).mkdir(mode=0o700)
        monkeypatch.setenv(variable, str(folder / variable))
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    for place in environment.PLACES:
        if not place.variable:  # /tmp
            monkeypatch.setattr(place, "path", str(folder))
    for known in (state.accepted, state.said, state.token_files):
        known.clear()
    return folder / "XDG_RUNTIME_DIR"


@pytest.fixture
def scitokens_ca(
    scitokens_issuer: Issuer,
    scitokens_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Trust the servers' certificates; the file with that of their authority."""
    path = scitokens_environment.parent / "ca.pem"
    scitokens_issuer.write_ca(path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))  # for other clients than Requests
    return path


@pytest.fixture
def scitokens_server(
    scitokens_issuer: Issuer,
    scitokens_ca: Path,  # noqa: ARG001, trust is what it is for
) -> Iterator[Callable[..., ProtectedServer]]:
    """Start a `ProtectedServer`: `scitokens_server({"/frames/1": b"data"})`.

    It takes what that does, but for the issuer. The servers stop when the test ends.
    """
    with ExitStack() as servers:

        def start(
            files: Mapping[str, bytes] | Path | None = None, **options: Any
        ) -> ProtectedServer:
            server = ProtectedServer(scitokens_issuer, files, **options)
            return servers.enter_context(server)

        yield start


@pytest.fixture
def scitokens_file(scitokens_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a file that programs look in for their token; the test writes it."""
    path = scitokens_environment.parent / "token"
    path.touch(mode=0o600)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    return path


@pytest.fixture
def scitokens_autopatch(
    scitokens_environment: Path,  # noqa: ARG001, which forgets what was before
) -> Iterator[None]:
    """Run the test as under `REQUESTS_SCITOKENS_AUTOPATCH=1`."""
    was_on = state.patching.on
    import requests_scitokens.patch as autopatch

    autopatch.enable()
    yield
    if not was_on:
        autopatch.disable()
