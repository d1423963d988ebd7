"""Thousands of files, from many processes, while the token is renewed on disk."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import pytest
import requests
from distributed import Client, wait

from requests_scitokens import Session

from .cluster import AUTOPATCH, Cluster

FILES = 2000 if os.environ.get("REQUIRE_REAL_SERVERS") == "1" else 400
HALVES = "/cluster/first", "/cluster/second"
LIFETIME, RENEWED_EVERY = 12, 0.5  # in seconds

# A user's module, that workers import by its name. `fetch` knows nothing of tokens.
ANALYSIS = """
import requests

def fetch(url):
    response = requests.get(url, timeout=60)
    response.raise_for_status()
    return response.text

def fetch_with(url, session):
    response = session.get(url, timeout=60)
    response.raise_for_status()
    return response.text

def auth():
    return type(requests.Session().auth).__name__
"""


@pytest.fixture
def analysis(tmp_path, monkeypatch):
    (tmp_path / "analysis.py").write_text(ANALYSIS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    # Unchanged programs are not measured for coverage.
    for name in [name for name in os.environ if name.startswith("COV")]:
        monkeypatch.delenv(name)
    yield importlib.import_module("analysis")
    del sys.modules["analysis"]


# --- protected files, and a token that is renewed


@pytest.fixture
def storage(xrootd, trusted):
    """Use a real XRootD with many files, in two folders."""
    for half in HALVES:
        folder = xrootd.root / half.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for n in range(FILES // 2):
            (folder / str(n)).write_text(f"{half} {n}")
            (folder / str(n)).chmod(0o644)
        folder.chmod(0o755)
        folder.parent.chmod(0o755)
    return xrootd


class Renewed:
    """A token file that is written anew all the time, as credential monitors do."""

    def __init__(self, path, mint):
        self.tokens = []
        self._path, self._mint, self._scope = path, mint, f"read:{HALVES[0]}"
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._write()
        self._first_expires = time.time() + LIFETIME
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(RENEWED_EVERY):
            self._write()

    def _write(self):
        with self._lock:
            self.tokens.append(self._mint(self._scope, lifetime=LIFETIME))
            new = self._path.with_suffix(".new")
            new.write_text(self.tokens[-1])
            new.replace(self._path)

    def let_the_first_expire(self):
        """From now on renew it with another scope, and wait until it has expired.

        XRootD remembers for a minute what it has accepted, so that it refuses an
        expired token late, but one of another scope at once.
        """
        self._scope = f"read:{HALVES[1]}"
        self._write()
        while time.time() < self._first_expires:
            time.sleep(0.1)


@pytest.fixture
def renewed(storage, issuer, token_file):
    def mint(scope, lifetime):
        return issuer.mint(scope, audience=storage.audience, lifetime=lifetime)

    with Renewed(token_file, mint) as renewed:
        yield renewed


def fetch_all(storage, renewed, *ways):
    """Fetch half of the files; and the rest, when the first token has expired."""
    for half in HALVES:
        urls = [f"{storage.url}{half}/{n}" for n in range(FILES // 2)]
        for fetch in ways:
            assert fetch(urls) == [f"{half} {n}" for n in range(FILES // 2)]
        if half == HALVES[0]:
            renewed.let_the_first_expire()
    old = {"Authorization": f"Bearer {renewed.tokens[0]}"}
    assert requests.get(urls[0], headers=old, timeout=60).status_code == 403


# --- Dask


@pytest.fixture
def cluster(tmp_path, analysis):
    with Cluster(tmp_path) as cluster:
        yield cluster


def tasks(dask_scheduler):
    """Return the task graph, as the scheduler has it."""
    return b"".join(pickle.dumps(task.run_spec) for task in dask_scheduler.tasks.values())


def test_workers_fetch_thousands_of_files(cluster, analysis, storage, renewed, issuer):
    """With an unchanged function where they are patched, with sessions elsewhere."""
    cluster.start_workers("patched", 2, **{"pre-spawn-environ": AUTOPATCH})
    cluster.start_workers("plain", 2)
    graphs = []
    with Client(scheduler_file=str(cluster.scheduler_file)) as client:
        client.wait_for_workers(4, timeout=120)

        def gathered(futures):
            got = client.gather(futures)
            graphs.append(client.run_on_scheduler(tasks))
            return got

        def unchanged(urls):
            workers = ["patched-0", "patched-1"]
            return gathered(client.map(analysis.fetch, urls, workers=workers))

        def with_session(urls):
            workers = ["plain-0", "plain-1"]
            with Session() as session:
                # Sent once to each worker, it keeps its connections.
                there = client.scatter(session, workers=workers, broadcast=True)
                futures = client.map(
                    analysis.fetch_with, urls, session=there, workers=workers
                )
                return gathered(futures)

        fetch_all(storage, renewed, unchanged, with_session)

        url = f"{storage.url}{HALVES[1]}/0"
        refused = client.submit(analysis.fetch, url, workers=["plain-0"])
        missing = client.submit(analysis.fetch, f"{url}-missing", workers=["patched-0"])
        wait([refused, missing], timeout=120)
        assert refused.exception().response.status_code == 403
        assert missing.exception().response.status_code == 404

        given = issuer.mint(f"read:{HALVES[1]}", audience=storage.audience)
        with Session(token=given) as session:
            future = client.submit(analysis.fetch_with, url, session)
            assert future.result(120) == f"{HALVES[1]} 0"
            theirs = client.run_on_scheduler(tasks)

    cluster.close()
    log = cluster.log()
    assert log.count(f"{HALVES[1]}/0-missing") >= 2  # urllib3 and Dask say it
    assert all(HALVES[0].encode() in graph for graph in graphs[:2])
    secret = {token: token.rpartition(".")[2] for token in [*renewed.tokens, given]}
    assert not [one for one in secret.values() if one in log]
    assert not [one for one in secret.values() if any(one.encode() in g for g in graphs)]
    assert secret[given].encode() in theirs  # who gives it puts it there


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("pre-spawn-environ", "HTTPSciTokenAuth"), ("environ", "NoneType")],
)
def test_the_variable_has_to_be_there_before_a_worker_is(
    cluster, analysis, setting, expected
):
    cluster.start_workers("only", 1, **{setting: AUTOPATCH})
    with Client(scheduler_file=str(cluster.scheduler_file)) as client:
        assert client.submit(analysis.auth).result(120) == expected


# --- process pools

UNCHANGED = """
import json, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from analysis import fetch

