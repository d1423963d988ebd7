"""What an editor offers; `make types` has type checkers read `typed.py`."""

from __future__ import annotations

import inspect

import jedi
import pytest

import requests_scitokens


def complete(text):
    return {one.name for one in jedi.Script(text).complete()}


def test_every_public_name_is_offered():
    names = complete("import requests_scitokens\nrequests_scitokens.")
    assert names >= {*requests_scitokens.__all__}
    assert complete("from requests_scitokens import HTTPS") == {"HTTPSciTokenAuth"}


@pytest.mark.parametrize("name", ["HTTPSciTokenAuth", "explain"])
def test_what_it_takes_is_shown(name):
    text = f"from requests_scitokens import {name}\n{name}("
    (signature,) = jedi.Script(text).get_signatures()
    shown = [one.name for one in signature.params]
    assert shown == [*inspect.signature(getattr(requests_scitokens, name)).parameters]


@pytest.mark.parametrize("name", ["get", "head", "options", "post", "put", "delete"])
def test_a_function_is_shown_with_its_url(name):
    text = f"import requests_scitokens\nrequests_scitokens.{name}("
    (signature,) = jedi.Script(text).get_signatures()
    assert signature.params[0].name == "url"
