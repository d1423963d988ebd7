"""Every way in which Python starts: patched if the variable says so, or not, and why."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

from requests_scitokens.testing import Redirect

CHECKOUT = Path(__file__).parent.parent
SHOW = "import requests; print(type(requests.Session().auth).__name__)"
BASE = os.path.realpath(sys.executable)  # below the virtual environment
# Python 3.15 complains about folders in start-up files that are not there.
SITE = [folder for folder in site.getsitepackages() if os.path.isdir(folder)]
PATCHED, PLAIN = "HTTPSciTokenAuth\n", "NoneType\n"


def run(*command, setting="1", **kwargs):
    """Run a command with the autopatch's variable set; return the finished process."""
    environment = {**os.environ, "REQUESTS_SCITOKENS_AUTOPATCH": setting}
    environment.update(kwargs.pop("env", {}))
    # Python shows what is written to stderr at once in any case.
    environment.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **kwargs,
    )


def python(*arguments, **kwargs):
    return run(sys.executable, *arguments, **kwargs)


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SHOW)
    return path


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], PATCHED),
        (["-E"], PATCHED),  # it ignores PYTHON... variables; ours is another
        (["-I"], PATCHED),
        (["-s"], PATCHED),
        (["-B", "-O"], PATCHED),
        (["-W", "error"], PATCHED),
        (["-X", "dev"], PATCHED),
        (["-X", "importtime"], PATCHED),
    ],
)
def test_options_of_the_interpreter(script, options, shown):
    for rest in ([script], ["-c", SHOW]):
        done = python(*options, *rest)
        assert (done.returncode, done.stdout) == (0, shown)
        assert not [line for line in done.stderr.splitlines() if "import time:" not in line]


IN_USE = """
import pickle, sys
import requests
from requests_scitokens import *

file, moved, missing, elsewhere = sys.argv[1:]
with requests.Session() as plain, Session() as ours:
    for session in plain, ours:
        with pickle.loads(pickle.dumps(session)) as copied:
            for one in session, copied:
                one.auth = one.auth or HTTPSciTokenAuth()
                assert one.get(file).text == one.get(moved).text == "hello"
                assert one.put(file, data=iter([b"hel", b"lo"])).ok
                assert one.get(missing).status_code == 404
                assert one.get(elsewhere).status_code == 403
try:
    requests.get(file, auth=HTTPSciTokenAuth(token="no token"))
except ValueError:
    pass
assert HTTPSciTokenAuth().find_token(file)
"""


@pytest.mark.usefixtures("trusted", "uncovered")
@pytest.mark.parametrize("setting", ["", "1"])
def test_there_is_no_warning_of_any_kind(serve, issuer, token_file, setting):
    server, other = serve({"/file": b"hello"}), serve(answer="xrootd")
    server.redirects["/moved"] = Redirect(f"{server.url}/file")
    other.rejects = lambda _: True
    token_file.write_text(issuer.mint("read:/ write:/"))
    quiet = {"REQUESTS_SCITOKENS_LOG": "off", "REQUESTS_SCITOKENS_HOSTS": "localhost"}
    urls = [f"{server.url}/{name}" for name in ("file", "moved", "missing")]
    urls.append(f"{other.url}/hello.txt")
    command = ["-m", "requests_scitokens", "--try", urls[0]]
    # A program that only uses Requests gets a 401 where the autopatch is off.
    for program, status in (["-c", IN_USE, *urls], 0), (command, 0 if setting else 1):
        done = python("-X", "dev", "-W", "error", *program, setting=setting, env=quiet)
        assert (done.stderr, done.returncode) == ("", status)


def test_without_site_there_are_no_start_up_files(script):
    path = os.pathsep.join(part for part in sys.path if part)
    assert python("-S", script, env={"PYTHONPATH": path}).stdout == PLAIN


def test_a_module(script):
    assert python("-m", "script", cwd=script.parent).stdout == PATCHED


