"""Every way in which Python starts: patched if the variable says so, or not, and why."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

CHECKOUT = Path(__file__).parent.parent
SHOW = "import requests; print(type(requests.Session().auth).__name__)"
BASE = os.path.realpath(sys.executable)  # below the virtual environment
PATCHED, PLAIN = "HTTPSciTokenAuth\n", "NoneType\n"


def run(*command, setting="1", **kwargs):
    """Run a command with the autopatch's variable set; return the finished process."""
    environment = {**os.environ, "REQUESTS_SCITOKENS_AUTOPATCH": setting}
    environment.update(kwargs.pop("env", {}))
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
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
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
    needs = [str(CHECKOUT), *site.getsitepackages()]
    (folder / "needs.pth").write_text("\n".join(needs))
    start_up = (CHECKOUT / "requests_scitokens.pth").read_text()
    (folder / "requests_scitokens.pth").write_text(start_up)
    return folder


def test_a_user_site(user_site):
    assert run(BASE, "-c", SHOW).stdout == PATCHED
    assert run(BASE, "-c", SHOW, setting="").stdout == PLAIN


def test_an_environment_with_system_site_packages(user_site, tmp_path):
    made = run(
        BASE,
        *("-m", "venv", "--without-pip", "--system-site-packages"),
        tmp_path / "venv",
    )
    assert made.returncode == 0, made.stderr
    done = run(tmp_path / "venv/bin/python", "-c", SHOW)
    assert (done.stdout, done.stderr) == (PATCHED, "")


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


def test_an_unreadable_package_is_one_line_or_python_says_it(user_site):
    """What cannot be imported; the program keeps its exit status."""
    (user_site / "needs.pth").write_text("\n".join(site.getsitepackages()))
    (user_site / "requests_scitokens").mkdir()
    (user_site / "requests_scitokens/__init__.py").write_text(
        "raise RuntimeError('broken')"
    )
    done = run(BASE, "-c", "print(1); raise SystemExit(3)")
    assert (done.stdout, done.returncode) == ("1\n", 3)
    assert "broken" in done.stderr


def test_where_python_reads_no_start_up_files_importing_the_module_patches(tmp_path):
    """As after `pip install --target`, with PYTHONPATH."""
    (tmp_path / "requests_scitokens").symlink_to(CHECKOUT / "requests_scitokens")
    start_up = (CHECKOUT / "requests_scitokens.pth").read_text()
    (tmp_path / "requests_scitokens.pth").write_text(start_up)
    path = os.pathsep.join([str(tmp_path), *site.getsitepackages()])
    base = [BASE, "-s", "-c"]
    assert run(*base, SHOW, env={"PYTHONPATH": path}).stdout == PLAIN
    program = f"import requests_scitokens.patch; {SHOW}"
    assert run(*base, program, env={"PYTHONPATH": path}).stdout == PATCHED


def test_the_entry_point_of_the_other_start_up_file():
    """As CPython 3.15 does: resolved and called after all `.pth` files (PEP 829)."""
    program = f"""
import os, pkgutil
os.environ["REQUESTS_SCITOKENS_AUTOPATCH"] = "1"
for line in open({str(CHECKOUT / "requests_scitokens.start")!r}):
    pkgutil.resolve_name(line.strip())()
{SHOW}
"""
    assert python("-c", program, setting="").stdout == PATCHED