if __name__ == "__main__":
    methods = map(multiprocessing.get_context, ["fork", "forkserver", "spawn"])
    pools = [ProcessPoolExecutor(1, method) for method in methods]
    for line in sys.stdin:
        urls = json.loads(line)
        futures = [pools[n % 3].submit(fetch, url) for n, url in enumerate(urls)]
        print(json.dumps([future.result() for future in futures]), flush=True)
    for pool in pools:
        pool.shutdown()
"""


def test_process_pools_fetch_thousands_of_files(analysis, storage, renewed, tmp_path):
    """An unchanged program's, of every kind; and one that gets a session by pickle."""
    (tmp_path / "program.py").write_text(UNCHANGED)
    program = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "program.py"],
        env={**os.environ, **AUTOPATCH},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def unchanged(urls):
        program.stdin.write(json.dumps(urls) + "\n")
        program.stdin.flush()
        return json.loads(program.stdout.readline())

    context = multiprocessing.get_context("spawn")
    with program, Session() as session, ProcessPoolExecutor(2, context) as pool:

        def with_session(urls):
            return list(pool.map(analysis.fetch_with, urls, repeat(session), chunksize=20))

        fetch_all(storage, renewed, unchanged, with_session)
        assert program.communicate(timeout=120) == ("", None)
    assert program.returncode == 0
