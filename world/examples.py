"""The servers that the documentation's examples name, so that they run as they stand."""

from __future__ import annotations

import shlex
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import trustme

from tests.xrootd import XRootD

from .frame import Debian, FailedError

STORAGE = "storage.example.org"
URL = f"https://{STORAGE}/data/hello.txt"
SCRIPT = f"import requests\nprint(requests.get('{URL}').text, end='')\n"
HOME = "/home/tester"
#: Fetches for a while; prints what the server answered, and how many tokens it was sent.
WATCH = """
import time
codes, tokens, end = set(), set(), time.monotonic() + {seconds}
while time.monotonic() < end:
    response = fetch()
    codes.add(response.status_code)
    tokens.add(response.request.headers["Authorization"])
    time.sleep(1)
print(sorted(codes), len(tokens))
"""


class Tester:
    """A user of a Debian who does what the documentation says."""

    def __init__(self, system: Debian, ca: trustme.CA) -> None:
        self.system = system
        self.home = system.root / HOME[1:]
        if not self.home.exists():
            system.run("useradd", "--create-home", "tester")
            system.install_package()
        self.ca = f"{HOME}/ca.pem"
        ca.cert_pem.write_to_path(str(self.home / "ca.pem"))
        (self.home / "script.py").write_text(SCRIPT)
        system.run("chown", "-R", "tester:", HOME)
        hosts = system.root / "etc/hosts"
        names = f"127.0.0.1 {STORAGE} vault.example.org\n"
        if names not in hosts.read_text():
            hosts.write_text(hosts.read_text() + names)
        self.variables = {
            "PATH": "/opt/venv/bin:/usr/bin:/bin",
            "HOME": HOME,
            "USER": "tester",
            "SHELL": "/bin/sh",
            "REQUESTS_CA_BUNDLE": self.ca,
        }

    def run(self, code: str, *command: str, quiet: bool = True, **more: str) -> str:
        """Run an example at home, and return what it printed."""
        done = self.system.run(
            *("setpriv", "--reuid=tester", "--regid=tester", "--init-groups"),
            *(
                "sh",
                "-c",
                f'cd {HOME} && exec "$0" "$@"',
                *(command or ("sh", "-ec")),
                code,
            ),
            check=False,
            **{**self.variables, **more},
        )
        if done.returncode or (quiet and done.stderr):
            raise FailedError((done.stdout + done.stderr).strip()[-400:])
        return done.stdout

    def terminal(self, code: str, **more: str) -> str:
        """Run a command that asks for a terminal, since somebody may have to log in."""
        return self.run(f"exec script -qec {shlex.quote(code)} /dev/null", **more)

    def python(self, code: str, **more: str) -> str:
        """Run an example in Python."""
        return self.run(code, "python", "-c", **more)


def with_name(ca: trustme.CA) -> Any:
    """Return an authority whose certificates are for the examples' server, too."""
    return SimpleNamespace(issue_cert=lambda *names: ca.issue_cert(*names, STORAGE))


@contextmanager
def storage(system: Debian, url: str, jwks: Any, ca: trustme.CA) -> Iterator[None]:
    """Serve `URL` with an XRootD that takes the tokens of the issuer at `url`."""
    issuer: Any = SimpleNamespace(
        url=url,
        jwks=jwks,
        ca=with_name(ca),
        write_ca=ca.cert_pem.write_to_path,
    )
    audience = f"https://{STORAGE}"
    with XRootD(issuer, chroot=system.root, audience=[audience]) as xrootd:
        folder = xrootd.root / "data"
        folder.mkdir()
        (folder / "hello.txt").write_text("hello\n")
        for path in (folder, folder / "hello.txt"):
            shutil.chown(path, "nobody")
        with forwarded(443, urlsplit(xrootd.url).port or 0):
            yield


@contextmanager
def forwarded(port: int, to: int) -> Iterator[None]:
    """Let one port lead to another, since XRootD gives up the right to listen on 443."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", to)) as other:
                back = threading.Thread(
                    target=copy, args=(other, self.request), daemon=True
                )
                back.start()
                copy(self.request, other)
                back.join()

    class Forwarder(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False

    with Forwarder(("127.0.0.1", port), Connection) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy what comes until nothing does."""
    try:
        while some := source.recv(1 << 16):
            target.sendall(some)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one side has gone
        pass


def stopped(process: subprocess.Popen[Any]) -> None:
    """Stop a program."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def write_server(folder: Path, ca: trustme.CA, *names: str) -> None:
    """Write a certificate and its key where a server finds them."""
    certificate = ca.issue_cert(*names)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(folder / "server.pem"), append=True)
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
