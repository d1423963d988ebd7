"""The autopatch's default, seen by a program that has no token for the server: not at all.

Each program runs twice, without the autopatch and with it, and is compared: its result or
exception, what it left behind, and the bytes that a server received.
"""

from __future__ import annotations

import array
import bz2
import copy
import gzip
import io
import lzma
import os
import pickle
import tempfile
import threading
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from urllib.request import urlopen

import pytest
import requests
import requests_mock
from requests_cache import CachedSession
from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor
from requests_toolbelt.sessions import BaseUrlSession
from tqdm import tqdm
from tqdm.utils import CallbackIOWrapper

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth

from .wire import OK, Wire, put_into_words

patch = import_module("requests_scitokens.patch")
patch.disable()  # importing it patches

CONTENT = bytes(range(256)) * 100
HOME, OTHER = "https://home.example.org", "https://other.example.org"


@pytest.fixture(scope="module")
def wire():
    with Wire() as server:
        yield server


@pytest.fixture(scope="module")
def source():
    """Serve content that a program passes on."""
    with Wire() as server:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        server.answer = head.encode() + CONTENT
        yield server
        server.take()


@pytest.fixture(autouse=True)
def off_in_the_end():
    yield
    patch.disable()


def off_and_on(program):
    """Run a program without the autopatch and with it; return what came of each."""
    patch.disable()
    without = program()
    patch.enable()
    try:
        return without, program()
    finally:
        patch.disable()


# --- whatever the token


def no_token(issuer, token_file, monkeypatch):
    pass


def for_another_server(issuer, token_file, monkeypatch):
    token_file.write_text(issuer.mint("write:/", audience=OTHER))


def for_any_server(issuer, token_file, monkeypatch):
    token_file.write_text(issuer.mint("write:/", audience="ANY"))


def for_any_server_but_this_is_not_listed(issuer, token_file, monkeypatch):
    for_any_server(issuer, token_file, monkeypatch)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", OTHER)


def listed_but_expired(issuer, token_file, monkeypatch):
    token_file.write_text(issuer.mint("write:/", lifetime=-9999))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "http://127.0.0.1")


CIRCUMSTANCES = [
    no_token,
    for_another_server,
    for_any_server,
    for_any_server_but_this_is_not_listed,
    listed_but_expired,
]


@pytest.fixture
def token(request, issuer, token_file, monkeypatch):
    """Have no token for the server; for which reason depends on the test's parameters.

    Each parameter meets each reason in one test or another, but not in all of them.
    """
    number = zlib.crc32(request.node.name.encode())
    CIRCUMSTANCES[number % len(CIRCUMSTANCES)](issuer, token_file, monkeypatch)


# --- bodies


class Iterable:
    """Can be iterated over, again and again, and has a length."""

    def __iter__(self):
        return iter([CONTENT[:1000], CONTENT[1000:]])

    def __len__(self):
        return len(CONTENT)


class WithoutLength(Iterable):
    """Has a length that nobody can know."""

    def __len__(self):
        raise TypeError("it has no length")


class Reads:
    """Can be read, and nothing else."""

    def __init__(self):
        self._file = io.BytesIO(CONTENT)

    def read(self, size=-1):
        return self._file.read(size)


class ReadsAndIterates(Reads):
    def __iter__(self):
        return iter(lambda: self.read(1000), b"")


class ReadsWithLength(Reads):
    def __len__(self):
        return len(CONTENT)


class IteratesWithLength(ReadsAndIterates, ReadsWithLength):
    pass


class Unseekable(io.BytesIO):
    """A file that tells no position."""

    def tell(self):
        raise OSError("no position")


def parts():
    for start in range(0, len(CONTENT), 1000):
        yield CONTENT[start : start + 1000]


def from_middle():
    file = io.BytesIO(CONTENT)
    file.seek(1000)
    return file


def written(folder, opener=open):
    """Write a file and open it again."""
    path = folder / "body"
    with opener(path, "wb") as file:
        file.write(CONTENT)
    return opener(path, "rb")


def spooled():
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115, the test closes it
    file.write(CONTENT)
    file.seek(0)
    return file


