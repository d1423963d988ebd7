"""The whole test suite on each version of Python, with the oldest and newest libraries.

`make versions` runs all; `make versions ARGS='-t ends'` the two ends: the oldest Python
with the oldest libraries, and the newest with the newest. Pythons that are not on this
machine come from a Debian that has them, see `tests/chroot`.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any

import nox

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
NEEDS = PROJECT["project"]["dependencies"]
PINS = {"oldest": [need.replace(" >= ", "==", 1) for need in NEEDS], "newest": []}
# Where `tests/chroot` finds those that this machine may not have.
DEBIANS = {"3.13": "trixie", "3.14": "forky", "3.15": "forky"}
HERE = [one for one in PYTHONS if one not in DEBIANS or shutil.which(f"python{one}")]
ENDS = (PYTHONS[0], "oldest"), (PYTHONS[-1], "newest")
PYTEST_ARGS = ["-q", "-n", "auto"]
TELL = """
import sys, importlib.metadata
print(*(f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]), sep=", ")
"""


def each(name: str, pythons: Iterable[str], ends: Iterable[str]) -> Any:
    """Make a session of each Python with each choice of libraries."""
    return nox.parametrize(
        (name, "needs"),
        [
            nox.param(
                *(python, needs),
                id=f"{python}, {needs}",
                tags=["ends"] if python in ends and (python, needs) in ENDS else [],
            )
            for python in pythons
            for needs in PINS
        ],
    )


@nox.session
@each("python", HERE, ends=HERE)
def tests(session: nox.Session, needs: str) -> None:
    """Run the test suite; arguments after `--` are pytest's."""
    group = nox.project.dependency_groups(PROJECT, "test")
    session.install("--editable", ".[testing]", *group, *PINS[needs])
    names = sorted({re.match(r"[\w-]+", need)[0] for need in NEEDS})
    session.run("python", "-c", TELL, *names, silent=False)
    session.run("python", "-m", "pytest", *(session.posargs or PYTEST_ARGS))


@nox.session(venv_backend="none")
@each("version", DEBIANS, ends=DEBIANS.keys() - HERE)
def debian(session: nox.Session, version: str, needs: str) -> None:
    """Do in a Debian what a new user of this repository does there."""
    chroot = ["tests/chroot", DEBIANS[version]]
    can = subprocess.run(  # noqa: S603
        [*chroot, "true"], stderr=subprocess.PIPE, text=True, check=False
    )
    if can.returncode == 77:
        session.skip(can.stderr.strip())
    arguments = ["--no-cov", *(session.posargs or PYTEST_ARGS)]
    session.run(
        *(*chroot, "make", f"PYTHON=python{version}", f"PINS={shlex.join(PINS[needs])}"),
        *(f"PYTEST_ARGS={shlex.join(arguments)}", "demo", "test"),
    )
