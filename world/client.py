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
    content = os.urandom(1 << 16) * (size >> 16)
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
    """Fetch a file for some seconds; how often each answer and how many tokens came."""
    codes, tokens = {}, {}
    end = time.monotonic() + float(more[0])
    while time.monotonic() < end:
        response = send("GET", url)
        code = response.status_code
        codes[code] = codes.get(code, 0) + 1
        tokens[response.request.headers.get("Authorization")] = True
        time.sleep(0.25)
    return codes, len(tokens)


print(json.dumps({"read": read, "store": store, "watch": watch}[action]()))
