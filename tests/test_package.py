"""The package's names."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys

import pytest

import requests_scitokens


@pytest.mark.parametrize("name", requests_scitokens.__all__)
def test_every_public_name_is_there(name):
    assert getattr(requests_scitokens, name) is not None
    assert name in dir(requests_scitokens)


def test_modules_are_there_without_importing_them_first(monkeypatch):
    monkeypatch.delattr(requests_scitokens, "utils", raising=False)
    assert requests_scitokens.auth.HTTPSciTokenAuth is requests_scitokens.HTTPSciTokenAuth
    assert requests_scitokens.utils.default_audience("a.org") == "https://a.org"


def test_functions_are_where_the_predecessor_had_them():
    module = importlib.import_module("requests_scitokens.requests")
    assert module.get is requests_scitokens.get
    assert set(module.__all__) < set(requests_scitokens.__all__)


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert requests_scitokens.__version__ == version("requests-scitokens")


def test_a_copy_without_metadata_has_no_version(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", version)
    assert requests_scitokens.__version__ == "unknown"


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        requests_scitokens.nothing  # noqa: B018


IMPORTED_TWICE = """
import sys
from unittest import mock
{before}
with mock.patch.dict(sys.modules):  # as test frameworks do; what is imported here is
    {inside}                        # gone afterwards
import requests
from requests_scitokens import HTTPSciTokenAuth, Session
url = sys.argv[1]
with Session() as session:
    print(session.get(url).status_code)
print(requests.get(url, auth=HTTPSciTokenAuth()).status_code)
"""


@pytest.mark.parametrize("before", ["import requests_scitokens", "import requests"])
@pytest.mark.parametrize(
    "inside",
    ["import requests_scitokens.sessions", "import requests_scitokens.patch"],
)
@pytest.mark.parametrize("setting", ["0", "1"])
@pytest.mark.usefixtures("trusted")
def test_modules_that_are_imported_twice_send_no_token_elsewhere(
    serve, issuer, token_file, before, inside, setting
):
    token_file.write_text(issuer.mint(audience="https://elsewhere.example.org"))
    server = serve(answer="xrootd")
    program = IMPORTED_TWICE.format(before=before, inside=inside)
    done = subprocess.run(
        [sys.executable, "-c", program, f"{server.url}/hello.txt"],
        env={**os.environ, "REQUESTS_SCITOKENS_AUTOPATCH": setting},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "403\n" * 2
    assert [request.authorization for request in server.received] == [None] * 2


LAZILY = """
import sys
lazy from requests_scitokens import patch
import requests
assert callable(patch) and type(patch).__name__ == "function", patch
assert "requests_scitokens.patch" not in sys.modules
assert requests.Session().auth is None
"""


@pytest.mark.skipif(sys.version_info < (3, 15), reason="Python 3.15 brought lazy imports")
def test_a_lazy_import_of_the_name_does_not_patch():
    subprocess.run([sys.executable, "-c", LAZILY], check=True)


PATCH = """
import sys
from requests_scitokens import patch
response = patch(sys.argv[1], data=b"new", token=sys.argv[2])
print(type(patch).__name__, response.status_code, "requests_scitokens.patch" in sys.modules)
"""


def test_the_name_patch_is_a_function_that_sends_a_request(serve, issuer):
    server = serve()
    url, token = f"{server.url}/hello.txt", issuer.mint("write:/")
    command = [sys.executable, "-c", PATCH, url, token]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "function 204 False\n"
    assert server.received[-1].method == "PATCH"
