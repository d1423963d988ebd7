"""Try each way in on real servers: `make world`, or `make world ARGS='xrootd nginx'`.

First it prepares what the servers need. Then everything runs in namespaces of its own:
of processes and mounts, so that nothing stays behind when it ends or is interrupted, and
of the network, where there is loopback and nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from . import checks

NAMESPACES = (
    *("unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"),
    "--mount-proc",
)
FILES = "/dev/shm"  # noqa: S108 - it is this run's alone


def main() -> int:
    """Prepare and run; return what the run returned."""
    parser = argparse.ArgumentParser(prog="world", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(checks.NAMES)}")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = checks.chosen(arguments.names)
    if arguments.inside:
        return inside(names)
    if os.geteuid() != 0 or not shutil.which("unshare"):
        parser.error("only root on Linux, with util-linux and iproute2, can do this")
    for what in sorted({need for name in names for need in checks.NEEDS[name]}):
        print(f"preparing {what}", flush=True)
        # Where that fails, its servers will say so in the table.
        guarded([str(Path(__file__).with_name("prepare")), what])
    command = [sys.executable, "-m", "world", "--inside", *names]
    return guarded([*NAMESPACES, *command])


def guarded(command: list[str]) -> int:
    """Run a command that does not outlive this process, however that ends."""
    # In a session of its own, so that Ctrl-C comes here alone.
    dies = ("setpriv", "--pdeathsig", "KILL")
    with subprocess.Popen([*dies, *command], start_new_session=True) as process:

        def stop(number: int, _frame: FrameType | None) -> None:
            process.kill()  # and all that it started, since that is in its namespace
            sys.exit(128 + number)  # waits for it on its way out

        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, stop)
        return process.wait()


def inside(names: list[str]) -> int:
    """Run the checks, where the mounts and the network are this process's own."""
    # Files as well are gone with it; XRootD, as nobody, can get there.
    run("mount", "-t", "tmpfs", "-o", "mode=1777,size=4g", "tmpfs", FILES)
    os.environ["TMPDIR"] = FILES
    run("mount", "--bind", "/proc/sys", "/proc/sys")
    run("mount", "-o", "remount,bind,ro", "/proc/sys")
    run("ip", "link", "set", "lo", "up")
    os.umask(0o022)
    for name in checks.UNWANTED & os.environ.keys():
        del os.environ[name]
    return checks.run(names)


def run(*command: str) -> None:
    """Run a command that has to succeed."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
