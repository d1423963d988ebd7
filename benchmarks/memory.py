"""Many requests to ten thousand origins, and the memory of the process meanwhile.

The answers come from an adapter instead of a server, and the requests are copies of one:
what could grow is in the handler, and the rest would take much longer.
"""

import gc
import json
import os
import sys

import requests
from requests.adapters import BaseAdapter
from requests.hooks import dispatch_hook

from requests_scitokens import HTTPSciTokenAuth

ORIGINS = 10_000


class Challenger(BaseAdapter):
    """Wants a token, as a server does."""

    sent = 0

    def send(self, request, **_):
        """Answer with 200, or with a challenge."""
        self.sent += 1
        response = requests.Response()
        response.status_code = 200 if "Authorization" in request.headers else 401
        response.headers["WWW-Authenticate"] = "Bearer"
        response.url, response.request, response.connection = request.url, request, self
        response._content = b"hello\n"
        return response

    def close(self):
        """Nothing is open."""


def main(sends):
    """Print MiB and Python's blocks after 10,000 requests, and after all of them."""
    auth, adapter = HTTPSciTokenAuth(), Challenger()
    template = requests.Request("GET", "https://a.example.org/").prepare()
    memory = []
    for number in range(1, sends + 1):
        request = template.copy()
        request.url = f"https://host{number % ORIGINS}.example.org/hello.txt"
        response = adapter.send(auth(request))
        assert dispatch_hook("response", request.hooks, response).status_code == 200
        if number in (ORIGINS, sends):
            gc.collect()
            memory.append([number, resident(), sys.getallocatedblocks()])
    print(json.dumps(memory))


def resident():
    """Return the resident memory of this process, in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main(int(sys.argv[1]))
