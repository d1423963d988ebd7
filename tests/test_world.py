"""`make world`: nothing stays behind, and its page is what the last run wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from world import checks, report
from world.__main__ import NAMESPACES

ROOT = Path(__file__).parent.parent
PROGRAM = """
import sys
from world.__main__ import NAMESPACES, guarded
sys.exit(guarded([*NAMESPACES, "sh", "-c", sys.argv[1]]))
"""


def can_isolate():
    try:
        done = subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def alive(mark):
    """Return the processes that have a word in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in path.read_bytes().decode(errors="replace"):
                found.append(path.parent.name)
        except OSError:  # it has just ended
            continue
    return found


@pytest.mark.skipif(not can_isolate(), reason="this user or machine has no namespaces")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_and_no_mount(number, tmp_path):
    mark = f"{os.getpid()}{int(number)}.5"
    script = (
        f"mount -t tmpfs tmpfs {tmp_path} && echo up; setsid sleep 1{mark} & sleep 2{mark}"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout.readline() == "up\n"
        assert str(tmp_path) not in Path("/proc/mounts").read_text()
        program.send_signal(number)
        program.wait(20)
    deadline = time.monotonic() + 20
    while alive(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(mark) == []


@pytest.mark.skipif(not can_isolate(), reason="this user or machine has no namespaces")
def test_a_run_reaches_loopback_alone():
    shown = subprocess.run(
        [*NAMESPACES, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True
    ).stdout
    devices = [line.split(":")[0].strip() for line in shown.splitlines()[2:]]
    assert "lo" in devices
    # Some kernels bring tunnels along; they lead nowhere until they are set up.
    assert not [name for name in devices if name.startswith(("e", "w", "bond"))]


def test_the_page_is_what_the_last_run_wrote():
    results = json.loads(checks.RESULTS.read_text())
    assert report.TABLE.read_text() == report.table(results)
    assert list(results) == list(checks.NAMES)
    assert not [name for name, result in results.items() if result["failures"]]
