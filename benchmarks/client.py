"""One package with the token that it discovers, in a process and environment of its own.

For each line on standard input, which says how many requests to make, it prints the CPU
time of one request, in seconds.
"""

import sys
import time
from pathlib import Path

import requests


def main(package, url, issuer):
    """Send requests, with the handler of `requests_scitokens` or `igwn_auth_utils`."""
    know_the_key(issuer)
    session = requests.Session()
    session.auth = HANDLERS[package]()
    session.get(url, timeout=60)
    print("ready", flush=True)
    for line in sys.stdin:
        number = int(line)
        started = time.process_time()
        for _ in range(number):
            assert session.get(url, timeout=60).content == b"hello\n"
        print((time.process_time() - started) / number, flush=True)


def at_once():
    """Attach the token at once: this package, or 0.2.1."""
    from requests_scitokens import HTTPSciTokenAuth

    return HTTPSciTokenAuth(force=True)


def challenged():
    """Wait for a challenge: this package, or 0.2.1."""
    from requests_scitokens import HTTPSciTokenAuth

    return HTTPSciTokenAuth()


def igwn():
    """Attach the token at once, as igwn-auth-utils always does."""
    from igwn_auth_utils.requests import HTTPSciTokenAuth

    return HTTPSciTokenAuth()


HANDLERS = {"at once": at_once, "challenged": challenged, "igwn": igwn}


def know_the_key(issuer):
    """Put the issuer's key into the cache of scitokens: nothing is fetched then."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from scitokens.utils.keycache import KeyCache

    key = load_pem_public_key(Path.home().joinpath("key.pem").read_bytes())
    times = {"cache_timer": 86400, "next_update": 86400}
    KeyCache.getinstance().addkeyinfo(issuer, "test", key, **times)


if __name__ == "__main__":
    main(*sys.argv[1:])
