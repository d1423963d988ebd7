"""What happens when Python starts, with the variable set and without."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
import requests

import requests_scitokens
from requests_scitokens import _startup

CHECKOUT = Path(__file__).parent.parent
SHOW = "import requests; print(type(requests.Session().auth).__name__)"
PATCHED = ("HTTPSciTokenAuth\n", "")


def python(*args, setting="1", cwd=None, **more):
    """Run Python with the autopatch's variable; return the finished process."""
    environment = {**os.environ, "REQUESTS_SCITOKENS_AUTOPATCH": setting, **more}
    # Python shows what is written to stderr at once in any case.
    environment.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(
        [sys.executable, *args],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shown(program, *args, **options):
    """Return what a program shows on stdout and stderr, and then a new session's auth."""
    done = python("-c", textwrap.dedent(program) + SHOW, *args, **options)
    return done.stdout, done.stderr


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
    assert more == {
        "requests_scitokens",
        "requests_scitokens._environment",
        "requests_scitokens._startup",
    }


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


def test_a_failure_is_said_once_however_often_requests_is_imported(tmp_path):
    (tmp_path / "wrapt.py").write_text("raise RuntimeError('no')")
    program = "import importlib, requests; importlib.reload(requests); "
    done = python("-c", program + SHOW, PYTHONPATH=str(tmp_path))
    assert done.stdout == "NoneType\n"
    assert done.stderr.count("\n") == 1


# --- requests is imported before, again, late, or by hand


def test_requests_may_be_imported_by_another_start_up_file():
    program = "import requests, requests_scitokens._startup as s; s.start(); "
    assert python("-c", program + SHOW, setting="").stdout == "NoneType\n"
    program = """
        import os, requests
        os.environ["REQUESTS_SCITOKENS_AUTOPATCH"] = "1"
        import requests_scitokens._startup as s
        s.start(); s.start()
    """
    assert shown(program, setting="") == PATCHED


def test_requests_may_still_be_being_imported_by_another_start_up_files_thread():
    program = """
        import os, sys, threading, time
        half = threading.Event()
        def pause(event, args):
            if event == "import" and args[0] == "requests.api" and not half.is_set():
                half.set()
                time.sleep(0.5)
        sys.addaudithook(pause)
        threading.Thread(target=__import__, args=["requests"]).start()
        assert half.wait(30)
        os.environ["REQUESTS_SCITOKENS_AUTOPATCH"] = "1"
        import requests_scitokens._startup as s
        s.start()
    """
    assert shown(program, setting="") == PATCHED


def test_starting_again_while_requests_is_imported_says_nothing():
    program = """
        import sys
        def again(event, args):
            if event == "import" and args[0] == "requests.api":
                import requests_scitokens._startup
                requests_scitokens._startup.start()
        sys.addaudithook(again)
    """
    assert shown(program) == PATCHED


def test_a_program_sees_nothing_of_it_in_requests():
    program = """
        import sys
        import urllib3  # older versions add a finder of their own
        before = list(sys.meta_path)
        import importlib, importlib.machinery, requests
        loader = importlib.machinery.SourceFileLoader
        for _ in range(2):
            assert type(requests.__loader__) is loader, requests.__loader__
            assert requests.__spec__.loader is requests.__loader__
            assert set(vars(requests.__loader__)) == {"name", "path"}
            importlib.reload(requests)
        assert sys.meta_path == before
    """
    assert shown(program) == PATCHED


def test_what_is_asked_of_the_loader_before_is_answered():
    program = """
        import copy, importlib.util, pickle, sys
        spec = importlib.util.find_spec("requests")
        assert spec.loader.is_package("requests")
        assert "Session" in spec.loader.get_source("requests")
        assert copy.deepcopy(spec.loader).name == "requests"
        assert pickle.loads(pickle.dumps(spec.loader)).name == "requests"
        assert not hasattr(spec.loader, "nothing")
        assert "requests" not in sys.modules
    """
    assert shown(program) == PATCHED


def test_reloading_requests_patches_it_once():
    program = """
        import importlib, requests
        once = vars(requests.Session)["__init__"]
        importlib.reload(requests)
        assert vars(requests.Session)["__init__"] is once
    """
    assert shown(program) == PATCHED


@pytest.mark.parametrize(
    "add", ["sys.modules['requests'] = module", "pass"], ids=["in sys.modules", "aside"]
)
def test_requests_loaded_by_hand_is_patched_where_it_is_the_programs(add):
    program = f"""
        import importlib.util, sys
        spec = importlib.util.find_spec("requests")
        module = importlib.util.module_from_spec(spec)
        {add}
        spec.loader.exec_module(module)
        assert type(module.__loader__) is importlib.machinery.SourceFileLoader
        assert type(module.__spec__.loader) is importlib.machinery.SourceFileLoader
    """
    assert shown(program) == PATCHED


def test_a_copy_of_requests_loaded_aside_is_not_patched_and_loads_no_other(tmp_path):
    (tmp_path / "requests.py").write_text("class Session: auth = None")
    program = """
import importlib.util, sys
spec = importlib.util.find_spec("requests")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.Session.auth, {"requests", "requests_scitokens.patch"} & set(sys.modules))
"""
    done = python("-c", program, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("None set()\n", "")


def test_a_lazy_loader():
    """As importlib's documentation has it."""
    program = """
        import importlib.util, sys
        spec = importlib.util.find_spec("requests")
        loader = spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules["requests"] = module
        loader.exec_module(module)
        assert "requests.api" not in sys.modules
    """
    assert shown(program) == PATCHED


# --- other people's finders and loaders

# Finds what Python finds, and lets `change` make a loader of its own from the loader.
FINDER = """
import sys
from importlib.machinery import PathFinder

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if name in ("requests", "beside"):
            spec.loader = change(spec.loader)
        return spec

sys.meta_path.insert(len(sys.meta_path) - 1, Finder)
"""
REFUSES = """
class Loader:
    __slots__ = ("theirs",)
    def __init__(self, theirs):
        object.__setattr__(self, "theirs", theirs)
    def __setattr__(self, name, value):
        raise AttributeError(name)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        self.theirs.exec_module(module)

change = Loader
"""
A_CLASS = """
def change(theirs):
    class Loader:
        @classmethod
        def create_module(cls, spec):
            return None
        @staticmethod
        def exec_module(module):
            theirs.exec_module(module)
    return Loader
"""
SHARED = """
class Loader:
    theirs = {}
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        self.theirs[module.__name__].exec_module(module)

one = Loader()

def change(theirs):
    one.theirs[theirs.name] = theirs
    return one
"""
# PEP 302's, which Python 3.15 no longer knows.
OLD = """
class Loader:
    def __init__(self, theirs):
        self.theirs = theirs
    def load_module(self, name):
        return self.theirs.load_module(name)

change = Loader
"""


@pytest.mark.parametrize(
    "loader",
    [
        pytest.param(REFUSES, id="refuses attributes"),
        pytest.param(A_CLASS, id="a class"),
        pytest.param(SHARED, id="shared"),
        pytest.param(
            OLD,
            id="load_module",
            marks=pytest.mark.skipif(sys.version_info >= (3, 15), reason="removed in 3.15"),
        ),
    ],
)
def test_a_loader_of_somebodys_own(tmp_path, loader):
    (tmp_path / "beside.py").write_text("here = True")
    program = f"""{loader}{FINDER}
import beside, requests
assert beside.here
assert beside.__loader__ is requests.__loader__ or {loader != SHARED}
"""
    assert shown(program, PYTHONPATH=str(tmp_path)) == PATCHED


def test_requests_in_a_zip_with_other_modules(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(Path(requests.__file__).parent, source / "requests")
    (source / "beside.py").write_text("here = True")
    archive = shutil.make_archive(str(tmp_path / "modules"), "zip", source)
    program = f"""
        import sys
        sys.path.insert(0, {archive!r})
        import requests, beside, zipimport
        assert beside.here
        for module in (requests, beside):
            assert module.__file__.startswith({archive!r})
            assert type(module.__loader__) is zipimport.zipimporter
            assert not hasattr(module.__loader__, "__dict__") or (
                "exec_module" not in vars(module.__loader__)
            )
    """
    assert shown(program) == PATCHED


def test_a_namespace_called_requests_stays_one(tmp_path):
    (tmp_path / "requests").mkdir()
    program = """
import sys, importlib.util
sys.path = [path for path in sys.path if "site-packages" not in path]
spec = importlib.util.find_spec("requests")
import requests
print(list(requests.__path__), type(spec.loader) is type(requests.__loader__))
"""
    done = python("-c", program, cwd=tmp_path)
    folder = str(tmp_path / "requests")
    assert done.stdout in {f"{[folder]} {same}\n" for same in (True, False)}


# As Mercurial's demandimport does. Not all of Python's own modules can be loaded late.
WRAPS_EACH = """
import importlib.util, sys

LATE = {"requests", "requests_scitokens", "urllib3", "wrapt"}

class Lazy:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, *args):
        spec = self.finder.find_spec(name, *args)
        if spec is not None and name.partition(".")[0] in LATE:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec

sys.meta_path[:] = [Lazy(finder) for finder in sys.meta_path]
"""
ASKS_EACH = """
import sys

class Asks:
    def find_spec(self, *args):
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(*args)
            if spec is not None:
                return spec

sys.meta_path.insert(0, Asks())
"""
# As wrapt's post-import hooks do.
ASKS_PYTHON = """
import importlib.util, sys

class Asks:
    asking = set()
    def find_spec(self, name, path=None, target=None):
        if name in self.asking or name != "requests":
            return None
        self.asking.add(name)
        try:
            return importlib.util.find_spec(name)
        finally:
            self.asking.remove(name)

sys.meta_path.insert(0, Asks())
"""
WRAPS_LOADERS = """
import importlib.machinery, sys

class Loader:
    def __init__(self, theirs):
        self.theirs = theirs
    def create_module(self, spec):
        return self.theirs.create_module(spec)
    def exec_module(self, module):
        self.theirs.exec_module(module)

class Wraps:
    def find_spec(self, *args):
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(*args)
            if spec is not None:
                if args[0] == "requests":
                    spec.loader = Loader(spec.loader)
                return spec

sys.meta_path.insert(0, Wraps())
"""
BEHIND = """
import sys

class Never:
    def find_spec(self, *args):
        return None

class Old:
    "Has no `find_spec`; Python 3.12 and later skip it."
    def find_module(self, *args):
        return None

sys.meta_path[1:1] = [Never(), Old()]
"""


@pytest.mark.parametrize(
    "finder",
    [
        pytest.param(WRAPS_EACH, id="makes each lazy"),
        pytest.param(ASKS_EACH, id="asks each"),
        pytest.param(ASKS_PYTHON, id="asks Python"),
        pytest.param(WRAPS_LOADERS, id="wraps their loaders"),
        pytest.param(BEHIND, id="behind"),
    ],
)
def test_a_finder_of_somebodys_own(finder):
    assert shown(finder) == PATCHED


def test_two_layers_with_a_finder_each():
    """The other may have come from another copy of this package."""
    program = """
        import sys
        before = list(sys.meta_path)
        for name in [name for name in sys.modules if name.startswith("requests_sci")]:
            del sys.modules[name]
        import requests_scitokens._startup as other
        other.start()
        assert sys.meta_path == before
        sys.meta_path.insert(0, other._Finder())
    """
    assert shown(program) == PATCHED


# --- threads


@pytest.mark.usefixtures("uncovered")
@pytest.mark.parametrize(
    "module",
    ["importlib.util", "importlib.metadata", "inspect", "asyncio", "wrapt", "urllib3"],
)
def test_another_thread_may_be_importing_anything_meanwhile(module):
    """Python may hold its import lock while it asks a finder."""
    program = f"""
        import sys, threading, time
        sys.setswitchinterval(1e-6)
        # Where site has imported it already, it is imported again.
        for name in {module!r}, "importlib._abc":
            sys.modules.pop(name, None)
        inside, asked = threading.Event(), threading.Event()

        def order(event, args):
            if event != "import" or inside.is_set():
                return
            if threading.current_thread() is other and args[0] != {module!r}:
                inside.set()  # the other thread holds the lock of its module
                asked.wait(30)
                time.sleep(0.3)

        class Asked:
            def find_spec(self, name, path=None, target=None):
                if name == "requests":
                    asked.set()  # the next finder is the autopatch's

        sys.addaudithook(order)
        sys.meta_path.insert(0, Asked())
        other = threading.Thread(target=__import__, args=[{module!r}], daemon=True)
        other.start()
        assert inside.wait(30)
    """
    assert shown(program) == PATCHED


def test_another_thread_may_be_walking_the_finders_meanwhile():
    program = """
        import sys
        import urllib3  # older versions add a finder of their own
        before = list(sys.meta_path)
        walk = iter(sys.meta_path)
        seen = [next(walk)]
        import requests
        assert [*seen, *walk] == before
    """
    assert shown(program) == PATCHED


def test_many_threads_import_requests_at_once():
    program = f"""
        import sys, threading
        sys.setswitchinterval(1e-6)
        start = threading.Barrier(8)
        def show():
            start.wait()
            {SHOW}
        threads = [threading.Thread(target=show) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """
    assert shown(program) == ("HTTPSciTokenAuth\n" * 9, "")


@pytest.mark.usefixtures("uncovered")
@pytest.mark.parametrize("first", ["this thread", "the other"])
@pytest.mark.parametrize(
    "statement",
    [
        "from requests_scitokens import HTTPSciTokenAuth",
        "import requests_scitokens.auth",
        "import requests_scitokens.api",
        "import requests_scitokens.patch",
    ],
)
def test_another_thread_may_be_importing_this_package_meanwhile(statement, first):
    """Each has half of what the other waits for: nobody hangs, fails or is left out."""
    program = f"""
        import sys, threading, time
        sys.setswitchinterval(1e-6)
        half, done = threading.Event(), threading.Event()

        def order(event, args):
            name = args[0] if event == "import" else ""
            if threading.current_thread() is not other:
                if name == "requests.api" and not half.is_set():
                    half.set()  # Requests is half loaded, and the other thread wants it
                    time.sleep(0.3)
            elif {first == "the other"}:
                if name == "requests":
                    half.set()  # this package is half loaded in the other thread
                    time.sleep(0.3)
            elif name.startswith("requests_scitokens.") and name not in {statement!r}:
                done.wait(0.3)  # the other thread is slower than this one

        def run():
            if {first == "this thread"}:
                half.wait(30)
            {statement}

        sys.addaudithook(order)
        other = threading.Thread(target=run)
        other.start()
        if {first == "the other"}:
            half.wait(30)
        import requests
        assert requests.Session().auth is not None
        done.set()
        other.join()
    """
    assert shown(program) == PATCHED


# --- something of this package is imported before requests

IMPORTS = [
    *(f"from requests_scitokens import {name}" for name in requests_scitokens.__all__),
    *(f"import requests_scitokens.{name}" for name in ("_policy", "_exchange", "utils")),
    "from requests_scitokens import *",
]


@pytest.mark.parametrize("thread", [False, True], ids=["main", "thread"])
@pytest.mark.parametrize("first", IMPORTS)
def test_whatever_of_this_package_is_imported_first(first, thread):
    if thread:
        first = f"""
import threading
thread = threading.Thread(target=exec, args=({first!r}, {{}}))
thread.start()
thread.join()
"""
    assert shown(f"{first}\n") == PATCHED


def test_a_worker_unpickles_a_handler_first():
    handler = pickle.dumps(requests_scitokens.HTTPSciTokenAuth())
    assert shown(f"import pickle; handler = pickle.loads({handler!r})\n") == PATCHED


# --- interruptions

INTERRUPT = """
import signal, sys
done = []
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job may ignore it
def interrupt(event, args):
    if event == "import" and args[0] == {module!r} and not done:
        done.append(True)
        signal.raise_signal(signal.{signal})
sys.addaudithook(interrupt)
"""
ON_THE_WAY = ["requests_scitokens.patch", "wrapt", "requests_scitokens.auth"]


@pytest.mark.parametrize("module", ON_THE_WAY)
def test_after_ctrl_c_the_next_import_patches(module):
    program = INTERRUPT.format(module=module, signal="SIGINT")
    program += """
try: import requests
except KeyboardInterrupt: print("interrupted")
import requests
assert requests.exceptions.Timeout and requests.adapters.HTTPAdapter
"""
    assert shown(program) == ("interrupted\nHTTPSciTokenAuth\n", "")


@pytest.mark.parametrize("module", ON_THE_WAY)
def test_a_handler_of_sigterm_ends_the_program_with_its_status(module):
    program = INTERRUPT.format(module=module, signal="SIGTERM")
    program += "signal.signal(signal.SIGTERM, lambda *args: sys.exit(7))\n"
    done = python("-c", program + SHOW)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


# --- in this process: what a start-up file cannot be made to do


@pytest.mark.parametrize("stderr", [None, object()])
def test_without_a_stderr_nothing_is_said(monkeypatch, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    _startup._complain("something")


def test_where_stderr_is_closed_nothing_is_said(monkeypatch, tmp_path):
    with (tmp_path / "closed").open("w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    _startup._complain("something that nobody reads")


def test_a_loader_that_has_only_load_module_can_still_be_called():
    """By hand: Python 3.15 no longer calls it."""

    class Old:
        @staticmethod
        def load_module(name):
            return ModuleType(name)

    loader = _startup._Loader(Old())
    assert loader.load_module("beside").__name__ == "beside"
    assert not hasattr(loader, "exec_module")


def test_an_exception_that_cannot_be_shown_is_survived():
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError

    _startup._complain(OddError())


def test_the_start_up_file_is_one_plain_line():
    assert (CHECKOUT / "requests_scitokens.pth").read_text() == (
        'import os; os.environ.get("REQUESTS_SCITOKENS_AUTOPATCH") and '
        '__import__("requests_scitokens._startup", fromlist=["start"]).start()\n'
    )