def test_a_zipapp(script, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    script.rename(source / "__main__.py")
    zipapp.create_archive(source, tmp_path / "app.pyz")
    assert python(tmp_path / "app.pyz").stdout == PATCHED


def test_the_interactive_interpreter():
    assert python("-i", "-q", input=SHOW + "\n").stdout == PATCHED


def test_subprocesses_inherit_it(script):
    program = f"import subprocess, sys; subprocess.run([sys.executable, {str(script)!r}])"
    assert python("-c", program).stdout == PATCHED


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_inherits_it(tmp_path, method):
    path = tmp_path / "script.py"
    path.write_text(f"""
import multiprocessing, sys, warnings
warnings.simplefilter("ignore")
def show():
    {SHOW}
    sys.stdout.flush()
if __name__ == "__main__":
    process = multiprocessing.get_context({method!r}).Process(target=show)
    process.start()
    process.join()
""")
    assert python(path).stdout == PATCHED


def test_a_jupyter_kernel(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")  # or importing it warns
    from jupyter_client.manager import start_new_kernel

    seen = []
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive(
            SHOW, timeout=60, output_hook=lambda message: seen.append(message["content"])
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    assert PATCHED in [content.get("text") for content in seen]


def test_pytest_and_coverage(script, tmp_path):
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {SHOW}\n")
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly"]
    assert PATCHED in python("-m", "pytest", *options, cwd=tmp_path).stdout
    data = f"--data-file={tmp_path / 'data'}"
    assert python("-m", "coverage", "run", data, script, cwd=tmp_path).stdout == PATCHED


def test_pips_own_requests_is_left_alone():
    show = """
import pip._vendor.requests as vendored, sys
print(type(vendored.Session().auth).__name__, "requests" in sys.modules)
"""
    assert python("-c", show).stdout == "NoneType False\n"
    assert python("-m", "pip", "--version").returncode == 0


# --- environments of one's own, made from the interpreter below this one


@pytest.fixture
def user_site(tmp_path, monkeypatch):
    """Install into a user site; what the package needs comes from this environment."""
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "user"))
    show = "import site; print(site.getusersitepackages())"
    folder = Path(run(BASE, "-c", show).stdout.strip())
    folder.mkdir(parents=True)
    needs = [str(CHECKOUT), *SITE]
    (folder / "needs.pth").write_text("\n".join(needs))
    start_up = (CHECKOUT / "requests_scitokens.pth").read_text()
    (folder / "requests_scitokens.pth").write_text(start_up)
    return folder


def test_a_user_site(user_site):
    assert run(BASE, "-c", SHOW).stdout == PATCHED
    assert run(BASE, "-c", SHOW, setting="").stdout == PLAIN


@pytest.mark.parametrize("layers", ["one", "two"])
def test_an_environment_with_system_site_packages(user_site, tmp_path, layers):
    made = run(
        BASE,
        *("-m", "venv", "--without-pip", "--system-site-packages"),
        tmp_path / "venv",
    )
    assert made.returncode == 0, made.stderr
    (packages,) = tmp_path.glob("venv/lib/python*/site-packages")
    if layers == "two":
        shutil.copy(user_site / "requests_scitokens.pth", packages)
        shutil.copytree(CHECKOUT / "requests_scitokens", packages / "requests_scitokens")
    finders = "import sys; print([type(one).__name__ for one in sys.meta_path])"
    done = run(tmp_path / "venv/bin/python", "-c", f"{SHOW}; {finders}")
    shown, finders = done.stdout.splitlines(keepends=True)
    assert (shown, done.stderr) == (PATCHED, "")
    assert finders.count("_Finder") == 1


@pytest.mark.parametrize("name", ["pandas.pth", "zzz.pth"])
def test_another_start_up_file_that_imports_requests(user_site, name):
    (user_site / name).write_text("import requests\n")
    done = run(BASE, "-c", SHOW)
    assert (done.stdout, done.stderr) == (PATCHED, "")


def test_a_read_only_site(user_site):
    for path in (user_site, user_site / "requests_scitokens.pth"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    assert run(BASE, "-c", SHOW).stdout == PATCHED
    user_site.chmod(0o700)


@pytest.mark.parametrize(
    ("name", "line"),
    [("aaa.pth", "import nothing_of_this_name"), ("zzz.pth", "import sys; sys.nothing")],
)
def test_another_start_up_file_that_is_broken(user_site, name, line):
    (user_site / name).write_text(line)
    done = run(BASE, "-c", SHOW)
    assert done.stdout == PATCHED
    assert name in done.stderr
    assert "scitokens" not in done.stderr


# --- what cannot work: it is said on stderr, and the program is as it is without us

FAILS = f"{SHOW}; raise SystemExit(3)"


@pytest.fixture
def copied(user_site):
    """Install a copy of the package, to be broken."""
    package = user_site / "requests_scitokens"
    shutil.copytree(CHECKOUT / "requests_scitokens", package)
    (user_site / "needs.pth").write_text("\n".join(SITE))
    return package


def complaint(done):
    """Return the one line on stderr, of a program that ran unpatched."""
    assert (done.stdout, done.returncode) == (PLAIN, 3)
    (line,) = done.stderr.splitlines()
    return line.removeprefix("requests-scitokens: not patching requests: ")


def test_a_copy_that_is_whole_works(copied):
    assert run(BASE, "-c", SHOW).stdout == PATCHED


@pytest.mark.parametrize("missing", ["auth.py", "patch.py", "_policy.py"])
def test_a_half_installed_package_is_one_line(copied, missing):
    (copied / missing).unlink()
    assert complaint(run(BASE, "-c", FAILS)).startswith(("ImportError", "ModuleNotFound"))


@pytest.mark.parametrize("text", ["def", "raise RuntimeError('x\\ny')", "1 / 0", "\0"])
@pytest.mark.parametrize("module", ["auth.py", "patch.py"])
def test_a_broken_module_is_one_line(copied, module, text):
    (copied / module).write_text(text)
    assert re.match(r"\w+Error: .", complaint(run(BASE, "-c", FAILS)))


@pytest.mark.parametrize("text", ["raise ImportError('no wrapt here')", "x = 1"])
def test_a_broken_wrapt_is_one_line(copied, text):
    """As is one that is missing."""
    (copied.parent / "wrapt.py").write_text(text)
    assert "wrapt" in complaint(run(BASE, "-c", FAILS))


def test_what_ends_a_program_ends_it(copied):
    """Such as `sys.exit` in a handler of SIGTERM."""
    (copied / "auth.py").write_text("raise SystemExit(5)")
    done = run(BASE, "-c", FAILS)
    assert (done.returncode, done.stdout, done.stderr) == (5, "", "")


def traceback(done):
    """Return the last line of Python's own traceback; the program ran unpatched."""
    assert (done.stdout, done.returncode) == (PLAIN, 3)
    lines = done.stderr.splitlines()
    # "Error processing line 1 of FILE:" or, since Python 3.15, "Error in import line from
    # FILE: LINE".
    assert re.match(r"Error (processing|in) .*/requests_scitokens\.pth:", lines[0])
    return [line for line in lines if line.startswith("  ")][-1].strip()


def test_an_uninstalled_package_whose_start_up_file_is_left_behind(copied):
    shutil.rmtree(copied)
    problem = "ModuleNotFoundError: No module named 'requests_scitokens'"
    assert traceback(run(BASE, "-c", FAILS)) == problem
    assert run(BASE, "-c", FAILS, setting="").stderr == ""


def test_what_is_left_of_a_package(copied):
    for path in copied.glob("*.py"):
        path.unlink()
    (copied / "__pycache__").mkdir(exist_ok=True)
    assert traceback(run(BASE, "-c", FAILS)).startswith("ModuleNotFoundError: ")


@pytest.mark.parametrize("text", ["def", "raise RuntimeError('x\\ny')", "1 / 0", "\0"])
@pytest.mark.parametrize("module", ["__init__.py", "_startup.py"])
def test_a_broken_first_module(copied, module, text):
    (copied / module).write_text(text)
    for options in [], ["-W", "error", "-X", "dev"]:
        done = run(BASE, *options, "-c", FAILS)
        assert traceback(done)
        assert "Error: " in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"], ids=["full", "closed"])
@pytest.mark.parametrize(
    "setting",
    [
        pytest.param("maybe", id="at start"),
        pytest.param("1", id="when requests is imported"),
    ],
)
def test_where_it_cannot_be_said_the_program_runs(copied, setting, stderr):
    (copied / "auth.py").unlink()
    shell = ("sh", "-c", f'"$0" "$@" {stderr}')
    done = run(*shell, BASE, "-c", FAILS, setting=setting)
    assert (done.stdout, done.returncode) == (PLAIN, 3)


def test_where_python_reads_no_start_up_files_importing_the_module_patches(tmp_path):
    """As after `pip install --target`, with PYTHONPATH."""
    (tmp_path / "requests_scitokens").symlink_to(CHECKOUT / "requests_scitokens")
    start_up = (CHECKOUT / "requests_scitokens.pth").read_text()
    (tmp_path / "requests_scitokens.pth").write_text(start_up)
    path = os.pathsep.join([str(tmp_path), *SITE])
    base = [BASE, "-s", "-c"]
    assert run(*base, SHOW, env={"PYTHONPATH": path}).stdout == PLAIN
    program = f"import requests_scitokens.patch; {SHOW}"
    assert run(*base, program, env={"PYTHONPATH": path}).stdout == PATCHED
