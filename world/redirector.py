"""An XRootD redirector with a data server behind it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from requests_scitokens.testing import Issuer
from tests.pages import example
from tests.redirector import Redirector

from .frame import (
    LARGE,
    WAYS,
    FailedError,
    Row,
    Server,
    User,
    all_or,
    battery,
    broken,
    debian,
    noted,
)

EVERYTHING = "read:/ write:/"
GET = """
import requests
from requests_scitokens import HTTPSciTokenAuth
response = requests.get("{url}/hello.txt", auth=HTTPSciTokenAuth())
sent = ["header" if "Authorization" in one.request.headers else "no header"
    for one in [*response.history, response]]
print(*sent, response.status_code, sep=", ")
"""


def trixie(row: Row) -> None:
    """Try Debian 13's."""
    both(row, "trixie")


def forky(row: Row) -> None:
    """Try Debian 14's."""
    both(row, "forky")


def both(row: Row, suite: str) -> None:
    """Try one that redirects to https, and one that has XRootD's default."""
    row.version = debian(suite).version("xrootd-server")
    chroot = debian(suite).root
    with Issuer() as issuer:
        with Redirector(issuer, chroot=chroot) as redirector:
            server = served(issuer, redirector)
            battery(row, server)
            with noted(row, "who gets the token"):
                who(row, issuer, redirector)
            uploads(row, server, redirector)
        with (
            noted(row, "without http.desthttps"),
            Redirector(issuer, chroot=chroot, secure=False) as redirector,
        ):
            plain(row, issuer, redirector)


def served(issuer: Issuer, redirector: Redirector) -> Server:
    """Say how it is used."""

    def good(**options: Any) -> str:
        return issuer.mint(EVERYTHING, audience="ANY", **options)

    bad = {
        "expired": good(lifetime=-60),
        "signature": broken(good()),
        "scope": issuer.mint("read:/elsewhere", audience="ANY"),
        "audience": issuer.mint(EVERYTHING, audience="https://other.example.org"),
    }
    return Server(redirector.url, redirector.ca, good, bad, listed=True)


def where(redirector: Redirector, token: str) -> str:
    """Return where it redirects to."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{redirector.url}/hello.txt"
    with requests.Session() as session:
        session.trust_env = False
        response = session.get(
            url,
            headers=headers,
            verify=str(redirector.ca),
            allow_redirects=False,
            timeout=30,
        )
    return str(response.headers["Location"])


def who(row: Row, issuer: Issuer, redirector: Redirector) -> None:
    """Find out what stands in the URL, and who is sent a header."""
    token = issuer.mint(EVERYTHING, audience="ANY")
    split = urlsplit(where(redirector, token))
    if parse_qs(split.query).get("authz") != [f"Bearer {token}"]:
        raise FailedError("the URL does not have the token")
    user = User(served(issuer, redirector))
    outcomes = []
    for name, audience, hosts in (
        ("any server, `hosts` lists both", "ANY", "localhost, 127.0.0.1"),
        (
            "any server, `hosts` lists the redirector",
            "ANY",
            urlsplit(redirector.url).netloc,
        ),
        ("any server, no `hosts`", "ANY", ""),
        ("the redirector, no `hosts`", redirector.url, ""),
        ("the data server, no `hosts`", redirector.server_as_named, ""),
    ):
        user.has(issuer.mint(EVERYTHING, audience=audience))
        code = GET.format(url=redirector.url)
        printed = user.execute(
            code, REQUESTS_SCITOKENS_HOSTS=hosts, REQUESTS_SCITOKENS_LOG="off"
        )
        *headers, code = printed.strip().split(", ")
        got = zip(("the redirector", "the data server"), headers)
        whoever = " and ".join(one for one, header in got if header == "header")
        outcomes.append(f"\n  - for {name}: {whoever or 'nobody'}; {code}")
    row.notes.append(
        f"redirects to `{split.scheme}://`, the token in the URL (`?authz=Bearer%20...`)"
    )
    row.notes.append(
        "with `auth=`, who gets a token in a header, and what the answer is:"
        + "".join(outcomes)
    )


def uploads(row: Row, server: Server, redirector: Redirector) -> None:
    """Store small and large files straight, and a large one by the how-to's recipe."""
    user = User(server)
    user.has(server.mint())
    small, large = [], []
    for way in WAYS:
        with noted(row, f"upload of 1 kB, {way}"):
            got = user.run(way, "store", f"{server.url}/small", "bytes", 1 << 10, "{}")
            if not (got[0] // 100 == 2 and got[3]):
                raise FailedError(f"{got}")
            small.append(way)
        try:
            user.run(way, "store", f"{server.url}/large", "file", LARGE, "{}")
            large.append(way)
        except FailedError as error:
            broke = str(error)
    steps = "**fails**"
    with noted(row, "the recipe in two steps"):
        code = example("xrootd.md", "allow_redirects=False")
        code = code.replace("https://xrootd.example.org:1094/data", server.url)
        code = code.replace("*.example.org", "localhost, 127.0.0.1")
        with (user.home / "big.bin").open("wb") as file:
            file.truncate(LARGE)
        user.execute(f"from requests_scitokens import Session\n{code}")
        if (redirector.root / "big.bin").stat().st_size != LARGE:
            raise FailedError("the file is not there")
        steps = "works"
    row.uploads = f"1 kB: {all_or(small, WAYS)}; 100 MB in two steps: {steps}"
    straight = all_or(large, WAYS)
    if not large:
        straight = (
            f"breaks off in every way, `{'SSLError: EOF' if 'EOF' in broke else broke}`"
        )
    row.notes.append(f"100 MB straight through the redirector: {straight}")


def plain(row: Row, issuer: Issuer, redirector: Redirector) -> None:
    """Find out where it redirects to by default."""
    token = issuer.mint(EVERYTHING, audience="ANY")
    scheme = urlsplit(where(redirector, token)).scheme
    row.notes.append(f"without `http.desthttps yes` it redirects to `{scheme}://`")
