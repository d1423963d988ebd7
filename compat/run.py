"""Run other people's test suites with and without the autopatch, and compare.

Each suite runs unpatched and patched in several ways (`MODES`), and each test must end as
it does unpatched. The suite of requests-scitokens 0.2.1 runs once, with this package in
its place, and must pass; so must, in every mode, what is built on that version, and the
tests in the folders here. Those of clients compare what is sent. See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
CACHE = REPOSITORY / ".compat"
LIMIT = 900  # seconds for one run of one suite
# Python 3.11.3 and before, which Debian 12 has, cannot filter.
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


class Mode(NamedTuple):
    """How a suite is run."""

    audience: str = ""  # of the token in BEARER_TOKEN; without one there is no token
    patched: bool = False
    hosts: str = ""  # REQUESTS_SCITOKENS_HOSTS


ELSEWHERE = "elsewhere.example.org"  # no suite sends anything there
MODES = {
    "unpatched": Mode(f"https://{ELSEWHERE}"),
    "elsewhere": Mode(f"https://{ELSEWHERE}", patched=True, hosts=ELSEWHERE),
    "any": Mode("ANY", patched=True, hosts=ELSEWHERE),
    "no-hosts": Mode("ANY", patched=True),
    "replaced": Mode(),
    "alone": Mode(),  # the tests themselves start programs, patched or not
}
PATCHED = tuple(name for name, mode in MODES.items() if mode.patched)


@dataclass(frozen=True)
class Suite:
    """A distribution whose own tests are run, or tests of several that are here."""

    name: str
    needs: tuple[str, ...]  # to run its tests
    arguments: tuple[str, ...] = ("tests",)  # of pytest
    environment: dict[str, str] = field(default_factory=dict)
    version: str = ""  # by default the newest
    modes: tuple[str, ...] = ("unpatched", *PATCHED)
    here: str = ""  # a folder beside this file that the tests get, too
    of_others: bool = True  # whether there is a distribution of this name
    must_pass: bool = False  # whether each test has to pass, in every mode
    python: tuple[int, int] = (3, 9)


_SERVERS = ("dynamodb", "mongodb", "redis")

SUITES = (
    # Two run at a time; this one takes longest, and is not to be alone at the end.
    Suite(
        "requests-cache",
        (
            "itsdangerous",
            "orjson",
            "psutil",
            "pytest-httpbin",
            "pyyaml",
            "requests-mock",
            "responses",
            "rich",
            "tenacity",
            "time-machine<3",
            "ujson",
        ),
        # Those need a server each, and modules of their own.
        ("tests", *(f"--ignore=tests/integration/test_{name}.py" for name in _SERVERS)),
        environment={"USE_PYTEST_HTTPBIN": "true"},
    ),
    Suite(
        "requests-scitokens",
        ("cryptography", "requests-mock"),
        version="0.2.1",
        modes=("replaced",),
        must_pass=True,
    ),
    # Built on requests-scitokens 0.2.1.
    Suite(
        "requests-pelican",
        ("pytest-remotedata", "requests-mock", "trustme"),
        ("requests_pelican", "federation", "-m", "not remote_data"),
        environment={"OSDF_PAGE": str(REPOSITORY / "docs/how-to/osdf.md")},
        here="federation",
        must_pass=True,
    ),
    Suite(
        "gwpy",
        (
            "htgettoken",
            "igwn-auth-utils",
            "pytest-freezer",
            "pytest-requires",
            "pytest-rerunfailures",
            "trustme",
            str(HERE / "gwpy_issuer" / "gssapi"),
        ),
        ("gwpy/io/tests/test_scitokens.py", "-p", "gwpy_issuer.demo"),
        here="gwpy_issuer",
        must_pass=True,
        python=(3, 11),
    ),
    Suite("requests", ("httpbin", "pytest-httpbin", "pytest-mock", "PySocks", "trustme")),
    Suite("requests-mock", ("fixtures", "purl", "requests-futures", "testtools")),
    Suite(
        "responses",
        ("pytest-asyncio", "pytest-httpserver", "tomli-w"),
        ("responses", "--asyncio-mode=auto"),
    ),
    Suite(
        "requests-toolbelt",
        # What it has recorded is too short for urllib3 2.
        ("betamax", "pyopenssl", "trustme", "urllib3<2"),
    ),
    Suite(
        "requests-oauthlib",
        ("oauthlib[signedtoken]<3.3", "requests-mock"),  # 3.3 rounds times otherwise
        ("tests", "--ignore=tests/examples"),  # those drive a browser
    ),
    Suite("requests-futures", ("pytest-httpbin",)),
    Suite(
        "google-auth",
        # pytest 9 warns of one of its fixtures, and it makes errors of warnings.
        ("flask", "freezegun", "pyopenssl", "pytest<9", "pytest-localserver", "requests"),
        ("tests/transport/test_requests.py",),
    ),
    Suite(
        "zeep",
        (
            *("freezegun", "httpx", "pretend", "pytest-asyncio", "pytest-httpx"),
            *("requests-mock", "xmlsec"),
        ),
        python=(3, 10),
    ),
    # pandas 3.1 warns of what it does, and its tests make errors of warnings.
    Suite("siphon", ("netCDF4", "pandas<3.1", "vcrpy", "xarray"), python=(3, 11)),
    Suite(
        "twine",
        ("build", "pretend", "pytest-socket", "readme-renderer<46"),
        # Those clone a repository, and upload to real servers.
        ("tests", "--disable-socket", "--ignore=tests/test_integration.py"),
        python=(3, 10),
    ),
    Suite(
        "python-gitlab",
        (
            *("anyio", "build", "gql[httpx]", "pytest-console-scripts", "PyYAML"),
            *("responses", "respx", "trio"),
        ),
        ("tests/unit",),  # the others start a GitLab in a container
        python=(3, 10),
    ),
    Suite("igwn-auth-utils", ("requests-mock",), ("igwn_auth_utils",)),
    Suite("gwdatafind", ("requests-mock",), ("gwdatafind",)),
    Suite(
        "igwn-clients",
        ("dqsegdb2", "gracedb-sdk", "gwdatafind", "ligo-gracedb", "trustme"),
        ("igwn",),
        environment={"IGWN_PAGE": str(REPOSITORY / "docs/how-to/igwn.md")},
        here="igwn",
        of_others=False,
        must_pass=True,
        python=(3, 11),
    ),
    Suite(
        "other-clients",
        (
            *("fts3", "pyvo", "rucio-clients", "trustme", "tuspy", "webdavclient3"),
            str(HERE / "clients" / "m2crypto"),
        ),
        ("clients",),
        modes=("alone",),
        here="clients",
        of_others=False,
        must_pass=True,
        python=(3, 10),
    ),
)
QUICK = (
    *("requests-scitokens", "requests-pelican", "igwn-clients", "other-clients"),
    *("requests", "requests-mock", "responses", "google-auth"),
)


# --- a place to run a suite


def make_ready(suite: Suite, wheel: Path) -> Path:
    """Return the folder of a suite's unpacked sdist, with `../venv` beside it."""
    home = CACHE / suite.name
    stamp, wanted = home / "ready", repr((sys.version, suite.version, suite.needs))
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        command(sys.executable, "-m", "venv", "--without-pip", home / "venv")
        what = ["pytest", *suite.needs]
        if suite.of_others:
            sdist = unpack(suite, home)
            if "replaced" in suite.modes:
                take_tests_out(source_in(home))
            else:
                what.append(sdist)
        install(home, *what)
        stamp.write_text(wanted)
    install(home, "--force-reinstall", "--no-deps", wheel)
    install(home, wheel)  # what it depends on
    return source_in(home) if suite.of_others else HERE


