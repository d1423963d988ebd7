"""A real XRootD server with SciTokens over TLS, on loopback."""

from __future__ import annotations

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
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from requests_scitokens.testing import Issuer

USER = "nobody"  # what XRootD, started by root, becomes

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
http.listingdeny no
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
    # With the version in the file's name: -5 here, -6 from XRootD 6 on.
    plugin = "libXrdAccSciTokens*.so"
    folders = ("usr/lib*", "usr/lib/*-linux-gnu*", "usr/local/lib*")
    if not any(list(Path("/").glob(f"{folder}/{plugin}")) for folder in folders):
        return "its SciTokens plug-in is missing"
    return ""


class XRootD:
    """A server that takes an issuer's tokens, for as long as a `with` block lasts.

    Parameters
    ----------
    issuer : Issuer
        Whose tokens it takes.
    directory : pathlib.Path, optional
        Files to start with; they are copied.
    audience : sequence of str, optional
        What it is called in tokens; by default its URL. A token for any audience is taken
        too.
    chroot : pathlib.Path, optional
        The root of another system, whose XRootD it is; only root can start that.

    Attributes
    ----------
    url : str
        Its scheme, host and port.
    root : pathlib.Path
        Where it stores files.
    audience : str
        The first of its names in tokens.
    """

    url: str
    root: Path
    audience: str

    def __init__(
        self,
        issuer: Issuer,
        directory: Path | None = None,
        *,
        audience: Sequence[str] = (),
        chroot: Path | None = None,
    ) -> None:
        self._issuer, self._files, self._chroot = issuer, directory, chroot
        self._names = [audience] if isinstance(audience, str) else list(audience)

    def __enter__(self) -> XRootD:
        # Not in pytest's directory, which nobody else may enter.
        folder = self._chroot and self._chroot / "srv"
        self._home = Path(tempfile.mkdtemp(prefix="xrootd-", dir=folder))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            for _ in range(3):
                if self._start():
                    return self
            log = (self._home / "log").read_text(errors="replace")
            raise RuntimeError(f"XRootD did not start: {log[-2000:]}")
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it, and remove what it stored."""
        self._stop()
        shutil.rmtree(self._home)

    def _start(self) -> bool:
        """Start it on a port that is free now; whether it is still ours by then."""
        port = free_port()
        self.url = f"https://localhost:{port}"
        self._prepare(port)
        user = ["-R", USER] if os.geteuid() == 0 else []
        inside = ["chroot", str(self._chroot)] if self._chroot else []
        home = self._seen(self._home)
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*inside, "xrootd", *user, "-c", f"{home}/xrootd.cfg", "-n", "test"],
                cwd=self._chroot or self._home,
                env={**os.environ, "XDG_CACHE_HOME": home},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        context = ssl.create_default_context(cafile=str(self._home / "ca.pem"))
        deadline = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < deadline:
            if shakes_hands(port, context) and self._process.poll() is None:
                return True
            time.sleep(0.05)
        self._stop()
        return False

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _seen(self, path: Path) -> str:
        """Return a path as the server has it."""
        return f"/{path.relative_to(self._chroot)}" if self._chroot else str(path)

    def _prepare(self, port: int) -> None:
        home, issuer = self._home, self._issuer
        shutil.rmtree(home)
        home.mkdir(mode=0o755)
        home.chmod(0o755)  # whatever the umask is
        self.root = home / "data"
        if self._files is None:
            self.root.mkdir()
        else:
            shutil.copytree(self._files, self.root)
        (home / "admin").mkdir()
        issuer.write_ca(home / "ca.pem")
        certificate = issuer.ca.issue_cert("localhost")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(str(home / "server.pem"), append=True)
        certificate.private_key_pem.write_to_path(str(home / "server.key"))
        (home / "server.key").chmod(0o600)
        names = self._names or [self.url]
        self.audience = names[0]
        values = {
            "home": self._seen(home),
            "root": self._seen(self.root),
            "port": port,
            "issuer": issuer.url,
            "audience": ", ".join([*names, "https://wlcg.cern.ch/jwt/v1/any", "ANY"]),
        }
        (home / "xrootd.cfg").write_text(CONFIGURATION.format(**values))
        (home / "scitokens.cfg").write_text(SCITOKENS.format(**values))
        remember_keys(home, issuer)
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            for path in (home, *home.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)


def remember_keys(home: Path, issuer: Issuer) -> None:
    """Fill the key cache of its C++ library, so that it asks nobody for keys."""
    cache = home / "scitokens" / "scitokens_cpp.sqllite"
    cache.parent.mkdir()
    later = int(time.time()) + 86400
    keys = {"jwks": issuer.jwks, "expires": later, "next_update": later}
    with closing(sqlite3.connect(cache)) as database, database:
        database.execute("CREATE TABLE keycache (issuer text PRIMARY KEY, keys text)")
        database.execute(
            "INSERT INTO keycache VALUES (?, ?)", (issuer.url, json.dumps(keys))
        )


def shakes_hands(port: int, context: ssl.SSLContext) -> bool:
    try:
        with socket.create_connection(("localhost", port), 5) as plain:
            context.wrap_socket(plain, server_hostname="localhost").close()
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
