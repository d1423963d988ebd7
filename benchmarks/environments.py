"""Each package that is measured has an environment of its own, in `.bench/`."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

#: Where nothing is sent: the handler alone is measured with an https URL, as users have.
STORAGE = "https://storage.example.org/hello.txt"

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".bench"

#: What is installed, by the environment's name. This package as users have it: not
#: editable, which would start slower.
ENVIRONMENTS = {
    "ours": ROOT,
    "predecessor": "requests-scitokens==0.2.1",
    "igwn": "igwn-auth-utils",
}


def prepare():
    """Make the environments that are missing, and install this package as it is now."""
    for name, package in ENVIRONMENTS.items():
        new = not python(name).exists()
        if new:
            venv.create(HOME / name, symlinks=True)
        if new or package == ROOT:
            _pip(name, "install", "-qq", package)


def python(name):
    """Return the interpreter of an environment."""
    return HOME / name / "bin" / "python"


def site_packages(directory):
    """Return the folder where an environment has its packages."""
    (found,) = directory.glob("lib/python*/site-packages")
    return found


def versions(name):
    """Return the versions of the packages in an environment."""
    listed = json.loads(_pip(name, "list", "--format", "json"))
    return {one["name"].lower().replace("_", "-"): one["version"] for one in listed}


def clean_variables(home):
    """Return the variables that every measured process gets: a token for any server."""
    return {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "any"),
        "REQUESTS_CA_BUNDLE": str(home / "ca.pem"),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
    }


def _pip(name, *arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    command += ["--python", python(name), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
