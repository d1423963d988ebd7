"""What the log says names the place, the reason and the next step."""

from __future__ import annotations

import logging
import os

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, policy
from requests_scitokens.origin import origin_of
from requests_scitokens.testing import Answer, Redirect
from requests_scitokens.token import BearerToken

from .ways import unchanged

HOSTS = "hosts= or REQUESTS_SCITOKENS_HOSTS"


@pytest.fixture(autouse=True)
def nothing_in_tmp(monkeypatch):
    monkeypatch.setattr("requests_scitokens.discovery.SHARED_DIRECTORY", "/nowhere")


@pytest.fixture
def log(caplog):
    """Return what the log has had to say since the last time."""
    caplog.set_level(logging.DEBUG, "requests_scitokens")

    def take():
        lines = [f"{one.levelname}: {one.getMessage()}" for one in caplog.records]
        caplog.clear()
        return lines

    return take


@pytest.fixture
def place(token_file):
    return f"$XDG_RUNTIME_DIR/{token_file.name} ({token_file})"


def test_no_token(serve, log, token_file, place):
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: none was found; get one, "
        "for example with htgettoken; looked in: $BEARER_TOKEN: not set; "
        "$BEARER_TOKEN_FILE: not set; $SCITOKEN: not set; $SCITOKEN_FILE: not set; "
        f"$_CONDOR_CREDS: not set; {place}: No such file or directory; "
        f"/nowhere/bt_u{os.geteuid()}: No such file or directory"
    ]


def test_a_malformed_token(serve, log, token_file, place):
    token_file.write_text("inner space")
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: {place}: not a bearer "
        "token: it has white space inside; correct or remove it"
    ]


def test_an_expired_token_and_then_one_for_elsewhere(serve, issuer, log, token_file, place):
    elsewhere = {"audience": "https://a.example.org"}
    token_file.write_text(issuer.mint(lifetime=-10800, **elsewhere))
    server = serve()
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: the token in {place} "
        "expired 3 h ago; renew it, for example with htgettoken"
    ]
    token_file.write_text(issuer.mint(**elsewhere))
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: the token is for "
        "https://a.example.org, not for this server; get one for it, or list "
        f"{server.url[8:]} in {HOSTS} if it may have this one"
    ]


@pytest.mark.usefixtures("patched")
def test_an_expired_token_under_the_autopatch(serve, issuer, log, token_file, place):
    token_file.write_text(issuer.mint(lifetime=-10800))
    server = serve()
    for _ in range(2):
        unchanged("GET", f"{server.url}/hello.txt")
    assert log() == [
        f"INFO: {server.url} answered 401; no token was sent: the token in {place} "
        "expired 3 h ago; renew it, for example with htgettoken"
    ]


@pytest.mark.usefixtures("patched")
def test_a_refusal_without_a_challenge_under_the_autopatch(serve, issuer, log, token_file):
    token_file.write_text(issuer.mint())
    server = serve(answer="storm")
    for _ in range(2):
        unchanged("GET", f"{server.url}/hello.txt")
    assert log() == [
        f"INFO: {server.url} answered 401; no token was sent: it names no server, and "
        "this one does not ask for a bearer token; to send it, set "
        f"REQUESTS_SCITOKENS_HOSTS={server.url[8:]}"
    ]


def test_a_refused_token(serve, issuer, log, token_file, place):
    token_file.write_text(issuer.mint("read:/frames"))
    server = serve(answer="storm")
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 403; the token in {place} was refused, and there "
        "is no other; `python -m requests_scitokens --try URL` shows what the server wants"
    ]


@pytest.mark.parametrize(
    ("token", "answer", "guess"),
    [
        (
            {"scope": "read:/frames"},
            "bearer",
            "403; {}; it has read:/frames, the server wants read:/hello.txt",
        ),
        (
            {"scope": ""},
            Answer(scope_challenges=('Bearer scope="a\x1b[31m"',)),
            "403; {}; it has no scope, the server wants a\N{REPLACEMENT CHARACTER}[31m",
        ),
        ({"lifetime": -10800}, "bearer", "401; {}; it expired 3 h ago"),
    ],
)
def test_a_refused_token_that_was_given(serve, issuer, log, token, answer, guess):
    server = serve(answer=answer)
    requests_scitokens.get(f"{server.url}/hello.txt", token=issuer.mint(**token))
    refused = "the token given with token= was refused, and there is no other"
    assert log() == [f"WARNING: {server.url} answered {guess.format(refused)}"]


