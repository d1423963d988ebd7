"""What is the same for every server: the machine it runs on, and what is tried on it."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from tests.xrootd import free_port, shakes_hands

REPOSITORY = Path(__file__).resolve().parent.parent
PREPARED = REPOSITORY / ".world"
CLIENT = Path(__file__).with_name("client.py")
WAYS = ("unchanged", "auth=", "get()", "Session")
LARGE = 100 << 20
LIFETIME = 6  # seconds, of the tokens that are renewed


class AbsentError(Exception):
    """What cannot be had here, and why."""


class FailedError(Exception):
    """A server or a program did something else than was expected."""


# --- the machine


def prepared(what: str) -> Path:
    """Return where something was installed for the servers."""
    folder = PREPARED / what
    if not (folder / "ready").exists():
        reason = PREPARED / f"{what}.reason"
        said = reason.read_text().strip() if reason.exists() else "it was not prepared"
        raise AbsentError(f"{what}: {said[-200:]}")
    return folder


class Debian:
    """Another Debian, as it was prepared; what is written to it is gone after the run."""

    def __init__(self, suite: str) -> None:
        lower = prepared(suite)
        folder = Path(tempfile.mkdtemp(prefix=f"{suite}-"))
        folder.chmod(0o755)
        self.root = folder / "root"
        for name in ("root", "upper", "work"):
            (folder / name).mkdir()
        layers = f"lowerdir={lower},upperdir={folder}/upper,workdir={folder}/work"
        mount("-t", "overlay", "-o", layers, "overlay", self.root)
        mount("-t", "proc", "proc", self.root / "proc")
        mount("--bind", "-o", "ro", "/proc/sys", self.root / "proc/sys")
        mount("--rbind", "/dev", self.root / "dev")
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", self.root / "tmp")

    def command(self, *words: Any, user: str = "") -> list[str]:
        """Return the command that runs another one in it."""
        options = [f"--userspec={user}:"] if user else []
        chroot = shutil.which("chroot") or "chroot"  # since PATH may be another there
        return [chroot, *options, str(self.root), *map(str, words)]

    def run(
        self, *words: Any, user: str = "", check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, in an empty environment."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        done = subprocess.run(
            self.command(*words, user=user),
            env={"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", **variables},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        if check and done.returncode:
            raise FailedError(f"{words[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done

    def version(self, package: str) -> str:
        """Return the upstream version of a package in it."""
        shown = self.run("dpkg-query", "-W", "-f", "${Version}", package).stdout
        return shown.split(":")[-1].split("-")[0].split("+")[0]

    def install_package(self) -> None:
        """Put this package where programs in it find it, with its start-up file."""
        (site,) = self.root.glob("opt/venv/lib/python3*/site-packages")
        ignore = shutil.ignore_patterns("__pycache__")
        package = "requests_scitokens"
        shutil.copytree(
            REPOSITORY / package, site / package, ignore=ignore, dirs_exist_ok=True
        )
        shutil.copy(REPOSITORY / f"{package}.pth", site)
        about = f"{package}-{version('requests-scitokens')}.dist-info"
        installed = Path(sysconfig.get_path("purelib"), about, "METADATA")
        (site / about).mkdir(exist_ok=True)
        shutil.copy(installed, site / about)


def mount(*words: Any) -> None:
    """Mount something, where only this run sees it."""
    subprocess.run(["mount", *map(str, words)], check=True)


_debians: dict[str, Debian] = {}


def debian(suite: str) -> Debian:
    """Return a Debian, the same one each time."""
    if suite not in _debians:
        _debians[suite] = Debian(suite)
    return _debians[suite]


def eventually(what: Callable[[], Any], seconds: float, reason: str) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise FailedError(reason)


# --- a server


@dataclass
class Server:
    """A server that is up, and how it is used.

    `mint` makes a token that may do everything there, from keywords of `Issuer.mint`.
    """

    url: str
    ca: Path
    mint: Callable[..., str]
    bad: dict[str, str]
    path: str = "/hello.txt"
    text: str = "hello\n"
    uploads: bool = False
    listed: bool = False  # whether each way needs `hosts`, not the autopatch alone
    chunked: dict[str, str] = field(default_factory=dict)  # headers of a generator's PUT


@dataclass
class Row:
    """What came of it; a line of the table."""

    server: str
    version: str = ""
    strangers: str = ""
    bad: str = ""
    ways: str = ""
    uploads: str = ""
    renewal: str = ""
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class User:
    """A user with a token file, at one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.home = Path(tempfile.mkdtemp(prefix="user-"))
        self.token_file = self.home / f"bt_u{os.geteuid()}"

    def has(self, token: str) -> None:
        """Put a token where it is found, as credential monitors do: in one step."""
        new = self.token_file.with_suffix(".new")
        new.touch(0o600)
        new.write_text(token)
        new.rename(self.token_file)

    def environment(self, way: str, **variables: str) -> dict[str, str]:
        """Return the environment of this user's programs."""
        values = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "REQUESTS_CA_BUNDLE": str(self.server.ca),
        }
        if way == "unchanged":
            values["REQUESTS_SCITOKENS_AUTOPATCH"] = "1"
        if way == "unchanged" or self.server.listed:
            values["REQUESTS_SCITOKENS_HOSTS"] = "localhost, 127.0.0.1"
        return {**values, **variables}

    def start(self, way: str, *words: Any, **variables: str) -> subprocess.Popen[str]:
        """Start a program."""
        return subprocess.Popen(
            [sys.executable, CLIENT, way, *map(str, words)],
            env=self.environment(way, **variables),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, way: str, *words: Any, **variables: str) -> Any:
        """Return what a program printed."""
        return result(self.start(way, *words, **variables))

    def execute(self, code: str, *, way: str = "", **variables: str) -> str:
        """Run an example of the documentation; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=self.environment(way, **variables),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode or done.stderr:
            raise FailedError(done.stderr.strip().splitlines()[-1])
        return done.stdout


def result(program: subprocess.Popen[str]) -> Any:
    """Return what a program printed, when it has ended."""
    out, err = program.communicate(timeout=300)
    if program.returncode or err:
        raise FailedError(err.strip().splitlines()[-1] if err.strip() else "no output")
    return json.loads(out)


def web_home(system: Debian, issuer: Any, key: bytes) -> tuple[Path, int]:
    """Return a web server's folder in a Debian, with what all need, and a free port."""
    home = Path(tempfile.mkdtemp(prefix="web-", dir=system.root / "srv"))
    (home / "files").mkdir()
    (home / "files/hello.txt").write_text("hello\n")
    issuer.ca.cert_pem.write_to_path(str(home / "ca.pem"))
    certificate = issuer.ca.issue_cert("localhost")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(home / "server.pem"), append=True)
    certificate.private_key_pem.write_to_path(str(home / "server.key"))
    (home / "issuer.pem").write_bytes(key)
    system.run("chown", "-R", "www-data:", f"/srv/{home.name}")
    home.chmod(0o755)
    return home, free_port()


