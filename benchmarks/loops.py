"""What a request costs, with and without the package: warm loops in one process.

The ways to make a request take turns in short blocks, in another order in each round. So
what else the machine does hits all of them alike, and so does the luck of one process.
Prints JSON: for each way the seconds of one call, round by round.
"""

import json
import os
import random
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import requests
from environments import STORAGE
from handlers import Floor, FloorOfTheAutopatch, HeaderAndHook
from requests.hooks import default_hooks, dispatch_hook

from requests_scitokens import HTTPSciTokenAuth

TIMEOUT = 60
#: What Requests hands to a response hook.
SENT_WITH = {
    "timeout": TIMEOUT,
    "verify": True,
    "cert": None,
    "proxies": {},
    "stream": False,
}


def main(rounds, xrootd_url):
    """Measure; without an XRootD its URL is empty."""
    token = own_token()
    handler = {
        "by hand": (nullcontext, handle(HeaderAndHook(token))),
        "given": (nullcontext, handle(HTTPSciTokenAuth(token))),
        "floor": (nullcontext, handle(Floor())),
        "found": (nullcontext, handle(HTTPSciTokenAuth())),
    }
    seconds = measure("handler", handler, 2 * rounds, 25, time.process_time)
    if xrootd_url:
        sessions = {
            "header": (nullcontext, requests.Session()),
            "floor": (nullcontext, session_with(Floor())),
            "found": (nullcontext, session_with(HTTPSciTokenAuth())),
            "patched floor": (nullcontext, session_with(FloorOfTheAutopatch())),
            "patched": (patched, patched_session()),
        }
        sessions["header"][1].headers["Authorization"] = f"Bearer {token}"
        xrootd = {
            name: (context, fetch(session, xrootd_url))
            for name, (context, session) in sessions.items()
        }
        seconds |= measure("xrootd", xrootd, 10 * rounds, 3, time.perf_counter)
    print(json.dumps(seconds))


def measure(group, ways, rounds, size, clock):
    """Return the seconds of one call of each way, round by round.

    A way is a context for the block, and what is called in it.
    """
    seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name in random.sample(list(ways), len(ways)):
            context, call = ways[name]
            with context():
                call()  # warm again after the others, and after a switch
                started = clock()
                for _ in range(size):
                    call()
                seconds[name].append((clock() - started) / size)
    return {f"{group}/{name}": of_rounds for name, of_rounds in seconds.items()}


def handle(auth):
    """Return a function that does what Requests has a handler do for a request."""
    request, response = requests.PreparedRequest(), requests.Response()
    request.prepare("GET", STORAGE)
    response.status_code, response.url, response.request = 200, STORAGE, request

    def call():
        request.headers.pop("Authorization", None)
        request.hooks = default_hooks()
        auth(request)
        dispatch_hook("response", request.hooks, response, **SENT_WITH)

    call()
    assert "Authorization" in request.headers
    return call


def fetch(session, url):
    """Return a function that fetches the URL."""

    def call():
        assert session.get(url, timeout=TIMEOUT).content == b"hello\n"

    return call


def own_token():
    """Return the token in the file where it is looked for."""
    path = Path(os.environ["XDG_RUNTIME_DIR"], f"bt_u{os.geteuid()}")
    return path.read_text()


def session_with(auth):
    """Return a session with this handler."""
    session = requests.Session()
    session.auth = auth
    return session


def patched_session():
    """Return a session that the autopatch gave its handler."""
    with patched():
        return requests.Session()


@contextmanager
def patched():
    """Have the autopatch switched on, and leave Requests as it was.

    What a switched-off autopatch leaves there, the header by hand would go through too.
    """
    classes = (*requests.Session.__mro__[:-1], *requests.PreparedRequest.__mro__[:-1])
    before = [(owner, dict(vars(owner))) for owner in classes]
    import requests_scitokens.patch as autopatch

    autopatch.enable()
    try:
        yield
    finally:
        autopatch.disable()
        for owner, methods in before:
            for name, method in methods.items():
                if vars(owner)[name] is not method:
                    setattr(owner, name, method)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
