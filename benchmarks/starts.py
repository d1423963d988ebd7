"""What a start of Python costs, with and without the start-up file."""

import os
import random
import venv

import environments

NOTHING = "pass"
SESSION = "import requests; requests.Session()"
SESSION_AND_WRAPT = "import requests, wrapt; requests.Session()"

ON = {"REQUESTS_SCITOKENS_AUTOPATCH": "1"}

#: What is started: which start-up file there is, the variables, and the program. The
#: programs that import Requests take ten times as long, and are started less often.
STARTS = {
    "pass/none": ("none", {}, NOTHING),
    "pass/off": ("ours", {}, NOTHING),
    "pass/on": ("ours", ON, NOTHING),
}
SLOW_STARTS = {
    "start/alone": ("none", {}, SESSION),
    "start/wrapt": ("none", {}, SESSION_AND_WRAPT),
    "start/on": ("ours", ON, SESSION),
}


def make_environments(home):
    """Make environments that differ in the start-up file only, and return their Pythons.

    They share what the package's own environment has.
    """
    shared = environments.site_packages(environments.HOME / "ours")
    ours = shared.joinpath("requests_scitokens.pth").read_text()
    pythons = {}
    for name, text in {"none": None, "ours": ours}.items():
        venv.create(home / name, symlinks=True)
        packages = environments.site_packages(home / name)
        for path in shared.iterdir():
            if path.suffix != ".pth":
                packages.joinpath(path.name).symlink_to(path)
        if text is not None:
            packages.joinpath("requests_scitokens.pth").write_text(text)
        pythons[name] = str(home / name / "bin" / "python")
    return pythons


def measure(pythons, variables, rounds):
    """Return the CPU seconds of each start, round by round."""
    return {
        **_measure(STARTS, pythons, variables, rounds),
        **_measure(SLOW_STARTS, pythons, variables, rounds // 2),
    }


def _measure(starts, pythons, variables, rounds):
    seconds = {name: [] for name in starts}
    for _ in range(rounds):
        for name in random.sample(list(starts), len(starts)):
            file, switches, program = starts[name]
            command = [pythons[file], "-c", program]
            seconds[name].append(_start(command, variables | switches))
    return seconds


def _start(command, variables):
    """Run a program; return its CPU seconds, user and system."""
    process = os.posix_spawn(command[0], command, variables)
    _, status, usage = os.wait4(process, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime
