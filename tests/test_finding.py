"""Where a handler's token comes from: the caller, a function, a subclass, or discovery."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
import requests
from scitokens import SciToken

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, MalformedTokenError
from requests_scitokens._messages import Code
from requests_scitokens._origin import Origin, origin_of
from requests_scitokens._policy import Situation
from requests_scitokens._token import BearerToken

DATA = "https://storage.example.org/data"
HERE = Origin("https", "storage.example.org", 443)
START = Origin("https", "start.example.org", 443)
PACKAGE = str(Path(requests_scitokens.__file__).parent)


def to(url: str = DATA, **facts: Any) -> Situation:
    origin = origin_of(url)
    assert origin is not None
    return Situation(**{"url": url, "origin": origin, "start": origin, **facts})


def find(token: Any = None, at: Situation | None = None, *more: Any, **options: Any) -> Any:
    return HTTPSciTokenAuth(token, **options)._find(at or to(), *more)


class FindsItself(HTTPSciTokenAuth):
    """Finds tokens in its own way."""

    finds: Any = "abc"

    def find_token(self, url=None, *, error=True, **_):
        return self.finds


class WritesItself(HTTPSciTokenAuth):
    """Writes the field in its own way."""

    def generate_bearer_header(self, response=None):
        return FindsItself.finds and f"Bearer {FindsItself.finds}"


class Serializable:
    def serialize(self):
        return "abc"


@pytest.mark.parametrize(
    ("token", "force", "requested", "renews"),
    [
        (None, False, False, True),
        (None, True, True, True),
        (False, False, False, False),
        (False, True, True, False),
        (True, False, True, True),
        ("abc", False, True, False),
        (len, False, True, True),
    ],
    ids=repr,
)
def test_what_was_requested_and_what_can_be_renewed(token, force, requested, renews):
    auth = HTTPSciTokenAuth(token, force=force)
    assert (auth._requested, auth._renews) == (requested, renews)


@pytest.mark.parametrize("token", ["abc", b"abc\n", Serializable()])
def test_a_given_token_is_used_as_it_is(token):
    found = find(token)
    assert found.token == BearerToken("abc")
    assert found.name == "the token given with token="


def test_a_given_scitoken_is_used_as_it_was_serialised_expired_or_not(issuer):
    text = issuer.mint(lifetime=-60)
    scitoken = SciToken.deserialize(issuer.mint(), public_key=issuer.public_key)
    scitoken._serialized_token = text
    assert find(scitoken).token == BearerToken(text)


@pytest.mark.parametrize("token", [None, True, lambda url: True])
def test_a_token_is_discovered(token_file, token):
    token_file.write_text("abc")
    found = find(token)
    assert found.token == BearerToken("abc")
    assert found.name == f"the token in $XDG_RUNTIME_DIR/{token_file.name} ({token_file})"


def test_discovery_is_told_what_the_token_is_wanted_for(tmp_path, monkeypatch, issuer):
    monkeypatch.setenv("_CONDOR_CREDS", str(tmp_path))
    tokens = {
        "read": issuer.mint("read:/"),
        "write": issuer.mint("write:/"),
        "mine": issuer.mint("read:/", audience="mine"),
    }
    for name, token in tokens.items():
        (tmp_path / f"{name}.use").write_text(token)
    read, write, mine = map(BearerToken, tokens.values())
    assert find(audience="mine").token == mine
    assert find(None, to(method="PUT")).token == write
    assert find(None, None, [mine]).token == read


@pytest.mark.parametrize(
    ("token", "code", "silent"),
    [
        (None, Code.NO_TOKEN, False),
        (False, Code.SWITCHED_OFF, True),
        (lambda url: None, Code.FUNCTION_NONE, True),
        (lambda url: False, Code.SWITCHED_OFF, True),
        (lambda url: True, Code.NO_TOKEN, False),
    ],
)
def test_why_there_is_no_token(token_file, token, code, silent):
    """A function's `None` means that nothing is discovered, and nothing is said."""
    if silent:
        token_file.write_text("abc")
    found = find(token)
    assert (found.token, found.reason.code, found.silent) == (None, code, silent)


def test_a_function_is_asked_with_the_url():
    asked = []
    found = find(lambda url: asked.append(url) or "abc")
    assert found.token == BearerToken("abc")
    assert found.name == "the token that the token function returned"
    assert asked == [DATA]


def test_a_function_is_not_asked_where_a_redirect_leads_elsewhere():
    def fail(url):
        raise AssertionError(url)

    away, earlier = to(start=START, came_by=(START,)), BearerToken("earlier")
    found = find(fail, away)
    assert (found.reason.code, found.silent) == (Code.FUNCTION_NOT_ASKED, True)
    assert find(fail, away, (), earlier).token == earlier
    assert find(lambda url: "abc", to(came_by=(HERE,))).token == BearerToken("abc")