def pipe():
    reader, writer = os.pipe()
    os.write(writer, CONTENT[:1000])  # fits into it
    os.close(writer)
    return os.fdopen(reader, "rb")


def member(folder):
    path = folder / "body.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("body", CONTENT)
    return zipfile.ZipFile(path).open("body")


def encoder():
    return MultipartEncoder({"a": "b", "file": ("name", io.BytesIO(CONTENT))}, boundary="x")


def data(make):
    return lambda folder, source: {"data": make()}


def data_in(make):
    return lambda folder, source: {"data": make(folder)}


def data_from(make):
    return lambda folder, source: {"data": make(source.url)}


def fields(**kwargs):
    return lambda folder, source: kwargs


BODIES = {
    "no body": fields(),
    "None": fields(data=None),
    "text": fields(data="text"),
    "text that is not ASCII": fields(data="t\xe9xt"),
    "bytes": fields(data=CONTENT),
    "bytearray": data(lambda: bytearray(CONTENT)),
    "memoryview": data(lambda: memoryview(CONTENT)),
    "array": data(lambda: array.array("B", CONTENT)),
    "array of numbers": data(lambda: array.array("d", [1.0, 2.0])),
    "dictionary": fields(data={"a": "b", "c": ["d", "e"]}),
    "pairs": fields(data=[("a", "b"), ("a", "c")]),
    "JSON": fields(json={"a": [1, None]}),
    "files=": lambda folder, source: {"files": {"a": io.BytesIO(CONTENT)}},
    "files= and data=": lambda folder, source: {
        "files": {"a": ("name", written(folder), "text/plain")},
        "data": {"b": "c"},
    },
    "generator": data(parts),
    "iterator": data(lambda: iter([CONTENT, b"more"])),
    "map": data(lambda: map(bytes, [CONTENT])),
    "list of bytes": fields(data=[b"a", b"b"]),
    "number": fields(data=5),
    "file": data_in(written),
    "text file": data_in(lambda folder: io.TextIOWrapper(written(folder), "latin-1")),
    "BytesIO": data(lambda: io.BytesIO(CONTENT)),
    "BytesIO from its middle": data(from_middle),
    "StringIO": data(lambda: io.StringIO("text")),
    "file that tells no position": data(lambda: Unseekable(CONTENT)),
    "gzip": data_in(partial(written, opener=gzip.open)),
    "bz2": data_in(partial(written, opener=bz2.open)),
    "lzma": data_in(partial(written, opener=lzma.open)),
    "member of a zip file": data_in(member),
    "SpooledTemporaryFile": data(spooled),
    "pipe": data(pipe),
    "raw response": data_from(lambda url: requests.get(url, stream=True).raw),
    "content of a response": data_from(lambda url: requests.get(url).iter_content(1000)),
    "urlopen()": data_from(urlopen),
    "tqdm(generator)": data(lambda: tqdm(parts(), disable=True)),
    "tqdm(list)": data(lambda: tqdm([CONTENT], disable=True)),
    "tqdm.wrapattr": data(
        lambda: CallbackIOWrapper(lambda size: None, io.BytesIO(CONTENT), "read")
    ),
    "MultipartEncoder": data(encoder),
    "MultipartEncoderMonitor": data(lambda: MultipartEncoderMonitor(encoder())),
    "class that can be iterated over": data(Iterable),
    "class whose length is a TypeError": data(WithoutLength),
    "class that only reads": data(Reads),
    "class that reads and can be iterated over": data(ReadsAndIterates),
    "class that reads and has a length": data(ReadsWithLength),
    "class that reads, has a length, can be iterated over": data(IteratesWithLength),
    "empty text": fields(data=""),
    "empty bytes": fields(data=b""),
    "empty dictionary": fields(data={}),
    "empty JSON": fields(json={}),
    "empty BytesIO": data(io.BytesIO),
    "empty generator": data(lambda: iter(())),
    "empty gzip": data_in(lambda folder: gzip.GzipFile(fileobj=io.BytesIO())),
}

ANSWERS = {
    "200": OK,
    "401": OK.replace(b"200 OK", b'401 No\r\nWWW-Authenticate: Bearer realm="x"'),
    "307": OK.replace(b"200 OK", b"307 There\r\nLocation: /there"),
}


