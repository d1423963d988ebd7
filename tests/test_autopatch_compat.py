"""Under the autopatch, what users already have keeps working; over real sockets."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import pydoc
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from importlib import import_module
from socketserver import ThreadingTCPServer
from threading import Thread
from unittest.mock import Mock

import pytest
import requests
import wrapt
from requests.auth import HTTPBasicAuth, HTTPDigestAuth, _basic_auth_str
from requests.utils import get_netrc_auth

patch = import_module("requests_scitokens.patch")
patch.disable()  # importing it patches

BASIC = _basic_auth_str("user", "secret")


class Subclass(requests.Session):
    """Made before the patch, as libraries' are."""


class InInit(requests.Session):
    def __init__(self):
        super().__init__()
        self.auth = ("user", "secret")


class InInitIfNone(requests.Session):
    """As libraries do that were given a session."""

    def __init__(self):
        super().__init__()
        if self.auth is None:
            self.auth = ("user", "secret")


class OnClass(requests.Session):
    auth = ("user", "secret")

    def __init__(self):
        super().__init__()
        del self.auth


class Property(requests.Session):
    auth = property(lambda self: ("user", "secret"), lambda self, value: None)


class NoInit(requests.Session):
    """Has what a session needs, without asking `requests.Session`."""

    auth = None

    def __init__(self):
        with requests.Session() as other:
            for name in set(self.__attrs__) - {"auth"}:
                setattr(self, name, getattr(other, name))


class Handler(BaseHTTPRequestHandler):
    """Says which Authorization it got; refuses, or redirects, where the path says so."""

    protocol_version = "HTTP/1.1"
    rbufsize = wbufsize = -1

    def do_GET(self):
        sent = self.headers.get("Authorization", "none")
        self.server.received.append(sent)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
        elif self.path == "/digest" and not sent.startswith("Digest"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Digest realm="x", nonce="y", qop="auth"')
        else:
            self.send_response(200)
        body = sent.partition(" ")[0].encode() if "Digest" in sent else sent.encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """Start a server that asks for nothing."""
    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.received = []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=["elsewhere", "any"], autouse=True)
def patched_with_a_token(request, issuer, token_file):
    """Patch, with a token to be found."""
    audience = "ANY" if request.param == "any" else "https://elsewhere.example.org"
    token_file.write_text(issuer.mint(audience=audience))
    patch.enable()
    yield
    patch.disable()


@pytest.fixture
def netrc(tmp_path, monkeypatch):
    """Write a .netrc for the server."""
    file = tmp_path / "my-netrc"
    file.write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(file))
    return file


def test_no_credentials_stay_none(server):
    assert requests.get(server.url).text == "none"


def test_netrc_is_used(server, netrc):
    assert requests.get(server.url).text == BASIC


def test_netrc_at_home_is_used(server, netrc, monkeypatch):
    monkeypatch.delenv("NETRC")
    assert requests.get(server.url).text == "none"
    for name in (".netrc", "_netrc"):
        file = netrc.with_name(name)
        file.write_text(netrc.read_text())
        assert requests.get(server.url).text == BASIC
        file.unlink()
    assert requests.get(server.url).text == "none"


def test_netrc_is_used_on_redirects(server, netrc):
    url = server.url.replace("127.0.0.1", "localhost")
    assert requests.get(f"{url}/to/{server.url}/").text == BASIC
    assert server.received == ["none", BASIC]


def test_netrc_is_off_without_the_environment_set_after_the_session_was_made(server, netrc):
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(server.url).text == "none"
        assert session.get(f"{server.url}/to/{server.url}/").text == "none"


def a_vault(*_):
    return "user", "secret"


@pytest.mark.parametrize(
    "replacement",
    [
        a_vault,
        Mock(side_effect=a_vault),
        wrapt.FunctionWrapper(get_netrc_auth, a_vault),
        functools.update_wrapper(lambda _: a_vault(), get_netrc_auth),
    ],
    ids=["function", "mock", "wrapt", "wraps"],
)
def test_netrc_is_looked_up_where_sessions_look_it_up(server, monkeypatch, replacement):
    monkeypatch.setattr("requests.sessions.get_netrc_auth", replacement)
    assert requests.get(server.url).text == BASIC


