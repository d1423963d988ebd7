"""A certificate that does not verify stops the request before a byte of HTTP is sent."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from datetime import datetime, timezone
from threading import Thread

import pytest
import requests
import trustme
from urllib3.exceptions import InsecureRequestWarning

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth

from .ways import CHOSEN, unchanged

OK = b"HTTP/1.1 200 OK"
UNAUTHORIZED = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer"
LONG_AGO = datetime(2001, 1, 1, tzinfo=timezone.utc)
BAD = ("for another name", "expired", "from another authority")


class Server:
    """Takes one connection after the other; each has a certificate and gets an answer."""

    def __init__(self, *script):
        self.script = list(script)  # (certificate, answer) of each connection
        self.heard = []  # the HTTP that came over each
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        self._closing = False
        self._thread = Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closing = True
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()

    def _run(self):
        while True:
            client, _ = self._listener.accept()
            with client:
                if self._closing:  # all that came before has been heard
                    return
                certificate, answer = self.script[
                    min(len(self.heard), len(self.script) - 1)
                ]
                self.heard.append(b"")
                client.settimeout(60)
                with suppress(OSError):  # the client distrusts the certificate
                    self._talk(client, certificate, answer)

    def _talk(self, client, certificate, answer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        with context.wrap_socket(client, server_side=True) as tls:
            while b"\r\n\r\n" not in self.heard[-1]:
                more = tls.recv(65536)
                if not more:
                    return
                self.heard[-1] += more
            answer = answer() if callable(answer) else answer
            tls.sendall(answer + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    @property
    def tokens(self):
        """Whether the token came, for each connection; None if nothing did."""
        return [
            (b"\r\nAuthorization: Bearer " in one) if one else None for one in self.heard
        ]


@pytest.fixture
def certificates(issuer):
    """Issue a good certificate, and one that is bad in each way."""
    return {
        "good": issuer.ca.issue_cert("localhost"),
        "for another name": issuer.ca.issue_cert("other.example.org"),
        "expired": issuer.ca.issue_cert("localhost", not_after=LONG_AGO),
        "from another authority": trustme.CA().issue_cert("localhost"),
    }


def forced(method, url, **kwargs):
    """Send it with `force=True`."""
    return requests_scitokens.request(method, url, force=True, timeout=30, **kwargs)


def listed(method, url, **kwargs):
    """Send it with `hosts`."""
    auth = HTTPSciTokenAuth(hosts="localhost")
    return requests.request(method, url, auth=auth, timeout=30, **kwargs)


@pytest.fixture(params=[*CHOSEN, forced, listed, unchanged])
def send(request, trusted):
    if request.param is unchanged:
        request.getfixturevalue("patched")
    return request.param


@pytest.fixture
def named(issuer, token_file):
    token_file.write_text(issuer.mint(audience="https://localhost"))


@pytest.fixture
def for_any_server(issuer, token_file):
    token_file.write_text(issuer.mint())


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("kind", BAD)
def test_it_stops_the_first_request(certificates, send, kind):
    with (
        Server((certificates[kind], OK)) as server,
        pytest.raises(requests.exceptions.SSLError),
    ):
        send("GET", server.url)
    assert server.heard == [b""]


@pytest.mark.usefixtures("named")
def test_a_good_one_does_not(certificates, send):
    with Server((certificates["good"], OK)) as server:
        assert send("GET", server.url).ok
    assert server.tokens == [True]


@pytest.mark.usefixtures("for_any_server")
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("send", CHOSEN, indirect=True)
def test_it_stops_the_retry(certificates, send, kind):
    script = (certificates["good"], UNAUTHORIZED), (certificates[kind], OK)
    with Server(*script) as server, pytest.raises(requests.exceptions.SSLError):
        send("GET", server.url)
    assert server.tokens == [False, None]


@pytest.mark.usefixtures("for_any_server")
@pytest.mark.parametrize("send", CHOSEN, indirect=True)
def test_a_good_one_does_not_stop_the_retry(certificates, send):
    good = certificates["good"]
    with Server((good, UNAUTHORIZED), (good, OK)) as server:
        assert send("GET", server.url).ok
    assert server.tokens == [False, True]


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("kind", BAD)
def test_it_stops_the_renewed_token(certificates, send, issuer, token_file, kind):
    def refuse():
        token_file.write_text(issuer.mint(audience="https://localhost", subject="new"))
        return UNAUTHORIZED

    script = (certificates["good"], refuse), (certificates[kind], OK)
    with Server(*script) as server:
        if send is unchanged:  # a program that did not ask for it gets its own 401
            assert send("GET", server.url).status_code == 401
        else:
            with pytest.raises(requests.exceptions.SSLError):
                send("GET", server.url)
    assert server.tokens == [True, None]


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("kind", BAD)
def test_it_stops_a_redirected_request(certificates, send, kind):
    with Server((certificates[kind], OK)) as target:
        redirect = b"HTTP/1.1 307 There\r\nLocation: " + target.url.encode()
        with (
            Server((certificates["good"], redirect)) as server,
            pytest.raises(requests.exceptions.SSLError),
        ):
            send("GET", server.url)
    assert server.tokens == [True]
    assert target.heard == [b""]


# --- verify=False is the caller's own decision


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("kind", BAD)
def test_whoever_does_not_verify_sends_the_token_to_anybody(certificates, send, kind):
    with Server((certificates[kind], OK)) as server:
        with pytest.warns(InsecureRequestWarning):
            assert send("GET", server.url, verify=False).ok
        with pytest.raises(requests.exceptions.SSLError):  # that was for one request
            send("GET", server.url)
    assert server.tokens == [True, None]


@pytest.mark.usefixtures("for_any_server")
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("send", CHOSEN, indirect=True)
def test_whoever_does_not_verify_answers_anybody(certificates, send, kind):
    script = (certificates["good"], UNAUTHORIZED), (certificates[kind], OK)
    with Server(*script) as server, pytest.warns(InsecureRequestWarning):
        assert send("GET", server.url, verify=False).ok
    assert server.tokens == [False, True]


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("kind", BAD)
def test_a_session_that_does_not_verify_does_so_for_itself(certificates, monkeypatch, kind):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)  # which comes first
    with (
        Server((certificates[kind], OK)) as server,
        requests_scitokens.Session() as session,
    ):
        session.verify = False
        with pytest.warns(InsecureRequestWarning):
            assert session.get(server.url).ok
        with pytest.raises(requests.exceptions.SSLError):
            requests_scitokens.get(server.url)
    assert server.tokens == [True, None]