def close(kwargs):
    """Close what a program would close, and return where it was."""
    body = kwargs.get("data")
    try:
        position = body.tell() if hasattr(body, "tell") else None
    except (OSError, ValueError):  # it has none
        position = None
    if hasattr(body, "close"):
        body.close()
    return position


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what Requests leaves open
@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("body", BODIES)
def test_every_body_is_sent_as_without_the_autopatch(wire, source, tmp_path, body, answer):
    wire.answer = ANSWERS[answer]

    def program():
        kwargs = BODIES[body](tmp_path, source)
        with requests.Session() as session:
            session.max_redirects = 2
            try:
                response = session.put(f"{wire.url}/new", timeout=30, **kwargs)
            except Exception as error:  # noqa: BLE001, of any kind
                # How far a body came that broke off is a race.
                heads = [one.partition(b"\r\n\r\n")[0] for one in wire.take()]
                return put_into_words(error), close(kwargs), heads
            else:
                sent = response.request
                result = (
                    response.status_code,
                    [one.status_code for one in response.history],
                    # Of a body of `files=` the server's bytes tell.
                    {name for name in sent.headers if name != "Content-Type"},
                )
        return result, close(kwargs), wire.take()

    without, with_it = off_and_on(program)
    assert with_it == without


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what Requests leaves open
@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("body", BODIES)
def test_every_body_is_prepared_as_without_the_autopatch(source, tmp_path, body):
    """No hook, no attribute; but for a list that keeps a token back, which has a hook."""

    def program():
        kwargs = BODIES[body](tmp_path, source)
        request = requests.Request("POST", "http://127.0.0.1:9/new", **kwargs)
        with requests.Session() as session:
            try:
                prepared = vars(session.prepare_request(request))
            except Exception as error:  # noqa: BLE001, of any kind
                prepared = {"error": put_into_words(error)}
            close(kwargs)
        prepared.pop("hooks", None)
        prepared.pop("_cookies", None)
        prepared.pop("body", None)  # another one each time
        prepared["_body_position"] = str(type(prepared.get("_body_position")))
        prepared["headers"] = [
            pair
            for pair in prepared.get("headers", {}).items()
            if pair[0] != "Content-Type"
        ]
        return prepared

    without, with_it = off_and_on(program)
    assert with_it == without


# --- sessions and adapters


class ClassAttribute(requests.Session):
    auth = ("user", "secret")

    def __init__(self):
        super().__init__()
        del self.auth


class Property(requests.Session):
    """Has credentials that nobody assigns."""

    @property
    def auth(self):
        return ("user", "secret")

    @auth.setter
    def auth(self, value):
        pass


class ReadOnly(requests.Session):
    """Lets Requests set the attribute, and nobody afterwards."""

    def __setattr__(self, name, value):
        if name == "auth" and "auth" in vars(self):
            raise AttributeError("auth cannot be set")
        super().__setattr__(name, value)


class AfterInit(requests.Session):
    def __init__(self):
        super().__init__()
        self.auth = ("user", "secret")


class OwnRebuild(requests.Session):
    """Keeps the credentials wherever a redirect leads."""

    def rebuild_auth(self, prepared_request, response):
        pass


class LogsIn(requests.Session):
    """Logs in where it has no credentials, as webdavclient3."""

    def request(self, *args, **kwargs):
        if not self.auth:
            self.auth = ("user", "secret")
        return super().request(*args, **kwargs)


class OrElse(requests.Session):
    """Has credentials to fall back on, as many libraries."""

    def request(self, *args, **kwargs):
        kwargs["auth"] = kwargs.get("auth") or self.auth or ("user", "secret")
        return super().request(*args, **kwargs)


class Own(requests.auth.AuthBase):
    def __call__(self, request):
        request.headers["X-Own"] = "1"
        return request


def with_attributes(**attributes):
    def make():
        session = requests.Session()
        vars(session).update(attributes)
        return session

    return make


def mounted():
    session, adapter = requests.Session(), requests_mock.Adapter()
    adapter.register_uri("GET", requests_mock.ANY, text="from the adapter")
    session.mount("http://", adapter)
    return session


def pickled(protocol=None):
    return pickle.loads(pickle.dumps(requests.Session(), protocol))


