"""Session and SessionMixin: sessions that have the user's token."""

from __future__ import annotations

import copy
import pickle

import pytest
import requests
from requests_cache import CachedSession
from requests_toolbelt.sessions import BaseUrlSession

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, Session, SessionMixin


class BaseUrl(SessionMixin, BaseUrlSession):
    pass


class Cached(SessionMixin, CachedSession):
    pass


def test_a_session_needs_no_arguments(serve, issuer, token_file):
    token_file.write_text(issuer.mint())
    server = serve()
    with Session() as session:
        assert session.auth == HTTPSciTokenAuth()
        assert session.get(f"{server.url}/hello.txt").ok
        assert session.get(f"{server.url}/hello.txt").ok
    assert len(server.received) == 3


def test_a_session_takes_what_the_handler_takes():
    session = Session(token="a.b", audience="a", force=True, hosts="a.example.org")
    assert session.auth == HTTPSciTokenAuth("a.b", "a", force=True, hosts="a.example.org")


def test_a_session_takes_other_credentials():
    assert Session(auth=("user", "password")).auth == ("user", "password")


@pytest.mark.parametrize(
    "ours",
    [{"token": "a.b"}, {"audience": "a"}, {"force": True}, {"hosts": "a.example.org"}],
)
@pytest.mark.parametrize(
    "make", [Session, lambda **kw: requests_scitokens.get("https://a", **kw)]
)
def test_auth_and_token_together_are_refused(make, ours):
    (name,) = ours
    with pytest.raises(TypeError, match=f"auth= was given together with {name}=; give one"):
        make(auth=("user", "password"), **ours)


def test_a_session_pickles():
    session = Session(token="a.b", hosts="a.example.org")
    session.headers["X-Mine"] = "1"
    other = pickle.loads(pickle.dumps(session))
    assert type(other) is Session
    assert (other.auth, other.headers) == (session.auth, session.headers)


def test_a_session_is_a_requests_session(serve, issuer):
    server = serve()
    seen = []

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, request, **kwargs):
            seen.append(request.url)
            return super().send(request, **kwargs)

    session = Session(token=issuer.mint())
    assert isinstance(session, requests.Session)
    session.mount(server.url, Adapter())
    session.hooks["response"].append(
        lambda response, **kwargs: seen.append(response.status_code)
    )
    request = session.prepare_request(requests.Request("GET", f"{server.url}/hello.txt"))
    assert request.headers["Authorization"].startswith("Bearer ")
    settings = session.merge_environment_settings(request.url, {}, None, None, None)
    with session as entered:
        assert entered is session
        assert session.send(request, **settings).ok
    assert seen == [f"{server.url}/hello.txt", 200]


