"""HTCondor with its local issuer, and an XRootD that takes that issuer's tokens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.xrootd import XRootD

from .frame import CLIENT, WAYS, Debian, FailedError, Row, all_or, debian, eventually, noted

ISSUER = "https://localhost/condor"
# The credential monitor looks once a minute for tokens past half of their life.
LIFETIME = 110
SECONDS = 230

CONFIGURATION = """
use ROLE: Personal
use FEATURE: OAUTH
use SECURITY: recommended_v9_0
NETWORK_INTERFACE = 127.0.0.1
ENABLE_IPV6 = False
ENABLE_KERNEL_TUNING = False
NUM_CPUS = 8
MEMORY = 8000
NEGOTIATOR_INTERVAL = 5
NEGOTIATOR_MIN_INTERVAL = 2
SCHEDD_INTERVAL = 5
LOCAL_CREDMON_ISSUER = {issuer}
LOCAL_CREDMON_TOKEN_AUDIENCE = ANY
LOCAL_CREDMON_TOKEN_LIFETIME = {lifetime}
SEC_CREDENTIAL_REFRESH_INTERVAL = 15
SEC_CREDENTIAL_REFRESH = 15
"""
# One may read, one may write, and one is for a group that Alice is not in.
SERVICES = """
LOCAL_CREDMON_PROVIDER_NAMES = frames, results, members
LOCAL_CREDMON_frames_AUTHZ_TEMPLATE = read:/user/{username}
LOCAL_CREDMON_results_AUTHZ_TEMPLATE = write:/user/{username}
LOCAL_CREDMON_members_AUTHZ_GROUP_MAPFILE = /etc/condor/groups
LOCAL_CREDMON_members_AUTHZ_GROUP_REQUIREMENT = members
"""
# And condor_submit asks no other kind of issuer.
ONE_SERVICE = """
LOCAL_CREDMON_PROVIDER_NAME = scitokens
SEC_PROCESS_SUBMIT_TOKENS = False
"""
SUBMIT = """
executable = /opt/venv/bin/python
transfer_executable = false
arguments = {arguments}
environment = "{environment}"

use_oauth_services = {services}

transfer_input_files = client.py
should_transfer_files = yes
request_memory = 100
request_disk = 10240
output = {name}.out
error = {name}.err
log = {name}.log
queue
"""


def new(row: Row) -> None:
    """Try HTCondor 25, which can have several services."""
    with pool(row, "forky", SERVICES) as it:
        try_pool(row, it, "frames, results")
        refused_group(row, it)


def old(row: Row) -> None:
    """Try HTCondor 23.9, which has one."""
    with pool(row, "trixie", ONE_SERVICE) as it:
        try_pool(row, it, "scitokens")


class Pool:
    """A pool of one machine, and a storage server."""

    def __init__(self, system: Debian, xrootd: XRootD) -> None:
        self.system, self.xrootd = system, xrootd
        self.home = system.root / "home/alice"

    def submit(self, name: str, services: str, *arguments: Any, patched: bool) -> None:
        """Submit a job of Alice's, with the submit file of the how-to."""
        variables = {"REQUESTS_CA_BUNDLE": "/home/alice/ca.pem"}
        if patched:
            variables["REQUESTS_SCITOKENS_AUTOPATCH"] = "1"
            variables["REQUESTS_SCITOKENS_HOSTS"] = "localhost"
        text = SUBMIT.format(
            name=name,
            services=services,
            arguments=" ".join(map(str, arguments)),
            environment=" ".join(f"{key}={value}" for key, value in variables.items()),
        )
        (self.home / f"{name}.sub").write_text(text)
        self.alice("condor_submit", f"{name}.sub")

    def alice(self, *words: Any) -> str:
        """Run a command as Alice, at her home."""
        command = f"cd && {' '.join(map(str, words))}"
        return self.system.run("sh", "-c", command, user="alice", HOME="/home/alice").stdout

    def ended(self, name: str, seconds: float) -> tuple[str, str]:
        """Wait for a job, and return what it wrote."""
        log = self.home / f"{name}.log"

        def done() -> bool:
            text = log.read_text() if log.exists() else ""
            if "Job was held" in text or "Job was aborted" in text:
                raise FailedError(f"{name}: {text[-400:]}")
            return "Job terminated" in text

        eventually(done, seconds, f"the job {name} has not ended")
        paths = (self.home / f"{name}.{one}" for one in ("out", "err"))
        out, err = (path.read_text() for path in paths)
        return out, err