@contextmanager
def serving(
    system: Debian, command: tuple[str, ...], home: Path, port: int
) -> Iterator[None]:
    """Run a web server."""
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            system.command(*command),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd=system.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    context = ssl.create_default_context(cafile=str(home / "ca.pem"))

    def up() -> bool:
        if process.poll() is not None:
            raise FailedError(f"it did not start: {(home / 'output').read_text()[-300:]}")
        return shakes_hands(port, context)

    try:
        eventually(up, 30, "it does not answer")
        yield
    finally:
        process.terminate()
        process.wait()


# --- what is tried


def battery(row: Row, server: Server) -> None:
    """Try on a server what can be tried on each."""
    user = User(server)
    url = server.url + server.path
    row.strangers = answer(server, None)
    row.bad = grouped({name: answer(server, one) for name, one in server.bad.items()})
    if any(said.startswith("200") for said in (row.strangers, row.bad)):
        row.failures.append("it serves strangers")
    worked = []
    for way in WAYS:
        with noted(row, way):
            user.has(server.mint())
            got = user.run(way, "read", url)
            if got != [200, server.text]:
                raise FailedError(f"{got}")
            worked.append(way)
    row.ways = all_or(worked, WAYS)
    if server.uploads:
        uploads(row, user)
    renewal(row, user)
    shutil.rmtree(user.home)


