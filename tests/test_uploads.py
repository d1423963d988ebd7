"""Uploads arrive whole, or not at all."""

from __future__ import annotations

import io
import threading
from contextlib import suppress

import pytest
import requests
from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor

import requests_scitokens
from requests_scitokens.testing import Answer, Redirect

from .ways import CHOSEN, READS_BODIES

CONTENT = bytes(range(256)) * 1000


class OnlyReads:
    """An object with `read` and nothing else."""

    def __init__(self):
        self._file = io.BytesIO(CONTENT)

    def read(self, size=-1):
        return self._file.read(size)


class Unseekable(io.BytesIO):
    """A file that tells no position, as a pipe."""

    def tell(self):
        raise OSError("no position")

    def seek(self, *_):
        raise OSError("no position")


def from_the_middle():
    file = io.BytesIO(CONTENT)
    file.seek(1000)
    return {"data": file}, CONTENT[1000:]


def multipart():
    encoder = MultipartEncoder({"file": ("name", CONTENT)}, boundary="x")
    whole = MultipartEncoder({"file": ("name", CONTENT)}, boundary="x").to_string()
    return encoder, whole


def encoded():
    encoder, whole = multipart()
    return {"data": encoder}, whole


def monitored():
    encoder, whole = multipart()
    return {"data": MultipartEncoderMonitor(encoder)}, whole


def parts():
    return (CONTENT[start : start + 5000] for start in range(0, len(CONTENT), 5000))


# What can be sent twice: what to give to Requests, and what must arrive. The content of
# `files=` has a random boundary around it, so its end is what is looked at.
TWICE = {
    "bytes": lambda: ({"data": CONTENT}, CONTENT),
    "text": lambda: ({"data": "x" * 1000}, b"x" * 1000),
    "dictionary": lambda: ({"data": {"a": "b", "c": "d"}}, b"a=b&c=d"),
    "JSON": lambda: ({"json": [1, 2]}, b"[1, 2]"),
    "file": lambda: ({"data": io.BytesIO(CONTENT)}, CONTENT),
    "file from its middle": from_the_middle,
    "files=": lambda: ({"files": {"a": io.BytesIO(CONTENT)}}, None),
    "nothing": lambda: ({}, b""),
}

# What can be sent once only.
ONCE = {
    "generator": lambda: ({"data": parts()}, CONTENT),
    "iterator": lambda: ({"data": iter([CONTENT])}, CONTENT),
    "object that only reads": lambda: ({"data": OnlyReads()}, CONTENT),
    "pipe": lambda: ({"data": Unseekable(CONTENT)}, CONTENT),
    "MultipartEncoder": encoded,
    "MultipartEncoderMonitor": monitored,
}

if not READS_BODIES:
    del ONCE["object that only reads"]

WAYS = ("as it is", "after a redirect")


@pytest.fixture
def storage(serve, issuer, token_file):
    """Start a server that challenges, and one that redirects to it."""
    token_file.write_text(issuer.mint("read:/ write:/"))
    server, director = serve({}), serve({}, protected=False)
    director.redirects["/new"] = Redirect(f"{server.url}/new", 308)
    urls = {"as it is": f"{server.url}/new", "after a redirect": f"{director.url}/new"}
    return server, urls


def arrived(server, expected):
    body = server.files.get("/new")
    if expected is None:
        return body.count(CONTENT) == 1
    return body == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", TWICE)
def test_a_body_that_can_be_sent_twice_arrives_after_a_challenge(storage, way, kind):
    server, urls = storage
    kwargs, expected = TWICE[kind]()
    hosts = "localhost" if way == "after a redirect" else None
    response = requests_scitokens.put(urls[way], hosts=hosts, **kwargs)
    assert response.ok
    assert arrived(server, expected)


@pytest.mark.parametrize("kind", [*TWICE, *ONCE])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
@pytest.mark.parametrize("send", CHOSEN)
def test_an_upload_of_a_chosen_handler_carries_a_token_for_any_server_at_once(
    storage, kind, send, method
):
    server, urls = storage
    kwargs, expected = (TWICE | ONCE)[kind]()
    assert send(method, urls["as it is"], **kwargs).ok
    assert arrived(server, expected)
    at_once = kind in ONCE or (method != "POST" and kind != "nothing")
    assert len(server.received) == (1 if at_once else 2)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("kind", ONCE)
def test_under_the_autopatch_an_upload_is_no_exception(storage, kind):
    server, urls = storage
    kwargs, _ = ONCE[kind]()
    assert requests.put(urls["as it is"], **kwargs).status_code == 401
    assert [one.authorization for one in server.received] == [None]
    assert server.files == {}


@pytest.mark.parametrize("kind", [*TWICE, *ONCE])
@pytest.mark.parametrize("ours", [{"force": True}, {"hosts": "localhost"}])
def test_every_body_arrives_where_the_token_goes_at_once(storage, kind, ours):
    server, urls = storage
    kwargs, expected = (TWICE | ONCE)[kind]()
    assert requests_scitokens.put(urls["as it is"], **ours, **kwargs).ok
    assert arrived(server, expected)
    assert len(server.received) == 1


