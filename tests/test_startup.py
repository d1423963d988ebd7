"""What happens when Python starts, with the variable set and without."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from requests_scitokens import _startup

CHECKOUT = Path(__file__).parent.parent
SHOW = "import requests; print(type(requests.Session().auth).__name__)"


def python(*args, setting="1", cwd=None, **more):
    """Run Python with the autopatch's variable; return the finished process."""
    environment = {**os.environ, "REQUESTS_SCITOKENS_AUTOPATCH": setting, **more}
    return subprocess.run(
        [sys.executable, *args],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("setting", ["1", "true", "YES", " on "])
def test_the_variable_patches_every_session(setting):
    done = python("-c", SHOW, setting=setting)
    assert (done.stdout, done.stderr) == ("HTTPSciTokenAuth\n", "")


@pytest.mark.parametrize("setting", ["", "0", "false", "No", "off"])
def test_the_variable_switches_it_off(setting):
    done = python("-c", SHOW, setting=setting)
    assert (done.stdout, done.stderr) == ("NoneType\n", "")


def test_any_other_value_is_one_line_and_an_unpatched_program():
    done = python("-c", SHOW, setting="maybe")
    assert done.stdout == "NoneType\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("requests-scitokens: not patching requests: REQUESTS_SCITOKENS_")


def modules(program, setting):
    """Return what is imported when the program ends."""
    program += "; import sys; print(*sys.modules)"
    return set(python("-c", program, setting=setting).stdout.split())


@pytest.mark.usefixtures("uncovered")
def test_until_requests_is_imported_nothing_else_is():
    more = modules("pass", "1") - modules("pass", "")
    assert more == {"requests_scitokens", "requests_scitokens._startup"}


@pytest.mark.usefixtures("uncovered")
def test_a_session_needs_none_of_what_scitokens_needs():
    more = modules("import requests; requests.Session()", "1")
    assert "requests_scitokens.patch" in more
    assert not more & {"scitokens", "jwt", "cryptography"}


@pytest.mark.usefixtures("uncovered")
def test_without_the_variable_nothing_is_imported(tmp_path):
    """Python 3.13 imports a codec to read any start-up file, whatever is in it."""
    tmp_path.joinpath("comment.pth").write_text("# nothing\n")
    program = "import site, sys; site.addpackage(*sys.argv[1:], set()); print(*sys.modules)"

    def modules_after(directory, name):
        done = python("-S", "-c", program, str(directory), name, setting="")
        return done.stdout.split()

    after = modules_after(CHECKOUT, "requests_scitokens.pth")
    assert after == modules_after(tmp_path, "comment.pth")
    assert "site" in after


def test_importing_the_package_imports_nothing_else():
    program = (
        "import sys; before = set(sys.modules); import requests_scitokens; "
        "print(*set(sys.modules) - before)"
    )
    assert python("-c", program, setting="").stdout.split() == ["requests_scitokens"]


def test_requests_is_found_where_the_program_adds_it_later(tmp_path):
    (tmp_path / "requests.py").write_text("raise SystemExit('found the other')")
    program = (
        "import sys; path, sys.path = sys.path, []\n"
        "try: import requests\n"
        "except ImportError: sys.path = path\n" + SHOW
    )
    assert python("-c", program).stdout == "HTTPSciTokenAuth\n"


@pytest.mark.parametrize(
    "before",
    [
        "import importlib.util; importlib.util.find_spec('requests')",
        "sys.modules['urllib3'] = None\n"
        "try: import requests\n"
        "except ImportError: del sys.modules['urllib3']",
    ],
    ids=["find_spec", "failed"],
)
def test_who_only_asks_for_requests_or_fails_to_import_it_has_it_patched_later(before):
    done = python("-c", f"import sys\n{before}\n{SHOW}")
    assert done.stdout == "HTTPSciTokenAuth\n", done.stderr


def test_a_loader_that_is_asked_for_several_times_patches_once(finder, monkeypatch):
    from importlib.machinery import ModuleSpec

    enabled = []
    monkeypatch.setattr(_startup, "_enable", lambda: enabled.append(True))
    loader = Loader()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, loader))
    finder.find_spec("requests")
    finder.find_spec("requests").loader.exec_module("module")
    assert loader.loaded == ["module"]
    assert "exec_module" not in vars(loader)
    assert enabled
    assert finder not in sys.meta_path
    assert finder.find_spec("requests") is None


