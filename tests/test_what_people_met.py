"""What people met in 1.1, each with its right value."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
from importlib import import_module
from unittest import mock

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, MalformedTokenError
from requests_scitokens._origin import _read, origin_of
from requests_scitokens.testing import Answer, Redirect

from .ways import CHOSEN


def run(program, **variables):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **variables},
    )
    return done.stdout, done.stderr


# --- the module


WITHOUT_EXTRAS = """
import sys
for name in ("trustme", "pytest"):
    sys.modules[name] = None
import requests_scitokens
"""


def test_every_name_that_is_listed_resolves_without_any_extra():
    program = f"""{WITHOUT_EXTRAS}
import inspect, pydoc
from unittest.mock import create_autospec
for name in dir(requests_scitokens):
    getattr(requests_scitokens, name)
inspect.getmembers(requests_scitokens)
create_autospec(requests_scitokens)
pydoc.render_doc(requests_scitokens)
print(hasattr(requests_scitokens, "testing"))
"""
    assert run(program) == ("False\n", "")


def test_the_missing_extra_is_named():
    program = f"""{WITHOUT_EXTRAS}
try:
    import requests_scitokens.testing
except ImportError as error:
    print(error)
"""
    assert "pip install 'requests-scitokens[testing]'" in run(program)[0]


CACHE = """
import requests, requests_cache
from requests_scitokens import HTTPSciTokenAuth
requests_cache.install_cache(backend="memory")
{first}
import requests_scitokens.patch
{last}
print(type(requests.Session().auth) is HTTPSciTokenAuth)
requests_cache.uninstall_cache()
print(type(requests.Session().auth) is HTTPSciTokenAuth)
"""


def test_the_patch_finds_requests_own_classes_behind_a_cache():
    assert run(CACHE.format(first="", last="")) == ("True\nTrue\n", "")


def test_a_patch_that_fails_leaves_nothing_behind():
    program = """
import requests, wrapt
def now():
    return [vars(requests.Session)[name] for name in ("__init__", "__setstate__")]
before = now()
really, calls = wrapt.wrap_function_wrapper, []
def fail(*args):
    if len(calls) == 2:
        raise RuntimeError("no")
    calls.append(really(*args))
wrapt.wrap_function_wrapper = fail
try:
    import requests_scitokens.patch
except RuntimeError:
    print(before == now())