def unpack(suite: Suite, home: Path) -> Path:
    """Unpack a suite's sdist, and return its file: the wheels leave the tests out."""
    wish = f"{suite.name}=={suite.version}" if suite.version else suite.name
    pip("download", "--no-deps", "--no-binary", suite.name, "-d", home, wish)
    (sdist,) = home.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(home, **SAFELY)  # noqa: S202
    return sdist


def source_in(home: Path) -> Path:
    """Return the folder of the unpacked sdist."""
    return next(path.parent for path in home.glob("*/PKG-INFO"))


def take_tests_out(source: Path) -> None:
    """Leave of an sdist the tests, so that they find this package and not their own."""
    (package,) = (path.parent for path in source.glob("*/tests"))
    shutil.move(package / "tests", source / "tests")
    shutil.rmtree(package)


def build_wheel() -> Path:
    """Build the package from the checkout."""
    folder = CACHE / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    pip("wheel", "--no-deps", "-w", folder, REPOSITORY)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(home: Path, *what: str | Path) -> None:
    """Install into a suite's environment; Python compiles what is used when it is."""
    pip("--python", home / "venv/bin/python", "install", "--no-compile", *what)


def pip(*arguments: str | Path) -> None:
    """Run pip, which is quiet unless it fails."""
    command(sys.executable, "-m", "pip", "--quiet", *arguments)


