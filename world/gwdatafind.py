"""A gwdatafind-server, and the real client, which has tokens of its own."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from requests_scitokens.testing import Issuer
from tests.xrootd import free_port, shakes_hands

from .frame import FailedError, Row, Server, User, battery, broken, eventually, noted

URL = "file://localhost/frames/H-H1_TEST-1000000000-64.gwf"
FRAMES = (
    "# version: 0x0101\n/frames,H,H1_TEST,.gwf,1,64 1700000000 1 {1000000000 1000000064}\n"
)
CLIENT = """
import gwdatafind, requests_scitokens
found = gwdatafind.find_urls("H", "H1_TEST", 1000000000, 1000000064, host="{host}"{more})
print(*found)
"""


def here(row: Row) -> None:
    """Try the server and the client from PyPI."""
    row.version = version("gwdatafind-server")
    home = Path(tempfile.mkdtemp(prefix="gwdatafind-"))
    port = free_port()
    url = f"https://localhost:{port}"
    with Issuer() as issuer:
        issuer.write_ca(home / "ca.pem")
        issuer.ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
            str(home / "server.pem")
        )
        (home / "frames.txt").write_text(FRAMES)
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "world.gwdatafind", home, str(port), issuer.url],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(home),
                    "SSL_CERT_FILE": str(home / "ca.pem"),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            context = ssl.create_default_context(cafile=str(home / "ca.pem"))
            eventually(lambda: shakes_hands(port, context), 30, "it did not start")
            try_one(row, issuer, url, home / "ca.pem")
        finally:
            process.terminate()
            process.wait()


def try_one(row: Row, issuer: Issuer, url: str, ca: Path) -> None:
    """Try what can be tried on each server, and its client."""

    def good(**options: Any) -> str:
        return issuer.mint("gwdatafind.read", audience="ANY", **options)

    bad = {
        "expired": good(lifetime=-60),
        "signature": broken(good()),
        "scope": issuer.mint("read:/", audience="ANY"),
        "audience": issuer.mint("gwdatafind.read", audience="https://other.example.org"),
    }
    path = "/api/v1/gwf/H/H1_TEST/1000000000,1000000064/file.json"
    server = Server(url, ca, good, bad, path=path, text=f'["{URL}"]\n')
    battery(row, server)
    user = User(server)
    user.has(good())
    (user.home / "creds").mkdir()
    (user.home / "creds/frames.use").touch(0o600)
    (user.home / "creds/frames.use").write_text(json.dumps({"access_token": good()}))
    ours = ", auth=requests_scitokens.HTTPSciTokenAuth()"
    job = {"_CONDOR_CREDS": str(user.home / "creds")}
    done = []
    for name, argument, variables in (
        ("with its own tokens", "", {}),
        ("with `auth=`", ours, {}),
        ("with `auth=` and HTCondor's JSON", ours, {**job, "XDG_RUNTIME_DIR": "/nowhere"}),
    ):
        with noted(row, f"the client, {name}"):
            code = CLIENT.format(host=url, more=argument)
            printed = user.execute(code, SSL_CERT_FILE=str(ca), **variables)
            if printed.strip() != URL:
                raise FailedError("it found nothing")
            done.append(name)
    client = version("gwdatafind")
    row.notes.append(
        f"its client, gwdatafind {client}, works: {', '.join(done) or 'no way'}"
    )


def serve(home: str, port: str, issuer: str) -> None:
    """Be the server."""
    import gwdatafind_server
    from werkzeug.serving import make_server

    frames = {"type": "diskcache", "path": f"{home}/frames.txt", "interval": 600}
    scitoken = {
        "issuer": [issuer],
        "audience": [f"https://localhost:{port}", "ANY"],
        "scope": "gwdatafind.read",
    }
    app = gwdatafind_server.create_app(
        config={
            "api": {"versions": ["v1", "ldr"]},
            "input": {"source": [frames]},
            "auth": {"authorization": ["scitoken"], "scitoken": scitoken},
            "log": {"level": "info", "file": f"{home}/server.log"},
        }
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{home}/server.pem")
    make_server(
        "127.0.0.1", int(port), app, threaded=True, ssl_context=context
    ).serve_forever()


if __name__ == "__main__":
    serve(*sys.argv[1:])
