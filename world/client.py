"""A user's program: client.py WAY ACTION URL [...]; prints what came of it, as JSON.

In the way "unchanged" it knows only Requests.
"""

import json
import os
import sys
import time

way, action, url, *more = sys.argv[1:]

if way == "unchanged":
    from requests import request as send
elif way == "auth=":
    import requests

    from requests_scitokens import HTTPSciTokenAuth

    def send(method, url, **kwargs):
        return requests.request(method, url, auth=HTTPSciTokenAuth(), **kwargs)

elif way == "get()":
    from requests_scitokens import request as send
else:
    from requests_scitokens import Session

    send = Session().request


def read():
    """Fetch a file."""
    response = send("GET", url)
    return response.status_code, response.text


def stored(content, body, headers):
    """Store a file, read it, and remove it."""
    written = send("PUT", url, data=body, headers=headers)
    back = send("GET", url)
    removed = send("DELETE", url)
    codes = written.status_code, back.status_code, removed.status_code
    return [*codes, back.content == content]


def store():
    """Store a file of a kind and size: bytes, an open file, a generator."""
    kind, size, headers = more[0], int(more[1]), json.loads(more[2])
    content = os.urandom(min(size, 1 << 16)) * max(1, size >> 16)
    if kind == "bytes":
        return stored(content, content, headers)
    if kind == "generator":
        parts = (content[n : n + 65536] for n in range(0, size, 65536))
        return stored(content, parts, headers)
    with open(f"{os.getpid()}.bin", "w+b") as file:
        os.unlink(file.name)
        file.write(content)
        file.seek(0)
        return stored(content, file, headers)


def watch():
    """Fetch a file for some seconds, and store one; count the answers and the tokens."""
    seconds, write = float(more[0]), more[1:]
    codes, tokens = {}, {"GET": set(), "PUT": set()}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        requests = [("GET", url, None), *(("PUT", one, b"new") for one in write)]
        for method, where, body in requests:
            response = send(method, where, data=body)
            code = f"{method} {response.status_code}"
            codes[code] = codes.get(code, 0) + 1
            first = response.history[0] if response.history else response
            tokens[method].add(first.request.headers.get("Authorization"))
        time.sleep(seconds / 60)
    return codes, {method: len(some) for method, some in tokens.items()}


print(json.dumps({"read": read, "store": store, "watch": watch}[action]()))
