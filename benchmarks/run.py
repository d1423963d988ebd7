"""Measure what the package costs, and write `results/results.md`: `make bench`.

Everything is measured in several passes, and in each pass the competitors take turns in
short blocks, in another order each time. A number is the median over the passes of the
median over the rounds of a pass. So neither what else the machine does meanwhile nor the
luck of one process decides.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import environments
import report
import starts

from requests_scitokens.testing import Issuer

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests import xrootd

HERE = Path(__file__).parent

#: How often in each pass: rounds of warm loops (ten times as many with XRootD), turns of
#: each peer, starts of Python. At last the requests for the memory.
DEFAULT = {"passes": 5, "loops": 100, "turns": 60, "starts": 200, "sends": 300_000}
QUICK = {"passes": 2, "loops": 20, "turns": 10, "starts": 30, "sends": 50_000}

#: The package and the handler in `client.py` of those that need a process of their own.
PEERS = {
    "peers/at once": ("ours", "at once"),
    "peers/challenged": ("ours", "challenged"),
    "peers/0.2.1 at once": ("predecessor", "at once"),
    "peers/0.2.1 challenged": ("predecessor", "challenged"),
    "peers/igwn": ("igwn", "igwn"),
}


def main():
    """Measure, show the results, and keep them unless they were made quickly."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only try, and keep nothing")
    for name, number in DEFAULT.items():
        parser.add_argument(f"--{name}", type=int, help=f"{number:,} by default")
    arguments = vars(parser.parse_args())
    amounts = QUICK if arguments["quick"] else DEFAULT
    amounts = {name: arguments[name] or number for name, number in amounts.items()}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without stopping servers
    say("installing")
    environments.prepare()
    results = measure(amounts)
    results["command"] = f"make bench{' ARGS=--quick' * arguments['quick']}"
    environments.HOME.joinpath("results.json").write_text(json.dumps(results))
    page = report.page(results)
    print(page, end="")
    if not arguments["quick"]:
        report.RESULTS.parent.mkdir(exist_ok=True)
        report.RESULTS.write_text(page)


def measure(amounts):
    """Return everything that was measured, with the circumstances."""
    started, load = time.time(), os.getloadavg()[0]
    passes = []
    missing = xrootd.available()
    with (
        tempfile.TemporaryDirectory() as directory,
        Issuer() as issuer,
        nullcontext() if missing else xrootd.XRootD(issuer) as storage,
    ):
        home = Path(directory)
        variables = environments.clean_variables(home)
        named = variables | {"XDG_RUNTIME_DIR": str(home / "named")}
        servers = [environments.STORAGE] + ([] if missing else [storage.audience])
        write_credentials(home, issuer, servers)
        xrootd_url = "" if missing else store(storage)
        counts = run("counts.py", named)
        pythons = starts.make_environments(home)
        for number in range(1, amounts["passes"] + 1):
            say(f"pass {number} of {amounts['passes']}")
            seconds = run("loops.py", named, amounts["loops"], xrootd_url)
            with server(home / "server.pem") as url:
                seconds |= measure_peers(variables, amounts["turns"], url, issuer.url)
            seconds |= starts.measure(pythons, variables, amounts["starts"])
            passes.append(seconds)
        say(f"memory, {amounts['sends']:,} requests")
        memory = run("memory.py", variables, amounts["sends"])
    return {
        "passes": passes,
        "counts": counts,
        "memory": memory,
        "missing": missing,
        "versions": {name: environments.versions(name) for name in ("ours", "igwn")},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "minutes": (time.time() - started) / 60,
        "load": [load, os.getloadavg()[0]],
    }


@contextmanager
def server(certificate):
    """Run the server; its URL."""
    command = [sys.executable, HERE / "server.py", certificate]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield f"https://localhost:{int(process.stdout.readline())}/hello.txt"


def write_credentials(home, issuer, servers):
    """Write a token for these servers, one for any, the keys and the certificates."""
    issuer.write_ca(home / "ca.pem")
    certificate = issuer.ca.issue_cert("localhost").private_key_and_cert_chain_pem
    certificate.write_to_path(home / "server.pem")
    (home / "key.pem").write_bytes(issuer.public_key)
    for kind, audience in {"named": servers, "any": "ANY"}.items():
        path = home / kind / f"bt_u{os.geteuid()}"
        path.parent.mkdir()
        path.touch(mode=0o600)
        path.write_text(issuer.mint(audience=audience, lifetime=86400))


def store(storage):
    """Store a small file in XRootD, and return its URL."""
    path = storage.root / "hello.txt"
    path.write_bytes(b"hello\n")
    path.chmod(0o644)
    return f"{storage.url}/hello.txt"


def measure_peers(variables, turns, url, issuer):
    """Return the CPU seconds of one request with each package."""
    seconds = {name: [] for name in PEERS}
    with ExitStack() as stack:
        clients = {
            name: stack.enter_context(client(*PEERS[name], variables, url, issuer))
            for name in PEERS
        }
        for _ in range(turns):
            for name in random.sample(list(PEERS), len(PEERS)):
                seconds[name].append(clients[name](20))
    return seconds


@contextmanager
def client(environment, handler, variables, url, issuer):
    """Start a client; a function that has it send requests, and returns its CPU seconds."""
    command = [environments.python(environment), HERE / "client.py", handler, url, issuer]
    pipe = subprocess.PIPE

    def send(number):
        print(number, file=process.stdin, flush=True)
        return float(process.stdout.readline())

    with subprocess.Popen(
        command, env=variables, stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n", environment
        yield send


def run(script, variables, *arguments):
    """Run a script with this package, and return what it says."""
    command = [environments.python("ours"), HERE / script, *map(str, arguments)]
    done = subprocess.run(
        command, check=True, env=variables, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def say(text):
    """Say what is being done."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
