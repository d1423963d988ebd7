"""A real XRootD redirector with a data server, over TLS on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from requests_scitokens.testing import Issuer

from .xrootd import SCITOKENS, USER, free_port, remember_keys, shakes_hands

CONFIGURATION = """
all.export /
all.manager localhost:{manager_cmsd}
all.role {role}
all.adminpath {home}/{role}
all.pidpath {home}/{role}
xrd.tls {home}/server.pem {home}/server.key
xrd.tlsca certfile {home}/ca.pem
xrd.network nodnr
if exec cmsd
  cms.delay startup 2 servers 1 lookup 1
  cms.space min 1m 2m
fi
if exec xrootd
  xrd.port {port}
  xrd.protocol http:{port} libXrdHttp.so
  http.header2cgi Authorization authz
  http.listingdeny no
fi
ofs.authorize 1
ofs.authlib libXrdAccSciTokens.so config={home}/scitokens.cfg
"""
MANAGER = """
if exec cmsd
  xrd.port {manager_cmsd}
fi
"""
SERVER = """
oss.localroot {home}/data
"""
DESTHTTPS = """
if exec xrootd
  http.desthttps yes
fi
"""


class Redirector:
    """A redirector with a data server behind it, for as long as a `with` block lasts.

    Parameters
    ----------
    issuer : Issuer
        Whose tokens both take, whatever their audience.
    chroot : pathlib.Path, optional
        The root of another system, whose XRootD it is; only root can start that.
    secure : bool, optional
        Whether it redirects to https; it is XRootD's default that it does not.

    Attributes
    ----------
    url, server : str
        The redirector, and the data server.
    server_as_named : str
        The data server, as the redirector calls it.
    root : pathlib.Path
        Where files are stored.
    ca : pathlib.Path
        The authority of their certificates.
    """

    def __init__(
        self, issuer: Issuer, *, chroot: Path | None = None, secure: bool = True
    ) -> None:
        self._issuer, self._chroot, self._secure = issuer, chroot, secure

    def __enter__(self) -> Redirector:
        folder = self._chroot and self._chroot / "srv"
        self._home = Path(tempfile.mkdtemp(prefix="redirector-", dir=folder))
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            self._prepare()
            for role in ("manager", "server"):
                for program in ("cmsd", "xrootd"):
                    self._start(program, role)
            self._wait()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all four processes, and remove what was stored."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._home)

    def _prepare(self) -> None:
        home, issuer = self._home, self._issuer
        home.chmod(0o755)
        inside = f"/{home.relative_to(self._chroot)}" if self._chroot else str(home)
        self._ports = {name: free_port() for name in ("manager", "server")}
        self.url, self.server = (
            f"https://localhost:{port}" for port in self._ports.values()
        )
        # It redirects to the address, since nobody here resolves names.
        self.server_as_named = f"https://127.0.0.1:{self._ports['server']}"
        self.root, self.ca = home / "data", home / "ca.pem"
        for name in ("data", "manager", "server"):
            (home / name).mkdir()
        issuer.write_ca(self.ca)
        hosts = {"localhost", "127.0.0.1", "::1", socket.gethostname()}
        certificate = issuer.ca.issue_cert(*sorted(hosts))
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(str(home / "server.pem"), append=True)
        certificate.private_key_pem.write_to_path(str(home / "server.key"))
        (home / "server.key").chmod(0o600)
        values = {"home": inside, "manager_cmsd": free_port(), "issuer": issuer.url}
        for role, more in (("manager", MANAGER), ("server", SERVER)):
            text = CONFIGURATION + more + (DESTHTTPS if self._secure else "")
            text = text.format(role=role, port=self._ports[role], **values)
            (home / f"{role}.cfg").write_text(text)
        names = self.url, self.server, self.server_as_named
        audience = ", ".join(["ANY", "https://wlcg.cern.ch/jwt/v1/any", *names])
        (home / "scitokens.cfg").write_text(SCITOKENS.format(audience=audience, **values))
        remember_keys(home, issuer)
        (self.root / "hello.txt").write_text("hello\n")
        if os.geteuid() == 0:
            for path in (home, *home.rglob("*")):
                shutil.chown(path, USER)
        self._inside = inside

    def _start(self, program: str, role: str) -> None:
        chroot = ["chroot", str(self._chroot)] if self._chroot else []
        user = ["-R", USER] if os.geteuid() == 0 else []
        with (self._home / f"{role}-{program}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [
                        *(*chroot, program, *user, "-n", role),
                        *("-c", f"{self._inside}/{role}.cfg"),
                    ],
                    cwd=self._chroot or self._home,
                    env={**os.environ, "XDG_CACHE_HOME": self._inside},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )

    def _wait(self) -> None:
        """Wait until both answer and know of each other."""
        context = ssl.create_default_context(cafile=str(self.ca))
        deadline = time.monotonic() + 40
        log = self._home / "manager-cmsd.log"
        while time.monotonic() < deadline:
            said = log.read_text(errors="replace")
            if "service enabled" in said and "changed to active" in said:
                up = (shakes_hands(port, context) for port in self._ports.values())
                if all(up):
                    return
            time.sleep(0.2)
        raise RuntimeError(f"there is no redirector: {log.read_text()[-2000:]}")
