"""A request is sent again as the caller sent it: over a connection that works, whole."""

from __future__ import annotations

import gzip
import io
import socket
import time
from contextlib import contextmanager
from threading import Thread

import pytest
import requests
from requests.exceptions import ConnectionError as RequestsConnectionError

import requests_scitokens
from requests_scitokens import _resend as resend

CONTENT = bytes(range(256)) * 100


class Server:
    """Answers what it is told to, and may treat its connections badly.

    Each step is a function of the client's socket and of the request's head; it returns
    whether the connection goes on.
    """

    def __init__(self, *steps):
        self.steps, self.heads, self.stored = list(steps), [], []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()
        self._listener.close()

    def _run(self):
        while self.steps:
            client, _ = self._listener.accept()
            client.settimeout(20)
            with client:
                goes_on = True
                while goes_on and self.steps:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        more = client.recv(1)
                        if not more:
                            break
                        head += more
                    if b"\r\n\r\n" not in head:
                        break
                    self.heads.append(head.decode("latin-1"))
                    goes_on = self.steps.pop(0)(self, client, self.heads[-1])

    @property
    def sent(self):
        """Whether the token came with each request."""
        return ["\r\nAuthorization: Bearer " in head for head in self.heads]


def read_body(client, head):
    length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0] or 0)
    body = b""
    while len(body) < length:
        more = client.recv(65536)
        if not more:
            break
        body += more
    return body


def answers(status, *fields, body=b"", reads=True, closes=False, after=0.0):
    """Answer; read the request's body or not, close the connection at once or later."""

    def step(server, client, head):
        received = read_body(client, head) if reads else b""
        lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}", *fields]
        client.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        if status < 300:
            server.stored.append(received)
        if closes:
            time.sleep(after)
        return not closes

    return step


def hangs_up(server, client, head):
    """Close the connection instead of an answer, as a kept one may turn out to be."""
    return False


@pytest.fixture(autouse=True)
def for_any_server(issuer, token_file):
    token_file.write_text(issuer.mint())


def send(method, url, **kwargs):
    with requests_scitokens.Session() as session:
        return session.request(method, url, timeout=20, **kwargs)


# --- the connection


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("after", [0.0, 0.01])
def test_a_kept_connection_that_turns_out_to_be_closed_is_no_error(method, after):
    """XRootD says Keep-Alive with its 403, and closes a moment later."""
    refused = answers(403, "Connection: Keep-Alive", closes=True, after=after)
    with Server(refused, answers(200)) as server:
        response = send(method, server.url)
    assert response.status_code == 200
    assert server.sent == [False, True]
    assert len(server.stored) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_connection_that_is_closed_under_the_retry_is_replaced_once(method):
    with Server(answers(401), hangs_up, answers(200)) as server:
        assert send(method, server.url).status_code == 200
    assert server.sent == [False, True, True]


def test_it_is_replaced_once_only():
    with (
        Server(answers(401), hangs_up, hangs_up) as server,
        pytest.raises(RequestsConnectionError),
    ):
        send("GET", server.url)
    assert server.sent == [False, True, True]


@pytest.mark.parametrize("body", [None, b"body"])
def test_a_post_gets_a_new_connection_and_is_not_repeated(body):
    """It may not be repeated, so the connection must be one that works."""
    first = answers(401, "Connection: Keep-Alive", closes=True, after=0.3)
    with Server(first, answers(200)) as server:
        assert send("POST", server.url, data=body).status_code == 200
    assert (server.sent, server.stored) == ([False, True], [body or b""])
    with (
        Server(answers(401, closes=True), hangs_up) as server,
        pytest.raises(RequestsConnectionError),
    ):
        send("POST", server.url, data=body)
    assert server.sent == [False, True]


@pytest.mark.parametrize(
    "kwargs",
    [{"json": {"a": 1}}, {"data": {"a": "b"}}, {"data": CONTENT}, {"data": "text"}],
    ids=lambda kwargs: next(iter(kwargs)),
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_body_that_the_server_did_not_read_is_not_taken_for_a_request(kwargs, stream):
    """As `http.server` and Flask do: the rest of the body stays in the connection."""
    not_read = answers(401, "Connection: Keep-Alive", body=b"no", reads=False, closes=True)
    with Server(not_read, answers(200)) as server:
        response = send("POST", server.url, stream=stream, **kwargs)
        assert response.status_code == 200
    expected = requests.Request("POST", server.url, **kwargs).prepare().body
    expected = expected.encode() if isinstance(expected, str) else expected
    assert server.stored == [expected]
    if not stream:
        assert response.history[0].content == b"no"


def test_a_connection_without_a_body_is_used_again():
    with (
        Server(answers(401, body=b"no"), answers(200), answers(200)) as server,
        requests_scitokens.Session() as session,
    ):
        for _ in range(2):
            assert session.get(server.url, timeout=20).status_code == 200
    assert server.sent == [False, True, True]


# --- the 401's own body


def test_a_401_is_read_only_as_far_as_requests_would_have_read_it():
    """1.5 MB of gzip are 1.5 GB of zeros: with `stream=True` nobody unpacks them."""
    bomb = gzip.compress(bytes(30_000_000))
    first = answers(401, "Content-Encoding: gzip", body=bomb, closes=True)
    with Server(first, answers(200)) as server:
        response = send("GET", server.url, stream=True)
    assert response.status_code == 200
    assert response.history[0].raw.closed
    assert not response.history[0]._content_consumed


@contextmanager
def dripping():
    """Send a 401 whose body never ends."""

    def drip(server, client, head):
        client.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 1000000\r\n\r\nx")
        client.settimeout(20)
        assert client.recv(1) == b""  # the client has hung up
        return False

    with Server(drip, answers(200)) as server:
        yield server


def test_a_401_that_drips_holds_nobody_who_streams():
    with dripping() as server:
        started = time.monotonic()
        assert send("GET", server.url, stream=True).status_code == 200
        assert time.monotonic() - started < 10


# --- the body


class SeekDoesNothing(io.BytesIO):
    """A body that cannot be put back, and does not say so."""

    def seek(self, *_):
        return 0


class TellRaises(io.BytesIO):
    """A body that no longer tells its position once it was read."""

    was_read = False

    def read(self, *args):
        self.was_read = True
        return super().read(*args)

    def tell(self):
        if self.was_read:
            raise OSError("no longer")
        return super().tell()


@pytest.mark.parametrize("kind", [SeekDoesNothing, TellRaises])
def test_a_body_that_was_not_put_back_is_not_sent(serve, caplog, kind):
    server = serve({})
    response = send("POST", f"{server.url}/new", data=kind(CONTENT))
    assert response.status_code == 401
    assert server.files == {}
    assert "this body cannot be sent twice" in caplog.text


def test_what_cannot_wait_is_known_beforehand():
    def prepared(method, **kwargs):
        return requests.Request(method, "https://a.example.org/", **kwargs).prepare()

    assert not resend.is_upload(prepared("PUT"))
    assert not resend.is_upload(prepared("PUT", data=b""))
    assert resend.is_upload(prepared("PUT", data=b"x"))
    assert resend.is_upload(prepared("PATCH", json={}))
    assert not resend.is_upload(prepared("POST", data=b"x"))
    assert not resend.is_upload(prepared("POST", data=io.BytesIO(b"x")))
    assert resend.is_upload(prepared("POST", data=iter([b"x"])))
    assert not resend.is_upload(requests.Request("PUT", data=b"x"))
