"""A redirect leads the token nowhere, whatever stands between Requests and the server.

Adapters return requests of their own, programs wrap hooks, follow redirects in their own
way, or answer by hand: it is still known where the caller sent the request.
"""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import weakref
from functools import partial
from importlib import import_module
from urllib.parse import quote

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.hooks import dispatch_hook

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth
from requests_scitokens._exchange import Exchange
from requests_scitokens._origin import origin_of
from requests_scitokens._request import by_proxy

from .ways import CHOSEN, FORGETS_THE_FIRST, REQUESTS

patch = import_module("requests_scitokens.patch")
patch.disable()  # importing it patches

HOME = "https://home.example.org"
OTHER = "https://other.example.org"
LOCAL, LOCAL_TLS = "http://localhost", "https://localhost"
CHALLENGE = (401, (("WWW-Authenticate", 'Bearer realm="x"'),))


class Recording(HTTPAdapter):
    """Sends a request of its own, and says so, as recorders of tests do."""

    def send(self, request, *args, **kwargs):
        own = request.copy()
        own.hooks = {}
        return super().send(own, *args, **kwargs)


class NoReferences(requests.PreparedRequest):
    """A request that cannot be a key of any dictionary."""

    __hash__ = None
    __eq__ = object.__eq__


class Traced(HTTPAdapter):
    """Wraps the hooks of a request, to see when they are called."""

    def send(self, request, *args, **kwargs):
        hooks = request.hooks["response"]
        traced = [
            lambda *args, hook=hook, **kwargs: hook(*args, **kwargs) for hook in hooks
        ]
        request.hooks = {"response": traced}
        return super().send(request, *args, **kwargs)


ADAPTERS = [HTTPAdapter, Recording, Traced]


class KeepsAuth(requests.Session):
    """Gives a redirected request the session's credentials again."""

    def rebuild_auth(self, prepared_request, response):
        super().rebuild_auth(prepared_request, response)
        if self.auth:
            prepared_request.prepare_auth(self.auth)


class KeepsAuthOfOurs(requests_scitokens.Session, KeepsAuth):
    """Does so where ours asks the class behind it."""


def with_auth(kind=requests.Session, **options):
    session = kind()
    session.auth = HTTPSciTokenAuth(**options)
    return session


SESSIONS = {
    "auth=": with_auth,
    "Session": requests_scitokens.Session,
    "autopatch": requests.Session,
    "own rebuild_auth, Session": KeepsAuthOfOurs,
    "own rebuild_auth, auth=": lambda: with_auth(KeepsAuth),
    "own rebuild_auth, autopatch": KeepsAuth,
}


@pytest.fixture
def session(trusted):
    """Make a session for `send`, which does not ask the environment whom to trust."""
    with requests.Session() as session:
        session.verify = str(trusted)
        yield session


def leads_to(target):
    """Redirect from /start, and challenge who comes to another path without a token."""

    def answer(seen):
        if seen.path == "/start":
            return 302, (("Location", target),)
        return (200, ()) if seen.authorization else CHALLENGE

    return answer


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("make", SESSIONS.values(), ids=SESSIONS)
def test_a_token_for_any_server_goes_to_no_server_that_a_redirect_names(
    world, issuer, token_file, make, adapter
):
    servers = world(HOME, OTHER)
    servers.answer = leads_to(f"{OTHER}/next")
    token_file.write_text(issuer.mint(audience="ANY"))
    with make() as session:
        session.mount("https://", adapter())
        assert session.get(f"{HOME}/start").status_code == 401
    assert {seen.authorization for seen in servers.received} == {None}
    assert len(servers.received) == 2