def test_a_session_without_environment_uses_no_netrc(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine a.example.org login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    request = Session().prepare_request(requests.Request("GET", "https://a.example.org/"))
    assert "Authorization" not in request.headers


def test_the_mixin_goes_in_front_of_a_base_url_session(serve, issuer):
    server = serve()
    with BaseUrl(base_url=server.url, token=issuer.mint()) as session:
        assert session.get("/hello.txt").content == b"hello\n"


def test_the_mixin_goes_in_front_of_a_cached_session(serve, issuer, token_file, tmp_path):
    token_file.write_text(issuer.mint())
    server = serve(answer="storm")
    with Cached(tmp_path / "cache", backend="sqlite") as session:
        for _ in range(3):
            assert session.get(f"{server.url}/hello.txt").content == b"hello\n"
    assert len(server.received) == 2


def test_a_mixed_session_takes_its_own_arguments_too():
    session = BaseUrl("https://a.example.org/", auth=("user", "password"))
    assert (session.base_url, session.auth) == (
        "https://a.example.org/",
        ("user", "password"),
    )


# --- get(), post(), ...


@pytest.mark.parametrize(
    "name", ["get", "head", "options", "post", "put", "patch", "delete"]
)
def test_each_function_sends_its_method(serve, issuer, name):
    server = serve({"/file": b"content"})
    function = getattr(requests_scitokens, name)
    token = issuer.mint("read:/ write:/")
    assert function(f"{server.url}/file", token=token).ok
    (received,) = server.received
    assert received.method == name.upper()


def test_functions_take_positional_arguments_as_those_of_requests(serve, issuer):
    server = serve({"/file": b""})
    token = issuer.mint("read:/ write:/")
    requests_scitokens.get(f"{server.url}/file", {"a": "b"}, token=token)
    requests_scitokens.post(f"{server.url}/file", b"one", token=token)
    requests_scitokens.post(f"{server.url}/file", None, {"two": 2}, token=token)
    requests_scitokens.put(f"{server.url}/file", b"three", token=token)
    requests_scitokens.patch(f"{server.url}/file", b"four", token=token)
    assert [one.body for one in server.received] == [
        b"",
        b"one",
        b'{"two": 2}',
        b"three",
        b"four",
    ]


@pytest.mark.parametrize("name", ["head", "get", "options"])
def test_functions_follow_redirects_unless_told_not_to(serve, issuer, name):
    from requests_scitokens.testing import Redirect

    server, send = serve(), getattr(requests_scitokens, name)
    server.redirects["/moved"] = Redirect(f"{server.url}/hello.txt")
    url, token = f"{server.url}/moved", issuer.mint()
    assert send(url, token=token).status_code == 200
    assert send(url, token=token, allow_redirects=False).status_code == 307


@pytest.mark.parametrize("own", [None, ("user", "password")])
def test_a_sessions_own_credentials_are_used(serve, issuer, token_file, own):
    token_file.write_text(issuer.mint())
    server = serve()
    with requests.Session() as session:
        session.auth = own
        response = requests_scitokens.get(f"{server.url}/hello.txt", session=session)
        assert response.ok is (own is None)
        token = issuer.mint()
        for ours in {"token": token}, {"auth": HTTPSciTokenAuth(token)}, {"force": True}:
            response = requests_scitokens.get(
                f"{server.url}/hello.txt", session=session, **ours
            )
            assert response.ok
            assert response.history == []


@pytest.mark.usefixtures("patched")
def test_a_default_of_the_autopatch_is_not_a_sessions_own(serve, issuer, token_file):
    token_file.write_text(issuer.mint())
    with requests.Session() as session:
        response = requests_scitokens.get(
            f"{serve(answer='storm').url}/hello.txt", session=session
        )
    assert response.ok


# --- redirects


@pytest.fixture
def two(serve, issuer):
    from requests_scitokens.testing import Redirect

    one, other = serve(), serve()
    one.redirects["/away"] = Redirect(f"{other.url}/hello.txt")
    return one, other


def test_a_session_follows_to_an_origin_that_the_token_names_at_once(two, issuer):
    one, other = two
    token = issuer.mint(audience=[one.url, other.url])
    assert requests_scitokens.get(f"{one.url}/away", token=token).ok
    assert [bool(r.authorization) for r in (*one.received, *other.received)] == [True, True]


def test_a_plain_session_follows_to_an_origin_that_the_token_names_in_answer(two, issuer):
    one, other = two
    auth = HTTPSciTokenAuth(issuer.mint(audience=[one.url, other.url]))
    assert requests.get(f"{one.url}/away", auth=auth).ok
    assert [bool(r.authorization) for r in other.received] == [False, True]


@pytest.mark.parametrize("kind", ["given", "found"])
def test_a_redirect_takes_the_token_nowhere_else(two, issuer, token_file, kind, caplog):
    one, other = two
    token_file.write_text(issuer.mint())
    token = issuer.mint() if kind == "given" else None
    assert requests_scitokens.get(f"{one.url}/away", token=token).status_code == 401
    assert not any(r.authorization for r in other.received)
    assert "a redirect led here, and the token is for any server; if" in caplog.text


@pytest.mark.usefixtures("patched")
def test_the_autopatch_follows_from_anywhere_to_an_origin_that_the_token_names(
    two, issuer, token_file
):
    one, other = two
    token_file.write_text(issuer.mint(audience=other.url))
    assert requests.get(f"{one.url}/away").ok
    assert not any(r.authorization for r in one.received)
    assert [bool(r.authorization) for r in other.received] == [True]


@pytest.mark.usefixtures("patched")
def test_netrc_on_the_way_keeps_precedence(two, issuer, token_file, tmp_path, monkeypatch):
    one, other = two
    token_file.write_text(issuer.mint(audience=other.url))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.get(f"{one.url}/away").status_code == 401
    assert all(
        r.authorization.startswith("Basic ") for r in (*one.received, *other.received)
    )


@pytest.mark.parametrize("way", ["session", "plain"])
def test_a_url_with_a_token_of_its_own_gets_no_other(serve, issuer, token_file, way):
    from requests_scitokens.testing import Redirect

    server = serve()
    server.redirects["/signed"] = Redirect("/hello.txt", copy_token=True)
    token_file.write_text(issuer.mint(audience=server.url))
    url = f"{server.url}/signed"
    if way == "session":
        response = requests_scitokens.get(url)
    else:
        response = requests.get(url, auth=HTTPSciTokenAuth())
    assert response.ok
    assert [bool(one.authorization) for one in server.received] == [True, False]
    assert "Authorization" in response.history[0].request.headers


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda session: pickle.loads(pickle.dumps(session))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copied_session_knows_its_own_proxies(world, issuer, token_file, copied):
    """A proxy on another machine could read what is sent over plain http."""
    servers = world("http://proxy.example.org", "http://localhost")
    token_file.write_text(issuer.mint())
    proxies = {"http": "http://proxy.example.org"}
    with requests_scitokens.Session(force=True) as session:
        session.proxies = proxies
        with copied(session) as other:
            other.get("http://localhost/data")
        session.proxies = {}
        with copied(session) as other:
            other.proxies = proxies
            other.get("http://localhost/data")
    assert len(servers.received) == 2
    assert {seen.authorization for seen in servers.received} == {None}
    with requests_scitokens.Session(auth=("user", "secret")) as session:
        assert copied(session).auth == ("user", "secret")