def command(*arguments: str | Path) -> None:
    """Run a command; its output is shown only where it fails."""
    done = subprocess.run(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}\n{done.stdout}")


TARPIT = """
ip link add cable type veth peer name end && ip link set cable up && ip link set end up &&
ip route add 10.255.255.1 dev cable &&
ip neighbour add 10.255.255.1 lladdr 02:00:00:00:00:01 dev cable nud permanent
"""


def loopback_only() -> tuple[str, ...]:
    """Return what a command is to be started with to have no network but loopback.

    Several of the suites send requests to real hosts, which would be other people's
    servers, and outcomes that depend on them. Requests' own want an address that never
    answers: packages for it go into one end of a cable, and nobody is at the other.
    """
    set_up = f'ip link set lo up; ({TARPIT}); exec "$@"'
    prefix = ("unshare", "-rn", "sh", "-c", set_up, "sh")
    try:
        subprocess.run((*prefix, "true"), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        print("note: the tests can reach the network here (no unshare -rn, or no ip)")
        return ()
    return prefix


# --- one run


def run(suite: Suite, mode: str, source: Path, prefix: tuple[str, ...]) -> dict[str, str]:
    """Run a suite once; return each test's outcome."""
    home = CACHE / suite.name
    report, log = home / f"{mode}.xml", home / f"{mode}.log"
    report.unlink(missing_ok=True)
    python = (*prefix, str(home / "venv/bin/python"))
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as place:
        environment = {**environment_of(mode, scratch), **suite.environment}
        # Some write where they are, and the other runs are at work, too. Nor is this
        # package's configuration of pytest to be found above.
        source = Path(shutil.copytree(source, Path(place, source.name)))
        if suite.here and suite.of_others:
            shutil.copytree(HERE / suite.here, source / suite.here)
        check(mode, (*python, "-c", TELL), source, environment, home)
        with log.open("w") as output:
            done = subprocess.run(
                (
                    *(*python, "-m", "pytest", *suite.arguments, "-rA"),
                    *("-p", "no:cacheprovider", "-p", "no:randomly"),
                    *("--continue-on-collection-errors", "-o", "addopts="),
                    *("-o", "junit_family=xunit2", f"--junit-xml={report}"),
                ),
                cwd=source,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
                check=False,
            )
    if done.returncode not in (0, 1):  # all passed, some failed
        raise SystemExit(f"pytest ended with status {done.returncode}: {log}")
    return outcomes(report, place)


#: Prints where this package is, the type of a default session's `auth`, and the audience
#: of the token in BEARER_TOKEN.
TELL = """
import json, os, requests, requests_scitokens as ours
token = "BEARER_TOKEN" in os.environ and ours.HTTPSciTokenAuth().find_token()
name = type(requests.Session().auth).__name__
print(json.dumps([ours.__file__, name, token["aud"] if token else ""]))
"""


def check(
    mode: str,
    tell: tuple[str, ...],
    source: Path,
    environment: dict[str, str],
    home: Path,
) -> None:
    """Make sure that a run is what it is called."""
    told = subprocess.check_output(tell, cwd=source, env=environment)
    where, *said = json.loads(told)
    expected = ["HTTPSciTokenAuth" if MODES[mode].patched else "NoneType"]
    expected.append(MODES[mode].audience)
    if said != expected or not Path(where).is_relative_to(home / "venv"):
        raise SystemExit(f"{source.name}, {mode}: the environment is wrong: {told}")


def environment_of(mode: str, scratch: str) -> dict[str, str]:
    """Return the environment variables of a run: those here, and no others.

    CA bundles, proxies and a home with a `.netrc` would change outcomes.
    """
    audience, patched, hosts = MODES[mode]
    ours = {
        "BEARER_TOKEN": audience and make_token(audience),
        "REQUESTS_SCITOKENS_AUTOPATCH": "1" if patched else "",
        "REQUESTS_SCITOKENS_HOSTS": hosts,
    }
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": scratch,
        "TMPDIR": scratch,
        "PYTHONHASHSEED": "0",
        **{name: value for name, value in ours.items() if value},
    }