print(requests.Session().auth)
"""
    assert run(program) == ("True\nNone\n", "")


# --- the handler


@pytest.mark.parametrize(
    ("auth", "text"),
    [
        (HTTPSciTokenAuth(), "HTTPSciTokenAuth()"),
        (HTTPSciTokenAuth("secret"), "HTTPSciTokenAuth(token=...)"),
        (HTTPSciTokenAuth(lambda url: "secret"), "HTTPSciTokenAuth(token=...)"),
        (
            HTTPSciTokenAuth(audience="eyJhbGciOiJFUzI1NiJ9.e30.x"),
            "HTTPSciTokenAuth(audience=...)",
        ),
        (
            HTTPSciTokenAuth(audience="a", force=True, hosts=["a.org", "b.org"]),
            "HTTPSciTokenAuth(audience='a', force=True, hosts=('a.org', 'b.org'))",
        ),
    ],
)
def test_a_handler_shows_what_it_was_given_but_no_token(auth, text):
    assert repr(auth) == text


@pytest.mark.skipif(
    sys.version_info < (3, 10), reason="Python names the class from 3.10 on"
)
def test_an_unexpected_keyword_names_the_class():
    with pytest.raises(TypeError, match=r"HTTPSciTokenAuth\.__init__\(\).*'host'"):
        HTTPSciTokenAuth(host="a.org")


def test_what_a_wrapper_needs_is_public():
    assert issubclass(MalformedTokenError, ValueError)
    assert requests_scitokens.Given
    assert requests_scitokens.TokenFunction
    assert "token" in inspect.signature(HTTPSciTokenAuth).parameters


class FindsNonsense(HTTPSciTokenAuth):
    def find_token(self, **kwargs):
        return "mal formed"


class MakesNonsense(HTTPSciTokenAuth):
    def generate_bearer_header(self, response=None):
        return "Bearer mal formed"


def assigned():
    auth = HTTPSciTokenAuth()
    auth.token = "mal formed"
    return auth


@pytest.mark.parametrize(
    "make",
    [
        FindsNonsense,
        MakesNonsense,
        assigned,
        lambda: HTTPSciTokenAuth(lambda url: b"mal formed"),
        lambda: HTTPSciTokenAuth(lambda url: ["mal formed"]),
    ],
)
def test_a_traceback_holds_no_malformed_token(make):
    auth = make()
    with pytest.raises((MalformedTokenError, TypeError)) as caught:
        requests.Request("GET", "https://a.example.org/", auth=auth).prepare()
    trace = caught.value.__traceback__.tb_next
    while trace:
        assert "mal formed" not in repr(trace.tb_frame.f_locals), trace.tb_frame
        trace = trace.tb_next


@pytest.mark.parametrize("value", ["mal formed", b"mal formed", ["mal formed"]])
def test_nor_does_that_of_the_constructor(value):
    def construct(holder):
        return HTTPSciTokenAuth(holder.pop())

    with pytest.raises((MalformedTokenError, TypeError)) as caught:
        construct([value])
    trace = caught.value.__traceback__.tb_next.tb_next
    while trace:
        assert "mal formed" not in repr(trace.tb_frame.f_locals), trace.tb_frame
        trace = trace.tb_next


@pytest.mark.parametrize("token", ["/tmp/tok", b"/tmp/tok"])
def test_a_path_is_no_token(token):
    with pytest.raises(MalformedTokenError, match="this is a path.*BEARER_TOKEN_FILE"):
        HTTPSciTokenAuth(token)


def test_an_opaque_token_may_begin_with_a_slash():
    assert HTTPSciTokenAuth("/AbC+dEf/0123==").token


# --- what is said


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.WARNING, "requests_scitokens")
    return lambda: list(caplog.messages)


@pytest.mark.parametrize("hosts", ["a.example.org", "*.example.org"])
def test_a_request_that_was_only_prepared_says_nothing(lines, hosts):
    auth = HTTPSciTokenAuth(hosts=hosts)
    requests.Request("GET", "https://a.example.org/", auth=auth).prepare()
    assert lines() == []


@pytest.mark.usefixtures("patched")
def test_nor_does_one_of_the_autopatch(lines, monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "a.example.org")
    with requests.Session() as session:
        session.prepare_request(requests.Request("GET", "https://a.example.org/"))
    assert lines() == []


@pytest.mark.usefixtures("patched")
def test_a_token_that_went_to_anybody_is_said_once(serve, issuer, token_file, lines):
    server = serve()
    token_file.write_text(issuer.mint(audience=server.url))
    for _ in range(3):
        with pytest.warns(match="Unverified HTTPS request"):
            requests.get(f"{server.url}/hello.txt", verify=False, timeout=10)
    (line,) = lines()
    assert line.startswith(f"the token was sent to {server.url} without a check")


def test_who_chose_that_hears_nothing(serve, issuer, token_file, lines):
    server = serve()
    token_file.write_text(issuer.mint(audience=server.url))
    with pytest.warns(match="Unverified HTTPS request"):
        requests_scitokens.get(f"{server.url}/hello.txt", verify=False)
    assert lines() == []


@pytest.mark.usefixtures("patched")
def test_a_typing_mistake_in_the_list_is_said_once_for_each_server(
    serve, issuer, token_file, lines, monkeypatch
):
    token_file.write_text(issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "locahost,*.example.org")
    server = serve()
    for _ in range(2):
        assert requests.get(f"{server.url}/hello.txt", timeout=10).status_code == 401
    (line,) = lines()
    assert "does not list localhost" in line
    assert "locahost, *.example.org" in line
    assert server.received[0].authorization is None


@pytest.mark.usefixtures("patched")
def test_a_scope_that_does_not_suffice_is_said(
    serve, issuer, token_file, lines, monkeypatch
):
    token_file.write_text(issuer.mint("read:/frames"))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    server = serve()
    assert requests.get(f"{server.url}/hello.txt", timeout=10).status_code == 403
    (line,) = lines()
    assert "it has read:/frames, the server wants read:/hello.txt" in line
    assert line.endswith("REQUESTS_SCITOKENS_HOSTS lists localhost")


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("hosts", ["", "a.example.org"])
def test_strangers_who_ask_are_not_news_without_a_token(serve, lines, monkeypatch, hosts):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    server = serve()
    assert requests.get(f"{server.url}/hello.txt", timeout=10).status_code == 401
    assert lines() == []


@pytest.mark.usefixtures("patched")
def test_nor_is_a_token_for_another_server(serve, issuer, token_file, lines):
    token_file.write_text(issuer.mint(audience="https://a.example.org"))
    server = serve()
    assert requests.get(f"{server.url}/hello.txt", timeout=10).status_code == 401
    assert lines() == []


def test_a_server_brings_no_token_into_the_log(serve, issuer, lines):
    token = issuer.mint("read:/frames")
    server = serve(answer=Answer(scope_challenges=(f'Bearer scope="{token}"',)))
    requests_scitokens.get(f"{server.url}/hello.txt", token=token)
    (line,) = lines()
    assert token[:20] not in line
    assert token[-20:] not in line


def test_a_server_brings_no_short_token_into_the_log(serve, lines):
    answer = ('Bearer error="invalid_token", scope="Secret 12"',)
    server = serve(answer=Answer(bad_challenges=answer))
    requests_scitokens.get(f"{server.url}/hello.txt", token="Secret.12")
    assert "Secret" not in lines()[0] or "Secret.12" not in lines()[0]


SAYS_WHO = """
import requests
from requests_scitokens import _state
_state.log.warning("something")
"""


@pytest.mark.parametrize("setting", ["", "warning", "1", "debug"])
def test_each_line_on_stderr_says_who_speaks(setting):
    out, err = run(SAYS_WHO, REQUESTS_SCITOKENS_LOG=setting)
    assert (out, err) == ("", "requests-scitokens: something\n")


def test_who_set_up_logging_sees_it_there_once():
    program = f"import logging; logging.basicConfig(){SAYS_WHO}"
    assert run(program) == ("", "WARNING:requests_scitokens:something\n")


# --- memory


def test_a_long_authority_is_no_certain_host_and_fills_no_cache():
    _read.cache_clear()
    for number in range(300):
        assert origin_of(f"https://{'u' * 60_000}{number}@a.example.org/") is None
    assert _read.cache_info().currsize == 0
    assert origin_of(f"https://{'u' * 100}:{'p' * 100}@a.example.org/")


# --- proxies


@pytest.mark.parametrize("first", ["session", "environment"])
def test_either_proxy_that_may_be_used_keeps_a_token_back(
    issuer, token_file, monkeypatch, first
):
    """`Session.send` and `Session.request` do not agree which one wins."""
    token_file.write_text(issuer.mint(audience="http://localhost"))
    near, far = "http://127.0.0.1:3128", "http://proxy.example.org:3128"
    with requests_scitokens.Session() as session:
        session.proxies["http"] = far if first == "session" else near
        monkeypatch.setenv("http_proxy", near if first == "session" else far)
        prepared = session.prepare_request(requests.Request("GET", "http://localhost/"))
        assert "Authorization" not in prepared.headers
        session.proxies["http"] = near
        monkeypatch.setenv("http_proxy", near)
        prepared = session.prepare_request(requests.Request("GET", "http://localhost/"))
        assert "Authorization" in prepared.headers


# --- uploads


class IteratesAgain:
    def __iter__(self):
        return iter([b"one", b"two"])

    def __len__(self):
        return 6


REPEATABLE = {
    "memoryview": lambda: memoryview(b"onetwo"),
    "iterates again": IteratesAgain,
    "bytes": lambda: b"onetwo",
}
USED_UP = {
    "generator": lambda: (part for part in (b"one", b"two")),
    "iterator": lambda: iter([b"x"]),
}


@pytest.mark.parametrize("send", CHOSEN)
@pytest.mark.parametrize("kind", [*REPEATABLE, *USED_UP])
def test_who_does_not_follow_gets_the_redirect(serve, issuer, token_file, send, kind):
    token_file.write_text(issuer.mint("write:/"))
    server = serve({})
    server.redirects["/a"] = Redirect(f"{server.url}/b")
    body = (REPEATABLE | USED_UP)[kind]() if sys.version_info >= (3, 9) else None
    response = send("PUT", f"{server.url}/a", data=body, allow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (307, f"{server.url}/b")
    assert server.files == {}


@pytest.mark.parametrize("send", CHOSEN)
@pytest.mark.parametrize("kind", REPEATABLE)
def test_a_body_that_can_be_read_again_follows(serve, issuer, token_file, send, kind):
    token_file.write_text(issuer.mint("write:/"))
    server = serve({})
    server.redirects["/a"] = Redirect(f"{server.url}/b")
    assert send("PUT", f"{server.url}/a", data=REPEATABLE[kind]()).status_code == 201
    assert server.files == {"/b": b"onetwo"}


@pytest.mark.parametrize("send", CHOSEN)
@pytest.mark.parametrize("kind", USED_UP)
def test_one_that_is_used_up_raises_and_stores_nothing(
    serve, issuer, token_file, send, kind
):
    token_file.write_text(issuer.mint("write:/"))
    server = serve({})
    server.redirects["/a"] = Redirect(f"{server.url}/b")
    with pytest.raises(requests.ConnectionError, match="can be read only once"):
        send("PUT", f"{server.url}/a", data=USED_UP[kind]())
    assert server.files == {}
    assert [one.path for one in server.received] == ["/a"]


def test_a_memoryview_is_sent_again_after_a_renewal(serve, issuer, token_file):
    old, new = (issuer.mint("write:/", jti=name) for name in ("old", "new"))
    token_file.write_text(old)
    server = serve({})

    def refuse(token):
        token_file.write_text(new)
        return token == old

    server.rejects = refuse
    assert (
        requests_scitokens.put(f"{server.url}/a", memoryview(b"onetwo")).status_code == 201
    )
    assert server.files == {"/a": b"onetwo"}


def test_that_it_could_go_at_once_is_not_said_where_it_did(
    serve, issuer, token_file, lines
):
    old, new = (issuer.mint("write:/", jti=name) for name in ("old", "new"))
    token_file.write_text(old)
    server = serve({})
    server.rejects = mock.Mock(side_effect=lambda token: bool(token_file.write_text(new)))
    response = requests_scitokens.put(f"{server.url}/a", iter([b"x"]), force=True)
    assert response.status_code == 401
    (line,) = lines()
    assert line.endswith("was not sent: this body cannot be sent twice")


@pytest.mark.usefixtures("patched")
def test_a_service_on_this_machine_is_no_mistake_in_the_list(
    serve, issuer, token_file, lines, monkeypatch
):
    """Nor do its requests get a hook: Requests' own tests look at those."""
    token_file.write_text(issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "a.example.org")
    server = serve(tls=False)
    response = requests.get(f"{server.url}/hello.txt", timeout=10)
    assert response.status_code == 401
    assert response.request.hooks == {"response": []}
    assert lines() == []


def test_a_class_that_has_only_a_part_of_a_session_follows_redirects():
    """As Requests' own tests have one."""

    class Part(requests.sessions.SessionRedirectMixin):
        trust_env = False

    patch = import_module("requests_scitokens.patch")
    patch.enable()
    try:
        request = requests.Request("GET", "https://a.example.org/").prepare()
        response = requests.Response()
        response.request, response.url = request, request.url
        Part().rebuild_auth(request.copy(), response)
    finally:
        patch.disable()
    assert "Authorization" not in request.headers
