"""XRootD: this machine's, and those of other Debians."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from requests_scitokens.testing import Issuer
from tests.xrootd import XRootD, available

from .frame import AbsentError, Row, Server, battery, broken, debian

HELLO = "hello\n"


def here(row: Row) -> None:
    """Try the XRootD of this machine."""
    if reason := available():
        raise AbsentError(reason)
    shown = subprocess.run(["xrootd", "-v"], capture_output=True, text=True, check=False)
    row.version = (shown.stdout + shown.stderr).strip().lstrip("v").split("-")[0]
    try_one(row, None)


def trixie(row: Row) -> None:
    """Try Debian 13's."""
    row.version = debian("trixie").version("xrootd-server")
    try_one(row, debian("trixie").root)


def forky(row: Row) -> None:
    """Try Debian 14's."""
    row.version = debian("forky").version("xrootd-server")
    try_one(row, debian("forky").root)


def try_one(row: Row, chroot: Path | None) -> None:
    """Try what can be tried on each server."""
    with Issuer() as issuer, running(issuer, chroot) as xrootd:
        ca = xrootd.root.parent / "ca.pem"
        mint = issuer.mint
        everything = "read:/ write:/"

        def good(**options: float) -> str:
            return mint(everything, audience="ANY", **options)

        server = Server(
            xrootd.url,
            ca,
            good,
            {
                "expired": good(lifetime=-60),
                "signature": broken(good()),
                "scope": mint("read:/elsewhere", audience="ANY"),
                "audience": mint(everything, audience="https://other.example.org"),
            },
            uploads=True,
            chunked={"Expect": "100-continue"} if row.version.startswith("5.5") else {},
        )
        battery(row, server)
        if server.chunked:
            row.notes.append("a generator needs `Expect: 100-continue`")


@contextmanager
def running(issuer: Issuer, chroot: Path | None) -> Iterator[XRootD]:
    """Start one that has hello.txt."""
    with XRootD(issuer, chroot=chroot) as xrootd:
        hello = xrootd.root / "hello.txt"
        hello.write_text(HELLO)
        shutil.chown(hello, "nobody")
        yield xrootd