SESSIONS = {
    "plain": requests.Session,
    "class attribute": ClassAttribute,
    "property": Property,
    "read-only attribute": ReadOnly,
    "set in __init__": AfterInit,
    "BaseUrlSession": BaseUrlSession,
    "CachedSession": partial(CachedSession, backend="memory"),
    "own rebuild_auth": OwnRebuild,
    "trust_env": with_attributes(trust_env=False),
    "adapter of a mock": mounted,
    "auth tuple": with_attributes(auth=("user", "secret")),
    "auth is None": with_attributes(auth=None),
    "auth is empty": with_attributes(auth=()),
    "auth of its own": with_attributes(auth=Own()),
    "digest": with_attributes(auth=requests.auth.HTTPDigestAuth("user", "secret")),
    "Authorization header": with_attributes(headers={"Authorization": "Own secret"}),
    "copied": lambda: copy.copy(requests.Session()),
    "copied deeply": lambda: copy.deepcopy(requests.Session()),
    "pickled": pickled,
    "pickled of old": partial(pickled, 0),
    "logs in": LogsIn,
    "falls back": OrElse,
    "session()": requests.session,
}

NETRC = "machine 127.0.0.1 login netrc password secret\n"


def with_netrc(tmp_path, monkeypatch):
    path = tmp_path / "netrc"
    path.write_text(NETRC)
    monkeypatch.setenv("NETRC", str(path))


SITUATIONS = [
    (answer, netrc, user)
    for answer in ANSWERS
    for netrc, user in [(False, ""), (True, ""), (False, "user:secret@")]
]
SITUATIONS.append(("401", True, "user:secret@"))


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(("answer", "netrc", "user"), SITUATIONS)
@pytest.mark.parametrize("make", SESSIONS.values(), ids=SESSIONS)
def test_every_session_sends_what_it_sends_without_the_autopatch(
    wire, tmp_path, monkeypatch, make, answer, netrc, user
):
    wire.answer = ANSWERS[answer]
    if netrc:
        with_netrc(tmp_path, monkeypatch)

    def program():
        results = []
        with make() as session:
            session.max_redirects = 2
            for kwargs in ({}, {"auth": ("own", "secret")}, {"auth": Own()}):
                try:
                    url = wire.url.replace("//", f"//{user}")
                    response = session.get(f"{url}/a", timeout=30, **kwargs)
                    results.append((response.status_code, response.text))
                    results += [dict(one.request.headers) for one in response.history]
                    results.append(dict(response.request.headers))
                except Exception as error:  # noqa: BLE001, of any kind
                    results.append(put_into_words(error))
        return results, wire.take()

    without, with_it = off_and_on(program)
    assert with_it == without


# --- what the default looks like


def test_a_default_is_false_and_yet_exactly_a_handler():
    patch.enable()
    auth = requests.Session().auth
    assert bool(auth) is False
    assert type(auth) is HTTPSciTokenAuth
    assert auth is not None


def test_a_handler_that_somebody_chose_is_true(issuer):
    patch.enable()
    assert bool(HTTPSciTokenAuth()) is True
    assert bool(HTTPSciTokenAuth(token=False)) is True
    assert bool(HTTPSciTokenAuth(issuer.mint())) is True
    assert bool(requests_scitokens.Session().auth) is True


def test_a_program_that_asks_whether_a_session_has_credentials_hears_no():
    patch.enable()
    session = requests.Session()
    if not session.auth:
        session.auth = ("user", "secret")
    assert session.auth == ("user", "secret")
    assert (requests.Session().auth or ("user", "secret")) == ("user", "secret")


@pytest.fixture
def home(world, issuer, token_file):
    """Start a server that the token is for."""
    token_file.write_text(issuer.mint("read:/", audience=HOME))
    servers = world(HOME)
    yield servers
    patch.disable()


def sent(servers):
    """Return the scheme of each request's credentials, and forget them."""
    schemes = [(one.authorization or "none").split()[0] for one in servers.received]
    servers.received.clear()
    return schemes


