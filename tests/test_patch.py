"""The autopatch: every requests.Session defaults to HTTPSciTokenAuth."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from importlib import import_module

import pytest
import requests
import wrapt
from requests.sessions import SessionRedirectMixin

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth
from requests_scitokens._request import decides_in_rebuild_auth

URL = "https://a.example.org/"
PLAIN = dict(vars(requests.Session)), dict(vars(SessionRedirectMixin))


def untouched():
    return (dict(vars(requests.Session)), dict(vars(SessionRedirectMixin))) == PLAIN


patch = import_module("requests_scitokens.patch")
patch.disable()  # importing it patches


def prepared(session, url=URL, **kwargs):
    return session.prepare_request(requests.Request("GET", url, **kwargs))


@pytest.mark.usefixtures("patched")
def test_a_session_has_exactly_the_handler():
    assert type(requests.Session().auth) is HTTPSciTokenAuth
    assert requests.Session().auth.is_default
    assert patch.enabled()


def test_disabling_restores_everything():
    for _ in range(3):
        patch.enable()
        patch.enable()
        session = requests.Session()
        patch.disable()
        patch.disable()
        assert not patch.enabled()
        assert untouched()
        assert requests.Session().auth is None
        assert prepared(session).hooks == {"response": []}


@pytest.mark.usefixtures("patched")
def test_a_request_that_no_token_is_for_stays_exactly_as_it_was(issuer, token_file):
    token_file.write_text(issuer.mint(audience="https://elsewhere.example.org"))
    with requests.Session() as session:
        ours = vars(prepared(session))
        session.auth = None
        theirs = vars(prepared(session))
    for request in ours, theirs:
        request["_cookies"] = list(request["_cookies"])
    assert ours == theirs


@pytest.mark.usefixtures("patched")
def test_netrc_and_the_urls_credentials_keep_precedence(token_file, tmp_path, monkeypatch):
    token_file.write_text("opaque")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine a.example.org login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with requests.Session() as session:
        assert prepared(session).headers["Authorization"].startswith("Basic ")
        session.trust_env = False
        assert "Authorization" not in prepared(session).headers
        with_user = prepared(session, "https://user:secret@b.example.org/")
        assert with_user.headers["Authorization"].startswith("Basic ")
        session.auth.token = "assigned"
        assert prepared(session).headers["Authorization"] == "Bearer assigned"
        with_user = prepared(session, "https://user:secret@b.example.org/")
        assert with_user.headers["Authorization"].startswith("Basic ")


@pytest.mark.usefixtures("patched")
def test_a_copied_session_asks_its_own_environment_setting(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine a.example.org login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    session = requests.Session()
    for other in copy.copy(session), pickle.loads(pickle.dumps(session)):
        assert "Authorization" in prepared(other).headers
        other.trust_env = False
        assert "Authorization" not in prepared(other).headers
    assert "Authorization" in prepared(session).headers


@pytest.mark.usefixtures("patched")
def test_a_copied_default_is_none():
    auth = copy.deepcopy(requests.Session().auth)
    assert auth is None


@pytest.mark.usefixtures("patched")
def test_an_unpickled_session_keeps_credentials_of_its_own():
    session = requests.Session()
    session.auth = ("user", "secret")
    assert pickle.loads(pickle.dumps(session)).auth == ("user", "secret")


@pytest.mark.usefixtures("patched")
def test_a_session_of_this_package_keeps_its_own_handler():
    with requests_scitokens.Session() as session:
        assert type(session.auth) is HTTPSciTokenAuth
        assert not session.auth.is_default


@pytest.mark.usefixtures("patched")
def test_the_session_class_looks_as_before():
    assert isinstance(requests.Session(), requests.Session)
    assert list(inspect.signature(requests.Session.__init__).parameters) == ["self"]
    assert requests.Session.rebuild_auth.__name__ == "rebuild_auth"


def test_other_peoples_patches_stay():
    calls = []

    def theirs(wrapped, instance, args, kwargs):
        calls.append("theirs")
        return wrapped(*args, **kwargs)

    before = vars(requests.Session)["__init__"]
    try:
        patch.enable()
        wrapt.wrap_function_wrapper(requests.Session, "__init__", theirs)
        assert type(requests.Session().auth) is HTTPSciTokenAuth
        patch.disable()
        assert requests.Session().auth is None
        patch.enable()
        assert type(requests.Session().auth) is HTTPSciTokenAuth
        assert calls == ["theirs"] * 3
    finally:
        patch.disable()
        requests.Session.__init__ = before


@pytest.mark.usefixtures("impatient")
def test_switching_on_and_off_from_threads_ends_in_the_last_state():
    def switch():
        for _ in range(100):
            patch.enable()
            patch.disable()

    threads = [threading.Thread(target=switch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    patch.disable()
    assert untouched()


@pytest.mark.usefixtures("patched")
def test_a_request_made_before_it_was_switched_off_gets_no_new_token(
    serve, issuer, token_file
):
    server = serve()
    token_file.write_text(issuer.mint(audience=server.url))
    server.rejects.add(token_file.read_text())
    with requests.Session() as session:
        request = prepared(session, f"{server.url}/hello.txt")
        assert len(request.hooks["response"]) == 1
        token_file.write_text(issuer.mint(audience=server.url, lifetime=900))
        patch.disable()
        settings = session.merge_environment_settings(request.url, {}, None, None, None)
        assert session.send(request, **settings).status_code == 401
    assert len(server.received) == 1


def test_the_module_sends_a_patch_request(serve, issuer):
    server = serve({"/file": b"old"})
    token = issuer.mint("write:/")
    for function in requests_scitokens.patch, patch:
        assert function(f"{server.url}/file", b"new", token=token).ok
    assert {one.method for one in server.received} == {"PATCH"}
    assert requests_scitokens.patch is patch


@pytest.mark.usefixtures("patched")
def test_a_session_that_refuses_a_default_is_made_all_the_same():
    class Refuses(requests.Session):
        def __setattr__(self, name, value):
            if name == "auth" and not isinstance(value, (tuple, type(None))):
                raise TypeError("a user and a password")
            super().__setattr__(name, value)

    assert Refuses().auth is None
    assert copy.copy(Refuses()).auth is None


def test_where_requests_own_class_is_gone_it_says_so_and_changes_nothing(monkeypatch):
    class Session:
        """Somebody's own, which is not made from that of Requests."""

    monkeypatch.setattr("requests.sessions.Session", Session)
    with pytest.raises(RuntimeError, match=r"Session\.__init__ is not Requests' own"):
        patch.enable()
    assert not patch.enabled()


@pytest.mark.parametrize("way", ["class", "instance", "none"])
def test_who_decides_about_redirects_is_known(way):
    class Own(requests.Session):
        def rebuild_auth(self, prepared_request, response):
            pass

    with requests.Session() as plain, Own() as own:
        assert decides_in_rebuild_auth(plain)
        if way == "instance":
            plain.rebuild_auth = own.rebuild_auth
        session = {"class": own, "instance": plain, "none": None}[way]
        assert not decides_in_rebuild_auth(session)
