"""Without a usable token the caller gets the server's own answer."""

from __future__ import annotations

import logging
import os
import time

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError

from .ways import CHOSEN, unchanged

PLACES = (
    "$BEARER_TOKEN: not set",
    "$BEARER_TOKEN_FILE: not set",
    "$SCITOKEN: not set",
    "$SCITOKEN_FILE: not set",
    "$_CONDOR_CREDS: not set",
)


@pytest.mark.parametrize("answer", ["bearer", "storm", "xrootd"])
@pytest.mark.parametrize("send", CHOSEN)
def test_a_chosen_handler_says_once_where_it_looked(serve, send, answer, caplog):
    server = serve(answer=answer)
    caplog.set_level(logging.DEBUG, "requests_scitokens")
    for _ in range(2):
        response = send("GET", f"{server.url}/hello.txt")
        assert response.status_code == server.received[0].status
        assert response.history == []
    assert len(server.received) == 2
    (record,) = [one for one in caplog.records if one.levelno > logging.DEBUG]
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        f"{server.url} answered {response.status_code}; no token was sent: no token was "
        "found; get one, for example with htgettoken"
    )


@pytest.mark.usefixtures("patched")
def test_the_autopatch_says_so_to_those_who_look(serve, caplog):
    server = serve()
    caplog.set_level(logging.DEBUG, "requests_scitokens")
    response = unchanged("GET", f"{server.url}/hello.txt")
    assert (response.status_code, response.history) == (401, [])
    (record,) = caplog.records
    assert record.levelname == "DEBUG"
    assert f"GET {server.url}, no token: do not send it" in record.getMessage()


@pytest.mark.parametrize("send", [*CHOSEN, unchanged])
def test_where_hosts_lists_the_server_a_missing_token_is_said_once_whatever_the_answer(
    serve, send, caplog, monkeypatch, request
):
    """Some servers answer strangers 200, with less in it, or with a login page."""
    if send is unchanged:
        request.getfixturevalue("patched")
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    for server in (serve(protected=False), serve()):
        for _ in range(2):
            send("GET", f"{server.url}/hello.txt")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "no token was found" in record.getMessage()


def test_force_raises_before_a_byte_is_sent(serve):
    server = serve()
    with pytest.raises(TokenNotFoundError) as caught:
        requests.get(f"{server.url}/hello.txt", auth=HTTPSciTokenAuth(force=True))
    assert server.received == []
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, requests.RequestException)
    for place in PLACES:
        assert place in str(caught.value)
    for directory in ("/tmp", "$XDG_RUNTIME_DIR"):
        assert f"; {directory}/bt_u{os.geteuid()} (" in str(caught.value)
    assert str(caught.value).endswith(f"{os.sep}bt_u{os.geteuid()}): no such file")


def test_force_raises_also_where_no_token_may_go(serve):
    server = serve()
    auth = HTTPSciTokenAuth(force=True, hosts="storage.example.org")
    with pytest.raises(TokenNotFoundError, match="no usable token: no token was found"):
        requests.get(f"{server.url}/hello.txt", auth=auth)
    assert server.received == []