def test_netrc_may_have_other_names(server, netrc, monkeypatch):
    monkeypatch.delenv("NETRC")
    monkeypatch.setattr("requests.utils.NETRC_FILES", [netrc.name])
    assert requests.get(server.url).text == BASIC


def test_credentials_in_the_url_are_used(server):
    url = server.url.replace("://", "://user:secret@")
    assert requests.get(url).text == BASIC


def test_netrc_comes_before_the_url_as_without_the_patch(server, netrc):
    url = server.url.replace("://", "://other:other@")
    patched = requests.get(url).text
    patch.disable()
    assert requests.get(url).text == patched


@pytest.mark.parametrize(
    "auth", [("user", "secret"), HTTPBasicAuth("user", "secret"), ["user", "secret"]]
)
def test_basic_credentials_are_used(server, auth):
    if isinstance(auth, list):
        auth = tuple(auth)
    assert requests.get(server.url, auth=auth).text == BASIC
    with requests.Session() as session:
        session.auth = auth
        assert session.get(server.url).text == BASIC


def test_digest_is_used(server):
    auth = HTTPDigestAuth("user", "secret")
    assert requests.get(f"{server.url}/digest", auth=auth).text == "Digest"
    assert [sent.partition(" ")[0] for sent in server.received] == ["none", "Digest"]


def test_a_callable_is_used(server):
    def auth(request):
        request.headers["Authorization"] = "mine"
        return request

    assert requests.get(server.url, auth=auth).text == "mine"


def test_headers_are_used(server):
    headers = {"Authorization": "mine"}
    assert requests.get(server.url, headers=headers).text == "mine"
    with requests.Session() as session:
        session.headers.update(headers)
        assert session.get(server.url).text == "mine"
        assert session.get(server.url, headers={"Authorization": None}).text == "none"


def test_a_sessions_credentials_can_be_set_and_unset(server):
    with requests.Session() as session:
        assert session.get(server.url).text == "none"
        session.auth = ("user", "secret")
        assert session.get(server.url).text == BASIC
        session.auth = None
        assert session.get(server.url).text == "none"


def test_sessions_subclassed_before_the_patch_work(server):
    with Subclass() as session:
        assert session.auth.is_default
        assert session.get(server.url).text == "none"


@pytest.mark.parametrize("session_class", [InInit, OnClass, Property])
def test_subclasses_that_set_credentials_keep_them(server, session_class):
    with session_class() as session:
        assert session.get(server.url).text == BASIC


def test_subclasses_that_call_no_init_work(server):
    with NoInit() as session:
        assert session.auth is None
        assert session.get(server.url).text == "none"
        session.auth = ("user", "secret")
        assert session.get(server.url).text == BASIC


def test_sessions_made_before_the_patch_stay_as_they_are(server, netrc):
    patch.disable()
    with requests.Session() as session, InInit() as other:
        patch.enable()
        assert session.auth is None
        assert session.get(server.url).text == BASIC
        session.trust_env = False
        assert session.get(server.url).text == "none"
        assert other.get(server.url).text == BASIC


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda session: pickle.loads(pickle.dumps(session))],
)
def test_copies_work(server, netrc, copied):
    with requests.Session() as session, copied(session) as other:
        assert other.auth.is_default
        other.headers["X-Mine"] = "1"
        assert other.get(server.url).text == BASIC
        other.trust_env = False
        assert other.get(server.url).text == "none"
        assert session.get(server.url).text == BASIC
        session.auth = ("other", "secret")
        with copied(session) as third:
            assert third.auth == ("other", "secret")
        session.auth = None
        with copied(session) as fourth:
            assert fourth.auth.is_default  # what it had before cannot be known
        patch.disable()
        with copied(session) as fifth:
            assert fifth.auth is None


