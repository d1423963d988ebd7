"""Throughput on a Dask cluster, beside plain Requests with a header written by hand.

Real XRootD, real `dask worker` processes, and files so small that only the requests
count. Both sides take turns, in many short rounds, so that whatever else the machine
does hits both.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import requests
from distributed import Client

import requests_scitokens
from requests_scitokens.testing import Issuer

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.cluster import AUTOPATCH, Cluster
from tests.xrootd import XRootD

RESULTS = Path(__file__).with_name("results") / "cluster.md"
PLAIN, PATCHED = ["plain-0", "plain-1"], ["patched-0", "patched-1"]

# Workers import it by its name.
ANALYSIS = """
import requests

def fetch(url, **kwargs):
    response = requests.get(url, timeout=60, **kwargs)
    response.raise_for_status()
    return len(response.content)

def fetch_with(url, session):
    response = session.get(url, timeout=60)
    response.raise_for_status()
    return len(response.content)
"""


def main():
    """Measure, print a table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=301)
    parser.add_argument("--files", type=int, default=40, help="in each round and way")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without stopping servers
    with (
        tempfile.TemporaryDirectory() as folder,
        Issuer() as issuer,
        XRootD(issuer) as xrootd,
    ):
        home = Path(folder)
        token = issuer.mint(audience=xrootd.audience, lifetime=7200)
        urls = store(xrootd, options.files)
        set_up(home, issuer, token)
        with Cluster(home, level="warning") as cluster:
            cluster.start_workers("plain", 2)
            cluster.start_workers("patched", 2, **{"pre-spawn-environ": AUTOPATCH})
            with Client(scheduler_file=str(cluster.scheduler_file)) as client:
                client.wait_for_workers(4, timeout=120)
                measured = measure(client, urls, token, options.rounds)
    table = report(measured, options)
    print(table, end="")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(table)


def store(xrootd, count):
    """Store small files, and return their URLs."""
    for n in range(count):
        path = xrootd.root / str(n)
        path.write_bytes(os.urandom(1000))
        path.chmod(0o644)
    return [f"{xrootd.url}/{n}" for n in range(count)]


def set_up(home, issuer, token):
    """Let every process have the module, the token, and trust in the certificate."""
    (home / "analysis.py").write_text(ANALYSIS)
    (home / "token").write_text(token)
    (home / "token").chmod(0o600)
    issuer.write_ca(home / "ca.pem")
    os.environ["BEARER_TOKEN_FILE"] = str(home / "token")
    os.environ["REQUESTS_CA_BUNDLE"] = str(home / "ca.pem")
    os.environ["PYTHONPATH"] = str(home)
    for name in "BEARER_TOKEN", *AUTOPATCH, "REQUESTS_SCITOKENS_HOSTS":
        os.environ.pop(name, None)
    sys.path.insert(0, str(home))


def measure(client, urls, token, rounds):
    """Return, for each comparison and round, what both sides took.

    In seconds: those that passed, and the processor time of the workers.
    """
    import analysis

    header = {"Authorization": f"Bearer {token}"}
    by_hand, ours = requests.Session(), requests_scitokens.Session()
    by_hand.headers.update(header)
    by_hand, ours = client.scatter([by_hand, ours], workers=PLAIN, broadcast=True)

    def batch(function, workers, **kwargs):
        busy = -sum(client.run(time.process_time, workers=address(workers)).values())
        began = time.perf_counter()
        futures = client.map(function, urls, workers=workers, pure=False, **kwargs)
        assert client.gather(futures) == [1000] * len(urls)
        seconds = time.perf_counter() - began
        busy += sum(client.run(time.process_time, workers=address(workers)).values())
        return seconds, busy

    def address(names):
        found = client.scheduler_info(n_workers=-1)["workers"]
        return [where for where, worker in found.items() if worker["name"] in names]

    comparisons = {
        "unchanged `requests.get` on patched workers": (
            lambda: batch(analysis.fetch, PLAIN, headers=header),
            lambda: batch(analysis.fetch, PATCHED),
        ),
        "one `Session` for each worker": (
            lambda: batch(analysis.fetch_with, PLAIN, session=by_hand),
            lambda: batch(analysis.fetch_with, PLAIN, session=ours),
        ),
    }
    measured = {name: [] for name in comparisons}
    for n in range(-1, rounds):  # the first only warms up
        for name, sides in comparisons.items():
            order = (0, 1) if n % 2 else (1, 0)
            seconds = {side: sides[side]() for side in order}
            if n >= 0:
                measured[name].append((seconds[0], seconds[1]))
    return measured


def report(measured, options):
    """Return a table: medians over the rounds."""
    date = time.strftime("%Y-%m-%d", time.gmtime())
    what = (
        f"Measured on {date} with `make bench-cluster`: two worker processes, and a real "
        f"XRootD on the same machine ({os.cpu_count()} cores); {options.rounds} rounds of "
        f"{options.files} small files for each way, in turns. The ratio is the median of "
        "those in each round, with its quartiles; the goal is 0.97. The processor time is "
        "that of the workers, by hand over requests-scitokens."
    )
    lines = [
        "## Throughput on a Dask cluster",
        "",
        what,
        "",
        "| | by hand, files/s | requests-scitokens, files/s | ratio | processor time |",
        "|---|---|---|---|---|",
    ]
    for name, rounds in measured.items():
        passed, busy = ([(a[n], b[n]) for a, b in rounds] for n in (0, 1))
        sides = zip(*passed)
        plain, ours = (options.files / statistics.median(side) for side in sides)
        cells = [name, f"{plain:.0f}", f"{ours:.0f}", ratio(passed), ratio(busy)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def ratio(pairs):
    """Return the median of the ratios, with its quartiles."""
    low, middle, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
