"""A real XRootD server with SciTokens, over TLS, in every way in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import requests_scitokens

from .test_uploads import CONTENT, ONCE, TWICE
from .ways import CHOSEN, REQUESTS

FETCH = Path(__file__).parent.parent / "demo" / "fetch.py"
SIZE = 20_000_000

# XRootD 5.5 understands a chunked body, which is what a generator becomes, only after
# it has said "100 Continue"; whoever the client is.
EXPECT = {"Expect": "100-continue"}

chunked = pytest.mark.skipif(
    REQUESTS < (2, 29), reason="Requests sent chunks in pieces that XRootD 5.5 refuses"
)


@pytest.fixture
def url(xrootd, trusted):
    hello = xrootd.root / "hello.txt"
    hello.write_text("hello\n")
    hello.chmod(0o644)
    return xrootd.url


def run(script, *args, **environment):
    return subprocess.run(
        [sys.executable, script, *args],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_unchanged_script_fetches_a_file(url, issuer, token_file):
    token_file.write_text(issuer.mint("read:/", audience="ANY"))
    hosts = url.removeprefix("https://")
    without = run(FETCH, f"{url}/hello.txt")
    assert without.returncode == 1
    assert "403 Client Error" in without.stderr
    patched = run(
        FETCH,
        f"{url}/hello.txt",
        REQUESTS_SCITOKENS_AUTOPATCH="1",
        REQUESTS_SCITOKENS_HOSTS=hosts,
    )
    assert (patched.stdout, patched.stderr) == ("hello\n", "")


def test_an_unchanged_script_fetches_from_a_server_that_its_token_names(
    xrootd, url, issuer, token_file
):
    token_file.write_text(issuer.mint("read:/", audience=xrootd.audience))
    patched = run(FETCH, f"{url}/hello.txt", REQUESTS_SCITOKENS_AUTOPATCH="1")
    assert (patched.stdout, patched.stderr) == ("hello\n", "")


FILE = """
import sys, requests
url, source = sys.argv[1:]
with open(source, "rb") as body:
    print(requests.put(url, data=body).status_code)
print(requests.get(url).content == open(source, "rb").read())
print(requests.delete(url).status_code)
"""
GENERATOR = """
import sys, requests
url, source = sys.argv[1:]
def parts():
    with open(source, "rb") as body:
        while part := body.read(1 << 16):
            yield part
expect = {"Expect": "100-continue"}
print(requests.put(url, data=parts(), headers=expect).status_code)
print(requests.get(url).content == open(source, "rb").read())
print(requests.delete(url).status_code)
"""


@pytest.mark.parametrize("program", [FILE, pytest.param(GENERATOR, marks=chunked)])
def test_an_unchanged_script_stores_large_files(
    xrootd, url, issuer, token_file, tmp_path, program
):
    token_file.write_text(issuer.mint("read:/ write:/", audience="ANY"))
    content = os.urandom(SIZE)
    source = tmp_path / "source"
    source.write_bytes(content)
    script = tmp_path / "store.py"
    script.write_text(program)
    done = run(
        script,
        f"{url}/unchanged",
        source,
        REQUESTS_SCITOKENS_AUTOPATCH="1",
        REQUESTS_SCITOKENS_HOSTS=url.removeprefix("https://"),
    )
    assert (done.stdout.split(), done.stderr) == (["200", "True", "200"], "")
    assert not (xrootd.root / "unchanged").exists()


@pytest.mark.parametrize("send", CHOSEN)
def test_each_way_fetches_stores_and_deletes(
    xrootd, url, issuer, token_file, tmp_path, send
):
    """Without `hosts`: XRootD hangs up in the middle of an upload without a token."""
    token_file.write_text(issuer.mint("read:/ write:/", audience="ANY"))
    assert send("GET", f"{url}/hello.txt").content == b"hello\n"
    content = os.urandom(5 * SIZE)
    source = tmp_path / "source"
    source.write_bytes(content)
    stored = xrootd.root / send.__name__
    with source.open("rb") as body:
        assert send("PUT", f"{url}/{send.__name__}", data=body).ok
    assert stored.read_bytes() == content
    assert send("DELETE", f"{url}/{send.__name__}").ok
    assert not stored.exists()


@pytest.mark.parametrize("kind", [*TWICE, *ONCE])
@pytest.mark.parametrize("send", CHOSEN)
def test_each_way_stores_every_kind_of_body(xrootd, url, issuer, token_file, send, kind):
    token_file.write_text(issuer.mint("write:/", audience="ANY"))
    kwargs, expected = (TWICE | ONCE)[kind]()
    if kind in ("generator", "iterator", "object that only reads", "pipe"):
        if REQUESTS < (2, 29):
            pytest.skip("Requests sent chunks in pieces that XRootD 5.5 does not take")
        kwargs["headers"] = EXPECT
    stored = xrootd.root / f"{send.__name__}-{kind.replace('=', '')}".replace(" ", "-")
    assert send("PUT", f"{url}/{stored.name}", **kwargs).ok
    content = stored.read_bytes()
    assert content.count(CONTENT) == 1 if expected is None else content == expected


@chunked
@pytest.mark.parametrize("send", CHOSEN)
def test_each_way_stores_what_a_generator_makes(xrootd, url, issuer, token_file, send):
    token_file.write_text(issuer.mint("write:/", audience="ANY"))
    content = os.urandom(5 * SIZE)
    stored = xrootd.root / f"{send.__name__}-generator-of-parts"
    parts = (content[start : start + 65536] for start in range(0, len(content), 65536))
    assert send("PUT", f"{url}/{stored.name}", data=parts, headers=EXPECT).ok
    assert stored.read_bytes() == content


class Counts(requests.adapters.HTTPAdapter):
    """Counts the round trips."""

    trips = 0

    def send(self, *args, **kwargs):
        self.trips += 1
        return super().send(*args, **kwargs)


def test_a_thousand_looks_for_absent_files_cost_one_trip_more(url, issuer, token_file):
    token_file.write_text(issuer.mint("read:/", audience="ANY"))
    counts = Counts()
    with requests_scitokens.Session() as session:
        session.mount("https://", counts)
        found = {session.head(f"{url}/absent-{n}").status_code for n in range(1000)}
    assert (found, counts.trips) == ({404}, 1001)


@pytest.mark.parametrize("send", CHOSEN)
def test_a_token_that_lacks_the_scope_gets_the_servers_own_403(
    url, issuer, token_file, send
):
    token_file.write_text(issuer.mint("read:/elsewhere", audience="ANY"))
    response = send("GET", f"{url}/hello.txt")
    assert response.status_code == 403
    assert response.request.headers["Authorization"].startswith("Bearer ")
