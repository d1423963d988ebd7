"""Servers that ask for what they should not get: few requests, and their own answer.

Each response has a number, so that the one which comes back is known to be the last.
"""

from __future__ import annotations

from itertools import cycle

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth
from requests_scitokens import _state as state

from .ways import CHOSEN, unchanged

STORAGE = "https://storage.example.org"
EVIL = "https://evil.example.org"
URL = f"{STORAGE}/data"

BEARER = (401, 'Bearer realm="x"')
INVALID = (401, 'Bearer error="invalid_token"')
SCOPE = (403, 'Bearer error="insufficient_scope"')
BASIC = (401, 'Basic realm="x"')
BARE, FORBIDDEN = (401,), (403,)


@pytest.fixture
def server(world):
    """Start a server; `play` says what it answers, again and again."""
    server = world(STORAGE, EVIL)

    def play(*answers, then=lambda: None):
        turn = cycle(answers)

        def reply(seen):
            then()
            status, *challenges = next(turn)
            fields = [
                field if isinstance(field, tuple) else ("WWW-Authenticate", field)
                for field in challenges
            ]
            return status, (*fields, ("X-Number", str(len(server.received))))

        server.answer = reply
        server.received.clear()
        state.accepted.clear()

    server.play = play
    return server


@pytest.fixture
def for_any_server(issuer, token_file):
    token_file.write_text(issuer.mint())
    return f"Bearer {token_file.read_text()}"


@pytest.fixture
def named(issuer, token_file):
    token_file.write_text(issuer.mint(audience=STORAGE))
    return f"Bearer {token_file.read_text()}"


def sent(server):
    return [seen.authorization for seen in server.received]


def check(server, response, status, authorizations):
    """Compare what was sent, and that the last answer came back as it is."""
    assert sent(server) == authorizations
    assert response.status_code == status
    assert response.headers["X-Number"] == str(len(server.received))
    numbers = [one.headers["X-Number"] for one in response.history]
    assert numbers == [str(number + 1) for number in range(len(server.received) - 1)]


# --- 401 and 403 without end

LOOPS = {
    "Bearer": (BEARER,),
    "invalid_token": (INVALID,),
    "insufficient_scope": (SCOPE,),
    "Basic": (BASIC,),
    "bare 401": (BARE,),
    "bare 403": (FORBIDDEN,),
    "Bearer, then Basic": (BEARER, BASIC),
    "Basic, then Bearer": (BASIC, BEARER),
    "Bearer, then 403": (BEARER, FORBIDDEN),
    "403, then Bearer": (FORBIDDEN, BEARER),
    "Digest, then Negotiate, then Bearer": ((401, "Digest"), (401, "Negotiate"), BEARER),
}


