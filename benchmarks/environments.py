"""Each competitor has an environment of its own, in `.bench/`."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".bench"

#: What is installed, by the environment's name. `.` is this package.
ENVIRONMENTS = {
    "ours": ["."],
    "wrapt-1": [".", "wrapt==1.17.*"],
    "predecessor": ["requests-scitokens==0.2.1"],
    "igwn": ["igwn-auth-utils"],
    "pip-system-certs": ["pip-system-certs", "requests"],
    "autowrapt": ["autowrapt", "requests"],
}


def prepare():
    """Make what is missing; install this package as it is now in any case."""
    HOME.mkdir(exist_ok=True)
    wheels = HOME / "wheels"
    for old in wheels.glob("*.whl"):
        old.unlink()
    _pip("wheel", "-qq", "--no-deps", "--wheel-dir", wheels, ROOT)
    (wheel,) = wheels.glob("*.whl")
    for name, wanted in ENVIRONMENTS.items():
        packages = [wheel if package == "." else package for package in wanted]
        if not python(name).exists():
            venv.create(HOME / name, symlinks=True)
            _pip("--python", python(name), "install", "-qq", *packages)
        elif "." in wanted:
            again = ("--force-reinstall", "--no-deps")
            _pip("--python", python(name), "install", "-qq", *again, wheel)


def python(name):
    """Return the interpreter of an environment."""
    return HOME / name / "bin" / "python"


def site_packages(name):
    """Return where its packages are."""
    (found,) = (HOME / name / "lib").glob("python*/site-packages")
    return found


def versions(name):
    """Return the versions of what is installed there."""
    listed = _pip("--python", python(name), "list", "--format", "json")
    return {
        one["name"].lower().replace("_", "-"): one["version"] for one in json.loads(listed)
    }


def clean_variables(directory):
    """Return the variables that every measured process gets."""
    return {
        "HOME": str(directory),
        "XDG_RUNTIME_DIR": str(directory),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",  # else the layout of dictionaries differs, by luck
    }


def _pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout
