"""A token file that is renewed in every way there is, while requests are made.

One command makes the whole soak of 100,000 requests (`make soak`); here a part of it runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import pytest
from requests.adapters import HTTPAdapter

from requests_scitokens import Session, TokenNotFoundError
from requests_scitokens._token import parse

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "3000"))
THREADS = 16
AGE = 1.0  # what the server takes, in seconds
EVERY = 0.1  # how often the file is renewed, in seconds

# What is tested is the client, and a hundred thousand requests should not take an hour:
# so the server is as cheap as can be, in a process of its own. It looks at the age of a
# token and at whether it is all there, and verifies no signature.
SERVER = r"""
import base64, json, re, selectors, socket, sys, time

AGE = float(sys.argv[1])
BEARER = re.compile(rb"\r\nAuthorization: Bearer (\S+)\r\n")

def accepts(head):
    token = BEARER.search(head)
    parts = token[1].split(b".") if token else []
    if len(parts) != 3 or parts[2] != b"whole" * 20:
        return False
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + b"=="))
    return claims["born"] > time.time() - AGE and claims["exp"] > time.time()

listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
selector, received = selectors.DefaultSelector(), {}
for source in (listener, sys.stdin):
    selector.register(source, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        source = key.fileobj
        if source is sys.stdin:
            sys.exit()
        if source is listener:
            client = listener.accept()[0]
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client, selectors.EVENT_READ)
            received[client] = b""
            continue
        data = source.recv(65536)
        if not data:
            selector.unregister(source)
            source.close()
            continue
        head = received[source] = received[source] + data
        if not head.endswith(b"\r\n\r\n"):
            continue
        received[source] = b""
        status = b"200 OK" if accepts(head) else b"401 No\r\nWWW-Authenticate: Bearer"
        source.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
"""


@pytest.fixture
def url() -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, str(AGE)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"


def mint(born: float, lifetime: float = 600) -> str:
    """Make a token that looks like one, and whose end shows if it is all there."""
    claims = {"born": born, "exp": born + lifetime, "iss": "https://issuer.example.org"}
    payload = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{payload}.{'whole' * 20}"


# --- the ways to renew a file: each leaves a whole token, and pauses in the middle


def pause() -> None:
    time.sleep(EVERY / 4)


def by_rename(path: Path) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(mint(time.time()))
    temporary.rename(path)


def in_place(path: Path) -> None:
    """Overwrite what is there, in one write of the same length."""
    with path.open("r+b") as file:
        file.write(mint(time.time()).encode())
        file.truncate()


def briefly_empty(path: Path) -> None:
    path.write_text("")
    pause()
    path.write_text(mint(time.time()))


def briefly_absent(path: Path) -> None:
    path.unlink()
    pause()
    by_rename(path)


def after_an_expired_one(path: Path) -> None:
    path.with_suffix(".new").write_text(mint(time.time() - 60, lifetime=30))
    path.with_suffix(".new").rename(path)
    pause()
    by_rename(path)


# Nobody writes half a token and pauses: writers that use one `write()` never tear it.
WAYS = (by_rename, in_place, briefly_empty, briefly_absent, after_an_expired_one)


class Whole(NamedTuple):
    """A whole token was in the file, from one moment to another."""

    born: float
    since: float
    until: float


def renew(path: Path, stop: Event, results: Connection) -> None:
    """Renew the file, in each of the ways in turn; in a process of its own."""
    tokens: list[Whole] = []
    by_rename(path)
    results.send(tokens)
    for turn in count():
        born = parse(path.read_text()).claims["born"]
        since = time.time()
        stopping = stop.wait(EVERY)
        tokens.append(Whole(born, since, time.time()))
        if stopping:
            break
        WAYS[turn % len(WAYS)](path)
    results.send(tokens)


@contextmanager
def renewed(path: Path) -> Iterator[list[Whole]]:
    """Have the file renewed; the list is filled at the end."""
    spawn = get_context("spawn")
    results, writer = spawn.Pipe(duplex=False)
    stop, tokens = spawn.Event(), []
    process = spawn.Process(target=renew, args=(path, stop, writer))
    process.start()
    writer.close()  # so that its end is seen here: `EOFError`
    try:
        results.recv()  # the first token is there
        yield tokens
    finally:
        stop.set()
        tokens += results.recv()
        process.join()


class Sent(NamedTuple):
    """A request, from one moment to another."""

    started: float
    ended: float
    ok: bool


def could_have_been_avoided(
    failed: Sent, by_start: list[Sent], tokens: list[Whole]
) -> bool:
    """Tell whether a correct client would have had a token that the server takes.

    That is a whole one that is not too old before the request has ended. The client has
    seen it if it was in the file as long as a request took: this one, or one before. So
    what is excused is a machine so busy that the file was not renewed in time, or that no
    request was made while a whole token was there.
    """
    for token in tokens:
        if token.born + AGE > failed.ended and token.since < failed.started:
            first = bisect_left(by_start, (token.since,))
            last = bisect_left(by_start, (token.until,))
            for seen in by_start[first:last]:
                before = seen.ended <= failed.started or seen is failed
                if before and seen.ended <= token.until:
                    return True
    return False


@pytest.mark.parametrize(
    ("token", "others", "avoidable"),
    [
        pytest.param((9.0, 9.1, 9.3), [(9.1, 9.2)], True, id="seen before"),
        pytest.param((9.0, 9.1, 9.3), [(9.0, 9.2)], False, id="when it was not there yet"),
        pytest.param((9.0, 9.1, 9.3), [(9.2, 9.4)], False, id="when it was there no more"),
        pytest.param((9.0, 9.1, 9.3), [], False, id="never seen"),
        pytest.param((8.8, 8.9, 9.3), [(9.1, 9.2)], False, id="too old"),
        pytest.param((9.0, 9.1, 9.9), [], True, id="there all the time"),
        pytest.param((9.0, 9.7, 9.9), [(9.8, 9.85)], False, id="there only afterwards"),
    ],
)
def test_the_rule_for_what_could_have_been_avoided(token, others, avoidable):
    failed = Sent(9.5, 9.8, ok=False)
    sent = sorted([failed, *(Sent(*times, ok=True) for times in others)])
    failed = next(one for one in sent if not one.ok)
    assert could_have_been_avoided(failed, sent, [Whole(*token)]) == avoidable


@pytest.fixture(params=["XDG_RUNTIME_DIR", "_CONDOR_CREDS"])
def file(request, token_file, tmp_path, monkeypatch) -> Path:
    """Where discovery finds a token, in HTCondor's directory too."""
    if request.param == "XDG_RUNTIME_DIR":
        return token_file
    monkeypatch.setenv("_CONDOR_CREDS", str(tmp_path))
    return tmp_path / "scitokens.use"