@pytest.mark.usefixtures("uncovered")
def test_a_session_unpickles_where_this_package_is_not_installed(server, tmp_path):
    with requests.Session() as session:
        session.headers["X-Mine"] = "1"
        (tmp_path / "pickled").write_bytes(pickle.dumps(session))
    program = """
import pickle, sys
sys.modules["requests_scitokens"] = None  # importing it is an error
session = pickle.load(open(sys.argv[1], "rb"))
print(session.auth, session.headers["X-Mine"], session.get(sys.argv[2]).text)
"""
    command = [sys.executable, "-c", program, tmp_path / "pickled", server.url]
    shown = subprocess.check_output(command, text=True)
    assert shown == "None 1 none\n"


def test_a_library_that_looks_for_none_finds_the_default(server, netrc):
    """It thinks that the caller has chosen; the caller's `.netrc` is used, as then."""
    with InInitIfNone() as session:
        assert session.auth.is_default
        assert session.get(server.url).text == BASIC
        session.trust_env = False
        assert session.get(server.url).text == "none"


def test_a_library_that_looks_for_none_is_served_without_the_default(server):
    def library(session):
        if session.auth is None:
            session.auth = ("user", "secret")
        return session.get(server.url).text

    with requests.Session() as session:
        session.auth = None  # what the caller can do
        assert library(session) == BASIC
    with requests.Session() as session:
        # And what the library can do.
        if getattr(session.auth, "is_default", session.auth is None):
            session.auth = ("user", "secret")
        assert session.get(server.url).text == BASIC
        assert session.get(server.url, auth=("user", "secret")).text == BASIC
    patch.disable()
    with requests.Session() as session:
        assert library(session) == BASIC


def test_prepared_requests_are_sent_as_they_are(server):
    with requests.Session() as session:
        request = requests.Request("GET", server.url, headers={"Authorization": "mine"})
        assert session.send(session.prepare_request(request)).text == "mine"
        assert session.send(requests.Request("GET", server.url).prepare()).text == "none"
        by_hand = requests.PreparedRequest()
        by_hand.method, by_hand.url, by_hand.headers = "GET", server.url, {}
        assert session.send(by_hand).text == "none"


def test_other_ways_to_make_a_session_work(server):
    assert requests.sessions.session().get(server.url).text == "none"
    make = functools.partial(requests.Session)
    assert make().get(server.url).text == "none"
    with requests.Session.__new__(requests.Session) as session:
        functools.partial(requests.Session.__init__, session)()
        assert session.auth.is_default
        assert session.get(server.url).text == "none"


def test_the_class_is_the_same_class():
    kind = requests.Session
    patch.disable()
    assert kind is requests.Session is requests.sessions.Session
    patch.enable()
    assert kind is requests.Session is requests.sessions.Session
    assert isinstance(kind(), requests.Session)
    assert isinstance(Subclass(), requests.Session)
    assert not isinstance(object(), requests.Session)
    assert issubclass(Subclass, requests.Session)
    assert Subclass.__mro__[1:3] == (kind, requests.sessions.SessionRedirectMixin)


def test_the_class_is_documented_as_before():
    def documented():
        text = pydoc.render_doc(requests.Session, renderer=pydoc.plaintext)
        # What every class inherits from object; pydoc looks no further than a wrapper.
        inherited = (object.__init__.__doc__, "Helper for pickle.")
        lines = [
            one for one in text.splitlines() if not one.strip(" |").endswith(inherited)
        ]
        init = requests.Session.__init__
        signatures = [inspect.signature(one) for one in (requests.Session, init)]
        return lines, signatures, init.__name__, init.__qualname__, init.__module__

    patched = documented()
    patch.disable()
    assert documented() == patched


def test_a_401_comes_back_as_it_is(server):
    response = requests.get(f"{server.url}/digest")
    assert (response.status_code, response.history) == (401, [])
    assert server.received == ["none"]
