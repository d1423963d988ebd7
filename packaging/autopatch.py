"""Runs an unchanged program, with the variable and without, against a server.

Standard library and Requests only: it is what an installed package is tried with, in
environments that have nothing else.
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

PROGRAM = "import requests, sys; print(requests.get(sys.argv[1]).text)"
VERSIONS = """
from importlib.metadata import version
print(*(name + " " + version(name) for name in ("requests", "wrapt", "requests-scitokens")))
"""
IN_CODE = """
import sys
import requests_scitokens
auth = requests_scitokens.HTTPSciTokenAuth(force=True)
print(requests_scitokens.get(sys.argv[1], auth=auth).text)
print(type(auth.find_token()).__module__, auth.find_token()["aud"])
"""


def part(claims):
    """Encode one part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


# Nobody verifies the signature here.
claims = {"iss": "https://issuer.example", "aud": "ANY", "exp": int(time.time()) + 600}
TOKEN = f"{part({'alg': 'ES256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmVk"


class Protected(BaseHTTPRequestHandler):
    """Asks for a token, and tells whether it got it."""

    def do_GET(self):
        """Answer one request."""
        allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
        text = b"welcome" if allowed else b"refused"
        self.send_response(200 if allowed else 401)
        if not allowed:
            self.send_header("WWW-Authenticate", 'Bearer realm="test"')
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        """Say nothing."""


server = HTTPServer(("127.0.0.1", 0), Protected)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"


HERE = {"REQUESTS_SCITOKENS_HOSTS": "127.0.0.1"}  # the token is for any server


def run(program, **variables):
    """Run a program with a token in its environment; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, url],
        env={**os.environ, "BEARER_TOKEN": TOKEN, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        text=True,
        check=False,
    )
    return done.stdout.strip()


print("Python", sys.version.split()[0], run(VERSIONS))
for expected, program, variables in [
    ("refused", PROGRAM, {}),
    ("welcome", PROGRAM, {"REQUESTS_SCITOKENS_AUTOPATCH": "1", **HERE}),
    ("refused", PROGRAM, {"REQUESTS_SCITOKENS_AUTOPATCH": "0"}),
    ("welcome\nscitokens.scitokens ANY", IN_CODE, {}),
]:
    got = run(program, **variables)
    print(" ".join(f"{name}={value}" for name, value in variables.items()) or "-", got)
    if got != expected:
        sys.exit(f"expected {expected!r}")
