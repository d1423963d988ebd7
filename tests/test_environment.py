"""Environment variables are looked up as `os.environ.get` would."""

from __future__ import annotations

import os

import pytest

from requests_scitokens.environment import variables


@pytest.mark.parametrize("value", [None, "", "value", "\u00e9"])
def test_a_variable_has_the_value_that_it_has_now(monkeypatch, value):
    for now in (value, "another", value):
        if now is None:
            monkeypatch.delenv("SCITOKEN", raising=False)
        else:
            monkeypatch.setenv("SCITOKEN", now)
        assert variables(["SCITOKEN"]).get("SCITOKEN") == os.environ.get("SCITOKEN") == now


@pytest.mark.parametrize("mapping", [{}, {"SCITOKEN": "value"}])
def test_an_environment_that_was_replaced_is_the_one_that_counts(monkeypatch, mapping):
    """As test helpers do."""
    monkeypatch.setattr(os, "environ", mapping)
    assert variables(["SCITOKEN"]) == mapping
