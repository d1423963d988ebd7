"""Code written for requests-scitokens 0.2.1, as it was written then."""

from __future__ import annotations

import pickle

import pytest
import requests
from scitokens import SciToken

import requests_scitokens
import requests_scitokens.auth
import requests_scitokens.requests
import requests_scitokens.utils
from requests_scitokens import HTTPSciTokenAuth, Session, SessionMixin
from requests_scitokens.auth import SciToken as TheirSciToken


class Mixed(SessionMixin, requests.Session):
    pass


# Each gets a URL and a token for it.
FETCH = [
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth()),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(token)),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(token, None)),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(None, "ANY")),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(None, ["ANY", "other"])),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(audience="ANY")),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(force=True)),
    lambda url, token: requests_scitokens.get(url),
    lambda url, token: requests_scitokens.get(url, {"query": "1"}, token=token),
    lambda url, token: requests_scitokens.get(url, params=None, auth=None, token=token),
    lambda url, token: requests_scitokens.get(url, auth=HTTPSciTokenAuth(token)),
    lambda url, token: requests_scitokens.get(url, audience="ANY", timeout=30),
    lambda url, token: requests_scitokens.get(url, session=requests.Session(), token=token),
    lambda url, token: requests_scitokens.get(url, session=Session()),
    lambda url, token: requests_scitokens.request("GET", url, token=token),
    lambda url, token: requests_scitokens.requests.get(url, token=token),
    lambda url, token: requests_scitokens.head(url, token=token),
    lambda url, token: requests_scitokens.post(url, b"data", {"json": 1}, token=token),
    lambda url, token: requests_scitokens.put(url, b"data", token=token),
    lambda url, token: requests_scitokens.patch(url, b"data", token=token),
    lambda url, token: requests_scitokens.delete(url, token=token),
    lambda url, token: Session().get(url),
    lambda url, token: Session(token=token).get(url),
    lambda url, token: Session(auth=HTTPSciTokenAuth(token)).get(url),
    lambda url, token: Session().get(url, auth=HTTPSciTokenAuth(token)),
    lambda url, token: Mixed().get(url),
    lambda url, token: Mixed(token=token).get(url),
    lambda url, token: Mixed(auth=None, token=token).get(url),
    lambda url, token: pickle.loads(pickle.dumps(Session(token=token))).get(url),
]


@pytest.mark.parametrize("kind", ["text", "SciToken"])
@pytest.mark.parametrize("fetch", FETCH)
def test_every_call_opens_the_server(serve, issuer, token_file, fetch, kind):
    text = issuer.mint("read:/ write:/", audience="ANY")
    token_file.write_text(text)
    token = text
    if kind == "SciToken":
        token = TheirSciToken.deserialize(text, public_key=issuer.public_key)
    assert fetch(f"{serve().url}/hello.txt", token).ok


# Each gets a handler, a refused response, and what it was sent with.
METHODS = [
    lambda auth, response, kwargs: auth.handle_response(response, **kwargs),
    lambda auth, response, kwargs: auth.handle_401(response, **kwargs),
    lambda auth, response, kwargs: auth.authenticate_bearer(response, **kwargs),
]


@pytest.mark.parametrize("method", METHODS)
def test_a_handlers_methods_answer_a_challenge(serve, issuer, trusted, method):
    refused = requests.get(f"{serve().url}/hello.txt")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    auth = HTTPSciTokenAuth(issuer.mint())
    assert method(auth, refused, {"verify": str(trusted), "timeout": 30}).ok


def test_a_header_is_generated_for_a_response(issuer):
    token, response = issuer.mint(), requests.Response()
    response.url = "https://storage.example.org/data"
    assert HTTPSciTokenAuth(token).generate_bearer_header(response) == f"Bearer {token}"


def test_a_token_is_found_or_looked_for_with_a_function(issuer, token_file):
    auth, url = HTTPSciTokenAuth(), "https://storage.example.org:1094/data"
    with pytest.raises(OSError, match="no usable token"):
        auth.find_token(url)
    assert auth.find_token(url, error=False) is None
    token_file.write_text(issuer.mint())
    assert auth.find_token()["sub"] == "tester"
    assert auth.find_token(url, public_key=issuer.public_key)["sub"] == "tester"

    def find(audience, **kwargs):
        return audience, kwargs

    assert auth.find_token(url, find_func=find, insecure=True) == (
        "https://storage.example.org",
        {"insecure": True},
    )
    assert (
        auth.find_token(url, find_func=SciToken.discover, public_key=issuer.public_key)[
            "sub"
        ]
        == "tester"
    )


@pytest.mark.parametrize(
    "arguments",
    [{}, {"token": "abc"}, {"audience": "ANY"}, {"audience": ["ANY"]}, {"force": True}],
)
def test_handlers_are_compared_and_are_keys(arguments):
    one, other = HTTPSciTokenAuth(**arguments), HTTPSciTokenAuth(**arguments)
    assert one == other
    assert not one != other  # noqa: SIM202, that is what is asked
    assert len({one, other}) == 1
    assert one != HTTPSciTokenAuth("def")
    assert one != "abc"
    assert vars(one)["audience"] == arguments.get("audience")


def test_utils_and_the_class_are_where_they_were(issuer):
    utils, text = requests_scitokens.utils, issuer.mint()
    assert utils.default_audience("https://a.example.org:1094/b") == "https://a.example.org"
    assert utils.default_audience("a.example.org", scheme="http") == "http://a.example.org"
    assert utils.serialize_token(text) == text
    assert TheirSciToken is requests_scitokens.auth.SciToken is SciToken
