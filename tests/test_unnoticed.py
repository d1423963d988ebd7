"""Under the autopatch, what users already have keeps working; over real sockets."""

from __future__ import annotations

import functools
import inspect
import pydoc
from http.server import BaseHTTPRequestHandler
from importlib import import_module
from socketserver import ThreadingTCPServer
from threading import Thread

import pytest
import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth, _basic_auth_str

patch = import_module("requests_scitokens.patch")
patch.disable()  # importing it patches

BASIC = _basic_auth_str("user", "secret")


class Subclass(requests.Session):
    """Made before the patch, as libraries' are."""


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
    netrc.rename(netrc.with_name(".netrc"))
    assert requests.get(server.url).text == BASIC


def test_netrc_is_used_on_redirects(server, netrc):
    url = server.url.replace("127.0.0.1", "localhost")
    assert requests.get(f"{url}/to/{server.url}/").text == BASIC
    assert server.received == ["none", BASIC]


def test_netrc_is_off_without_the_environment_set_after_the_session_was_made(server, netrc):
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(server.url).text == "none"
        assert session.get(f"{server.url}/to/{server.url}/").text == "none"


def test_netrc_is_looked_up_where_sessions_look_it_up(server, monkeypatch):
    monkeypatch.setattr("requests.sessions.get_netrc_auth", lambda _: ("user", "secret"))
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


def test_the_class_is_documented_as_before():
    def documented():
        text = pydoc.render_doc(requests.Session, renderer=pydoc.plaintext)
        # What every class inherits from object; pydoc looks no further than a wrapper.
        inherited = "Initialize self.  See help(type(self)) for accurate signature."
        lines = [line for line in text.splitlines() if inherited not in line]
        return lines, inspect.signature(requests.Session)

    patched = documented()
    patch.disable()
    assert documented() == patched


def test_refusals_come_back_as_they_are(server):
    response = requests.get(f"{server.url}/digest")
    assert (response.status_code, response.history) == (401, [])
    assert server.received == ["none"]