def test_force_raises_where_the_search_ended(serve, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", " ")
    monkeypatch.setenv("BEARER_TOKEN_FILE", "/")
    with pytest.raises(TokenNotFoundError) as caught:
        requests_scitokens.get(serve().url, force=True)
    assert str(caught.value) == (
        "no usable token: $BEARER_TOKEN_FILE (/): it is not a regular file; "
        "correct or remove it; looked in: $BEARER_TOKEN: empty"
    )


def test_force_raises_for_a_token_with_another_audience(serve, issuer, token_file):
    token_file.write_text(issuer.mint(audience="https://a.example.org"))
    auth = HTTPSciTokenAuth(force=True, audience="https://b.example.org")
    with pytest.raises(TokenNotFoundError, match=r"for https://a\.example\.org, not for"):
        requests.get(f"{serve().url}/hello.txt", auth=auth)


def test_an_expired_token_is_not_sent(serve, issuer, token_file, caplog):
    token_file.write_text(issuer.mint(lifetime=-10800))
    server = serve()
    assert requests_scitokens.get(f"{server.url}/hello.txt").status_code == 401
    assert [one.authorization for one in server.received] == [None]
    assert (
        f"$XDG_RUNTIME_DIR/{token_file.name} ({token_file}): it expired 3 h ago; renew it"
        in caplog.text
    )
    with pytest.raises(
        TokenNotFoundError,
        match=r"expired 3 h ago; renew it, .*; looked in: \$BEARER_TOKEN: not set; ",
    ):
        requests_scitokens.get(f"{server.url}/hello.txt", force=True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"inner white space", "it has white space inside; correct or remove it\n"),
        (b"control\x00character", "it has a control character inside; write it again"),
        ("τόκεν".encode(), "it has a character that no token has"),
        (b"0" * 10_000_000, "it is longer than 65536 bytes"),
        (b'{"access_token": 1}', "it is JSON without an access_token"),
    ],
)
@pytest.mark.parametrize("send", CHOSEN)
def test_a_malformed_token_never_reaches_a_header(
    serve, token_file, caplog, send, content, reason
):
    token_file.write_bytes(content)
    server = serve()
    assert send("GET", f"{server.url}/hello.txt").status_code == 401
    assert [one.authorization for one in server.received] == [None]
    assert f"{token_file.name} ({token_file}): " in caplog.text
    assert reason in caplog.text
    assert "inner white" not in caplog.text


def test_a_directory_a_fifo_or_a_broken_link_never_hangs(serve, token_file, caplog):
    server = serve(answer="storm")
    loop = token_file.with_name("loop")
    loop.symlink_to(loop)
    for make, reason in (
        (token_file.mkdir, "it is not a regular file"),
        (lambda: os.mkfifo(token_file), "it is not a regular file"),
        (lambda: token_file.symlink_to("loop"), "Too many levels of symbolic links"),
    ):
        make()
        caplog.clear()
        requests_scitokens._state.said.clear()
        assert requests_scitokens.get(f"{server.url}/hello.txt").status_code == 401
        assert f"({token_file}): {reason}" in caplog.text
        token_file.rmdir() if token_file.is_dir() else token_file.unlink()


def test_a_file_that_cannot_be_read_is_named(serve, token_file, caplog, monkeypatch):
    token_file.write_text("a.b.c")
    server, really = serve(), os.open

    def deny(path, *args):
        if path == str(token_file):
            raise PermissionError(13, "Permission denied", path)
        return really(path, *args)

    # A superuser, under whom the tests may run, can read whatever its mode says.
    monkeypatch.setattr("requests_scitokens._token_file.os.open", deny)
    assert requests_scitokens.get(f"{server.url}/hello.txt").status_code == 401
    assert f"({token_file}): Permission denied" in caplog.text


def test_what_was_said_of_a_listed_server_is_said_of_another_too(serve, caplog):
    listed, other = serve(), serve()
    requests.get(listed.url, auth=HTTPSciTokenAuth(hosts=listed.url))
    requests.get(other.url, auth=HTTPSciTokenAuth())
    first, second = caplog.messages
    assert listed.url in first
    assert other.url in second


def test_a_reason_is_said_once_however_much_time_goes_by(
    serve, issuer, token_file, caplog, monkeypatch
):
    server = serve()
    token_file.write_text(issuer.mint(lifetime=-5))
    now = time.time()
    for later in (0, 1, 60, 7200, 9 * 86400):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        assert requests_scitokens.get(f"{server.url}/hello.txt").status_code == 401
        auth = HTTPSciTokenAuth(hosts=server.url)
        assert requests.get(f"{server.url}/hello.txt", auth=auth).status_code == 401
    assert len(caplog.messages) == 2
