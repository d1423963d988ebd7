"""Measure everything, and write `results/`: `make bench`.

Every number comes from a process of its own, and the competitors take turns, in another
order in each round; so what else the machine does at the time hits all of them alike.
Where there are two CPUs, the server has one to itself, and so interrupts nobody.
A ratio is the median of the rounds' ratios.
"""

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import environments
import report
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scitokens import SciToken

HERE = Path(__file__).parent
ORIGINS = 1000
REQUESTS = 1000
TURNS = 20
# Those that this process may use, where the system tells.
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

# What each competitor does: environment, way of `client.py`, token, and the variables.
# The token is unbound, so it waits for a challenge, or names the measured origin.
PATCHED = {"REQUESTS_SCITOKENS_AUTOPATCH": "1"}
COMPETITORS = {
    "session_header": ("ours", "session_header", "unbound", {}),
    "given": ("ours", "handler_given", "unbound", {}),
    "found": ("ours", "handler", "named", {}),
    "force": ("ours", "handler_force", "unbound", {}),
    "challenged": ("ours", "handler", "unbound", {}),
    "patched": ("ours", "session_unchanged", "unbound", PATCHED),
    "get_header": ("ours", "get_header", "unbound", {}),
    "get_patched": ("ours", "get_unchanged", "unbound", PATCHED),
    "predecessor_force": ("predecessor", "predecessor_force", "unbound", {}),
    "predecessor_challenged": ("predecessor", "predecessor", "unbound", {}),
    "igwn": ("igwn", "igwn", "unbound", {}),
    # The same as `challenged` and `found`, after 999 other origins; with 1 and 1,000
    # tokens in HTCondor's directory.
    "thousandth": ("ours", "handler", "unbound", {}),
    "condor_1": ("ours", "handler", "condor_1", {}),
    "condor_1000": ("ours", "handler", "condor_1000", {}),
}


def main():
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41, help="at least 9 for the docs")
    parser.add_argument("--starts", type=int, default=601, help="of Python")
    parser.add_argument("--sends", type=int, default=1_000_000, help="for the memory")
    arguments = parser.parse_args()
    started = time.time()
    environments.prepare()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with server() as ports:
            write_tokens(home, ports)
            requests = measure_requests(home, ports, arguments.rounds)
        starts = measure_starts(home, arguments.starts)
        memory = measure_memory(home, arguments.sends)
    names = ("ours", "wrapt-1", "predecessor", "igwn", *STARTED_BESIDE)
    results = {
        "requests": requests,
        "starts": starts,
        "memory": memory,
        "versions": {name: environments.versions(name) for name in names},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "minutes": (time.time() - started) / 60,
        "load": os.getloadavg()[0],
    }
    environments.HOME.joinpath("results.json").write_text(json.dumps(results))
    report.write(results, HERE / "results")


# --- requests


@contextmanager
def server():
    """Run the server; its ports."""
    command = [sys.executable, HERE / "server.py", str(ORIGINS)]
    pipe = subprocess.PIPE
    use_cpu(0)
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        use_cpu(-1)
        yield json.loads(process.stdout.readline())


def use_cpu(index):
    """Keep this process, and what it starts from now on, on one of the CPUs."""
    if CPUS:
        os.sched_setaffinity(0, {CPUS[index]})


def write_tokens(home, ports):
    """Write the token files, one directory for each kind, and the issuer's key."""
    key = ec.generate_private_key(ec.SECP256R1())

    def mint(audience):
        token = SciToken(key=key, algorithm="ES256", key_id="key")
        token.update_claims({"scope": "read:/", "sub": "user", "aud": audience})
        token.update_claims({"ver": "scitoken:2.0"})
        return token.serialize(issuer="https://issuer.example.org", lifetime=86400).decode()

    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    home.joinpath("key.pem").write_bytes(public)
    named = [mint(f"http://127.0.0.1:{port}") for port in ports]
    kinds = {"unbound": mint("ANY"), "named": named[-1]}
    for kind in ("unbound", "named", "condor_1", "condor_1000"):
        home.joinpath(kind).mkdir()
        write_token(home / kind / f"bt_u{os.geteuid()}", kinds.get(kind, named[-1]))
    for number, token in enumerate(named):
        write_token(home / "condor_1000" / f"{number:04}.use", token)
    write_token(home / "condor_1" / "0000.use", named[-1])


def write_token(path, token):
    """Write a token file as the tools do, for its owner alone."""
    path.touch(mode=0o600)
    path.write_text(token)


