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
from requests.auth import AuthBase
from requests.hooks import default_hooks, dispatch_hook

import requests_scitokens.patch as autopatch
from requests_scitokens import HTTPSciTokenAuth

autopatch.disable()  # importing it switched it on
TIMEOUT = 60
#: What Requests hands to a response hook.
SENT_WITH = {
    "timeout": TIMEOUT,
    "verify": True,
    "cert": None,
    "proxies": {},
    "stream": False,
}


def main(rounds, url, xrootd_url):
    """Measure; without an XRootD its URL is empty."""
    token = Path(os.environ["XDG_RUNTIME_DIR"], f"bt_u{os.geteuid()}").read_text()
    header = {"Authorization": f"Bearer {token}"}
    by_hand, given, found = (
        HeaderAndHook(token),
        HTTPSciTokenAuth(token),
        HTTPSciTokenAuth(),
    )
    with patched():
        patched_session = requests.Session()

    handler = {
        "by hand": (nullcontext, handle(by_hand)),
        "given": (nullcontext, handle(given)),
        "found": (nullcontext, handle(found)),
    }
    session = {
        "header": (nullcontext, fetch(session_with(headers=header).get, url)),
        "by hand": (nullcontext, fetch(session_with(auth=by_hand).get, url)),
        "given": (nullcontext, fetch(session_with(auth=given).get, url)),
        "found": (nullcontext, fetch(session_with(auth=found).get, url)),
        "accepted": (token_for_any_server, fetch(session_with(auth=found).get, url)),
        "patched": (patched, fetch(patched_session.get, url)),
    }
    get = {
        "header": (nullcontext, fetch(requests.get, url, headers=header)),
        "patched": (patched, fetch(requests.get, url)),
    }
    seconds = {
        **measure("handler", handler, 2 * rounds, 25, time.process_time),
        **measure("session", session, rounds, 10, time.process_time),
        **measure("get", get, rounds, 10, time.process_time),
    }
    if xrootd_url:
        xrootd = {
            "header": (nullcontext, fetch(session_with(headers=header).get, xrootd_url)),
            "found": (nullcontext, fetch(session_with(auth=found).get, xrootd_url)),
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


class HeaderAndHook(AuthBase):
    """The least that a handler with a response hook can do."""

    def __init__(self, token):
        self.header = f"Bearer {token}"

    def __call__(self, request):
        """Set the header, and register the hook."""
        request.headers["Authorization"] = self.header
        request.register_hook("response", self.look)
        return request

    def look(self, response, **_):
        """Return the response."""
        return response


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


def fetch(get, url, **arguments):
    """Return a function that fetches the URL."""

    def call():
        assert get(url, timeout=TIMEOUT, **arguments).content == b"hello\n"

    return call


def session_with(*, headers=(), auth=None):
    """Return a session with these headers, or this handler."""
    session = requests.Session()
    session.headers.update(headers)
    session.auth = auth
    return session


@contextmanager
def patched():
    """Have the autopatch switched on."""
    autopatch.enable()
    try:
        yield
    finally:
        autopatch.disable()


@contextmanager
def token_for_any_server():
    """Have a token for any server where tokens are found, not one for this server."""
    before = os.environ["XDG_RUNTIME_DIR"]
    os.environ["XDG_RUNTIME_DIR"] = str(Path.home() / "any")
    try:
        yield
    finally:
        os.environ["XDG_RUNTIME_DIR"] = before


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
