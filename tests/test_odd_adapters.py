"""Adapters and mocks may return anything: no token goes astray, and nothing is raised.

Each adapter here changes one thing in a real response. What Requests alone makes of that
is what a program gets with this package, too.
"""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import MagicMock, Mock

import pytest
import requests
from requests.adapters import HTTPAdapter

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth
from requests_scitokens import _state as state

HOME, OTHER = "https://home.example.org", "https://other.example.org"


def puts(name, value):
    """Put something into the response."""
    return lambda response: setattr(response, name, value)


def challenges(value):
    def change(response):
        response.headers = {**response.headers, "WWW-Authenticate": value}

    return change


def url_as_bytes(response):
    response.url = response.url.encode()


def status_as_text(response):
    response.status_code = str(response.status_code)


CHANGES = {
    "history None": puts("history", None),
    "history tuple": puts("history", ()),
    "status None": puts("status_code", None),
    "status text": status_as_text,
    "status Mock": puts("status_code", Mock()),
    "headers None": puts("headers", None),
    "url None": puts("url", None),
    "url bytes": url_as_bytes,
    "url Mock": puts("url", Mock()),
    "request None": puts("request", None),
    "request text": puts("request", "GET"),
    "request without headers": puts("request", SimpleNamespace(headers=None, url=None)),
    "challenge bytes": challenges(b"Bearer realm=x"),
    "challenge list": challenges(["Bearer"]),
    "challenge Mock": challenges(Mock()),
    "raw None": puts("raw", None),
    "raw Mock": puts("raw", Mock()),
    "raw MagicMock": puts("raw", MagicMock()),
    "connection None": puts("connection", None),
}
PATHS = ("/200", "/302", "/within", "/401", "/403")


class Odd(HTTPAdapter):
    """Changes one thing in each response."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def send(self, *args, **kwargs):
        response = super().send(*args, **kwargs)
        self.change(response)
        return response


def answer(seen):
    if seen.path == "/302":
        return 302, (("Location", f"{OTHER}/200"),)
    if seen.path == "/within":
        return 302, (("Location", "/200"),)
    return int(seen.path[1:]), (("WWW-Authenticate", "Bearer"),)


def outcome(session, path, change):
    """Return whether there was a response, or which kind of exception."""
    session.mount("https://", Odd(change))
    try:
        session.get(HOME + path, timeout=30)
    except Exception as error:  # noqa: BLE001, that is the outcome
        return type(error).__name__
    return "a response"


def chosen():
    session = requests.Session()
    session.auth = HTTPSciTokenAuth()
    return session


WAYS = {
    "auth=": (chosen, "ANY", ""),
    "auth=, for this server": (chosen, HOME, ""),
    "Session": (requests_scitokens.Session, "ANY", ""),
    "autopatch": (requests.Session, "ANY", ""),
    "autopatch, for this server": (requests.Session, HOME, ""),
    "autopatch, listed": (requests.Session, "ANY", "home.example.org"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("way", WAYS)
def test_an_odd_response_is_what_requests_makes_of_it(
    world, issuer, token_file, monkeypatch, request, way, change
):
    servers = world(HOME, OTHER)
    servers.answer = answer
    with requests.Session() as session:
        expected = {path: outcome(session, path, change) for path in PATHS}
    make, audience, hosts = WAYS[way]
    token_file.write_text(issuer.mint(audience=audience))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    if "autopatch" in way:
        request.getfixturevalue("patched")
    found = {}
    for path in PATHS:
        state.accepted.clear()
        with make() as session:
            found[path] = outcome(session, path, change)
    assert found == expected
    assert not any(s.authorization for s in servers.received if s.origin == OTHER)


class AnswersWithItsOwn(HTTPAdapter):
    """Sends a copy of the request, and says so."""

    def send(self, request, *args, **kwargs):
        return super().send(request.copy(), *args, **kwargs)


class KeepsTheHeader(requests.Session):
    """Follows redirects with whatever header there is."""

    def rebuild_auth(self, prepared_request, response):
        pass


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize("audience", [HOME, "ANY"])
def test_the_token_comes_off_the_request_that_is_followed(
    world, issuer, token_file, request, audience, default
):
    """Not only off the one that the adapter says it has sent."""
    if default:
        request.getfixturevalue("patched")
    servers = world(HOME, OTHER)
    servers.answer = answer
    token_file.write_text(issuer.mint(audience=audience))
    with KeepsTheHeader() as session:
        session.mount("https://", AnswersWithItsOwn())
        if not default:
            session.auth = HTTPSciTokenAuth(force=True)
        assert session.get(f"{HOME}/302").status_code == 200
    sent = [bool(seen.authorization) for seen in servers.received]
    assert sent == [not default or audience == HOME, False]
