"""An origin that has taken an unbound token gets it at once from then on.

So N requests to an origin that challenges cost N+1 round trips.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, Session, memory
from requests_scitokens.origin import Origin, origin_of

from .ways import CHOSEN, unchanged

N = 10


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
@pytest.mark.parametrize("answer", ["bearer", "apache"])
def test_n_calls_under_the_autopatch_cost_one_more(serve, answer):
    server = serve(answer=answer)
    get_n_times(lambda url: unchanged("GET", url), server)
    assert trips(server) == N + 1


@pytest.mark.usefixtures("patched")
def test_n_requests_through_one_session_under_the_autopatch_cost_one_more(serve):
    server = serve()
    with requests.Session() as session:
        get_n_times(session.get, server)
    assert trips(server) == N + 1


@pytest.mark.usefixtures("patched")
def test_all_ways_share_what_they_know(serve):
    server = serve()
    for send in (unchanged, *CHOSEN):
        get_n_times(lambda url, send=send: send("GET", url), server)
    assert trips(server) == (1 + len(CHOSEN)) * N + 1


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


@pytest.mark.usefixtures("patched")
def test_the_autopatch_forgets_too(serve, token_file):
    server = serve()
    get_n_times(requests.get, server)
    server.rejects.add(token_file.read_text())
    assert requests.get(f"{server.url}/hello.txt").status_code == 401
    server.rejects.clear()
    del server.received[:]
    get_n_times(requests.get, server)
    assert trips(server) == N + 1


def test_memory_is_bounded_and_what_was_forgotten_is_asked_again(serve):
    server = serve()
    get_n_times(requests_scitokens.get, server)
    (space,) = memory.taken._entries
    for number in range(20_000):
        memory.taken.add((Origin("https", f"host{number}.example.org", 443), ("x",)))
        assert len(memory.taken._entries) <= 10_000
    assert space not in memory.taken
    del server.received[:]
    get_n_times(requests_scitokens.get, server)
    assert trips(server) == N + 1


# --- threads and processes


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
    (space,) = memory.taken._entries
    child = os.fork()
    if child == 0:
        try:
            get_n_times(requests_scitokens.get, server)
            memory.taken.discard(space)
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
    assert (origin_of(server.url), ()) not in memory.taken


def test_a_given_unbound_token_is_not_remembered(serve, issuer):
    server, token = serve(), issuer.mint()
    get_n_times(lambda url: requests.get(url, auth=HTTPSciTokenAuth(token)), server)
    assert trips(server) == N
    assert memory.taken._entries == {}
