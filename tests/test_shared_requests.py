"""One prepared request, sent again and again: following a redirect changes it nowhere."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth

from .ways import AsksAgain, Keeps

HOME, OTHER = "https://home.example.org", "https://other.example.org"
TIMES = 25


@pytest.fixture
def prepared(world, issuer, trusted, token_file):
    """Prepare a request that is redirected elsewhere, with a session; and the servers."""
    servers = world(HOME, OTHER)
    servers.answer = lambda seen: (
        ((307, (("Location", f"{OTHER}/b"),)) if seen.authorization else (401, ()))
        if seen.origin == HOME
        else (200, ())
    )
    token_file.write_text(issuer.mint(audience=HOME))

    def prepare(session, method="GET", **kwargs):
        request = session.prepare_request(requests.Request(method, f"{HOME}/a", **kwargs))
        settings = session.merge_environment_settings(request.url, {}, None, None, None)
        return servers, lambda: session.send(request, **settings), request

    return prepare


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("make", [requests.Session, requests_scitokens.Session])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_it_has_the_token_each_time(prepared, make, method):
    with make() as session:
        servers, send, request = prepared(session, method)
        fields = dict(request.headers)
        assert {send().status_code for _ in range(TIMES)} == {200}
    assert dict(request.headers) == fields
    sent = [bool(seen.authorization) for seen in servers.received]
    assert sent == [True, False] * TIMES


@pytest.mark.usefixtures("patched", "impatient")
@pytest.mark.parametrize("make", [requests.Session, requests_scitokens.Session])
def test_and_when_eight_threads_share_it(prepared, make):
    with make() as session, ThreadPoolExecutor(8) as pool:
        servers, send, _ = prepared(session)
        statuses = list(pool.map(lambda _: send().status_code, range(8 * TIMES)))
    assert set(statuses) == {200}
    assert len(servers.received) == 2 * 8 * TIMES
    assert all(bool(s.authorization) is (s.origin == HOME) for s in servers.received)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("sender", [Keeps, AsksAgain])
@pytest.mark.parametrize("maker", [requests.Session, requests_scitokens.Session])
def test_a_session_that_keeps_the_header_does_not_lead_it_away(
    prepared, maker, sender, trusted
):
    """Not even where it sends what another session prepared."""
    with maker() as session, sender() as other:
        servers, _, request = prepared(session)
        other.verify = str(trusted)
        for _ in range(3):
            assert other.send(request, verify=str(trusted)).status_code in (200, 401)
    assert all(s.authorization is None for s in servers.received if s.origin == OTHER)
    assert servers.received[0].authorization


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("auth", [None, HTTPSciTokenAuth()], ids=["default", "auth="])
@pytest.mark.parametrize("kind", [Keeps, AsksAgain])
def test_a_write_that_a_stranger_sends_goes_without_the_token(
    world, issuer, token_file, kind, auth
):
    servers = world(HOME, OTHER)
    servers.answer = lambda seen: (
        (307, (("Location", f"{HOME}/b"),)) if seen.origin == OTHER else (200, ())
    )
    token_file.write_text(issuer.mint("write:/", audience=HOME))
    with kind() as session:
        session.auth = auth or session.auth
        session.put(f"{OTHER}/a", data=b"x", timeout=10)
    assert [seen.authorization for seen in servers.received] == [None, None]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
)
@pytest.mark.parametrize("kind", [requests.Session, Keeps, AsksAgain])
def test_a_copy_does_not_forget_that_a_stranger_led_it_here(
    world, issuer, trusted, token_file, kind, copied
):
    """A write is led from a stranger to the token's server, copied, and sent once more."""
    servers = world(HOME, OTHER)
    servers.answer = lambda seen: (
        (307, (("Location", f"{HOME}/b"),))
        if seen.origin == OTHER
        else ((307, (("Location", f"{HOME}/c"),)) if seen.path == "/b" else (200, ()))
    )
    token_file.write_text(issuer.mint("write:/", audience=HOME))
    with kind() as session:
        request = requests.Request("PUT", f"{HOME}/a", data=b"x")
        prepared = session.prepare_request(request)
        assert prepared.headers["Authorization"]
        prepared.url = f"{OTHER}/a"
        del prepared.headers["Authorization"]
        session.send(copied(prepared), verify=str(trusted))
    assert [seen.authorization for seen in servers.received] == [None] * 3


# --- what a pickle holds


@pytest.mark.parametrize("answer", [(200, ()), (401, ()), (404, ())])
def test_a_pickled_response_holds_no_token_that_its_server_did_not_get(
    world, issuer, token_file, answer
):
    token_file.write_text(issuer.mint(audience="https://third.example.org"))
    world(HOME).answer = lambda seen: answer
    for auth in (HTTPSciTokenAuth(), HTTPSciTokenAuth(hosts=OTHER)):
        response = requests.get(f"{HOME}/a", auth=auth, timeout=10)
        assert token_file.read_bytes() not in pickle.dumps(response)


def test_a_response_to_a_handler_that_waits_holds_none(world, issuer, token_file):
    token_file.write_text(issuer.mint())
    world(HOME).answer = lambda seen: (200, ())
    response = requests_scitokens.get(f"{HOME}/a")
    assert token_file.read_bytes() not in pickle.dumps(response)
