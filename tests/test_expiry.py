"""What has expired is not sent, and what is refused is replaced where it can be."""

from __future__ import annotations

import time

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from scitokens import SciToken

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError
from requests_scitokens.testing import ANSWERS, Answer

from .ways import CHOSEN, unchanged

# How servers refuse a bad token: with 401 or 403, with and without a challenge.
REFUSALS = {
    **{name: ANSWERS[name] for name in ("bearer", "apache", "dcache", "storm", "xrootd")},
    "gwdatafind": ANSWERS["gwdatafind"],
    "403 with a challenge": Answer(
        challenges=("Bearer",), bad_status=403, bad_challenges=('Bearer realm="x"',)
    ),
}
every_refusal = pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)


def sent(server) -> list[str | None]:
    return [one.authorization for one in server.received]


@pytest.mark.parametrize("send", CHOSEN)
def test_what_has_expired_does_not_hide_what_has_not(
    serve, issuer, token_file, monkeypatch, send
):
    server = serve()
    good = issuer.mint(audience=server.url)
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(lifetime=-1, audience=server.url))
    token_file.write_text(good)
    assert send("GET", f"{server.url}/hello.txt").ok
    assert sent(server) == [f"Bearer {good}"]


@pytest.mark.parametrize("send", CHOSEN)
def test_what_has_expired_is_not_sent(serve, issuer, token_file, send):
    server = serve()
    token_file.write_text(issuer.mint(lifetime=-1, audience=server.url))
    assert send("GET", f"{server.url}/hello.txt").status_code == 401
    assert sent(server) == [None]


@pytest.mark.usefixtures("patched")
def test_nor_is_it_by_the_autopatch(serve, issuer, token_file):
    server = serve()
    token_file.write_text(issuer.mint(lifetime=-1, audience=server.url))
    assert unchanged("GET", f"{server.url}/hello.txt").status_code == 401
    assert sent(server) == [None]


def test_what_expires_between_two_requests_is_not_sent(
    serve, issuer, token_file, monkeypatch
):
    server = serve()
    token_file.write_text(issuer.mint(lifetime=600))
    with requests_scitokens.Session(force=True) as session:
        assert session.get(f"{server.url}/hello.txt").ok
        later = time.time() + 601
        monkeypatch.setattr(time, "time", lambda: later)
        with pytest.raises(TokenNotFoundError, match="expired 1 s ago"):
            session.get(f"{server.url}/hello.txt")
    assert len(server.received) == 1


@every_refusal
def test_a_refused_token_is_looked_for_again(serve, issuer, token_file, answer):
    server = serve(answer=answer)
    old, new = issuer.mint(), issuer.mint(lifetime=900)
    token_file.write_text(old)

    def refuse(token: str) -> bool:
        token_file.write_text(new)  # by somebody else, while the request ran
        return token == old

    server.rejects = refuse
    assert requests_scitokens.get(f"{server.url}/hello.txt", force=True).ok
    assert sent(server) == [f"Bearer {old}", f"Bearer {new}"]


@every_refusal
def test_the_same_token_is_not_sent_twice(serve, issuer, token_file, answer):
    server = serve(answer=answer)
    token_file.write_text(issuer.mint())
    server.rejects.add(token_file.read_text())
    response = requests_scitokens.get(f"{server.url}/hello.txt", force=True)
    assert (response.status_code, response.history) == (answer.bad_status, [])
    assert len(server.received) == 1


@every_refusal
def test_no_third_token_is_tried(serve, issuer, token_file, answer):
    server = serve(answer=answer)

    def refuse(_: str) -> bool:
        token_file.write_text(issuer.mint(lifetime=900 + len(server.received)))
        return True

    token_file.write_text(issuer.mint())
    server.rejects = refuse
    response = requests_scitokens.get(f"{server.url}/hello.txt", force=True)
    assert response.status_code == answer.bad_status
    assert len(server.received) == 2


@every_refusal
def test_a_token_function_is_asked_again(serve, issuer, answer):
    server = serve(answer=answer)
    old, new = issuer.mint(), issuer.mint(lifetime=900)
    server.rejects.add(old)
    answers = iter([old, new])
    auth = HTTPSciTokenAuth(lambda _: next(answers))
    assert requests.get(f"{server.url}/hello.txt", auth=auth).ok
    assert sent(server) == [f"Bearer {old}", f"Bearer {new}"]


@every_refusal
def test_what_a_token_function_gives_again_is_not_sent_twice(serve, issuer, answer):
    server, token, asked = serve(answer=answer), issuer.mint(), []
    server.rejects.add(token)

    def function(url: str) -> str:
        asked.append(url)
        return token

    response = requests.get(f"{server.url}/hello.txt", auth=HTTPSciTokenAuth(function))
    assert response.status_code == answer.bad_status
    assert (len(asked), len(server.received)) == (2, 1)


def test_a_scitoken_is_sent_as_it_was_serialised(serve):
    """A token function is for those that must be renewed."""
    server = serve(protected=False)
    scitoken = SciToken(
        key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", key_id="k"
    )
    text = scitoken.serialize(issuer="https://issuer.example.org", lifetime=600).decode()
    with requests_scitokens.Session(token=scitoken) as session:
        for _ in range(2):
            assert session.get(f"{server.url}/hello.txt").ok
    assert sent(server) == [f"Bearer {text}"] * 2
