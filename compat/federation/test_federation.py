"""requests-pelican, from the federation's configuration to the cache, all on loopback.

With the autopatch and without it, whichever the run is: it may make no difference.
"""

import json
import os
import re
import socket
from pathlib import Path

import pytest
import requests
import requests_pelican
from requests_pelican.sessions import SessionMixin

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth
from requests_scitokens.testing import ProtectedServer
from requests_scitokens.testing.loopback import Server

pytest_plugins = ["requests_scitokens.testing.fixtures"]

PATCHED = isinstance(requests.Session().auth, HTTPSciTokenAuth)
PATH = "/data/hello.txt"
URL = f"pelican://federation.example.org{PATH}"
OSDF = f"osdf://{PATH}"  # whose federation has a name that is built in


class Director(Server):
    """Names the caches, and whether they want a token, as Pelican's director does."""

    def __init__(self, ca):
        super().__init__("director.example.org", ca)
        self.received, self.caches, self.wants_token = [], [], True

    def _answer(self, handler):
        handler.body()
        self.received.append(handler.headers.get("Authorization"))
        links = ", ".join(
            f'<{cache.url}{handler.path}>; rel="duplicate"; pri={number}; depth=3'
            for number, cache in enumerate(self.caches, 1)
        )
        wants = str(self.wants_token).lower()
        handler.reply(
            307,
            b"",
            ("Location", f"{self.caches[0].url}{handler.path}"),
            ("Link", links),
            ("X-Pelican-Namespace", f"namespace=/data, require-token={wants}"),
        )


class Federation:
    """The servers, and the file where the user has a token."""

    def __init__(self, issuer, named, token_file):
        self.issuer, self.token_file = issuer, token_file
        self.director = Director(issuer.ca)
        self.caches = [
            ProtectedServer(
                issuer,
                {PATH: b"hello\n"},
                answer="xrootd",
                host=f"cache{number}.example.org",
                audience=f"https://cache{number}.example.org",
            )
            for number in (1, 2)
        ]
        self.director.caches = self.caches
        configuration = json.dumps({"director_endpoint": self.director.url}).encode()
        files = {"/.well-known/pelican-configuration": configuration}
        self.configurations = [
            ProtectedServer(issuer, files, protected=False, host=host) for host in named
        ]

    @property
    def servers(self):
        return [self.director, *self.caches, *self.configurations]

    def port(self, host, port):
        """Return where a host listens, of which the client is sure that it is at 443."""
        ports = {one.url.rpartition("/")[2]: one for one in self.configurations}
        found = [name for name in ports if name.startswith(f"{host}:")]
        return int(found[0].rpartition(":")[2]) if port == 443 else port

    def mint(self, audience, **options):
        self.token_file.write_text(self.issuer.mint(audience=audience, **options))

    def at_caches(self):
        """Return what each cache answered, and whether the request had a token."""
        return [
            [(one.status, one.authorization is not None) for one in cache.received]
            for cache in self.caches
        ]

    def elsewhere(self):
        """Return whether each request before the one to the cache had a token."""
        received = [one.authorization for at in self.configurations for one in at.received]
        return [one is not None for one in (*received, *self.director.received)]


@pytest.fixture
def federation(scitokens_issuer, scitokens_ca, scitokens_file, monkeypatch):
    named = ("federation.example.org", "osg-htc.org")
    ours = Federation(scitokens_issuer, named, scitokens_file)
    resolve = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        return resolve("127.0.0.1", ours.port(host, port), *args, **kwargs)

    for server in ours.servers:
        server.start()
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("requests_pelican.director.DIRECTOR_CACHE", [])
    # It asks the director with verify=True, whatever REQUESTS_CA_BUNDLE says.
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(scitokens_ca))
    yield ours
    for server in ours.servers:
        server.close()


class Mixed(SessionMixin, requests.Session):
    """Its mixin, with the session of somebody else."""


def with_session(url):
    with requests_pelican.Session() as session:
        return session.get(url)


def with_get_and_session(url):
    with requests_pelican.Session() as session:
        return requests_pelican.get(url, session=session)


def with_mixin(url):
    with Mixed() as session:
        return session.get(url)


WAYS = [requests_pelican.get, with_session, with_get_and_session, with_mixin]
ways = pytest.mark.parametrize("get", WAYS, ids=lambda way: way.__name__)


