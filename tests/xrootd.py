"""A real XRootD server with SciTokens over TLS, on loopback."""

from __future__ import annotations

import glob
import json
import os
import pwd
import shutil
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

WLCG_ANY = "https://wlcg.cern.ch/jwt/v1/any"

CONFIGURATION = """
all.export /
all.adminpath {home}/admin
all.pidpath {home}/admin
oss.localroot {root}
xrd.port {port}
xrd.protocol http:{port} libXrdHttp.so
xrd.tls {home}/server.pem {home}/server.key
xrd.tlsca certfile {home}/ca.pem
http.header2cgi Authorization authz
http.listingdeny yes
ofs.authorize 1
ofs.authlib libXrdAccSciTokens.so config={home}/scitokens.cfg
"""

SCITOKENS = """
[Global]
audience = {audience}

[Issuer test]
issuer = {issuer}
base_path = /
"""


def available() -> str:
    """Say why there can be no XRootD here; empty if there can be."""
    if not shutil.which("xrootd"):
        return "there is no xrootd"
    folders = ("/usr/lib*", "/usr/lib/*-linux-gnu*", "/usr/local/lib*")
    if not any(glob.glob(f"{one}/libXrdAccSciTokens*.so") for one in folders):
        return "its SciTokens plug-in is missing"
    return ""


class XRootD:
    """A server that takes an issuer's tokens; `with` starts and stops it.

    Attributes
    ----------
    url : str
        Its scheme, host and port.
    root : pathlib.Path
        Where it stores files.
    audience : str
        What it is called in tokens.
    """

    def __init__(self, issuer) -> None:
        # Not in pytest's directory, which nobody else may enter: XRootD, started by
        # root, becomes another user.
        self._home = Path(tempfile.mkdtemp(prefix="xrootd-"))
        self.root = self._home / "data"
        self._port = _free_port()
        self.url = self.audience = f"https://localhost:{self._port}"
        self._prepare(issuer)

    def _prepare(self, issuer) -> None:
        self.root.mkdir()
        (self._home / "admin").mkdir()
        issuer.write_ca(self._home / "ca.pem")
        certificate = issuer.ca.issue_cert("localhost")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(self._home / "server.pem", append=True)
        certificate.private_key_pem.write_to_path(self._home / "server.key")
        (self._home / "server.key").chmod(0o600)
        values = {
            "home": self._home,
            "root": self.root,
            "port": self._port,
            "issuer": issuer.url,
            "audience": f"{self.audience}, {WLCG_ANY}, ANY",
        }
        (self._home / "xrootd.cfg").write_text(CONFIGURATION.format(**values))
        (self._home / "scitokens.cfg").write_text(SCITOKENS.format(**values))
        self._remember_keys(issuer)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (self._home, *self._home.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def _remember_keys(self, issuer) -> None:
        """Fill the key cache of its C++ library, so that it asks nobody for keys."""
        cache = self._home / "scitokens" / "scitokens_cpp.sqllite"
        cache.parent.mkdir()
        later = int(time.time()) + 86400
        keys = {"jwks": issuer.jwks, "expires": later, "next_update": later}
        database = sqlite3.connect(cache)
        database.execute(
            "CREATE TABLE keycache "
            "(issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)"
        )
        database.execute(
            "INSERT INTO keycache VALUES (?, ?)", (issuer.url, json.dumps(keys))
        )
        database.commit()
        database.close()

    def __enter__(self):
        user = ["-R", "nobody"] if os.geteuid() == 0 else []
        log = self._home / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["xrootd", *user, "-c", str(self._home / "xrootd.cfg"), "-n", "test"],
                cwd=self._home,
                env={**os.environ, "XDG_CACHE_HOME": str(self._home)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait(log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self, log: Path) -> None:
        """Wait until it shakes hands."""
        context = ssl.create_default_context(cafile=str(self._home / "ca.pem"))
        for _ in range(300):
            try:
                with socket.create_connection(("localhost", self._port), 5) as plain:
                    context.wrap_socket(plain, server_hostname="localhost").close()
                return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError(f"XRootD did not start: {log.read_text()[-2000:]}")

    def __exit__(self, *_) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