@pytest.mark.parametrize("answers", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("send", CHOSEN)
def test_a_server_that_never_stops_asking_gets_the_token_once(
    server, for_any_server, send, answers
):
    server.play(*answers)
    response = send("GET", URL)
    check(server, response, answers[1 % len(answers)][0], [None, for_any_server])


@pytest.mark.parametrize("answers", LOOPS.values(), ids=LOOPS)
@pytest.mark.usefixtures("patched")
def test_under_the_autopatch_it_gets_it_not_at_all(server, for_any_server, answers):
    server.play(*answers)
    check(server, unchanged("GET", URL), answers[0][0], [None])


@pytest.mark.parametrize("answers", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("send", CHOSEN)
def test_a_token_that_went_at_once_is_not_sent_again(server, named, send, answers):
    server.play(*answers)
    check(server, send("GET", URL), answers[0][0], [named])


@pytest.mark.parametrize("answers", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("send", CHOSEN)
def test_however_often_the_token_is_renewed_only_one_more_is_sent(
    server, issuer, token_file, send, answers
):
    tokens = [issuer.mint(lifetime=600 + number) for number in range(9)]
    token_file.write_text(tokens[0])
    server.play(*answers, then=lambda: token_file.write_text(tokens[len(server.received)]))
    response = send("GET", URL)
    bearers = [f"Bearer {token}" for token in tokens[1:3]]
    check(server, response, answers[2 % len(answers)][0], [None, *bearers])


@pytest.mark.parametrize("answers", LOOPS.values(), ids=LOOPS)
def test_a_function_is_asked_for_no_more_than_two_tokens(server, answers):
    tokens = iter("abcdefgh")
    server.play(*answers)
    auth = HTTPSciTokenAuth(lambda url: next(tokens))
    response = requests.get(URL, auth=auth)
    check(server, response, answers[1 % len(answers)][0], ["Bearer a", "Bearer b"])


# --- challenges where there is nothing to answer

OTHERS = [200, 203, 204, 206, 304, 400, 402, 404, 407, 418, 429]
OTHERS += [500, 501, 502, 503, 504, 511, 599]


@pytest.mark.parametrize("status", OTHERS)
@pytest.mark.parametrize("send", [*CHOSEN, unchanged])
def test_a_challenge_that_comes_with_anything_but_a_401_or_403_is_not_answered(
    server, for_any_server, request, send, status
):
    if send is unchanged:
        request.getfixturevalue("patched")
    challenge = 'Bearer realm="x", scope="read:/"'
    server.play((status, challenge, ("Proxy-Authenticate", challenge)))
    response = send("GET", URL)
    check(server, response, status, [None])
    assert response.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize("status", OTHERS)
@pytest.mark.parametrize("send", [*CHOSEN, unchanged])
def test_a_token_that_went_at_once_is_not_sent_twice_for_it(
    server, named, request, send, status
):
    if send is unchanged:
        request.getfixturevalue("patched")
    server.play((status, "Bearer", ("Proxy-Authenticate", "Bearer")))
    check(server, send("GET", URL), status, [named])


@pytest.mark.parametrize("target", ["/other", EVIL, f"http://{EVIL[8:]}"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("send", [*CHOSEN, unchanged])
def test_a_challenge_that_comes_with_a_redirect_is_not_answered(
    world, for_any_server, request, send, status, target
):
    if send is unchanged:
        request.getfixturevalue("patched")
    server = world(STORAGE, EVIL, f"http://{EVIL[8:]}")

    def reply(seen):
        fields = (("WWW-Authenticate", "Bearer"), ("Location", target))
        return (status, fields) if seen.path == "/data" else (200, ())

    server.answer = reply
    assert send("GET", URL).status_code == 200
    assert sent(server) == [None, None]


def test_a_redirect_without_end_ends_as_in_requests(server, for_any_server):
    server.play((302, "Bearer", ("Location", "/data")))
    for send in CHOSEN:
        server.received.clear()
        with pytest.raises(requests.TooManyRedirects):
            send("GET", URL)
        assert sent(server) == [None] * 31


# Each request refused, then redirected to itself. Where the session can follow, the
# token goes at once from the second on; else each hop takes two.
@pytest.mark.parametrize(("send", "hop"), list(zip(CHOSEN, ([None, True], [True], [True]))))
def test_refusals_and_redirects_without_end_take_two_requests_for_each_hop(
    server, for_any_server, send, hop
):
    def reply(seen):
        if seen.authorization is None:
            return 401, ()
        return 302, (("Location", "/data"),)

    server.answer = reply
    with pytest.raises(requests.TooManyRedirects):
        send("GET", URL)
    found = [one and one == for_any_server for one in sent(server)]
    assert found == [None, True, *(hop * 30)]


# --- challenges in great number; http.client takes lines of 64 KiB, and 100 fields

MANY = {
    "in one field": ("x," * 9_999 + "{}",),
    "in one field, the first": ("{}" + ",x" * 9_999,),
    "in several fields": (", ".join(["Basic"] * 1_000),) * 10 + ("{}",),
    "with parameters": (", ".join(["Basic a=b"] * 500),) * 20 + ("{}",),
}


@pytest.mark.parametrize("fields", MANY.values(), ids=MANY)
@pytest.mark.parametrize("last", ["Bearer", "Basic"])
def test_ten_thousand_challenges_are_answered_once(server, for_any_server, fields, last):
    server.play((401, *(field.format(last) for field in fields)))
    response = requests_scitokens.get(URL)
    check(server, response, 401, [None, for_any_server])
    assert response.headers["WWW-Authenticate"].count(",") >= 9_999


@pytest.mark.parametrize("send", [*CHOSEN, unchanged])
def test_a_field_that_http_does_not_take_is_an_error_of_requests(
    server, for_any_server, request, send
):
    if send is unchanged:
        request.getfixturevalue("patched")
    server.play((401, "Bearer," * 10_000))
    with pytest.raises(requests.ConnectionError):
        send("GET", URL)
    assert sent(server) == [None]


def test_a_session_that_was_asked_without_end_still_works(server, for_any_server):
    with requests_scitokens.Session() as session:
        server.play(BEARER)
        assert session.get(URL).status_code == 401
        server.play((200,))
        assert session.get(URL).status_code == 200
        assert sent(server) == [None]
