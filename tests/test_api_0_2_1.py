"""Code written for requests-scitokens 0.2.1 runs as it was written then.

The names and what they take, and how requests-pelican and gwpy use them. The test suite of
0.2.1 itself is run by `make compat`.
"""

from __future__ import annotations

import inspect
import pickle
from contextlib import closing
from importlib import import_module
from unittest import mock

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from requests.adapters import HTTPAdapter
from scitokens import SciToken

import requests_scitokens
import requests_scitokens.auth
import requests_scitokens.requests
import requests_scitokens.utils
from requests_scitokens import HTTPSciTokenAuth, Session, SessionMixin
from requests_scitokens.auth import SciToken as TheirSciToken
from requests_scitokens.testing import Redirect

URL = "https://storage.example.org:1094/data"


class Mixed(SessionMixin, requests.Session):
    pass


# --- the names, and what they take

VERBS = ("delete", "get", "head", "patch", "post", "put")
NAMES = {
    "requests_scitokens": (
        *("HTTPSciTokenAuth", "Session", "SessionMixin", "__version__", *VERBS),
        *("auth", "requests", "sessions", "utils"),
    ),
    "requests_scitokens.auth": ("HTTPSciTokenAuth", "SciToken"),
    "requests_scitokens.requests": ("request", *VERBS),
    "requests_scitokens.sessions": ("Session", "SessionMixin"),
    "requests_scitokens.utils": ("default_audience", "serialize_token"),
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in NAMES for name in NAMES[module]]
)
def test_every_name_is_where_it_was(module, name):
    assert hasattr(import_module(module), name)


OURS = ["auth", "token", "audience", "session"]
# What goes by position or by keyword, and what by keyword only.
SIGNATURES = [
    (HTTPSciTokenAuth, ["token", "audience"], ["force"]),
    (HTTPSciTokenAuth().find_token, ["url"], ["error", "find_func", "insecure"]),
    (HTTPSciTokenAuth().generate_bearer_header, ["response"], []),
    (HTTPSciTokenAuth().authenticate_bearer, ["response"], ["timeout", "verify"]),
    (HTTPSciTokenAuth().handle_401, ["response"], ["timeout", "verify"]),
    (HTTPSciTokenAuth().handle_response, ["response"], ["timeout", "verify"]),
    (HTTPSciTokenAuth(), ["request"], []),
    (requests_scitokens.requests.request, ["method", "url"], [*OURS, "timeout"]),
    *((getattr(requests_scitokens, verb), ["url"], [*OURS, "timeout"]) for verb in VERBS),
    (SessionMixin, [], ["auth", "token", "base_url"]),
    (Session, [], ["auth", "token"]),
    (requests_scitokens.utils.default_audience, ["url", "scheme"], []),
    (requests_scitokens.utils.serialize_token, ["token"], []),
]


@pytest.mark.parametrize(("function", "positional", "keywords"), SIGNATURES)
def test_every_signature_takes_what_it_took(function, positional, keywords):
    signature = inspect.signature(function)
    assert list(signature.bind(*positional).arguments) == positional
    signature.bind(**dict.fromkeys([*positional, *keywords]))


# Each gets a URL and a token for it.
FETCH = [
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth()),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(token)),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(token, None)),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(None, "ANY")),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(None, ["ANY", "other"])),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(audience="ANY")),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(force=True)),
    lambda url, token: requests.get(url, auth=HTTPSciTokenAuth(True)),
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


def test_head_follows_redirects(serve, issuer):
    server = serve()
    server.redirects["/moved"] = Redirect(f"{server.url}/hello.txt")
    response = requests_scitokens.head(f"{server.url}/moved", token=issuer.mint())
    assert (response.status_code, response.url) == (200, f"{server.url}/hello.txt")


# --- the handler

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
    response.url = URL
    auth = HTTPSciTokenAuth()
    assert auth.generate_bearer_header() is None
    auth.token = token
    assert auth.generate_bearer_header(response) == f"Bearer {token}"
    assert auth.generate_bearer_header() == f"Bearer {token}"


def test_a_token_is_found_or_looked_for_with_a_function(issuer, token_file):
    auth, key = HTTPSciTokenAuth(), {"public_key": issuer.public_key}
    with pytest.raises(OSError, match="no usable token"):
        auth.find_token(URL)
    assert auth.find_token(URL, error=False) is None
    token_file.write_text(issuer.mint())
    assert auth.find_token()["sub"] == "tester"
    assert auth.find_token(URL, **key)["sub"] == "tester"
    assert auth.find_token(URL, find_func=SciToken.discover, **key)["sub"] == "tester"


@pytest.mark.parametrize(
    ("audience", "url", "asked_for"),
    [
        (None, None, None),
        (None, URL, "https://storage.example.org"),
        ("ANY", None, "ANY"),
        ("ANY", URL, "ANY"),
    ],
)
def test_a_function_is_asked_for_the_audience(audience, url, asked_for):
    find = mock.Mock(return_value=None)
    auth = HTTPSciTokenAuth(audience=audience)
    assert auth.find_token(url, find_func=find, insecure=True) is None
    find.assert_called_once_with(audience=asked_for, insecure=True)


def test_of_what_a_function_raises_only_an_os_error_is_no_token():
    auth, find = HTTPSciTokenAuth(), mock.Mock(side_effect=FileNotFoundError)
    assert auth.find_token(find_func=find, error=False) is None
    with pytest.raises(FileNotFoundError):
        auth.find_token(find_func=find)
    find.side_effect = RuntimeError
    with pytest.raises(RuntimeError):
        auth.find_token(find_func=find, error=False)