@pytest.mark.parametrize("method", ["handle_response", "handle_401", "authenticate_bearer"])
def test_nor_where_the_401_is_answered_by_hand(world, issuer, trusted, token_file, method):
    servers = world(HOME, OTHER)
    servers.answer = leads_to(f"{OTHER}/next")
    token_file.write_text(issuer.mint(audience="ANY"))
    response = requests.get(f"{HOME}/start", timeout=30)
    by_hand = partial(getattr(HTTPSciTokenAuth(), method), verify=str(trusted))
    assert by_hand(response) is response
    refusal = requests.get(f"{OTHER}/next", timeout=30)  # where the caller sent it
    assert by_hand(refusal).ok
    response.history[0].url = "http+unix://socket/start"  # which is no origin
    assert by_hand(response) is response


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("make", list(SESSIONS.values())[:3], ids=list(SESSIONS)[:3])
def test_a_token_that_was_refused_follows_no_redirect(world, issuer, token_file, make):
    servers = world(HOME)
    old, new = (issuer.mint(audience=HOME, jti=name) for name in ("old", "new"))
    token_file.write_text(old)

    def answer(seen):
        if seen.path != "/start":
            return 200, ()
        if seen.authorization == f"Bearer {new}":
            return 302, (("Location", f"{HOME}/next?authz=own"),)
        token_file.write_text(new)
        return CHALLENGE

    servers.answer = answer
    with make() as session:
        assert session.get(f"{HOME}/start").ok
    sent = [seen.authorization for seen in servers.received]
    assert sent == [f"Bearer {old}", f"Bearer {new}", None]


def test_a_renewed_token_follows_a_redirect_within_its_server(world, issuer, token_file):
    servers = world(HOME)
    old, new = (issuer.mint(audience=HOME, jti=name) for name in ("old", "new"))
    token_file.write_text(old)

    def answer(seen):
        token_file.write_text(new)
        return (302, (("Location", "/next"),)) if seen.path == "/start" else (200, ())

    servers.answer = answer
    with requests_scitokens.Session() as session:
        assert session.get(f"{HOME}/start").ok
    assert [seen.authorization for seen in servers.received] == [
        f"Bearer {old}",
        f"Bearer {new}",
    ]


class Upgrading(requests_scitokens.Session):
    """Reads https where a server says http."""

    def get_redirect_target(self, response):
        target = super().get_redirect_target(response)
        return target and target.replace("http:", "https:")


def test_where_a_session_reads_another_target_the_token_is_decided_about_for_that(
    world, issuer, token_file
):
    servers = world(LOCAL, LOCAL_TLS)
    servers.answer = leads_to(f"{LOCAL}/next")
    token_file.write_text(issuer.mint(audience="ANY"))
    with Upgrading(force=True) as session:
        assert session.get(f"{LOCAL}/start").status_code == 401
    assert [bool(seen.authorization) for seen in servers.received] == [True, False]


def test_a_redirect_leaves_the_fields_of_the_callers_request_as_they_were(
    world, issuer, session, token_file
):
    """Other threads may be sending it."""
    servers = world(HOME)
    servers.answer = leads_to("/next?authz=own")
    token_file.write_text(issuer.mint(audience=HOME))
    request = requests.Request("GET", f"{HOME}/start", auth=HTTPSciTokenAuth())
    prepared = session.prepare_request(request)
    fields = prepared.headers
    session.send(prepared)
    assert "Authorization" in fields
    assert [bool(seen.authorization) for seen in servers.received] == [True, False]


@pytest.mark.usefixtures("patched")
def test_a_request_that_is_prepared_again_forgets_where_it_went_before(
    world, issuer, session, token_file
):
    servers = world(HOME, OTHER)
    token_file.write_text(issuer.mint(audience=HOME))
    prepared = session.prepare_request(requests.Request("GET", f"{HOME}/a"))
    token_file.write_text(issuer.mint(audience="ANY"))
    assert any(isinstance(hook, Exchange) for hook in prepared.hooks["response"])
    prepared.prepare_url(f"{OTHER}/start", {"authz": "own"})
    prepared.prepare_auth(session.auth)
    assert prepared.hooks == {"response": []}
    servers.answer = lambda seen: (
        (302, (("Location", f"{HOME}/next"),))
        if seen.path.startswith("/start")
        else CHALLENGE
    )
    assert session.send(prepared).status_code == 401
    assert {seen.authorization for seen in servers.received} == {None}


