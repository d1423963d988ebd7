"""What the environment says is what `os.environ.get`, and Requests, would say."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from requests.utils import get_netrc_auth

from requests_scitokens.environment import may_have_netrc, variables


@pytest.mark.parametrize("value", [None, "", "value", "\u00e9"])
def test_a_variable_has_the_value_that_it_has_now(monkeypatch, value):
    for now in (value, "another", value):
        if now is None:
            monkeypatch.delenv("SCITOKEN", raising=False)
        else:
            monkeypatch.setenv("SCITOKEN", now)
        assert variables(("SCITOKEN",)).get("SCITOKEN") == os.environ.get("SCITOKEN") == now


@pytest.mark.parametrize("mapping", [{}, {"SCITOKEN": "value"}])
def test_an_environment_that_was_replaced_is_the_one_that_counts(monkeypatch, mapping):
    """As test helpers do."""
    monkeypatch.setattr(os, "environ", mapping)
    assert variables(("SCITOKEN",)) == mapping


@pytest.mark.parametrize(
    ("variables", "file", "expected"),
    [
        ({"HOME": "."}, None, False),
        ({"HOME": "./"}, ".netrc", True),
        ({"HOME": "."}, "_netrc", True),
        ({"HOME": "elsewhere"}, ".netrc", False),
        ({"HOME": ".", "NETRC": "not-there"}, None, True),  # Requests looks, to be sure
        ({}, None, True),
    ],
)
def test_requests_is_asked_where_there_may_be_a_netrc(
    monkeypatch, tmp_path, variables, file, expected
):
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if file:
        (tmp_path / file).touch()
    assert may_have_netrc(get_netrc_auth) == expected


@pytest.mark.parametrize("name", ["path.exists", "path.expanduser", "stat"])
def test_requests_is_asked_where_what_it_looks_with_is_replaced(
    monkeypatch, tmp_path, name
):
    """As tests do that make up a `.netrc`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    assert not may_have_netrc(get_netrc_auth)
    monkeypatch.setattr(f"os.{name}", lambda path: path)
    assert may_have_netrc(get_netrc_auth)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
@pytest.mark.parametrize(
    "become",
    [
        "os.setresuid(65534, 0, 0)",
        "os.setresgid(65534, 4242, 4242); os.setresuid(65534, 65534, 65534)",
    ],
    ids=["user", "group"],
)
def test_requests_is_asked_where_the_process_acts_for_another(tmp_path, become):
    """The real user, or group, may not see what the effective one does."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").touch()
    os.chown(home, 0, 4242)
    home.chmod(0o710)
    tmp_path.chmod(0o711)
    program = f"""
import os
from requests.utils import get_netrc_auth
from requests_scitokens.environment import may_have_netrc
os.environ["HOME"] = "home"
os.environ.pop("NETRC", None)
os.setgroups([])
{become}
path = "home/.netrc"
print(may_have_netrc(get_netrc_auth), os.path.exists(path), os.access(path, os.F_OK))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True True False\n"