def test_a_token_that_is_assigned_is_the_token(issuer):
    auth, request = HTTPSciTokenAuth(), requests.Request("GET", URL).prepare()
    auth.token = token = issuer.mint()
    assert auth(request).headers["Authorization"] == f"Bearer {token}"


@pytest.mark.parametrize("url", [None, URL])
def test_a_request_need_not_be_prepared(url, issuer):
    request = requests.Request("GET" if url else None, url)
    assert HTTPSciTokenAuth()(request) is request
    assert "Authorization" not in request.headers
    token = issuer.mint()
    assert HTTPSciTokenAuth(token)(request) is request
    assert request.headers["Authorization"] == f"Bearer {token}"


def test_a_request_is_prepared_afterwards(serve, issuer, trusted, token_file):
    token_file.write_text(issuer.mint())
    request = HTTPSciTokenAuth()(requests.Request("GET", f"{serve().url}/hello.txt"))
    with requests.Session() as session:
        assert session.send(session.prepare_request(request), verify=str(trusted)).ok


def test_a_token_with_its_private_key_is_serialised_once():
    token = SciToken(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    token.update_claims({"iss": "https://issuer.example.org", "aud": "ANY"})
    request = HTTPSciTokenAuth(token)(requests.Request("GET", URL).prepare())
    text = requests_scitokens.utils.serialize_token(token)
    assert request.headers["Authorization"] == f"Bearer {text}"


@pytest.mark.parametrize(
    "name", ["handle_response", "handle_401", "generate_bearer_header", "find_token"]
)
def test_what_a_subclass_overrides_is_called(serve, issuer, token_file, name):
    called, really = [], getattr(HTTPSciTokenAuth, name)

    def override(*args, **kwargs):
        called.append(name)
        return really(*args, **kwargs)

    mine = type("Mine", (HTTPSciTokenAuth,), {name: override})
    token_file.write_text(issuer.mint())
    assert requests.get(f"{serve().url}/hello.txt", auth=mine()).ok
    assert called


def test_a_subclass_makes_its_own_header(serve, issuer):
    class Mine(HTTPSciTokenAuth):
        def generate_bearer_header(self, response=None):
            return f"Bearer {issuer.mint()}"

    assert requests.get(f"{serve().url}/hello.txt", auth=Mine()).ok


def test_a_subclass_that_makes_the_header_may_ask_for_ours(issuer, token_file):
    class Mine(HTTPSciTokenAuth):
        def generate_bearer_header(self, response=None):
            return super().generate_bearer_header(response)

    token_file.write_text(issuer.mint())
    handlers = [Mine(), Mine(force=True), Mine(lambda url: True)]
    handlers[0].token = True
    for auth in handlers:
        request = auth(requests.Request("GET", URL).prepare())
        assert request.headers["Authorization"] == f"Bearer {token_file.read_text()}"


@pytest.mark.parametrize("found", [None, False])
def test_a_subclass_that_finds_no_token_makes_no_header(found):
    class Mine(HTTPSciTokenAuth):
        def find_token(self, *args, **kwargs):
            return found

    assert Mine().generate_bearer_header() is None


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
    assert one.token == arguments.get("token")
    assert one.audience == arguments.get("audience")
    assert one.force is arguments.get("force", False)


def test_true_is_the_users_own_token_at_once():
    auth = HTTPSciTokenAuth(True)
    assert (auth.token, auth.force) == (None, True)


def test_utils_and_the_class_are_where_they_were(issuer):
    utils, text = requests_scitokens.utils, issuer.mint()
    assert utils.default_audience("https://a.example.org:1094/b") == "https://a.example.org"
    assert utils.default_audience("a.example.org", scheme="http") == "http://a.example.org"
    assert utils.serialize_token(text) == text
    assert TheirSciToken is requests_scitokens.auth.SciToken is SciToken


def test_a_mock_can_stand_in_for_scitokens_own_discovery():
    with mock.patch("requests_scitokens.auth.SciToken.discover") as discover:
        assert SciToken.discover is discover


# --- its users


@pytest.mark.parametrize("scheme", ["osdf", "pelican"])
@pytest.mark.parametrize("found", [True, False])
def test_as_requests_pelican_uses_it(serve, issuer, trusted, token_file, scheme, found):
    """Looks for a token by the federation's URL, then prepares a request to a cache."""
    token_file.write_text(issuer.mint() if found else "")
    request = requests.Request("GET", f"{scheme}://federation.example.org/hello").prepare()
    auth = HTTPSciTokenAuth(token=None)
    auth.token = auth.find_token(request.url, error=False)
    assert (auth.token is not None) is found
    request = request.copy()
    request.url = f"{serve().url}/hello.txt"
    request.prepare_auth(auth)
    with closing(HTTPAdapter()) as adapter:
        assert adapter.send(request, verify=str(trusted)).ok is found


@pytest.mark.parametrize("url", [None, URL])
@pytest.mark.parametrize("audience", [None, "ANY"])
def test_as_gwpy_uses_it(issuer, audience, url):
    """Looks for a token in its own way, and makes a header of it."""
    text = issuer.mint(audience="ANY")

    def find(audience, scope):
        return SciToken.deserialize(text, public_key=issuer.public_key)

    auth = HTTPSciTokenAuth(token=None, audience=audience)
    assert auth.token is None
    auth.token = auth.find_token(url=url, find_func=find, scope=None)
    assert auth.token
    assert auth.generate_bearer_header() == f"Bearer {text}"
