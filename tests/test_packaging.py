"""What pip puts into an environment, and takes out again."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
START_UP = {"requests_scitokens.pth"}
SHOW = "import requests; print(type(requests.Session().auth).__name__)"

# Everything needed is here already: nothing is asked of any package index.
INSTALL = (
    "install",
    "--ignore-installed",
    "--no-index",
    "--no-deps",
    "--no-build-isolation",
)


def run(*command, **variables):
    """Run a command without coverage's own start-up file; return what it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        command,
        env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


class Environment:
    """A new virtual environment that sees what this one has installed."""

    def __init__(self, folder):
        builder = venv.EnvBuilder(symlinks=os.name != "nt")
        builder.create(folder)
        self.python = builder.ensure_directories(folder).env_exe
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.site = Path(run(self.python, "-c", where))
        # As a plain path: this environment's start-up files are not read there.
        (self.site / "this.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def pip(self, *arguments):
        run(sys.executable, "-m", "pip", "--python", self.python, *arguments)

    def top(self):
        """Return what the package has at the top of site-packages."""
        return {path.name for path in self.site.iterdir() if "scitokens" in path.name}

    def show(self, setting):
        """Return which auth a new session has."""
        return run(self.python, "-c", SHOW, REQUESTS_SCITOKENS_AUTOPATCH=setting)


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / "venv")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    build = "import sys; from hatchling.build import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=CHECKOUT, check=True)
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def tree(sdist, tmp_path):
    """Copy the tree, as the sdist has it."""
    run(sys.executable, "-m", "tarfile", "-e", sdist, tmp_path / "tree")
    (path,) = (tmp_path / "tree").iterdir()
    return path


@pytest.fixture
def wheel(sdist, tmp_path):
    folder = tmp_path / "wheel"
    options = (*INSTALL[2:], "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, sdist)
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize(
    ("source", "options"), [("tree", []), ("tree", ["--editable"]), ("wheel", [])]
)
def test_pip_installs_the_start_up_file_and_removes_it(
    environment, request, source, options
):
    environment.pip(*INSTALL, *options, request.getfixturevalue(source))
    assert environment.top() > START_UP
    assert environment.show("1") == "HTTPSciTokenAuth"
    assert environment.show("") == "NoneType"

    environment.pip("uninstall", "--yes", "requests-scitokens")
    assert environment.top() == set()
    assert environment.show("1") == "NoneType"


def test_in_a_folder_of_its_own_importing_the_module_patches(environment, wheel, tmp_path):
    """Python reads no start-up files where PYTHONPATH leads."""
    folder = tmp_path / "target"
    run(sys.executable, "-m", "pip", *INSTALL, "--target", folder, wheel)
    assert {path.name for path in folder.iterdir()} > START_UP
    variables = {"PYTHONPATH": str(folder), "REQUESTS_SCITOKENS_AUTOPATCH": "1"}
    assert run(environment.python, "-c", SHOW, **variables) == "NoneType"
    program = f"import requests_scitokens.patch; {SHOW}"
    assert run(environment.python, "-c", program, **variables) == "HTTPSciTokenAuth"


def test_the_wheel_says_under_which_licence_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("/METADATA"))
        metadata = archive.read(name).decode().splitlines()
        licence = name.replace("METADATA", "licenses/LICENSE")
        assert archive.read(licence) == (CHECKOUT / "LICENSE").read_bytes()
    assert {"License-Expression: Apache-2.0", "License-File: LICENSE"} <= set(metadata)
    assert not [line for line in metadata if line.startswith("Classifier: License")]


def test_the_wheel_has_nothing_beside_the_package_and_the_start_up_file(wheel):
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
    (metadata,) = top - START_UP - {"requests_scitokens"}
    assert metadata.endswith(".dist-info")


def test_the_sdist_has_what_building_and_testing_it_needs(tree):
    names = {path.name for path in tree.iterdir()}
    assert names >= START_UP | {"pyproject.toml", "LICENSE", "README.md", "tests"}


def test_contributing_names_every_module():
    text = (CHECKOUT / "CONTRIBUTING.md").read_text()
    modules = {path.name for path in (CHECKOUT / "requests_scitokens").glob("*.py")}
    assert not {name for name in modules - {"__init__.py"} if name not in text}
