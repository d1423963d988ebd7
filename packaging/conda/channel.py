"""Makes a local conda channel with as much in it as the recipe's build needs.

Its `python` is a copy of the one that runs this, with pip, hatchling and the run-time
dependencies from the Python Package Index inside; their own packages are empty. What
is tried with it is what conda does with one noarch package: building it, linking its
files into an environment, and removing them.
"""

import io
import json
import subprocess
import sys
import tarfile
from importlib.metadata import distributions
from pathlib import Path

INSIDE = ["pip", "hatchling", "requests", "scitokens", "wrapt"]
VERSION = ".".join(map(str, sys.version_info[:3]))
LIB = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}")
LEFT_OUT = {"site-packages", "dist-packages", "test", "__pycache__", "idlelib", "ensurepip"}


def python_files(site):
    """Return each file of the environment: its place there, and here."""
    base = Path(sys.base_prefix)
    if not (base / LIB / "os.py").exists():
        sys.exit(f"{base} has no {LIB}")
    files = {Path("bin", "python"): Path(sys.executable).resolve()}
    files |= {path.relative_to(base): path for path in base.glob("lib/libpython3*.so*")}
    for root, top in (base / LIB, LIB), (site, LIB / "site-packages"):
        for path in sorted(root.rglob("*")):
            inner = path.relative_to(root)
            left_out = (
                LEFT_OUT & set(inner.parts)
                if root != site
                else "__pycache__" in inner.parts
            )
            if path.is_file() and not left_out:
                files[top / inner] = path
    return files


def write_package(folder, name, version, files):
    """Write one conda package."""
    index = {
        "name": name,
        "version": version,
        "build": "0",
        "build_number": 0,
        "depends": [] if name == "python" else ["python"],
        "subdir": folder.name,
    }
    info = {
        "info/index.json": json.dumps(index),
        "info/files": "".join(f"{path}\n" for path in files),
    }
    with tarfile.open(
        folder / f"{name}-{version}-0.tar.bz2", "w:bz2", compresslevel=1
    ) as tar:
        for path, text in info.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        for path, source in files.items():
            tar.add(source.resolve(), str(path))


def make(channel, subdir, work):
    """Make the channel's folder for this platform."""
    site = work / "inside"
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--target", site, *INSIDE]
    subprocess.run(pip, check=True)
    versions = {
        found.metadata["Name"].lower(): found.version
        for found in distributions(path=[str(site)])
    }
    folder = channel / subdir
    folder.mkdir(parents=True)
    write_package(folder, "python", VERSION, python_files(site))
    for name in INSIDE:
        write_package(folder, name, versions[name], {})