def uploads(row: Row, user: User) -> None:
    """Store bytes, a large file, and what a generator makes, in each way."""
    server = user.server
    kinds = {
        "bytes": ("bytes", 1 << 20, "{}"),
        "100 MB file": ("file", LARGE, "{}"),
        "generator": ("generator", 20 << 20, json.dumps(server.chunked)),
    }
    worked = []
    for name, arguments in kinds.items():
        for way in WAYS:
            with noted(row, f"upload, {name}, {way}"):
                user.has(server.mint())
                url = f"{server.url}/new-{arguments[0]}"
                got = user.run(way, "store", url, *arguments)
                if not (all(code // 100 == 2 for code in got[:3]) and got[3]):
                    raise FailedError(f"{got}")
                worked.append((name, way))
    done = [name for name in kinds if {(name, way) for way in WAYS} <= set(worked)]
    row.uploads = all_or(done, kinds)


def renewal(row: Row, user: User, seconds: float = 2.5 * LIFETIME) -> None:
    """Renew the token while programs run, one in each way; none may notice."""
    server = user.server
    first = server.mint(lifetime=LIFETIME)
    user.has(first)
    url = server.url + server.path
    programs = {way: user.start(way, "watch", url, seconds) for way in WAYS}
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LIFETIME - 2):
            user.has(server.mint(lifetime=LIFETIME))

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        worked = []
        for way, program in programs.items():
            with noted(row, f"renewal, {way}"):
                codes, tokens = result(program)
                if set(codes) != {"GET 200"} or tokens["GET"] < 3:
                    raise FailedError(f"answers {codes}, {tokens} tokens")
                worked.append(way)
    finally:
        ended.set()
        renewing.join()
    row.renewal = all_or(worked, WAYS)
    if (late := answer(server, first))[:3] == "200":
        row.notes.append(f"{late} to a token that it has taken, seconds after its expiry")


@contextmanager
def noted(row: Row, what: str) -> Iterator[None]:
    """Note what fails, and go on."""
    try:
        yield
    except (FailedError, OSError, AssertionError, subprocess.SubprocessError) as error:
        row.failures.append(f"{what}: {error}")


def all_or(worked: list[str], wanted: Any) -> str:
    """Say which of these worked."""
    if set(worked) == set(wanted):
        return "all"
    return ", ".join(worked) or "**none**"


def answer(server: Server, token: str | None) -> str:
    """Say what a server answers to a token, or to none, sent by hand."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with requests.Session() as session:
        session.verify = str(server.ca)
        session.trust_env = False
        response = session.get(
            server.url + server.path, headers=headers, allow_redirects=False, timeout=30
        )
    said = str(response.status_code)
    challenge = response.headers.get("WWW-Authenticate")
    if challenge is not None:
        said += f" `{challenge.split(',')[0][:60]}`"
    if response.is_redirect:
        said += " to elsewhere"
    if response.headers.get("Connection", "").lower() == "close":
        said += ", hangs up"
    return said


def grouped(answers: dict[str, str]) -> str:
    """Say each answer once, and to what."""
    names: dict[str, list[str]] = {}
    for name, said in answers.items():
        names.setdefault(said, []).append(name)
    if len(names) == 1:
        return next(iter(names))
    return "; ".join(f"{said} ({', '.join(which)})" for said, which in names.items())


def broken(token: str) -> str:
    """Return a token with a signature that is not right."""
    head, _, signature = token.rpartition(".")
    other = "A" if signature[9] != "A" else "B"
    return f"{head}.{signature[:9]}{other}{signature[10:]}"