def test_a_refused_token_that_is_gone(serve, issuer, log, monkeypatch):
    tokens = [issuer.mint(lifetime=-1), None]
    server = serve()
    url = f"{server.url}/hello.txt"
    requests_scitokens.get(url, token=lambda url: tokens.pop(0))
    assert log() == [
        f"WARNING: {server.url} answered 401; the token was refused, and now: the token "
        "function returned none for this URL"
    ]


def test_a_renewed_token_that_is_refused_too(serve, issuer, log):
    tokens = [issuer.mint(lifetime=-1, jti=name) for name in ("one", "two")]
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt", token=lambda url: tokens.pop(0))
    assert log() == [
        f"WARNING: {server.url} answered 401; the token that the token function returned "
        "was refused, and so was the one before; `python -m requests_scitokens --try URL` "
        "shows what the server wants"
    ]


def test_a_body_that_cannot_be_sent_twice(serve, issuer, log, token_file):
    token_file.write_text(issuer.mint("write:/"))
    server = serve({})
    requests_scitokens.put(f"{server.url}/new", data=iter([b"one"]))
    assert log() == [
        f"WARNING: {server.url} answered 401; the token was not sent: this body cannot be "
        "sent twice; force=True or hosts= sends the token at once"
    ]


def test_a_redirect(serve, issuer, log, token_file):
    token_file.write_text(issuer.mint())
    target, first = serve(), serve()
    first.redirects["/hello.txt"] = Redirect(f"{target.url}/hello.txt")
    requests_scitokens.get(f"{first.url}/hello.txt")
    assert log() == [
        f"WARNING: {target.url} answered 401; no token was sent: a redirect led there, and "
        "the token does not name it; if it may have the token, list both servers in "
        f"{HOSTS}"
    ]


def test_a_url_that_does_not_say_which_host(log):
    response = requests.Response()
    response.status_code = 401
    response.request = requests.Request("GET", "https://a/").prepare()
    response.request.url = "https://a\\@b/"
    response.connection = object()
    assert HTTPSciTokenAuth("a.b.c").handle_response(response) is response
    assert log() == [
        "WARNING: a server answered 401; no token was sent: the URL does not say for "
        "certain which host is meant; write it plainly, as in "
        "https://storage.example.org/path"
    ]


@pytest.mark.parametrize(
    ("url", "hosts", "why"),
    [
        (
            "https://a.example.org/?authz=x",
            None,
            "the URL carries a token of its own; token= or force=True sends yours too",
        ),
        (
            "http://a.example.org:81/",
            None,
            "plain http would show the token to everybody on the way; use https, or list "
            f"http://a.example.org:81 in {HOSTS}",
        ),
        (
            "http://localhost:81/",
            None,
            "a proxy on another machine would see the token; put this server into "
            "NO_PROXY, as NO_PROXY=localhost",
        ),
        (
            "https://a.example.org/",
            "b.example.org",
            f"{HOSTS} does not list this server; add a.example.org if it may have the "
            "token",
        ),
    ],
)
def test_what_bars_a_url(url, hosts, why):
    listed = None if hosts is None else policy.parse_hosts(hosts)
    origin = origin_of(url)
    assert policy.barred(url, origin, hosts=listed, asked=False, proxied=True) == why


def test_what_a_token_says_of_itself_does_no_harm_to_the_log():
    audience = ["https://a.example.org/\x1b[31m\n", *["x" * 100] * 100]
    whom = BearerToken("a.b.c", {"aud": audience}).whom
    assert whom.startswith("https://a.example.org/\N{REPLACEMENT CHARACTER}[31m")
    assert whom.endswith("... (10228 characters)")
    assert whom.isprintable()
