"""requests_scitokens.testing.fixtures, as somebody who tests a client uses them."""

from __future__ import annotations

import os
import sys

import pytest
import requests

import requests_scitokens
from requests_scitokens import _state as state

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["requests_scitokens.testing.fixtures"]'

# A client as people write them, and its tests.
CLIENT = """
import requests
from requests_scitokens import HTTPSciTokenAuth

def find(url):
    response = requests.get(url, auth=HTTPSciTokenAuth(), timeout=30)
    response.raise_for_status()
    return response.json()
"""
TESTS = """
import pytest
import requests
from client import find

def test_it_finds_what_is_protected(scitokens_server, scitokens_issuer, scitokens_file):
    server = scitokens_server({"/frames": b'["a.gwf"]'})
    scitokens_file.write_text(scitokens_issuer.mint("read:/frames"))
    assert find(f"{server.url}/frames") == ["a.gwf"]
    assert server.received[-1].authorization.startswith("Bearer ")

def test_it_goes_on_with_the_renewed_token(
    scitokens_server, scitokens_issuer, scitokens_file
):
    server = scitokens_server({"/frames": b"[]"})
    old, new = (scitokens_issuer.mint("read:/frames", lifetime=s) for s in (60, 600))
    scitokens_file.write_text(old)
    assert find(f"{server.url}/frames") == []
    server.rejects.add(old)
    scitokens_file.write_text(new)
    assert find(f"{server.url}/frames") == []

def test_it_says_what_is_forbidden(scitokens_server):
    with pytest.raises(requests.HTTPError, match="401"):
        find(scitokens_server({"/frames": b"[]"}).url + "/frames")
"""


@pytest.fixture
def suite(pytester):
    """Write somebody's client, its tests and its `conftest.py`."""
    pytester.makepyfile(client=CLIENT, test_client=TESTS)
    pytester.makeconftest(CONFTEST)
    return pytester


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Let pytest run without what else is installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_somebody_tests_a_client(suite, monkeypatch):
    # What the developer has must make no difference.
    monkeypatch.setenv("SCITOKEN", "the-developers-own")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.devnull)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "elsewhere.example.org")
    suite.runpytest_subprocess().assert_outcomes(passed=3)


def test_they_are_not_there_unless_asked_for(suite):
    suite.makeconftest("")
    result = suite.runpytest_subprocess()
    result.assert_outcomes(errors=2 + 1)
    result.stdout.fnmatch_lines(["*fixture 'scitokens_server' not found*"])


def test_a_directory_of_files_is_served(scitokens_server, scitokens_issuer, tmp_path):
    (tmp_path / "data.txt").write_bytes(b"data")
    url = f"{scitokens_server(tmp_path).url}/data.txt"
    token = scitokens_issuer.mint("read:/data.txt")
    assert requests_scitokens.get(url, token=token).content == b"data"


def test_the_token_file_is_for_subprocesses_too(
    scitokens_server, scitokens_issuer, scitokens_file
):
    import subprocess

    url = f"{scitokens_server({'/data': b'data'}).url}/data"
    scitokens_file.write_text(scitokens_issuer.mint())
    code = f"import requests_scitokens as r; print(r.get({url!r}).status_code)"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("200\n", "")


def test_nothing_is_in_the_way_of_the_tests_own_files(scitokens_file, tmp_path):
    assert list(tmp_path.iterdir()) == []
    assert scitokens_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("scitokens_file")
def test_without_a_token_none_is_found():
    with pytest.raises(requests_scitokens.TokenNotFoundError, match="no token was found"):
        requests_scitokens.HTTPSciTokenAuth().find_token()


def test_plain_requests_under_the_autopatch(
    scitokens_server, scitokens_issuer, scitokens_file, scitokens_autopatch
):
    server = scitokens_server({"/data": b"data"})
    scitokens_file.write_text(scitokens_issuer.mint(audience=server.url))
    assert requests.get(f"{server.url}/data", timeout=30).content == b"data"
    assert len(server.received) == 1


def test_an_autopatch_that_was_on_stays_on(pytester, monkeypatch):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        from requests_scitokens import _state as state

        state.patching.on = True  # as under REQUESTS_SCITOKENS_AUTOPATCH=1

        def test_on(scitokens_autopatch):
            assert state.patching.on

        def test_still_on():
            assert state.patching.on
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    assert not state.patching.on