def test_a_function_is_not_asked_where_no_token_may_go():
    def fail(url):
        raise AssertionError(url)

    for url, options in (("http://a.example.org/", {}), (DATA, {"hosts": "a.org"})):
        auth = HTTPSciTokenAuth(fail, **options)
        request = requests.Request("GET", url, auth=auth).prepare()
        assert "Authorization" not in request.headers


def test_an_error_of_the_function_is_the_callers():
    def fail(url):
        raise LookupError(url)

    with pytest.raises(LookupError, match=DATA):
        requests.Request("GET", DATA, auth=HTTPSciTokenAuth(fail)).prepare()


@pytest.mark.parametrize("kind", [FindsItself, WritesItself])
def test_a_subclass_has_its_own_way(token_file, monkeypatch, kind):
    token_file.write_text("discovered")
    found = kind()._find(to())
    assert found.token == BearerToken("abc")
    assert found.name == "the token that the handler's class found"
    for nothing in (None, False):
        monkeypatch.setattr(FindsItself, "finds", nothing)
        found = kind()._find(to())
        assert (found.token, found.reason.code) == (None, Code.CLASS_NONE)
        assert not found.silent


def test_a_request_without_a_url_yet_has_the_token_if_it_was_requested(token_file):
    """As code written for 0.2.1 hands it over: it is not prepared."""
    token_file.write_text("abc")
    for auth, header in (
        (HTTPSciTokenAuth("abc"), "Bearer abc"),
        (HTTPSciTokenAuth(force=True), "Bearer abc"),
        (HTTPSciTokenAuth(), None),
        (HTTPSciTokenAuth("abc", hosts="a.org"), None),
    ):
        request = requests.Request("GET", headers={})
        assert auth(request).headers.get("Authorization") == header


# --- what is none


def assigned(token: Any) -> HTTPSciTokenAuth:
    auth = HTTPSciTokenAuth()
    auth.token = token
    return auth


WAYS = {
    "token=": HTTPSciTokenAuth,
    "what the token function returned": lambda token: HTTPSciTokenAuth(lambda url: token),
    "token=, assigned": assigned,
    "what the handler's class found": lambda token: type(
        "Mine", (FindsItself,), {"finds": token}
    )(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("secret secret", MalformedTokenError, "is not a bearer token: it has white space"),
        (b"secret\x00", MalformedTokenError, "is not a bearer token: it has a control ch"),
        (["secret"], TypeError, "is of type list; a SciToken, a str or bytes, True, or a"),
        (
            PACKAGE,
            MalformedTokenError,
            "this is a path, and no token; set BEARER_TOKEN_FILE",
        ),
    ],
)
def test_what_is_no_token_is_an_error_that_holds_nothing_of_it(way, given, error, says):
    """Neither its message, nor what its frames hold, which may be shown with it."""
    with pytest.raises(error) as caught:
        WAYS[way](given)._find(to())
    message = str(caught.value)
    assert message.startswith(way.removesuffix(", assigned"))
    assert says in message
    secret = "secret" if given is not PACKAGE else PACKAGE
    assert secret not in message
    for frame, _ in traceback.walk_tb(caught.tb):
        if frame.f_code.co_filename.startswith(PACKAGE):
            held = {k: v for k, v in frame.f_locals.items() if k != "self"}
            assert secret not in repr(held)
            assert secret not in repr(frame.f_locals.get("self"))


# --- the log, at DEBUG


def test_each_decision_is_logged_without_token_or_query(caplog, token_file):
    caplog.set_level(logging.DEBUG, "requests_scitokens")
    token_file.write_text("secret-token")
    for token, url in (
        (None, f"{DATA}?secret=1"),
        (False, DATA),
        ("secret-token", "ftp://storage.example.org/secret"),
    ):
        request = requests.Request("GET", DATA).prepare()
        request.url = url
        HTTPSciTokenAuth(token)(request)
    name = f"the token in $XDG_RUNTIME_DIR/{token_file.name} ({token_file})"
    assert caplog.messages == [
        f"GET {HERE}, {name}: send it in answer to a 401 or 403; reason: the token is for "
        "any server, so it waits for a 401 or 403",
        f"GET {HERE}, no token: do not send it; reason: token=False was given",
        "GET a URL without a certain host, no token: do not send it; reason: the URL does "
        "not say for certain which host is meant; write it plainly, as in "
        "https://storage.example.org/path",
    ]
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