def make_token(audience: str) -> str:
    """Make a token that is valid for a day, for all that a client can tell."""
    claims = {
        "iss": "https://issuer.example.org",
        "sub": "somebody",
        "aud": audience,
        "scope": "read:/",
        "ver": "scitoken:2.0",
        "exp": int(time.time()) + 86400,
    }
    parts = json.dumps({"alg": "RS256", "typ": "JWT"}), json.dumps(claims), "signature"
    return ".".join(urlsafe_b64encode(part.encode()).decode().strip("=") for part in parts)


def outcomes(report: Path, place: str) -> dict[str, str]:
    """Read a JUnit report: each test, and what became of it.

    Of a failure, the kind of exception is part of the outcome: a test that needs the
    network fails in every run, and is to fail in the same way.
    """
    found: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314, pytest wrote it
        name = str(case.get("name")).replace(place, "")  # some are called after files
        test = f"{case.get('classname')}::{name}"
        parts = [found[test]] if test in found else []  # subtests, or setup and teardown
        for child in case:
            if child.tag in ("failure", "error"):
                kind = re.match(r"[\w.]+(?=:|$)", child.get("message", ""))
                parts.append(f"{child.tag} {kind[0] if kind else ''}".strip())
            elif child.tag == "skipped":
                parts.append("skipped")
        found[test] = ", ".join(parts) or "passed"
    return found


# --- the comparison