@pytest.mark.usefixtures("patched")
def test_a_request_of_a_class_without_a_hash_is_sent_all_the_same(
    world, issuer, session, token_file
):
    servers = world(HOME, OTHER)
    servers.answer = leads_to(f"{OTHER}/next")
    token_file.write_text(issuer.mint(audience="https://elsewhere.example.org"))
    prepared = NoReferences()
    prepared.prepare("GET", f"{HOME}/start", auth=session.auth)
    assert session.send(prepared).status_code == 401


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_prepared_request_can_be_pickled_as_without_the_autopatch(
    issuer, token_file, protocol
):
    token_file.write_text(issuer.mint(audience=HOME))
    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request("GET", f"{HOME}/a"))
    pickled = pickle.dumps(prepared, protocol)
    assert b"requests_scitokens" not in pickled  # it may not be there
    again = pickle.loads(pickled)
    assert again.headers == prepared.headers
    response = requests.Response()
    assert dispatch_hook("response", again.hooks, response, timeout=1) is response


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nor_does_that_of_a_chosen_handler_hold_what_its_server_never_got(
    issuer, token_file, protocol
):
    token_file.write_text(issuer.mint())
    auth = HTTPSciTokenAuth()
    prepared = requests.Request("GET", f"{HOME}/a", auth=auth).prepare()
    pickled = pickle.dumps(prepared, protocol)
    assert b"requests_scitokens" not in pickled
    assert token_file.read_bytes() not in pickled
    assert copy.deepcopy(prepared).hooks["response"] == prepared.hooks["response"]


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({}, True),
        ({"http_proxy": "http://proxy.example.org:3128"}, False),
        pytest.param(
            *({"HTTP_PROXY": "proxy.example.org:3128"}, False),
            marks=pytest.mark.skipif(
                REQUESTS < (2, 27), reason="Requests took the host for a scheme"
            ),
        ),
        ({"all_proxy": "http://proxy.example.org:3128"}, False),
        ({"http_proxy": "http://127.0.0.1:3128"}, True),
        ({"http_proxy": "http://proxy.example.org", "no_proxy": "localhost"}, True),
        ({"https_proxy": "http://proxy.example.org:3128"}, True),
        ({"Http_Proxy": "http://proxy.example.org:3128"}, False),
    ],
    ids=str,
)
def test_plain_http_to_this_machine_by_way_of_another_is_no_loopback(
    world, issuer, token_file, monkeypatch, variables, sent
):
    servers = world(LOCAL, "http://proxy.example.org:3128", "http://127.0.0.1:3128")
    servers.answer = lambda seen: (200, ()) if seen.authorization else CHALLENGE
    token_file.write_text(issuer.mint(audience="ANY"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    response = requests.get(f"{LOCAL}/a", auth=HTTPSciTokenAuth(), timeout=30)
    assert response.ok is sent
    assert any(seen.authorization for seen in servers.received) is sent


def test_which_proxy_was_used_is_known_when_the_server_refuses(
    world, issuer, token_file, monkeypatch
):
    servers = world(LOCAL, "http://proxy.example.org:3128")
    servers.answer = lambda seen: (200, ()) if seen.authorization else CHALLENGE
    token_file.write_text(issuer.mint(audience="ANY"))
    proxies = {"http": "http://proxy.example.org:3128"}
    with with_auth() as session:
        assert not session.get(f"{LOCAL}/a", proxies=proxies, timeout=30).ok
        assert {seen.authorization for seen in servers.received} == {None}
        monkeypatch.setenv("http_proxy", proxies["http"])
        session.trust_env = False  # so it is not used
        assert session.get(f"{LOCAL}/a", timeout=30).ok


class Stub(HTTPAdapter):
    """Answers everything itself."""

    def send(self, request, **kwargs):
        response = requests.Response()
        response.status_code, response.request, response.url = 404, request, request.url
        return response


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("host", ["localhost", "example.org"])
@pytest.mark.parametrize("proxy", ["http://user:pa#ss@proxy:3128", "http://[::1"])
def test_a_proxy_that_makes_no_sense_does_no_harm_where_it_is_not_used(
    issuer, token_file, monkeypatch, proxy, host
):
    token_file.write_text(issuer.mint(audience="ANY"))
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", Stub())
        assert session.get(f"http://{host}/a").status_code == 404


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_proxies_may_be_settings_of_the_system(monkeypatch, system):
    monkeypatch.setattr("sys.platform", system)
    settings = {"http": "http://proxy.example.org:3128"}
    monkeypatch.setattr("requests.utils.getproxies", lambda: settings)
    here = origin_of("http://localhost/")
    assert by_proxy([here], None) == (here,)


class Client:
    """Brings its own token function, and keeps the last answer."""

    def __init__(self, token):
        self.session, self.given = with_auth(token=self.token), token
        self.session.mount("https://", Stub())
        self.last = self.session.get(f"{HOME}/a")

    def token(self, url):
        return self.given


def test_a_handler_whose_owner_keeps_a_response_is_forgotten_with_its_owner(issuer):
    client = Client(issuer.mint())
    assert client.last.status_code == 404
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None


class Looks(HTTPSciTokenAuth):
    """Looks at a response and returns nothing, which Requests takes for the same."""

    def handle_response(self, response, **kwargs):
        self.seen = response


def test_a_handler_may_return_nothing_for_a_response(issuer):
    with requests.Session() as session:
        session.mount("https://", Stub())
        response = session.get(f"{HOME}/a", auth=Looks(issuer.mint()))
    assert response.status_code == 404


@pytest.mark.parametrize("hooks", [{}, None])
def test_a_request_may_have_no_place_for_hooks(issuer, hooks):
    prepared = requests.Request("GET", f"{HOME}/a").prepare()
    prepared.hooks = hooks
    assert HTTPSciTokenAuth(issuer.mint())(prepared).headers["Authorization"]


WRITERS = dict(SESSIONS)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("make", WRITERS.values(), ids=WRITERS)
def test_a_write_that_a_stranger_sends_back_goes_without_the_token(
    world, issuer, token_file, make, status
):
    """It would do with the token what the caller never asked for."""
    servers = world(HOME, OTHER)
    routes = {"/start": f"{OTHER}/on", "/on": f"{HOME}/elsewhere"}

    def answer(seen):
        if seen.path in routes:
            return status, (("Location", routes[seen.path]),)
        return (200, ()) if seen.authorization else CHALLENGE

    servers.answer = answer
    token_file.write_text(issuer.mint("write:/", audience=HOME))
    with make() as session:
        assert session.put(f"{HOME}/start", data=b"body").status_code == 401
    sent = [(seen.origin, seen.authorization is not None) for seen in servers.received]
    assert sent == [(HOME, True), (OTHER, False), (HOME, False)]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
@pytest.mark.parametrize("make", WRITERS.values(), ids=WRITERS)
def test_nor_where_its_own_server_then_redirects_once_more(
    world, issuer, token_file, make, method
):
    """As many do that add a slash: the stranger has still chosen the path."""
    servers = world(HOME, OTHER)
    routes = {"/start": f"{OTHER}/on", "/on": f"{HOME}/a", "/a": f"{HOME}/a/", "/a/": "/b"}

    def answer(seen):
        if seen.path in routes:
            return 307, (("Location", routes[seen.path]),)
        return (200, ()) if seen.authorization else CHALLENGE

    servers.answer = answer
    token_file.write_text(issuer.mint("write:/", audience=HOME))
    with make() as session:
        assert session.request(method, f"{HOME}/start").status_code == 401
    sent = [seen.authorization is not None for seen in servers.received]
    assert sent == [True, False, False, False, False]


def test_a_token_function_is_not_asked_where_a_redirect_leads(world, issuer):
    """Neither is it an error that no token may go there."""
    servers = world(HOME, OTHER)
    servers.answer = lambda seen: (
        (302, (("Location", f"{OTHER}/next"),)) if seen.path == "/start" else (200, ())
    )
    asked, token = [], issuer.mint(audience=HOME)

    def function(url):
        asked.append(url)
        return token

    auth = HTTPSciTokenAuth(function, force=True, hosts=HOME)
    for kind in (requests.Session, KeepsAuth, requests_scitokens.Session):
        asked.clear()
        with kind() as session:
            session.auth = auth
            assert session.get(f"{HOME}/start").status_code == 200
        assert asked == [f"{HOME}/start"]
    assert all(s.authorization is None for s in servers.received if s.origin == OTHER)


def test_a_renewed_token_of_a_function_goes_on_with_a_redirect(world, issuer):
    servers = world(HOME, OTHER)
    tokens = [issuer.mint(jti=name) for name in ("old", "new")]

    def answer(seen):
        if seen.authorization != f"Bearer {tokens[-1]}":
            return CHALLENGE
        if seen.path == "/start":
            return 307, (("Location", f"{OTHER}/next"),)
        return 200, ()

    servers.answer = answer
    turn = iter(tokens)
    with requests_scitokens.Session(token=lambda _: next(turn), hosts=[HOME, OTHER]) as one:
        assert one.get(f"{HOME}/start").status_code == 200


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("make", WRITERS.values(), ids=WRITERS)
def test_a_read_that_a_stranger_sends_back_has_it(world, issuer, token_file, make):
    servers = world(HOME, OTHER)
    routes = {"/start": f"{OTHER}/on", "/on": f"{HOME}/elsewhere"}
    servers.answer = lambda seen: (
        (303, (("Location", routes[seen.path]),))
        if seen.path in routes
        else ((200, ()) if seen.authorization else CHALLENGE)
    )
    token_file.write_text(issuer.mint("read:/", audience=HOME))
    unknown = FORGETS_THE_FIRST and make is requests.Session
    with make() as session:
        status = session.post(f"{HOME}/start", data=b"body").status_code
    assert status == (401 if unknown else 200)


class DecidesAlone(requests.Session):
    """Follows redirects without asking Requests about credentials."""

    def rebuild_auth(self, prepared_request, response):
        pass


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("kind", [requests.Session, DecidesAlone])
def test_the_default_answers_no_401_to_a_request_that_went_without_its_token(
    world, issuer, token_file, kind
):
    servers = world(HOME, OTHER)
    servers.answer = leads_to(f"{OTHER}/next")
    token_file.write_text(issuer.mint(audience=HOME))
    with kind() as session:
        assert session.get(f"{HOME}/start").status_code == 401
    assert [bool(seen.authorization) for seen in servers.received] == [True, False]


@pytest.mark.usefixtures("patched")
def test_a_token_given_to_the_default_goes_to_no_server_after_two_redirects(world, issuer):
    servers = world(HOME, OTHER)
    servers.answer = lambda seen: {
        "/start": (302, (("Location", f"{OTHER}/a"),)),
        "/a": (302, (("Location", f"{OTHER}/b"),)),
        "/b": CHALLENGE,
    }[seen.path]
    with requests.Session() as session:
        session.auth.token = issuer.mint(audience="ANY")
        assert session.get(f"{HOME}/start").status_code == 401
    sent = [bool(seen.authorization) for seen in servers.received]
    assert sent == [True, False, False]


@pytest.mark.parametrize(
    "auth", [("user", "secret"), lambda request: request], ids=["basic", "function"]
)
@pytest.mark.parametrize("kind", [requests.Session, requests_scitokens.Session])
@pytest.mark.usefixtures("patched")
def test_other_credentials_are_left_to_requests(world, issuer, token_file, kind, auth):
    servers = world(HOME, OTHER)
    servers.answer = leads_to(f"{OTHER}/next")
    token_file.write_text(issuer.mint(audience=OTHER))
    with kind() as session:
        session.auth = auth
        assert session.get(f"{HOME}/start").status_code == 401
    assert servers.received[-1].authorization is None


@pytest.mark.usefixtures("patched")
def test_a_default_that_was_switched_off_meanwhile_attaches_nothing(
    world, issuer, token_file
):
    servers = world(HOME, OTHER)
    servers.answer = leads_to(f"{OTHER}/next")
    token_file.write_text(issuer.mint(audience=[HOME, OTHER]))
    with requests_scitokens.Session() as session, requests.Session() as other:
        session.auth = other.auth
        prepared = session.prepare_request(requests.Request("GET", f"{HOME}/start"))
        settings = session.merge_environment_settings(prepared.url, {}, None, None, None)
        patch.disable()
        assert session.send(prepared, **settings).status_code == 401
    assert servers.received[-1].authorization is None


@pytest.mark.usefixtures("patched")
def test_what_a_default_fails_in_while_it_follows_is_nobodys_exception(
    world, issuer, token_file, monkeypatch, caplog
):
    servers = world(HOME, OTHER)
    servers.answer = leads_to(f"{OTHER}/next")
    token_file.write_text(issuer.mint(audience="https://elsewhere.example.org"))

    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr("requests_scitokens._choice.barred", fail)
    caplog.set_level(logging.DEBUG, "requests_scitokens")
    assert requests.get(f"{HOME}/start", timeout=30).status_code == 401
    assert caplog.messages == ["no token was sent: unexpected RuntimeError"] * 2


def test_what_a_chosen_handler_fails_in_while_it_follows_is_said(
    world, issuer, token_file, monkeypatch
):
    servers = world(HOME, OTHER)

    def answer(seen):
        monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*")
        return 302, (("Location", f"{OTHER}/next"),)

    servers.answer = answer
    token_file.write_text(issuer.mint(audience=HOME))
    with pytest.raises(ValueError, match="REQUESTS_SCITOKENS_HOSTS: '\\*' cannot be"):
        requests_scitokens.get(f"{HOME}/start", timeout=30)


# --- a token in the URL


@pytest.mark.parametrize("target", ["http://data.example.org", "http://localhost", OTHER])
@pytest.mark.parametrize("send", CHOSEN)
def test_a_token_in_a_plain_http_url_is_said_once(
    world, issuer, token_file, caplog, target, send
):
    """XRootD's redirectors copy it there, by default to plain http."""
    servers = world(HOME, "http://data.example.org", LOCAL, OTHER)

    def answer(seen):
        if seen.origin != HOME:
            return 200, ()
        if seen.authorization is None:
            return 403, ()
        copied = quote(seen.authorization, safe="")
        return 302, (("Location", f"{target}/f?authz={copied}"),)

    servers.answer = answer
    token_file.write_text(issuer.mint())
    for _ in range(2):
        assert send("GET", f"{HOME}/f").status_code == 200
    assert all(seen.authorization is None for seen in servers.received[2::2])
    lines = [line for line in caplog.messages if "your token in the URL" in line]
    assert len(lines) == (1 if target == "http://data.example.org" else 0)
    assert token_file.read_text() not in caplog.text


# --- what the response says of those before it


def keeps_no_first(session):
    """Give responses the history that older versions of Requests gave them."""
    really = session.rebuild_auth

    def rebuild_auth(request, response):
        response.history = [*response.history[1:], response] if response.history else []
        return really(request, response)

    session.rebuild_auth = rebuild_auth
    return session


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_the_default_is_careful_where_it_cannot_know_the_first_request(
    world, issuer, token_file, method
):
    servers = world(HOME, OTHER)
    routes = {"/start": f"{HOME}/a", "/a": f"{HOME}/b"}
    servers.answer = lambda seen: (
        (307, (("Location", routes[seen.path]),)) if seen.path in routes else CHALLENGE
    )
    token_file.write_text(issuer.mint(audience=HOME))
    with keeps_no_first(requests.Session()) as session:
        session.request(method, f"{OTHER}/start", auth=("user", "secret"))
    assert [seen.authorization for seen in servers.received[1:]] == [None, None]


def test_a_prepared_write_that_was_sent_before_is_the_callers_own(
    world, issuer, session, token_file
):
    servers = world(HOME, OTHER)
    routes = {"/start": f"{OTHER}/on", "/on": f"{HOME}/elsewhere"}
    servers.answer = lambda seen: (
        (307, (("Location", routes[seen.path]),)) if seen.path in routes else CHALLENGE
    )
    token_file.write_text(issuer.mint("write:/"))
    request = requests.Request("PUT", f"{HOME}/start", data=b"x", auth=HTTPSciTokenAuth())
    prepared = session.prepare_request(request)
    assert session.send(prepared).status_code == 401
    servers.answer = lambda seen: (200, ()) if seen.authorization else CHALLENGE
    assert session.send(prepared).status_code == 200


def test_the_token_comes_off_before_it_goes_out_of_sight(world, issuer, token_file):
    """Nobody knows the second request: the adapter answers with another."""
    servers = world(HOME, OTHER)
    routes = {"/start": "/next", "/next": f"{OTHER}/end"}
    servers.answer = lambda seen: (
        (302, (("Location", routes[seen.path]),)) if seen.path in routes else (200, ())
    )
    token_file.write_text(issuer.mint(audience=HOME))
    with DecidesAlone() as session:
        session.mount("https://", Recording())
        session.get(f"{HOME}/start", auth=HTTPSciTokenAuth())
    assert [bool(seen.authorization) for seen in servers.received] == [True, False, False]


def test_a_prepared_request_keeps_the_token_where_its_copies_are_redirected_within(
    world, issuer, session, token_file
):
    servers = world(HOME)
    servers.answer = leads_to("/next")
    token_file.write_text(issuer.mint(audience=HOME))
    request = requests.Request("GET", f"{HOME}/start", auth=HTTPSciTokenAuth())
    prepared = session.prepare_request(request)
    for _ in range(2):
        assert session.send(prepared.copy()).ok
    assert all(seen.authorization for seen in servers.received)


@pytest.mark.parametrize("default", [True, False])
def test_the_token_comes_off_where_the_response_does_not_tell_its_request(
    world, issuer, token_file, request, default
):
    class Silent(HTTPAdapter):
        def send(self, *args, **kwargs):
            response = super().send(*args, **kwargs)
            response.request = None
            return response

    if default:
        request.getfixturevalue("patched")
    servers = world(HOME, OTHER)
    servers.answer = leads_to(f"{OTHER}/next")
    token_file.write_text(issuer.mint(audience=HOME))
    with DecidesAlone() as session:
        if not default:
            session.auth = HTTPSciTokenAuth()
        session.mount("https://", Silent())
        session.get(f"{HOME}/start")
    assert [bool(seen.authorization) for seen in servers.received] == [True, False]


def test_a_prepared_request_whose_url_was_changed_goes_by_the_new_one(
    world, issuer, session, token_file
):
    servers = world(HOME, OTHER)
    servers.answer = lambda seen: CHALLENGE
    token_file.write_text(issuer.mint(audience=HOME))
    request = requests.Request("GET", f"{HOME}/start", auth=HTTPSciTokenAuth())
    prepared = session.prepare_request(request)
    prepared.url = f"{OTHER}/start"
    del prepared.headers["Authorization"]
    assert session.send(prepared).status_code == 401
    assert [seen.authorization for seen in servers.received] == [None]