@ways
@pytest.mark.parametrize("url", [URL, OSDF])
@pytest.mark.parametrize("audience", ["ANY", None, "https://cache1.example.org"])
def test_a_token_for_any_server_or_for_the_cache_opens_it(federation, get, url, audience):
    federation.mint(audience)
    response = get(url)
    assert (response.status_code, response.text) == (200, "hello\n")
    assert federation.at_caches() == [[(200, True)], []]
    assert federation.elsewhere() == [False, False]


@ways
def test_a_token_for_another_server_is_sent_all_the_same_and_refused(federation, get):
    # It hands over whatever token there is, and so requests that it be sent.
    federation.mint("https://storage.example.org")
    assert get(URL).status_code == 403
    assert federation.at_caches() == [[(403, True)], [(403, True)]]
    assert federation.elsewhere() == [False, False]


@ways
@pytest.mark.parametrize("lifetime", [None, -60])
def test_without_a_token_the_caller_gets_the_403(federation, get, lifetime):
    if lifetime:
        federation.mint("ANY", lifetime=lifetime)
    assert get(URL).status_code == 403
    assert federation.at_caches() == [[(403, False)], [(403, False)]]


@ways
@pytest.mark.parametrize("audience", ["ANY", "https://storage.example.org"])
def test_hosts_keep_a_token_from_caches_that_they_do_not_list(
    federation, get, audience, monkeypatch
):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "director.example.org")
    federation.mint(audience)
    assert get(URL).status_code == 403
    assert federation.at_caches() == [[(403, False)], [(403, False)]]
    assert federation.elsewhere() == [False, False]


@ways
def test_caches_that_hosts_list_get_the_token_at_once(federation, get, monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "cache1.example.org,cache2.example.org")
    federation.mint("ANY")
    assert get(URL).status_code == 200
    assert federation.at_caches() == [[(200, True)], []]
    assert federation.elsewhere() == [False, False]


@ways
def test_a_federation_that_hosts_list_gets_the_token_of_the_autopatch(
    federation, get, monkeypatch
):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.example.org")
    federation.mint("ANY")
    assert get(URL).status_code == 200
    assert federation.at_caches() == [[(200, True)], []]
    assert federation.elsewhere() == [PATCHED, False]  # the configuration, the director


@ways
def test_where_no_token_is_needed_none_is_sent(federation, get):
    federation.director.wants_token = False
    for cache in federation.caches:
        cache.protected = False
    federation.mint("ANY")
    assert get(URL).text == "hello\n"
    assert federation.at_caches() == [[(200, False)], []]


def test_each_request_has_the_token_that_there_is_now(federation):
    with requests_pelican.Session() as session:
        for lifetime in (600, 700):
            federation.mint("ANY", lifetime=lifetime)
            assert session.get(URL).ok
            (*_, last) = federation.caches[0].received
            assert last.authorization == f"Bearer {federation.token_file.read_text()}"


def test_the_next_cache_gets_it_where_one_is_down(federation):
    federation.caches[0].close()
    federation.mint("ANY")
    assert requests_pelican.get(URL).text == "hello\n"
    assert federation.at_caches() == [[], [(200, True)]]


def test_a_token_of_a_job_opens_the_cache(federation, tmp_path, monkeypatch):
    text = json.dumps({"access_token": federation.issuer.mint(), "expires_in": 600})
    (tmp_path / "scitokens.use").write_text(text)
    os.chmod(tmp_path / "scitokens.use", 0o600)
    monkeypatch.setenv("_CONDOR_CREDS", str(tmp_path))
    assert requests_pelican.get(URL).text == "hello\n"


def test_the_example_of_the_page_opens_it(federation):
    federation.mint("ANY")
    page = Path(os.environ["OSDF_PAGE"]).read_text()
    examples = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (text,) = (one for one in examples if "import requests_pelican" in one)
    namespace = {}
    exec(text, namespace)
    response = namespace["response"]
    assert response.text == "hello\n"
    token = federation.token_file.read_text()
    assert not any(token in one.url for one in (response, *response.history))


# --- what it does not need


class Both(SessionMixin, requests_scitokens.Session):
    """Its mixin, with this package's session."""


def with_auth():
    return requests_pelican.get(URL, auth=HTTPSciTokenAuth())


def with_both():
    with Both() as session:
        return session.get(URL)


@pytest.mark.parametrize("get", [with_auth, with_both], ids=lambda way: way.__name__)
def test_another_handler_beside_its_own_needs_hosts(federation, get, monkeypatch):
    federation.mint("ANY")
    assert get().status_code == 403
    assert federation.at_caches() == [[(403, False)], [(403, False)]]
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "cache1.example.org")
    assert get().status_code == 200
    assert federation.at_caches() == [[(403, False), (200, True)], [(403, False)]]
