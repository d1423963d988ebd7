"""The names that requests-scitokens 0.2.1 had in utils."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from scitokens import SciToken

from requests_scitokens.utils import default_audience, serialize_token


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://storage.example.org", "https://storage.example.org"),
        ("https://storage.example.org:1094/data?a=b#c", "https://storage.example.org"),
        ("https://user:pass@storage.example.org/", "https://storage.example.org"),
        ("HTTPS://Storage.Example.ORG/", "https://storage.example.org"),
        ("http://storage.example.org/", "http://storage.example.org"),
        ("https://[::1]:8443/", "https://[::1]"),
        ("storage.example.org/data", "https://storage.example.org"),
        ("storage.example.org:1094", "https://storage.example.org"),
    ],
)
def test_the_default_audience_is_scheme_and_host(url, audience):
    assert default_audience(url) == audience


def test_a_url_without_a_scheme_gets_the_one_given():
    assert default_audience("a.example.org/b", scheme="http") == "http://a.example.org"
    assert default_audience("https://a.example.org", scheme="http").startswith("https:")


@pytest.mark.parametrize("token", ["abc", b"abc"])
def test_text_is_returned_as_text(token):
    assert serialize_token(token) == "abc"


def test_a_token_that_was_received_is_returned_as_it_came(issuer):
    text = issuer.mint()
    scitoken = SciToken.deserialize(text, public_key=issuer.public_key)
    assert serialize_token(scitoken) == text


@pytest.mark.parametrize("text", ["abc", b"abc"])
def test_anything_that_serialises_itself_is_asked_to(text):
    class Token:
        def serialize(self):
            return text

    assert serialize_token(Token()) == "abc"


def test_a_token_with_its_key_is_serialised_once_and_not_again(monkeypatch):
    key = ec.generate_private_key(ec.SECP256R1())
    scitoken = SciToken(key=key, algorithm="ES256", key_id="k")
    text = scitoken.serialize(issuer="https://issuer.example.org", lifetime=60).decode()
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert serialize_token(scitoken) == text


def test_a_token_without_text_or_key_is_a_value_error():
    with pytest.raises(ValueError, match="holds no private key"):
        serialize_token(SciToken())
