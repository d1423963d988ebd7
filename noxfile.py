"""The whole test suite on each version of Python, with the oldest and newest libraries.

`make versions` runs all; `make versions ARGS='-t ends'` the two ends: the oldest Python
with the oldest libraries, and the newest with the newest.
"""

import re

import nox

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
NEEDS = PROJECT["project"]["dependencies"]
PINS = {"oldest": [re.sub(r"\s*>=\s*", "==", need) for need in NEEDS], "newest": []}
ENDS = (PYTHONS[0], "oldest"), (PYTHONS[-1], "newest")
TELL = """
import sys, importlib.metadata
print(*(f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]), sep=", ")
"""


@nox.session
@nox.parametrize(
    ("python", "needs"),
    [
        nox.param(
            *(python, needs),
            id=f"{python}, {needs}",
            tags=["ends"] if (python, needs) in ENDS else [],
        )
        for python in PYTHONS
        for needs in PINS
    ],
)
def tests(session: nox.Session, needs: str) -> None:
    """Run the test suite; arguments after `--` are pytest's."""
    group = nox.project.dependency_groups(PROJECT, "test")
    session.install("--editable", ".[testing]", *group, *PINS[needs])
    names = (re.match(r"[\w-]+", need)[0] for need in NEEDS)
    session.run("python", "-c", TELL, *names, silent=False)
    session.run("python", "-m", "pytest", "-q", *(session.posargs or ["-n", "auto"]))
