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
from itertools import count, pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import pytest
from requests.adapters import HTTPAdapter

from requests_scitokens import Session, TokenNotFoundError, files, memory
from requests_scitokens.discovery import find
from requests_scitokens.testing import Redirect
from requests_scitokens.token import BearerToken

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
    return f"e30.{payload}.{'whole' * 20}"


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


def in_two_writes(path: Path) -> None:
    """Truncate it in the middle of the token's signature, which nobody can tell."""
    token = mint(time.time())
    with path.open("w") as file:
        file.write(token[:-50])
        file.flush()
        pause()
        file.write(token[-50:])


def in_many_writes(path: Path) -> None:
    """Truncate it anywhere: in its header, in its claims."""
    token = mint(time.time())
    with path.open("w") as file:
        for start in range(0, len(token), 50):
            file.write(token[start : start + 50])
            file.flush()
            time.sleep(EVERY / 20)


def after_an_expired_one(path: Path) -> None:
    path.with_suffix(".new").write_text(mint(time.time() - 60, lifetime=30))
    path.with_suffix(".new").rename(path)
    pause()
    by_rename(path)


WAYS = (
    by_rename,
    in_place,
    briefly_empty,
    briefly_absent,
    in_two_writes,
    in_many_writes,
    after_an_expired_one,
)


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
        born = BearerToken.parse(path.read_text()).claims["born"]
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


def test_no_request_fails_that_could_have_been_avoided(url, token_file):
    def send(_: int) -> Sent:
        started = time.time()
        try:
            ok = session.get(url, timeout=60).ok
        except TokenNotFoundError:
            ok = False
        return Sent(started, time.time(), ok)

    with renewed(token_file) as tokens, Session(force=True) as session:
        session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
        with ThreadPoolExecutor(THREADS) as pool:
            sent = sorted(pool.map(send, range(REQUESTS)))
    failed = [one for one in sent if not one.ok]
    avoidable = [one for one in failed if could_have_been_avoided(one, sent, tokens)]
    gap = max(b.since - a.since for a, b in pairwise(tokens))
    print(  # noqa: T201, for those who run the whole soak with `-s`
        f"\n{len(sent):,} requests, {len(tokens):,} renewals, at most {gap:.2f} s apart; "
        f"{len(failed)} failed, {len(avoidable)} of them could have been avoided"
    )
    assert avoidable == []


# --- why: for a moment after a file has changed, its last good token stands in


@pytest.fixture
def good(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have a token in the file that a server has taken; and moments that last."""
    monkeypatch.setattr(files, "MOMENT", 3600)
    monkeypatch.setattr(files, "TICK", 3600)
    token = mint(0, lifetime=4e9)
    token_file.write_text(token)
    found().accepted = time.time()
    return token


def found(*, fresh: bool = False) -> BearerToken | None:
    look, _ = find(fresh=fresh)
    return look and look.token


def serialized(*, fresh: bool = False) -> str | None:
    token = found(fresh=fresh)
    return token and token.serialized


BRIEFLY = {
    "empty": lambda path: path.write_text(""),
    "absent": Path.unlink,
    "malformed": lambda path: path.write_text("not a token"),
    "expired": lambda path: path.write_text(mint(0, lifetime=1)),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("change", BRIEFLY.values(), ids=BRIEFLY)
def test_what_is_there_only_for_a_moment_is_not_noticed(
    token_file, good, change, monkeypatch
):
    change(token_file)
    assert [serialized(), serialized(), serialized(fresh=True)] == [good] * 3
    later = time.time() + files.MOMENT + 0.1
    monkeypatch.setattr(time, "time", lambda: later)
    assert serialized() != good


def test_a_new_token_is_used_at_once(token_file, good):
    new = mint(1, lifetime=4e9)
    token_file.write_text(new)
    assert serialized() == new


def test_the_last_good_token_stands_in_for_a_refused_one(token_file, good):
    """One that was half written, for example."""
    token_file.write_text(good[:-5])
    assert serialized() == good[:-5]
    found().rejected = True
    assert serialized() == serialized(fresh=True) == good


def test_a_refused_token_stands_in_for_nothing(token_file, good):
    found().rejected = True
    token_file.write_text("")
    assert serialized() is None


def test_an_expired_token_stands_in_for_nothing(token_file):
    token_file.write_text(mint(0, lifetime=1))
    found().accepted = time.time()
    token_file.write_text("")
    assert serialized() is None


def test_a_token_that_no_server_took_stands_in_only_if_there_is_no_better(token_file, good):
    token_file.write_text("half")
    assert serialized() == "half"
    token_file.write_text("")
    assert serialized() == good
    BearerToken.parse(good).accepted = 0
    token_file.write_text("half")
    assert serialized() == "half"
    BearerToken.parse(good).rejected = True
    token_file.write_text("other")
    assert serialized() == "other"
    token_file.write_text("")
    assert serialized() == "half"


@pytest.mark.parametrize("directory", ["old", "gone"])
def test_a_file_that_was_removed_some_time_ago_is_gone(
    token_file, good, directory, monkeypatch
):
    """Where somebody has logged out, nothing is left to send."""
    token_file.unlink()
    if directory == "gone":
        token_file.parent.rmdir()
    else:
        later = time.time() + files.MOMENT + 0.1
        monkeypatch.setattr(time, "time", lambda: later)
    assert serialized() is None


def test_a_relative_path_has_a_directory_too(good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEARER_TOKEN_FILE", "token")
    Path("token").write_text(good)
    assert serialized() == good
    Path("token").unlink()
    assert serialized() == good


def test_a_file_that_has_just_changed_is_read_each_time(token_file, good):
    """It may change again while its times, which tick slowly, stay what they are."""
    times = token_file.stat()
    token_file.write_text(good[:-1] + "x")
    os.utime(token_file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert serialized() == good[:-1] + "x"
    with token_file.open("r+") as file:
        file.write(good)
    os.utime(token_file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert serialized() == good


def test_a_server_that_serves_makes_a_token_good(url, token_file):
    """Whether it was sent at once, or in answer to a challenge, or a renewed one."""
    for options in ({"force": True}, {}):
        memory.taken.clear()
        token_file.write_text(mint(time.time()))
        with Session(**options) as session:
            assert session.get(url, timeout=60).ok
            assert session.get(url, timeout=60).ok
        assert found().accepted


def test_a_redirect_or_an_error_does_not(serve, token_file, issuer):
    server = serve()
    token_file.write_text(issuer.mint())
    server.redirects["/moved"] = Redirect("http://127.0.0.1:1/")
    with Session(force=True) as session:
        assert session.get(f"{server.url}/moved", allow_redirects=False).status_code == 307
        assert session.get(f"{server.url}/missing").status_code == 404
    assert not found().accepted


def test_a_fresh_look_prefers_what_served_just_now(token_file, good):
    """What is there now may be half written; but what served long ago may be too old."""
    found().accepted = time.time()
    token_file.write_text(good[:-5])
    assert serialized() == good[:-5]
    assert serialized(fresh=True) == good
    BearerToken.parse(good).accepted -= 7200
    assert serialized(fresh=True) == good[:-5]
