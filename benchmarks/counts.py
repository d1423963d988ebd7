"""What can be counted exactly: calls, moves between modules, round trips, lines.

Nothing goes over the network. Prints JSON: the numbers by their names.
"""

import itertools
import json
import operator
import os
import sys
from collections import Counter
from pathlib import Path

import requests
from handlers import Floor, HeaderAndHook
from loops import handle, own_token
from memory import Challenger

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth

PACKAGE = requests_scitokens.__name__
#: Parts of the package that are not its core.
NOT_CORE = {
    "diagnosis": "diagnosis",
    "_diagnosis": "diagnosis",
    "testing": "testing",
    "__main__": "command",
}
#: Another host each time is one that has not accepted the token before.
HOSTS = itertools.count()
#: How often something is called before it is counted: what is done only once is done then.
WARM = 3


def main():
    """Count; the tokens are where `run.py` put them."""
    by_hand = calls(handle(HeaderAndHook(own_token())))
    counts = {
        "calls/given": calls(handle(HTTPSciTokenAuth(own_token()))) - by_hand,
        "calls/found": calls(handle(HTTPSciTokenAuth())) - by_hand,
        "calls/floor": calls(handle(Floor())) - by_hand,
    }
    # Handlers wait for a challenge with a token for any server.
    os.environ["XDG_RUNTIME_DIR"] = str(Path.home() / "any")
    counts["trips"] = trips()
    counts["moves/file"] = moves()
    os.environ["BEARER_TOKEN"] = own_token()
    counts["moves/variable"] = moves()
    print(json.dumps(counts | lines()))


def calls(call):
    """Return how many functions are called, of Python and of C."""
    return sum(event in {"call", "c_call"} for event, _ in profile(call))


def moves():
    """Return how often the module changes in which this package is, for one GET, 401, 200.

    Only the beginnings of functions are looked at, and not the returns to what called
    them; a generator begins anew each time it goes on.
    """
    session, adapter = challenged_session()
    events = profile(lambda: get(session, f"https://host{next(HOSTS)}.example.org/"))
    assert adapter.sent == 2 * (WARM + 1)
    modules = [module for event, module in events if event == "call"]
    ours = [name for name in modules if name.partition(".")[0] == PACKAGE]
    return sum(map(operator.ne, ours, ours[1:]))


def trips():
    """Return how often 1,000 requests to a server that wants a token are sent."""
    session, adapter = challenged_session()
    for _ in range(1000):
        get(session, "https://often.example.org/")
    return adapter.sent


def lines():
    """Return the lines of the package's core, and those of its other parts."""
    folder, counted = Path(requests_scitokens.__file__).parent, Counter()
    for path in folder.rglob("*.py"):
        first = path.relative_to(folder).parts[0].removesuffix(".py")
        counted[NOT_CORE.get(first, "core")] += len(path.read_text().splitlines())
    return {f"lines/{part}": number for part, number in counted.items()}


def profile(call):
    """Return what `sys.setprofile` hears of a call: events, and modules of functions."""
    for _ in range(WARM):
        call()
    events = []

    def hear(frame, event, _):
        events.append((event, frame.f_globals.get("__name__", "")))

    sys.setprofile(hear)
    try:
        call()
    finally:
        sys.setprofile(None)
    return events


def challenged_session():
    """Return a session that finds its token, and the adapter that asks for it."""
    session, adapter = requests.Session(), Challenger()
    session.auth = HTTPSciTokenAuth()
    session.mount("https://", adapter)
    return session, adapter


def get(session, url):
    """Send a request that is answered in the end."""
    assert session.get(url).status_code == 200


if __name__ == "__main__":
    main()
