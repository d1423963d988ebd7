"""Threads, processes, gevent: one handler serves them all."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import requests

from requests_scitokens import HTTPSciTokenAuth, Session
from requests_scitokens._exchange import Exchange

THREADS = 64

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(autouse=True)
def unbound(issuer, token_file):
    token_file.write_text(issuer.mint())


def in_threads(function):
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda _: function(), range(4 * THREADS)))


def test_one_session_serves_many_threads(serve):
    server = serve()
    with Session() as session:
        got = in_threads(lambda: session.get(f"{server.url}/hello.txt").content)
    assert set(got) == {b"hello\n"}
    assert len(server.received) <= 5 * THREADS  # one challenge each, at most


def test_one_handler_serves_many_threads(serve):
    server, auth = serve(answer="storm"), HTTPSciTokenAuth()
    got = in_threads(lambda: requests.get(f"{server.url}/hello.txt", auth=auth).content)
    assert set(got) == {b"hello\n"}


@pytest.mark.usefixtures("patched")
def test_a_patched_process_serves_many_threads(serve, monkeypatch):
    server = serve()
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    got = in_threads(lambda: requests.get(f"{server.url}/hello.txt").content)
    assert set(got) == {b"hello\n"}


def test_a_token_function_may_wait_for_another_request(serve, issuer):
    """No lock is held while the user's function runs, or while the network does."""
    server, both = serve(), threading.Barrier(2, timeout=30)

    def function(url):
        both.wait()
        return issuer.mint()

    with ThreadPoolExecutor(2) as pool, Session(token=function) as session:
        found = pool.map(session.get, [f"{server.url}/hello.txt"] * 2)
        assert all(response.ok for response in found)


@pytest.mark.parametrize("options", [{}, {"force": True}])
def test_requests_wait_for_the_network_side_by_side(serve, options):
    """Each is answered only when the other's token has arrived, too."""
    server, both = serve(answer="storm"), threading.Barrier(2, timeout=30)

    def accept_together(_: str) -> bool:
        both.wait()
        return False

    server.rejects = accept_together
    with ThreadPoolExecutor(2) as pool, Session(**options) as session:
        found = pool.map(session.get, [f"{server.url}/hello.txt"] * 2)
        assert all(response.ok for response in found)


def test_every_origin_that_led_on_is_known_whichever_thread_was_there():
    origins = [f"https://{number}.example.org" for number in range(THREADS)]
    for _ in range(20):
        shared, together = (
            Exchange(HTTPSciTokenAuth(), "https://a.example.org/"),
            threading.Barrier(THREADS),
        )

        def leave(origin, shared=shared, together=together):
            response = requests.Response()
            response.url = f"{origin}/"
            together.wait(30)
            shared._note(response)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(leave, origins))
        request = requests.Request("PUT", "https://a.example.org/back").prepare()
        came_by = shared.situation(request, request.url, None).came_by
        assert {str(one) for one in came_by} == set(origins)


def fetch(session, url):
    """Fetch in another process; return the status, and how often it was asked."""
    response = session.get(url, timeout=30)
    return response.status_code, len(response.history)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_sessions_go_to_other_processes(serve, method):
    server = serve()
    context = multiprocessing.get_context(method)
    with Session() as session, ProcessPoolExecutor(1, context) as pool:
        url = f"{server.url}/hello.txt"
        assert session.get(url).ok
        asked = 0 if method == "fork" else 1  # what is remembered is inherited
        assert pool.submit(fetch, session, url).result(60) == (200, asked)


@pytest.mark.usefixtures("patched")
def test_a_patched_session_goes_to_a_process_that_is_not_patched(tmp_path):
    pickled = tmp_path / "session"
    pickled.write_bytes(pickle.dumps(requests.Session()))
    program = f"""
import pickle, requests
session = pickle.load(open({str(pickled)!r}, "rb"))
request = session.prepare_request(requests.Request("GET", "https://a.example.org/"))
print(request.hooks, request.headers.get("Authorization"))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "{'response': []} None\n"


FORKS = """
import os, signal, sys, threading
import requests
from requests_scitokens import HTTPSciTokenAuth, Session
from requests_scitokens import _state as state

url, stop = sys.argv[1], threading.Event()
sys.setswitchinterval(1e-6)

def busy():
    with Session() as session:
        while not stop.is_set():
            session.get(url)

threads = [threading.Thread(target=busy) for _ in range(4)]
for thread in threads:
    thread.start()
found = set()
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a lock that another thread held is never released here
        auth = HTTPSciTokenAuth()
        request = requests.Request("GET", url).prepare()
        state.accepted.put("child", True)
        os._exit(0 if "child" in state.accepted and auth(request) else 1)
    found.add(os.waitpid(child, 0)[1])
    if found != {0}:
        break
stop.set()
for thread in threads:
    thread.join()
print(found)
"""


@pytest.mark.usefixtures("trusted", "uncovered")
def test_fork_in_the_middle_of_requests_leaves_nothing_locked(serve):
    """In a program of its own without coverage, which itself holds a lock at times."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, f"{serve().url}/hello.txt"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "{0}\n"


def test_gevent_serves_many_greenlets(serve, trusted, monkeypatch):
    server = serve()
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    program = """
import sys
from gevent import monkey, pool
monkey.patch_all()
import requests
import requests_scitokens.patch
with requests.Session() as session:
    got = pool.Pool(64).map(lambda _: session.get(sys.argv[1]).status_code, range(256))
print(set(got))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, f"{server.url}/hello.txt"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "{200}\n"