@dataclass
class Result:
    """What the runs of one suite came to."""

    suite: Suite
    version: str
    runs: dict[str, list[dict[str, str]]]  # each mode's
    seconds: float

    def of(self, mode: str, test: str) -> set[str]:
        """Return a test's outcomes in the runs of a mode."""
        return {outcomes.get(test, "not run") for outcomes in self.runs[mode]}

    def tests(self) -> list[str]:
        """Return the names of all tests."""
        runs = [outcomes for mode in self.runs.values() for outcomes in mode]
        return list(dict.fromkeys(test for outcomes in runs for test in outcomes))

    def expected(self, test: str) -> set[str]:
        """Return how a test may end."""
        return {"passed"} if self.suite.must_pass else self.of("unpatched", test)

    def changed(self, mode: str) -> list[str]:
        """Return the tests that never ended in this mode as they should."""
        return [
            test
            for test in self.tests()
            if self.expected(test).isdisjoint(self.of(mode, test))
        ]

    def wrong(self) -> list[tuple[str, str]]:
        """Return each mode, and each test that did not end in it as it should."""
        return [(mode, test) for mode in self.runs for test in self.changed(mode)]

    def flaky(self) -> list[str]:
        """Return the tests that ended in several ways in one and the same mode."""
        several = [t for t in self.tests() for m in self.runs if len(self.of(m, t)) > 1]
        return list(dict.fromkeys(several))

    def first(self) -> list[str]:
        """Return the outcomes of the first mode's first run."""
        return list(self.runs[self.suite.modes[0]][0].values())

    def row(self) -> tuple[str, ...]:
        """Return the table's line."""
        first = self.first()
        passed, skipped = (
            sum(word in outcome for outcome in first) for word in ("passed", "skipped")
        )
        numbers = (
            *(len(first), passed, len(first) - passed - skipped, skipped),
            *(len(self.changed(mode)) if mode in self.runs else "-" for mode in PATCHED),
            *(len(self.flaky()), round(self.seconds)),
        )
        return self.suite.name, self.version, *map(str, numbers)


HEADINGS = (
    *("suite", "version", "tests", "passed", "failed", "skipped"),
    *(f"changed: {PATCHED[0]}", *PATCHED[1:], "flaky", "seconds"),
)


def compare(suite: Suite, wheel: Path, prefix: tuple[str, ...]) -> Result:
    """Run a suite in every mode, and once more where an outcome differs."""
    started = time.monotonic()
    source = make_ready(suite, wheel)
    runs: dict[str, list[dict[str, str]]] = {mode: [] for mode in suite.modes}
    version = source.name.rpartition("-")[2] if suite.of_others else "-"
    result = Result(suite, version, runs, 0)
    for _ in range(2):
        # At the same time: most of what they do is wait.
        with ThreadPoolExecutor() as pool:
            found = pool.map(lambda mode: run(suite, mode, source, prefix), runs)
            for of_mode, of_tests in zip(runs.values(), found):
                of_mode.append(of_tests)
        if not result.wrong():
            break
    result.seconds = time.monotonic() - started
    print(f"{suite.name}: {result.seconds:.0f} s", flush=True)
    if "passed" not in result.first():
        raise SystemExit(f"{suite.name}: no test passes, so this compares nothing")
    return result


def show(results: list[Result]) -> None:
    """Print the table, and each test whose outcome changed."""
    rows = [HEADINGS, *(result.row() for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    print()
    for row in rows:
        cells = [c.rjust(w) for c, w in zip(row[2:], widths[2:])]
        print(row[0].ljust(widths[0]), row[1].ljust(widths[1]), *cells, sep="  ")
    print("\nfailed: in all modes alike; most need a network beyond loopback")
    for result in results:
        for mode, test in result.wrong():
            print(f"\n{result.suite.name}, {mode}: {test}")
            print(f"    expected: {' | '.join(result.expected(test))}")
            print(f"    ended in: {' | '.join(result.of(mode, test))}")
        for test in result.flaky():
            print(f"\n{result.suite.name}, flaky: {test}")


def main() -> int:
    """Run the suites that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="by default all")
    arguments = parser.parse_args()
    names = arguments.suites or (QUICK if arguments.quick else [s.name for s in SUITES])
    if unknown := set(names) - {suite.name for suite in SUITES}:
        parser.error(f"no such suite: {', '.join(unknown)}")
    wheel, prefix = build_wheel(), loopback_only()
    chosen = [suite for suite in SUITES if suite.name in names]
    for suite in [suite for suite in chosen if sys.version_info < suite.python]:
        version = ".".join(map(str, suite.python))
        print(f"note: {suite.name} is left out: it needs Python {version}")
        chosen.remove(suite)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda suite: compare(suite, wheel, prefix), chosen))
    show(results)
    return 1 if any(result.wrong() for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
