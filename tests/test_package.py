"""The package's names."""

from __future__ import annotations

import importlib

import pytest

import requests_scitokens


@pytest.mark.parametrize("name", requests_scitokens.__all__)
def test_every_public_name_is_there(name):
    assert callable(getattr(requests_scitokens, name))
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


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        requests_scitokens.nothing  # noqa: B018
