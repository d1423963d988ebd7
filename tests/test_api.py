"""The public interface, compared with `api.txt`.

`python -m tests.test_api` writes that file anew.
"""

from __future__ import annotations

import abc
import difflib
import importlib
import inspect
import typing
from pathlib import Path

import pytest
import requests

import requests_scitokens
from requests_scitokens.testing import Issuer, ProtectedServer

SNAPSHOT = Path(__file__).with_name("api.txt")
MODULES = ("auth", "sessions", "api", "patch", "utils", "testing", "", "requests")
ACCEPT = """the public interface is not what tests/api.txt says.
If that is meant, accept it with `.venv/bin/python -m tests.test_api`, and say it in
CHANGELOG.md. Code that uses what was there must go on working, or this is a new major
version."""


def describe():
    """Return a line for each public name: what it takes, or what it is."""
    lines, seen = [], {}
    for module in MODULES:
        where = f"requests_scitokens.{module}".rstrip(".")
        public = importlib.import_module(where)
        for name in sorted(public.__all__):
            value, full = getattr(public, name), f"{where}.{name}"
            first = seen.setdefault(id(value), full)
            if first == full:
                lines += members(full, value)
            else:
                lines.append(f"{full} is {first}")
    fixtures = importlib.import_module("requests_scitokens.testing.fixtures")
    names = [name for name in vars(fixtures) if name.startswith("scitokens_")]
    lines += [f"{fixtures.__name__}.{name}" for name in sorted(names)]
    lines += instances()
    return "".join(f"{line}\n" for line in lines)


def members(full, value):
    if typing.get_origin(value):  # Pythons write types in different ways
        yield f"{full} is a type"
        return
    if not callable(value):
        yield f"{full}: {sorted(value)}"
        return
    if not inspect.isclass(value):
        yield f"{full}{inspect.signature(value)}"
        return
    # What only Requests' own __init__ takes differs from one Requests to the next.
    home = getattr(value.__init__, "__module__", "")
    ours = home.startswith("requests_scitokens")
    yield f"{full}{inspect.signature(value) if ours else ''}"
    ours = [one for one in value.__mro__ if one.__module__.startswith("requests_scitokens")]
    for base in value.__mro__[1:-1]:
        if base.__name__ in requests_scitokens.__all__ or base not in (*ours, abc.ABC):
            yield f"{full} is a {base.__name__}"
    for name in sorted({name for one in ours for name in vars(one) if name[0] != "_"}):
        member = getattr(value, name)
        yield f"{full}.{name}" + (
            str(inspect.signature(member)) if callable(member) else ""
        )


def instances():
    """Return the attributes that only instances have."""
    from requests_scitokens import HTTPSciTokenAuth, Session

    others = set(vars(requests.Session()))
    with Issuer() as issuer, ProtectedServer(issuer) as server:
        for one in HTTPSciTokenAuth(), Session(), issuer, server:
            for name in sorted(set(vars(one)) - others):
                if name[0] != "_":
                    yield f"{type(one).__name__}().{name}"


@pytest.mark.usefixtures("patched")  # which importing one of the modules does
def test_the_public_interface_is_as_it_was():
    old, new = SNAPSHOT.read_text(), describe()
    diff = difflib.unified_diff(old.splitlines(), new.splitlines(), "was", "is", n=0)
    assert new == old, "\n".join([ACCEPT, *diff])


@pytest.mark.usefixtures("patched")
def test_a_changed_signature_is_noticed(monkeypatch):
    auth = importlib.import_module("requests_scitokens.auth")
    old = describe()

    def find_token(self, url):
        """Has lost a parameter."""

    monkeypatch.setattr(auth.HTTPSciTokenAuth, "find_token", find_token)
    monkeypatch.setattr(auth, "__all__", auth.__all__[:-1])
    lost = set(old.splitlines()) - set(describe().splitlines())
    names = {line.partition("(")[0] for line in lost}
    assert "requests_scitokens.auth.HTTPSciTokenAuth.find_token" in names
    assert any("TokenNotFoundError" in name for name in names)


if __name__ == "__main__":
    SNAPSHOT.write_text(describe())