@pytest.mark.parametrize("user", ["netrc", "url", "replaced"])
def test_other_credentials_come_before_the_token(home, tmp_path, monkeypatch, user):
    url = f"{HOME}/a"
    if user == "netrc":
        with_netrc(tmp_path, monkeypatch)
        path = tmp_path / "netrc"
        path.write_text(NETRC.replace("127.0.0.1", "home.example.org"))
    elif user == "url":
        url = url.replace("//", "//user:secret@")
    else:
        look = lambda url, raise_errors=False: ("replaced", "secret")  # noqa: E731
        monkeypatch.setattr("requests.sessions.get_netrc_auth", look)
    patch.enable()
    assert requests.get(url).ok
    assert sent(home) == ["Basic"]
    with requests.Session() as session:
        session.trust_env = False
        session.verify = os.environ["REQUESTS_CA_BUNDLE"]
        assert session.get(url).ok
    assert sent(home) == ["Basic" if user == "url" else "Bearer"]


def test_requests_looks_for_netrc_as_often_as_without_the_autopatch(wire, monkeypatch):
    wire.answer, asked = ANSWERS["307"], []
    monkeypatch.setattr(
        "requests.sessions.get_netrc_auth", lambda url, *args, **kwargs: asked.append(url)
    )

    def program():
        asked.clear()
        with requests.Session() as session:
            session.max_redirects = 2
            with pytest.raises(requests.TooManyRedirects):
                session.get(f"{wire.url}/a")
        wire.take()
        return list(asked)

    without, with_it = off_and_on(program)
    assert with_it == without != []


def test_requests_takes_the_length_of_a_body_once(wire):
    wire.answer, taken = OK, []

    class Counts(Iterable):
        def __len__(self):
            taken.append(self)
            return super().__len__()

    def program():
        taken.clear()
        assert requests.put(f"{wire.url}/new", data=Counts()).ok
        return len(taken), wire.take()

    without, with_it = off_and_on(program)
    assert with_it == without


# --- off and on again


def methods():
    return {
        name: vars(owner)[name]
        for owner, name in (
            (requests.Session, "__init__"),
            (requests.Session, "__setstate__"),
            (requests.sessions.SessionRedirectMixin, "rebuild_auth"),
            (requests.PreparedRequest, "prepare_auth"),
        )
    }


def test_switching_off_only_switches_off():
    """What stays has no effect, and does not pile up."""
    patch.enable()
    once = methods()
    for _ in range(3):
        patch.disable()
        assert methods() == once
        patch.enable()
        assert methods() == once


def test_while_it_is_off_a_session_made_before_is_as_without_credentials(home):
    patch.enable()
    with requests.Session() as session:
        for _ in range(2):
            assert session.get(f"{HOME}/a").ok
            assert sent(home) == ["Bearer"]
            patch.disable()
            assert not patch.enabled()
            assert session.get(f"{HOME}/a").ok
            prepared = requests.PreparedRequest()
            prepared.prepare("GET", f"{HOME}/a", auth=session.auth)
            assert "Authorization" not in prepared.headers
            assert prepared.hooks == {"response": []}
            assert sent(home) == ["none"]
            assert requests.get(f"{HOME}/a").ok
            assert requests.Session().auth is None
            assert copy.copy(requests.Session()).auth is None
            assert sent(home) == ["none"]
            patch.enable()


def test_while_it_is_off_netrc_is_used_for_a_session_made_before(
    wire, tmp_path, monkeypatch
):
    wire.answer = OK
    with_netrc(tmp_path, monkeypatch)
    patch.enable()
    with requests.Session() as session:
        patch.disable()
        assert session.get(f"{wire.url}/a").ok
    (received,) = wire.take()
    assert b"\r\nAuthorization: Basic " in received


def test_a_session_that_was_made_while_it_was_off_gets_no_default_later(home):
    patch.disable()
    with requests.Session() as session:
        patch.enable()
        assert session.auth is None
        assert session.get(f"{HOME}/a").ok
    assert sent(home) == ["none"]


# --- nobody's PreparedRequest is changed by following a redirect


class KeepsHeader(requests.Session):
    """Keeps the header wherever a redirect leads, as many do."""

    def rebuild_auth(self, prepared_request, response):
        pass


def chosen(kind=requests.Session):
    session = kind()
    session.auth = HTTPSciTokenAuth()
    return session


ROUTES = {"same origin": f"{HOME}/next", "another origin": f"{OTHER}/next"}