def test_the_programs_own_module_called_requests_is_left_alone(tmp_path):
    (tmp_path / "requests.py").write_text("mine = True")
    done = python("-c", "import requests; print(requests.mine)", cwd=tmp_path)
    assert done.stdout == "True\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("requests-scitokens: not patching requests: ")


def test_a_failure_while_patching_is_one_line(tmp_path):
    (tmp_path / "wrapt.py").write_text("raise RuntimeError('two\\nlines')")
    done = python("-c", SHOW + "; raise SystemExit(3)", PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.returncode) == ("NoneType\n", 3)
    assert done.stderr == (
        "requests-scitokens: not patching requests: RuntimeError: two lines; "
        "`python -m pip check` may know why\n"
    )


def test_requests_keeps_its_loader_and_is_patched_once():
    program = (
        "import requests, importlib, sys; loader = requests.__loader__\n"
        "assert 'exec_module' not in vars(loader), vars(loader)\n"
        "assert not any(type(one).__name__ == '_Finder' for one in sys.meta_path)\n"
        "importlib.reload(requests)\n"
    )
    done = python("-c", program + SHOW)
    assert (done.stdout, done.stderr) == ("HTTPSciTokenAuth\n", "")


def test_requests_may_be_imported_by_another_start_up_file():
    program = "import requests, requests_scitokens._startup as s; s.start(); "
    assert python("-c", program + SHOW, setting="").stdout == "NoneType\n"
    program = "import os, requests; os.environ['REQUESTS_SCITOKENS_AUTOPATCH'] = '1'\n"
    program += "import requests_scitokens._startup as s; s.start(); s.start()\n"
    assert python("-c", program + SHOW, setting="").stdout == "HTTPSciTokenAuth\n"


# --- the finder, in this process: what a start-up file cannot be made to do


class Loader:
    def __init__(self):
        self.loaded = []

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.loaded.append(module)


class LoaderWithSlots(Loader):
    __slots__ = ()
    loaded = ()

    def __init__(self):
        pass

    def __setattr__(self, name, value):
        raise AttributeError(f"{name} cannot be set")


@pytest.fixture
def finder(monkeypatch):
    finder = _startup._Finder()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    return finder


@pytest.mark.parametrize("loader", [LoaderWithSlots(), None])
def test_an_odd_loader_is_left_alone(finder, monkeypatch, capsys, loader):
    from importlib.machinery import ModuleSpec

    spec = ModuleSpec("requests", loader)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert finder.find_spec("requests") is spec
    assert finder.find_spec("requests") is spec
    complained = capsys.readouterr().err
    assert complained.count("\n") == (loader is not None)


def test_without_stderr_nothing_is_said(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    _startup._complain("something")


def test_where_stderr_is_closed_nothing_is_said(monkeypatch, tmp_path):
    with (tmp_path / "closed").open("w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    _startup._complain("something that nobody reads")


def test_the_start_up_file_is_one_line_that_the_documentation_shows():
    (line,) = (CHECKOUT / "requests_scitokens.pth").read_text().splitlines()
    look, program = line.split(' and exec("', 1)
    assert look == 'import os; os.environ.get("REQUESTS_SCITOKENS_AUTOPATCH")'
    # A string as it stands: nothing is decoded or put together.
    program = ast.literal_eval(f'"{program.removesuffix(")")}')
    page = (CHECKOUT / "docs/reference/startup-files.md").read_text()
    assert textwrap.indent(program, "   ") in page


def test_the_other_start_up_file_names_the_same_function():
    from pkgutil import resolve_name

    (line,) = (CHECKOUT / "requests_scitokens.start").read_text().splitlines()
    assert resolve_name(line) is _startup.start


def test_a_start_up_file_left_behind_is_one_line(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        f"import site; site.addsitedir({str(tmp_path / 'site')!r})"
    )
    (tmp_path / "site").mkdir()
    line = (CHECKOUT / "requests_scitokens.pth").read_text()
    (tmp_path / "site" / "left.pth").write_text(line)
    (tmp_path / "site" / "twice.pth").write_text(line)
    done = python(
        "-I",
        "-S",
        "-c",
        f"""
import sys; sys.path.insert(0, {str(tmp_path)!r}); import sitecustomize; print(1)
""",
    )
    assert done.stdout == "1\n"
    assert done.stderr == (
        'requests-scitokens: not patching requests: ModuleNotFoundError("No module named '
        "'requests_scitokens'\"); install it again, or delete requests_scitokens.pth\n"
    )