#: Requests itself raises the second, of a body that says that it has no position.
RAISES = (requests.ConnectionError, requests.exceptions.UnrewindableBodyError)


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("send", [requests.put, requests_scitokens.put])
def test_a_redirect_never_stores_what_is_left_of_a_body(storage, kind, send):
    server, urls = storage
    kwargs, _ = ONCE[kind]()
    auth = requests_scitokens.HTTPSciTokenAuth(hosts="localhost")
    with pytest.raises(RAISES, match="request body|can be read only once"):
        send(urls["after a redirect"], auth=auth, **kwargs)
    assert server.files == {}


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("kind", ONCE)
def test_the_autopatch_stores_no_rest_of_a_body_either(
    storage, issuer, token_file, kind, monkeypatch
):
    server, urls = storage
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    kwargs, _ = ONCE[kind]()
    with pytest.raises(RAISES, match="request body|can be read only once"):
        requests.put(urls["after a redirect"], **kwargs)
    assert server.files == {}


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("kind", [one for one in ONCE if "Multipart" not in one])
def test_nor_does_a_redirect_from_a_server_that_may_not_have_the_token(
    storage, issuer, token_file, kind
):
    server, urls = storage
    token_file.write_text(issuer.mint("write:/", audience=server.url))
    kwargs, _ = ONCE[kind]()
    # What Requests itself makes of a body that is used up: less of it, or an exception.
    with suppress(requests.ConnectionError, requests.exceptions.UnrewindableBodyError):
        assert requests.put(urls["after a redirect"], **kwargs).status_code == 401
    assert {one.authorization for one in server.received} <= {None}
    assert server.files == {}


def test_a_closed_file_is_not_sent_again(storage, token_file, issuer, caplog):
    server, urls = storage
    token_file.write_text(issuer.mint("write:/elsewhere"))
    file = io.BytesIO(CONTENT)
    hooks = {"response": lambda *args, **kwargs: None}

    class Closing(requests.adapters.HTTPAdapter):
        def send(self, request, **kwargs):
            response = super().send(request, **kwargs)
            token_file.write_text(issuer.mint("write:/"))
            file.close()
            return response

    with requests_scitokens.Session() as session:
        session.mount("https://", Closing())
        assert session.put(urls["as it is"], data=file, hooks=hooks).status_code == 403
    assert server.files == {}
    assert "this body cannot be sent twice" in caplog.text


@pytest.mark.parametrize("size", [1000, 50_000_000])
def test_a_server_that_refuses_before_it_has_read_the_body_gets_all_or_nothing(
    serve, issuer, token_file, tmp_path, size
):
    token_file.write_text(issuer.mint("write:/"))
    server = serve({}, answer=Answer(closes=True))
    path = tmp_path / "body"
    path.write_bytes(b"x" * size)
    with path.open("rb") as body:
        try:
            refused = not requests_scitokens.put(f"{server.url}/new", data=body).ok
        except requests.ConnectionError:  # the refusal was lost with the connection
            refused = True
    assert server.files == ({} if refused else {"/new": b"x" * size})
    with path.open("rb") as body:
        assert requests_scitokens.put(f"{server.url}/new", data=body, force=True).ok
    assert server.files == {"/new": b"x" * size}


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("kind", [*TWICE, *ONCE])
@pytest.mark.parametrize("names_it", [True, False])
def test_whatever_happens_a_server_has_all_of_it_or_the_caller_knows(
    serve, issuer, token_file, kind, closes, status, names_it
):
    """Every body, redirected to a server that may hang up before it has read anything."""
    server = serve({}, answer=Answer(challenges=("Bearer",), closes=closes))
    director = serve({}, protected=False)
    director.redirects["/new"] = Redirect(f"{server.url}/new", status)
    audience = server.url if names_it else None
    token_file.write_text(issuer.mint("write:/", audience=audience))
    for url in (f"{director.url}/new", f"{server.url}/new"):
        kwargs, expected = (TWICE | ONCE)[kind]()
        try:
            done = requests_scitokens.put(url, **kwargs).ok
        except (requests.ConnectionError, requests.exceptions.UnrewindableBodyError):
            done = False  # the refusal was lost with the connection, or that
        if done:
            assert arrived(server, expected)
        else:
            assert "/new" not in server.files
        server.files.clear()


def test_a_body_is_never_mixed_with_another(serve, issuer, token_file):
    """Many threads that are challenged at the same time."""
    token_file.write_text(issuer.mint("write:/"))
    server = serve({})
    bodies = {f"/{n}": bytes([n]) * 100_000 for n in range(32)}
    with requests_scitokens.Session() as session:

        def put(path):
            assert session.put(server.url + path, data=io.BytesIO(bodies[path])).ok

        threads = [threading.Thread(target=put, args=(path,)) for path in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.files == bodies