# Who makes the session, and whether it has a say in `rebuild_auth`.
DECIDES = {"Session": requests_scitokens.Session, "autopatch": requests.Session}
DOES_NOT = {
    "auth=": chosen,
    "own rebuild_auth, auth=": partial(chosen, KeepsHeader),
    "own rebuild_auth, autopatch": KeepsHeader,
}


@pytest.fixture(params=["for this server", "for any server, listed"])
def redirecting(request, world, issuer, token_file, monkeypatch):
    """Start a server that redirects, and wants the token for all that it has."""
    servers = world(HOME, OTHER)
    named = request.param == "for this server"
    token_file.write_text(issuer.mint(audience=HOME if named else "ANY"))
    if not named:
        monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", HOME)

    def lead_to(target):
        def answer(seen):
            if seen.origin == HOME and not seen.authorization:
                return 401, (("WWW-Authenticate", "Bearer"),)
            return (302, (("Location", target),)) if seen.path == "/start" else (200, ())

        servers.answer = answer
        return servers

    patch.enable()
    yield lead_to
    patch.disable()


def send_again_and_again(make, trusted, count, threads=1):
    """Send one prepared request many times; return each status."""
    with make() as session, ThreadPoolExecutor(threads) as pool:
        session.verify = str(trusted)
        prepared = session.prepare_request(requests.Request("GET", f"{HOME}/start"))
        together = threading.Barrier(threads, timeout=60)

        def send(_):
            together.wait()
            return [session.send(prepared, timeout=30) for _ in range(count)]

        return [one for many in pool.map(send, range(threads)) for one in many]


def tokens_at(servers, origin):
    return [bool(one.authorization) for one in servers.received if one.origin == origin]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("make", DECIDES.values(), ids=DECIDES)
def test_a_prepared_request_that_is_sent_again_has_the_token_each_time(
    redirecting, trusted, make, route
):
    servers = redirecting(ROUTES[route])
    responses = send_again_and_again(make, trusted, 50)
    assert [one.status_code for one in responses] == [200] * 50
    assert all(tokens_at(servers, HOME))
    assert not any(tokens_at(servers, OTHER))
    assert len(servers.received) == 100


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("make", DECIDES.values(), ids=DECIDES)
def test_so_has_one_that_threads_share(redirecting, trusted, make, route):
    servers = redirecting(ROUTES[route])
    responses = send_again_and_again(make, trusted, 25, threads=8)
    assert [one.status_code for one in responses] == [200] * 200
    assert all(tokens_at(servers, HOME))
    assert not any(tokens_at(servers, OTHER))
    assert len(servers.received) == 400


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("make", DECIDES.values(), ids=DECIDES)
def test_following_a_redirect_leaves_a_prepared_request_as_it_was(
    redirecting, trusted, make, route
):
    redirecting(ROUTES[route])
    with make() as session:
        session.verify = str(trusted)
        prepared = session.prepare_request(requests.Request("GET", f"{HOME}/start"))
        before = dict(vars(prepared))
        headers, hooks = dict(prepared.headers), list(prepared.hooks["response"])
        response = session.send(prepared, timeout=30)
        assert vars(prepared) == before
        assert dict(prepared.headers) == headers
        assert prepared.hooks["response"] == hooks
        assert response.history[0].request is prepared


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("make", DOES_NOT.values(), ids=DOES_NOT)
def test_nor_does_the_token_reach_another_origin_where_nobody_asks_about_redirects(
    redirecting, trusted, make, threads
):
    servers = redirecting(ROUTES["another origin"])
    send_again_and_again(make, trusted, 20, threads)
    assert len(tokens_at(servers, HOME)) >= 20 * threads
    assert not any(tokens_at(servers, OTHER))


@pytest.mark.parametrize("make", list(DOES_NOT.values())[:2], ids=list(DOES_NOT)[:2])
def test_a_chosen_handler_then_answers_the_401_with_the_token(redirecting, trusted, make):
    servers = redirecting(ROUTES["another origin"])
    responses = send_again_and_again(make, trusted, 20)
    assert [one.status_code for one in responses] == [200] * 20
    assert not any(tokens_at(servers, OTHER))