@pytest.mark.usefixtures("impatient")
def test_no_request_fails_that_could_have_been_avoided(url, file):
    def send(_: int) -> Sent:
        started = time.time()
        try:
            ok = session.get(url, timeout=60).ok
        except TokenNotFoundError:
            ok = False
        return Sent(started, time.time(), ok)

    with renewed(file) as tokens, Session(force=True) as session:
        session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
        with ThreadPoolExecutor(THREADS) as pool:
            sent = sorted(pool.map(send, range(REQUESTS)))
    failed = [one for one in sent if not one.ok]
    avoidable = [one for one in failed if could_have_been_avoided(one, sent, tokens)]
    gap = max(b.since - a.since for a, b in zip(tokens, tokens[1:]))
    print(  # noqa: T201, for those who run the whole soak with `-s`
        f"\n{len(sent):,} requests, {len(tokens):,} renewals, at most {gap:.2f} s apart; "
        f"{len(failed)} failed, {len(avoidable)} of them could have been avoided"
    )
    assert avoidable == []


# --- what the soak can only meet by chance


def test_a_new_token_is_sent_with_the_next_request(url, file):
    with Session(force=True) as session:
        for _ in range(3):
            file.write_text(mint(time.time()))
            assert session.get(url, timeout=60).ok


@pytest.mark.parametrize("way", [briefly_empty, briefly_absent])
def test_a_request_in_the_middle_of_a_renewal_has_the_token_before(
    url, file, monkeypatch, way
):
    answers: list[int] = []
    file.write_text(mint(time.time()))
    with Session(force=True) as session:
        session.get(url, timeout=60)

        def instead_of_a_pause(_: float) -> None:
            answers.append(session.get(url, timeout=60).status_code)

        monkeypatch.setattr(time, "sleep", instead_of_a_pause)
        way(file)
    assert answers
    assert set(answers) == {200}


def test_half_a_token_is_read_again_after_a_401(url, file):
    """Nobody can tell that it is not whole, until the server has said so."""
    token = mint(time.time())

    class Writer(HTTPAdapter):
        """Writes the other half after the first request."""

        def send(self, *args, **kwargs):
            response = super().send(*args, **kwargs)
            file.write_text(token)
            return response

    file.write_text(token[:-50])
    with Session(force=True) as session:
        session.mount("http://", Writer())
        response = session.get(url, timeout=60)
    assert [one.status_code for one in (*response.history, response)] == [401, 200]


def test_a_file_that_was_removed_a_second_ago_is_gone(url, file, monkeypatch):
    """Where somebody has logged out, nothing is left to send."""
    file.write_text(mint(time.time()))
    with Session(force=True) as session:
        assert session.get(url, timeout=60).ok
        file.unlink()
        assert session.get(url, timeout=60).ok
        later = time.monotonic() + 1.01
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(TokenNotFoundError):
            session.get(url, timeout=60)
