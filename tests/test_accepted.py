"""An origin that has accepted a token for any server gets it at once from then on.

So N requests to an origin that asks for it cost N+1 round trips.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, Session
from requests_scitokens import _state as state
from requests_scitokens._origin import Origin

from .ways import CHOSEN, unchanged

N = 10
STORAGE = "https://storage.example.org"


@pytest.fixture(autouse=True)
def unbound(issuer, token_file) -> None:
    token_file.write_text(issuer.mint())


def trips(server) -> int:
    """Return how many round trips there were since this was asked last."""
    count = len(server.received)
    del server.received[:]
    return count


def get_n_times(get: Callable[[str], requests.Response], server) -> None:
    for _ in range(N):
        assert get(f"{server.url}/hello.txt").content == b"hello\n"


# --- N + 1


@pytest.mark.parametrize("answer", ["bearer", "apache", "dcache", "storm", "xrootd"])
def test_n_requests_through_one_session_cost_one_more(serve, answer):
    server = serve(answer=answer)
    with Session() as session:
        get_n_times(session.get, server)
    assert trips(server) == N + 1


@pytest.mark.parametrize("send", CHOSEN)
def test_n_calls_cost_one_more(serve, send):
    server = serve()
    get_n_times(lambda url: send("GET", url), server)
    assert trips(server) == N + 1


@pytest.mark.usefixtures("patched")
def test_under_the_autopatch_acceptance_makes_no_token_go_anywhere(serve):
    server = serve()
    get_n_times(requests_scitokens.get, server)
    assert unchanged("GET", f"{server.url}/hello.txt").status_code == 401
    assert trips(server) == N + 1 + 1


def test_all_ways_share_what_they_know(serve):
    server = serve()
    for send in CHOSEN:
        get_n_times(lambda url, send=send: send("GET", url), server)
    assert trips(server) == len(CHOSEN) * N + 1


def test_each_origin_is_one_space_whatever_the_path(serve):
    files = {"/hello.txt": b"hello\n", "/deep/down/hello.txt": b"hello\n"}
    one, other = serve(files), serve(files)
    with Session() as session:
        for server in (one, other, one, other):
            for path in files:
                assert session.get(server.url + path).ok
    assert (trips(one), trips(other)) == (5, 5)


# --- whose token


def test_a_renewed_token_goes_at_once_too(serve, issuer, token_file):
    server = serve()
    for lifetime in (600, 900):
        token_file.write_text(issuer.mint(lifetime=lifetime))
        get_n_times(requests_scitokens.get, server)
    assert trips(server) == 2 * N + 1


@pytest.mark.parametrize("claims", [{"subject": "other"}, {"audience": "ANY"}])
def test_somebody_elses_token_waits_again(serve, issuer, token_file, claims):
    server = serve()
    get_n_times(requests_scitokens.get, server)
    token_file.write_text(issuer.mint(**claims))
    get_n_times(requests_scitokens.get, server)
    assert trips(server) == 2 * N + 2


# --- forgetting


@pytest.mark.parametrize("answer", ["bearer", "storm", "xrootd"])
def test_an_origin_that_rejects_the_token_is_forgotten(serve, token_file, answer):
    server = serve(answer=answer)
    get_n_times(requests_scitokens.get, server)
    server.rejects.add(token_file.read_text())
    assert not requests_scitokens.get(f"{server.url}/hello.txt").ok
    server.rejects.clear()
    del server.received[:]
    get_n_times(requests_scitokens.get, server)
    assert trips(server) == N + 1


def test_memory_is_bounded_and_what_was_forgotten_is_asked_again(serve):
    server = serve()
    get_n_times(requests_scitokens.get, server)
    (space,) = state.accepted
    for number in range(20_000):
        other = Origin("https", f"host{number}.example.org", 443)
        state.accepted.put((other, ("x",)), True)
        assert len(state.accepted) <= 10_000
    assert space not in state.accepted
    del server.received[:]
    get_n_times(requests_scitokens.get, server)
    assert trips(server) == N + 1


# --- threads and processes


@pytest.mark.usefixtures("impatient")
def test_threads_learn_from_one_another(serve):
    server, threads, together = serve(), 64, Barrier(64, timeout=60)

    def get_all(session: Session) -> None:
        together.wait()
        get_n_times(session.get, server)

    with Session() as session, ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(get_all, [session] * threads):
            pass
        assert threads * N < trips(server) <= threads * N + threads  # each asked once
        get_n_times(session.get, server)
        assert trips(server) == N


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_knows_what_its_parent_knew_and_forgets_for_itself(serve):
    server = serve()
    get_n_times(requests_scitokens.get, server)
    (space,) = state.accepted
    child = os.fork()
    if child == 0:
        try:
            get_n_times(requests_scitokens.get, server)
            del state.accepted[space]
            get_n_times(requests_scitokens.get, server)
        except BaseException:  # noqa: BLE001, the child must not go on as a test
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    get_n_times(requests_scitokens.get, server)
    assert trips(server) == (N + 1) + (2 * N + 1) + N


# --- where it does not matter


@pytest.mark.parametrize("options", [{"force": True}, {"hosts": "localhost"}])
def test_where_the_token_goes_at_once_n_requests_cost_n(serve, options):
    server = serve()
    with Session(**options) as session:
        get_n_times(session.get, server)
    assert trips(server) == N


# --- what shows that a server has accepted a token


ACCEPTS = (200, 201, 204, 302, 304, 404, 409, 412, 416)
DOES_NOT = (400, 402, 405, 406, 431, 500, 502, 503)


@pytest.mark.parametrize("status", [*ACCEPTS, *DOES_NOT])
def test_the_answer_to_the_retry_tells(world, status):
    """A 404 says something about the file; a 400 or 431 may be about the token."""
    server = world(STORAGE)
    server.answer = lambda seen: (status if seen.authorization else 401, ())
    for _ in range(2):
        requests_scitokens.get(f"{STORAGE}/file", allow_redirects=False)
    sent = [seen.authorization is not None for seen in server.received]
    assert sent == ([False, True, True] if status in ACCEPTS else [False, True] * 2)


@pytest.mark.parametrize("status", [200, 302, 304, 404, 409, 412, 416, 500])
def test_what_a_token_got_that_went_at_once_tells_nothing(world, status):
    server = world(STORAGE)
    server.answer = lambda seen: (status if seen.authorization else 401, ())
    requests_scitokens.get(f"{STORAGE}/file", hosts=STORAGE, allow_redirects=False)
    requests_scitokens.get(f"{STORAGE}/file", allow_redirects=False)
    sent = [seen.authorization is not None for seen in server.received]
    assert sent == [True, False, True]


@pytest.mark.parametrize("status", [400, 431, 500])
def test_what_strangers_get_stays_reachable_at_a_server_that_does_not_know_tokens(
    world, status
):
    server = world(STORAGE)

    def answer(seen):
        if seen.authorization:
            return status, ()
        return (200 if seen.path == "/public" else 401), ()

    server.answer = answer
    assert requests_scitokens.get(f"{STORAGE}/private").status_code == status
    assert requests_scitokens.get(f"{STORAGE}/public").status_code == 200


CHALLENGE = (("WWW-Authenticate", 'Bearer error="insufficient_scope"'),)


@pytest.mark.parametrize(
    ("answer", "forgets"),
    [
        ((401, ()), True),
        ((401, CHALLENGE), True),
        ((403, ()), True),
        ((403, CHALLENGE), False),
        ((500, ()), False),
        ((404, ()), False),
    ],
)
def test_a_server_that_no_longer_accepts_the_token_is_asked_first_again(
    world, answer, forgets
):
    server = world(STORAGE)
    for now in ((200, ()), answer, (200, ())):
        server.answer = lambda seen, now=now: now if seen.authorization else (401, ())
        requests_scitokens.get(f"{STORAGE}/file")
    sent = [seen.authorization is not None for seen in server.received]
    # It went at once from habit, so it is asked as a stranger would ask.
    asked_again = answer[0] in (401, 403)
    assert sent == [
        *(False, True, True),
        *([False] * asked_again),
        *([False] * forgets),
        True,
    ]


@pytest.mark.parametrize("answer", [(401, ()), (403, ()), (403, CHALLENGE)])
def test_what_everybody_may_read_stays_readable_once_the_token_was_accepted(world, answer):
    """DCache answers 403 to a token whose scope does not name a public file."""
    server = world(STORAGE)
    server.answer = lambda seen: (
        (200, ())
        if bool(seen.authorization) is (seen.path == "/private")
        else ((401, ()) if seen.path == "/private" else answer)
    )
    paths = ("/public", "/private", "/public")
    statuses = [requests_scitokens.get(f"{STORAGE}{path}").status_code for path in paths]
    assert statuses == [200, 200, 200]
    sent = [(seen.path, bool(seen.authorization)) for seen in server.received]
    assert sent == [
        ("/public", False),
        ("/private", False),
        ("/private", True),
        ("/public", True),
        ("/public", False),
    ]


@pytest.mark.parametrize("options", [{"hosts": STORAGE}, {"force": True}])
def test_who_asked_for_the_token_gets_its_answer(world, options):
    server = world(STORAGE)
    server.answer = lambda seen: ((403 if seen.authorization else 200), ())
    assert requests_scitokens.get(f"{STORAGE}/public", **options).status_code == 403
    assert len(server.received) == 1


def test_where_strangers_are_refused_too_the_first_answer_stands(world):
    server = world(STORAGE)
    server.answer = lambda seen: (200, ()) if seen.authorization else (401, ())
    requests_scitokens.get(f"{STORAGE}/file")
    server.answer = lambda seen: ((403 if seen.authorization else 401), ())
    response = requests_scitokens.get(f"{STORAGE}/other")
    assert response.status_code == 403
    assert len(server.received) == 4


def test_what_went_at_once_tells_nothing(serve, issuer):
    server, token = serve(), issuer.mint()
    get_n_times(lambda url: requests.get(url, auth=HTTPSciTokenAuth(token)), server)
    assert not state.accepted
    get_n_times(requests_scitokens.get, server)
    assert trips(server) == 2 * N + 1