def try_pool(row: Row, pool: Pool, services: str) -> None:
    """Run a job in each way; it reads and writes while its tokens are renewed."""
    url = f"{pool.xrootd.url}/user/alice"
    row.strangers = "(XRootD)"
    row.bad = "(XRootD)"
    names = dict(zip(WAYS, ("unchanged", "auth", "get", "session")))
    for way, name in names.items():
        write = f"{url}/{name}.txt"
        program = ("client.py", way, "watch", f"{url}/hello.txt", SECONDS, write)
        pool.submit(name, services, *program, patched=way == "unchanged")
    worked = []
    for way, name in names.items():
        with noted(row, way):
            out, err = pool.ended(name, SECONDS + 120)
            if err:
                raise FailedError(err.strip().splitlines()[-1])
            codes, tokens = json.loads(out)
            fine = all(code.split()[1][0] == "2" for code in codes)
            if not fine or min(tokens.values()) < 3:
                raise FailedError(f"answers {codes}, tokens {tokens}")
            worked.append(way)
    row.ways = row.uploads = row.renewal = all_or(worked, WAYS)
    if worked:
        row.notes.append(
            f"jobs of {SECONDS} s with tokens of {LIFETIME} s: {min(tokens.values())} "
            "tokens used, no request failed"
        )
        if "," in services:
            row.notes.append("of two services one reads and the other writes, in one job")


def refused_group(row: Row, pool: Pool) -> None:
    """Ask for the token of a group that Alice is not in."""
    url = f"{pool.xrootd.url}/user/alice/hello.txt"
    with noted(row, "a group that is refused"):
        pool.submit("refused", "members", "client.py", "auth=", "read", url, patched=False)
        pool.submit(
            "mixed", "members, frames", "client.py", "auth=", "read", url, patched=False
        )
        out, err = pool.ended("refused", 60)
        empty = pool.system.root.glob("var/lib/condor/oauth_credentials/alice/members.use")
        content = [json.loads(path.read_text())["access_token"] for path in empty]
        if json.loads(out)[0] != 403 or "no token" not in err or content != [""]:
            raise FailedError(f"{out} {err} {content}")
        row.notes.append(
            'a group that is refused: the file is `{"access_token": ""}`; the job gets the '
            "server's 403 and a warning; with another service beside it, that one's token"
        )
        out, err = pool.ended("mixed", 60)
        if json.loads(out)[0] != 200 or err:
            raise FailedError(f"with another service: {out} {err}")


@contextmanager
def pool(row: Row, suite: str, services: str) -> Iterator[Pool]:
    """Start a pool whose issuer an XRootD trusts."""
    system = debian(suite)
    row.version = system.version("condor")
    system.install_package()
    root = system.root
    system.run("useradd", "-m", "-u", "1500", "alice")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    secret = root / "etc/condor/scitokens-private.pem"
    secret.touch(0o600)
    secret.write_bytes(pem)
    text = CONFIGURATION.format(issuer=ISSUER, lifetime=LIFETIME) + services
    (root / "etc/condor/config.d/99-world").write_text(text)
    (root / "etc/condor/groups").write_text("* bob members\n")
    credentials = root / "var/lib/condor/oauth_credentials"
    credentials.mkdir(parents=True, exist_ok=True)
    shutil.chown(credentials, "root", int(system.run("id", "-g", "condor").stdout))
    credentials.chmod(0o2770)
    for name in ("run/condor", "var/lock/condor", "var/log/condor", "var/spool/condor"):
        (root / name).mkdir(parents=True, exist_ok=True)
        system.run("chown", "condor:condor", f"/{name}")
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    jwks = {"keys": [{**public, "kid": "local", "alg": "ES256", "use": "sig"}]}
    ca = trustme.CA()
    issuer: Any = SimpleNamespace(
        url=ISSUER, jwks=jwks, ca=ca, write_ca=ca.cert_pem.write_to_path
    )
    with XRootD(issuer, chroot=root) as xrootd:
        folder = xrootd.root / "user/alice"
        folder.mkdir(parents=True)
        (folder / "hello.txt").write_text("hello\n")
        for path in (xrootd.root / "user", folder, folder / "hello.txt"):
            shutil.chown(path, "nobody")
        home = root / "home/alice"
        ca.cert_pem.write_to_path(str(home / "ca.pem"))
        shutil.copy(CLIENT, home)
        system.run("chown", "-R", "alice:", "/home/alice")
        # Its credential monitor signs with the scitokens library, see `prepare`.
        (site,) = (
            f"/{one.relative_to(root)}" for one in root.glob("opt/venv/lib/*/site-packages")
        )
        with (root / "var/log/condor-master").open("wb") as log:
            master = subprocess.Popen(
                system.command("condor_master", "-f"),
                env={"PATH": os.environ["PATH"], "PYTHONPATH": site},
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            started(system, master)
            yield Pool(system, xrootd)
        finally:
            master.terminate()
            try:
                master.wait(30)
            except subprocess.TimeoutExpired:
                master.kill()
                master.wait()


def started(system: Debian, master: subprocess.Popen[bytes]) -> None:
    """Wait until jobs can be submitted and run."""

    def up() -> bool:
        if master.poll() is not None:
            raise FailedError(f"condor_master ended with {master.returncode}")
        asked = (("-schedd",), ())
        shown = [
            system.run("condor_status", *one, "-af", "Name", check=False) for one in asked
        ]
        return all(one.stdout.strip() for one in shown)

    eventually(up, 90, "the pool did not start")