def measure_requests(home, ports, rounds):
    """Return the CPU time for each request and the round trips, round by round.

    In each round there is a new process for each competitor, and they take turns.
    """
    costs = {name: [] for name in COMPETITORS}
    trips = {name: [] for name in COMPETITORS}
    for number in range(rounds):
        say(f"requests, round {number + 1} of {rounds}")
        with ExitStack() as stack:
            clients = {name: client(name, home, ports, stack) for name in COMPETITORS}
            for of_all in (costs, trips):
                for name in clients:
                    of_all[name].append(0)
            turns = (random.sample(list(clients), len(clients)) for _ in range(TURNS))
            for name in chain.from_iterable(turns):
                count(ports[-1])
                process = clients[name]
                print(REQUESTS // TURNS, file=process.stdin, flush=True)
                costs[name][-1] += float(process.stdout.readline()) / REQUESTS * 1e6
                trips[name][-1] += count(ports[-1])
    return {"costs": costs, "trips": trips, "number": REQUESTS}


def client(name, home, ports, stack):
    """Start a competitor, and wait until it has warmed up."""
    environment, way, kind, variables = COMPETITORS[name]
    variables = environments.clean_variables(home) | variables
    variables["XDG_RUNTIME_DIR"] = str(home / kind)
    if kind.startswith("condor"):
        variables["_CONDOR_CREDS"] = str(home / kind)
    # One that was challenged before is challenged no more: so another origin.
    warm = ports[:1] if kind == "unbound" else ports[-1:]
    if name == "thousandth":
        warm = ports[:-1]
    urls = [f"http://127.0.0.1:{port}/hello.txt" for port in [*warm, ports[-1]]]
    command = [environments.python(environment), HERE / "client.py", way, json.dumps(urls)]
    pipe = subprocess.PIPE
    process = stack.enter_context(
        subprocess.Popen(command, env=variables, stdin=pipe, stdout=pipe, text=True)
    )
    assert process.stdout.readline() == "ready\n", name
    return process


def count(port):
    """Return how many requests the server has had on this port since it was asked."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/count")
    answer = int(connection.getresponse().read())
    connection.close()
    return answer


# --- starts

NOTHING = "pass"
IMPORT = "import requests; requests.Session()"
IMPORT_BOTH = "import requests, wrapt; requests.Session()"
UNNEEDED = ("scitokens", "jwt", "cryptography")

STARTED_BESIDE = {"pip-system-certs": {}, "autowrapt": {"AUTOWRAPT_BOOTSTRAP": "nothing"}}

# The least that a start-up file with a switch can do: look at a variable, and import a
# module of its own, where there is nothing in it.
LEAST = 'import os; os.environ.get("REQUESTS_SCITOKENS_AUTOPATCH") and __import__("empty")'

# What is started: environment, whether its start-up files are there, or what is there
# instead, the variables, and the program.
STARTS = {
    "pass": ("ours", False, {}, NOTHING),
    "pass_unset": ("ours", True, {}, NOTHING),
    "pass_set": ("ours", True, PATCHED, NOTHING),
    "pass_least_unset": ("ours", LEAST, {}, NOTHING),
    "pass_least_set": ("ours", LEAST, PATCHED, NOTHING),
}
# In one of how many rounds each is started: those below take ten times as long.
SELDOM = dict.fromkeys(STARTS, 1)
for _name in ("ours", "wrapt-1"):
    _starts = {
        f"{_name}_requests": (_name, False, {}, IMPORT),
        f"{_name}_plain": (_name, False, {}, IMPORT_BOTH),
        f"{_name}_patched": (_name, True, PATCHED, IMPORT),
    }
    STARTS |= _starts
    SELDOM |= dict.fromkeys(_starts, 2)  # these have goals
for _name, _on in STARTED_BESIDE.items():
    STARTS |= {
        f"{_name}_off_pass": (_name, False, {}, NOTHING),
        f"{_name}_on_pass": (_name, True, _on, NOTHING),
        f"{_name}_off_requests": (_name, False, {}, IMPORT),
        f"{_name}_on_requests": (_name, True, _on, IMPORT),
    }


def measure_starts(home, rounds):
    """Return the CPU time of each start in seconds, round by round; and the modules."""
    costs, walls = {name: [] for name in STARTS}, {name: [] for name in STARTS}
    variables = environments.clean_variables(home)
    environments.site_packages("ours").joinpath("empty.py").touch()
    for number in range(rounds):
        if number % 100 == 0:
            say(f"starts, round {number + 1} of {rounds}")
        for name in random.sample(list(STARTS), len(STARTS)):
            environment, files, switches, program = STARTS[name]
            if number % SELDOM.get(name, 6):
                continue
            command = [str(environments.python(environment)), "-c", program]
            with start_up_files(environment, there=files):
                wall, cpu = start(command, variables | switches)
            costs[name].append(cpu)
            walls[name].append(wall)
    return {"costs": costs, "walls": walls, "modules": new_modules(variables)}


@contextmanager
def start_up_files(environment, *, there):
    """Have the start-up files there, or out of the way; or a file with this text."""
    found = [
        path
        for path in environments.site_packages(environment).iterdir()
        if path.suffix in (".pth", ".start")
    ]
    moved = [] if there is True else found
    for path in moved:
        path.rename(f"{path}.off")
    instead = environments.site_packages(environment) / "instead.pth"
    if isinstance(there, str):
        instead.write_text(there)
    try:
        yield
    finally:
        instead.unlink(missing_ok=True)
        for path in moved:
            path.with_name(f"{path.name}.off").rename(path)


def start(command, variables):
    """Run a program; its time by the clock, and on the CPU."""
    started = time.perf_counter()
    process = os.posix_spawn(command[0], command, variables)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    assert status == 0, command
    return wall, usage.ru_utime + usage.ru_stime


def new_modules(variables):
    """Return which modules the start-up files import, when switched off and on."""
    program = "import sys; {}print(*sys.modules)"
    python = environments.python("ours")

    def modules(first="", **switches):
        command = [python, "-c", program.format(first)]
        return set(run(command, variables | switches).split())

    # Not without any: Python 3.13 imports a codec to read one.
    with start_up_files("ours", there="# nothing"):
        plain = modules()
    after = modules(f"{IMPORT}; ", **PATCHED)
    return {
        "unset": sorted(modules() - plain),
        "set": sorted(modules(**PATCHED) - plain),
        "unneeded": sorted(after.intersection(UNNEEDED)),
    }


# --- memory


def measure_memory(home, sends):
    """Return what `memory.py` says."""
    say(f"memory, {sends:,} requests")
    variables = environments.clean_variables(home)
    variables["XDG_RUNTIME_DIR"] = str(home / "unbound")
    command = [environments.python("ours"), HERE / "memory.py", str(sends)]
    return json.loads(run(command, variables))


def run(command, variables):
    """Return what a program prints."""
    done = subprocess.run(
        command, check=True, env=variables, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def say(text):
    """Say what is being done."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
