"""One competitor, in a process of its own: many requests, and what they cost it.

Runs in each environment. For each line on standard input, which says how many requests to
make, it prints how much CPU time they took, in seconds.
"""

import json
import os
import sys
import time
from pathlib import Path

import requests

TIMEOUT = 60


def main(way, urls):
    """Send requests to the last URL, after one to each of the others."""
    token = Path(os.environ["XDG_RUNTIME_DIR"], f"bt_u{os.geteuid()}").read_text()
    get = WAYS[way](token)
    for url in urls[:-1]:
        assert get(url).content == b"hello\n"
    url = urls[-1]
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.process_time()
        for _ in range(int(line)):
            assert get(url).content == b"hello\n"
        print(time.process_time() - started, flush=True)


def _with_session(session):
    return lambda url: session.get(url, timeout=TIMEOUT)


def _with_auth(auth):
    session = requests.Session()
    session.auth = auth
    return _with_session(session)


def session_header(token):
    """Use a session that has the header, written by hand."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    return _with_session(session)


def get_header(token):
    """Use `requests.get` with the header, written by hand."""
    headers = {"Authorization": f"Bearer {token}"}
    return lambda url: requests.get(url, headers=headers, timeout=TIMEOUT)


def handler(**arguments):
    """Return a way that uses `HTTPSciTokenAuth`: this package's, or that of 0.2.1."""

    def way(_token):
        from requests_scitokens import HTTPSciTokenAuth

        return _with_auth(HTTPSciTokenAuth(**arguments))

    return way


def handler_given(token):
    """Use `HTTPSciTokenAuth(token)`."""
    from requests_scitokens import HTTPSciTokenAuth

    return _with_auth(HTTPSciTokenAuth(token))


def session_unchanged(_token):
    """Use a session as Requests makes it; under the autopatch."""
    return _with_session(requests.Session())


def get_unchanged(_token):
    """Use `requests.get` as it is; under the autopatch."""
    return lambda url: requests.get(url, timeout=TIMEOUT)


def predecessor(**arguments):
    """Return a way that uses requests-scitokens 0.2.1, which wants the issuer's key."""

    def way(token):
        _know_the_key()
        return handler(**arguments)(token)

    return way


def igwn(_token):
    """Use the handler of igwn-auth-utils, which wants the issuer's key too."""
    from igwn_auth_utils.requests import HTTPSciTokenAuth

    _know_the_key()
    return _with_auth(HTTPSciTokenAuth())


def _know_the_key():
    """Put the issuer's key into the cache of scitokens: nothing is fetched then."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from scitokens.utils.keycache import KeyCache

    key = load_pem_public_key(Path.home().joinpath("key.pem").read_bytes())
    times = {"cache_timer": 86400, "next_update": 86400}
    KeyCache.getinstance().addkeyinfo("https://issuer.example.org", "key", key, **times)


WAYS = {
    "session_header": session_header,
    "get_header": get_header,
    "handler_given": handler_given,
    "handler": handler(),
    "handler_force": handler(force=True),
    "session_unchanged": session_unchanged,
    "get_unchanged": get_unchanged,
    "predecessor": predecessor(),
    "predecessor_force": predecessor(force=True),
    "igwn": igwn,
}

if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
