"""Clients that know nothing of this package, with the autopatch and without it.

Without a token for the server, a client sends the same bytes and comes to the same results.
With one, a client that has credentials of its own keeps them, and one without gets in.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from sites import PROTOCOLS, Site

pytest_plugins = ["requests_scitokens.testing.fixtures"]

PROGRAMS = Path(__file__).with_name("programs.py")
ELSEWHERE = "elsewhere.example.org"

#: Each client, and the credentials it is used with. "public" is without any, of a server
#: that asks for none.
CREDENTIALS = {
    "rucio": ("password", "its own token"),
    "fts3": ("token", "none", "public"),
    "webdav": ("password", "token", "none", "public"),
    "tus": ("password", "token", "none", "public"),
    "pyvo": ("password", "session", "cookie", "none", "public"),
}
CASES = [(client, own) for client, several in CREDENTIALS.items() for own in several]
#: Where the client itself puts no `Authorization`.
WITHOUT = [case for case in CASES if case[0] == "rucio" or case[1] in ("public", "cookie")]

#: The audience of the user's token, and what `REQUESTS_SCITOKENS_HOSTS` lists.
SITUATIONS = {
    "no token": ("", ""),
    "a token for another server": (f"https://{ELSEWHERE}", ""),
    "a token for any server, not listed": ("ANY", ELSEWHERE),
    "a token for any server, no list": ("ANY", ""),
}


class Lab:
    """The servers, and what was found out with them."""

    def __init__(self, sites, issuer):
        self.sites, self.known = sites, {}
        here = [site.url for site in sites.values()]
        self.tokens = {
            "here": issuer.mint("read:/ write:/", audience=here),
            "ANY": issuer.mint("read:/ write:/", audience="ANY"),
            f"https://{ELSEWHERE}": issuer.mint(audience=f"https://{ELSEWHERE}"),
            "": "",
        }
        for site in sites.values():
            site.tokens = {self.tokens["here"]}

    def use(self, client, own, audience="", hosts="", *, patched):
        """Return the requests that a client sent, and the results of its steps."""
        key = client, audience, hosts, patched
        if key not in self.known:
            variables = {
                "BEARER_TOKEN": self.tokens[audience],
                "REQUESTS_SCITOKENS_AUTOPATCH": "1" if patched else "",
                "REQUESTS_SCITOKENS_HOSTS": hosts,
            }
            self.known[key] = self.run(client, variables)
            assert self.known[key].pop("auth") == patched
        return self.known[key][own]

    def run(self, client, variables):
        sites = {own: self.sites[client, own] for own in CREDENTIALS[client]}
        urls = json.dumps({own: site.url for own, site in sites.items()})
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, PROGRAMS, client, urls],
                cwd=folder,
                env={
                    "PATH": os.environ["PATH"],
                    "LANG": "C.UTF-8",
                    "HOME": folder,
                    "TMPDIR": folder,
                    **{name: value for name, value in variables.items() if value},
                },
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        auth, *lines = done.stdout.splitlines()
        found = {"auth": auth == "HTTPSciTokenAuth"}
        for own, *results in map(json.loads, lines):
            found[own] = sites[own].forget(), results
            assert found[own][0], f"nothing was sent: {results}"
        return found


@pytest.fixture(scope="module")
def lab(scitokens_issuer):
    with ExitStack() as stack:
        sites = {
            (client, own): stack.enter_context(
                Site(PROTOCOLS[client], public=own == "public")
            )
            for client, own in CASES
        }
        yield Lab(sites, scitokens_issuer)


def succeeded(results):
    """Return whether no step ended in an exception."""
    return not any(isinstance(one, dict) and "raised" in one for one in results)


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize(("client", "own"), CASES)
def test_without_a_token_for_the_server_nothing_changes(lab, client, own, situation):
    case = client, own, *SITUATIONS[situation]
    assert lab.use(*case, patched=True) == lab.use(*case, patched=False)


@pytest.mark.parametrize(("client", "own"), [case for case in CASES if case[1] != "none"])
def test_with_a_token_for_the_server_a_client_keeps_its_own_credentials(lab, client, own):
    requests, results = lab.use(client, own, "here", patched=False)
    assert succeeded(results)
    got, found = lab.use(client, own, "here", patched=True)
    assert found == results
    added = [dict(one.headers) for one in got]
    if (client, own) in WITHOUT:
        for headers in added:
            assert headers.pop("Authorization") == f"Bearer {lab.tokens['here']}"
    assert [one._replace(headers=new) for one, new in zip(got, added)] == requests


@pytest.mark.parametrize(("client", "own"), [case for case in CASES if case[1] == "none"])
def test_with_a_token_for_the_server_a_client_without_any_gets_in(lab, client, own):
    assert not succeeded(lab.use(client, own, "here", patched=False)[1])
    results = lab.use(client, own, "here", patched=True)[1]
    assert succeeded(results)
    # As on a server that asks for nothing.
    assert results == lab.use(client, "public", "here", patched=False)[1]
