"""A 401 or 403 is answered with the token, where the decision table says so."""

from __future__ import annotations

import logging
from io import BytesIO

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth
from requests_scitokens._exchanges import exchange_of
from requests_scitokens.testing import Answer

from .ways import CHOSEN, unchanged

CHALLENGES = (
    "bearer",
    "bearer-parameters",
    "basic-then-bearer",
    "bearer-lower",
    "several-fields",
    "apache",
)
NO_CHALLENGES = {"dcache": 401, "storm": 401, "xrootd": 403, "gwdatafind": 401}


@pytest.fixture(autouse=True)
def for_any_server(issuer, token_file):
    token_file.write_text(issuer.mint())


@pytest.mark.parametrize("answer", [*CHALLENGES, *NO_CHALLENGES])
@pytest.mark.parametrize("send", CHOSEN)
def test_a_chosen_handler_answers_every_401_or_403_with_one_retry(serve, send, answer):
    server = serve(answer=answer)
    response = send("GET", f"{server.url}/hello.txt")
    assert (response.status_code, response.content) == (200, b"hello\n")
    assert [bool(one.authorization) for one in server.received] == [False, True]
    assert [one.status_code for one in response.history] == [server.received[0].status]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("answer", [*CHALLENGES, *NO_CHALLENGES])
def test_the_autopatch_leaves_every_401_or_403_and_names_the_variable_once(
    serve, caplog, answer
):
    server = serve(answer=answer)
    caplog.set_level(logging.INFO, "requests_scitokens")
    for _ in range(2):
        response = unchanged("GET", f"{server.url}/hello.txt")
        assert (response.status_code, response.history) == (server.received[0].status, [])
    assert [one.authorization for one in server.received] == [None, None]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "REQUESTS_SCITOKENS_HOSTS" in record.getMessage()
    assert server.url not in record.getMessage()


@pytest.mark.usefixtures("patched")
def test_the_autopatch_renews_a_token_that_it_sent(serve, issuer, token_file):
    server = serve()
    old, new = (issuer.mint(audience=server.url, jti=one) for one in ("old", "new"))
    token_file.write_text(old)

    def refuse(token: str) -> bool:
        token_file.write_text(new)
        return token == old

    server.rejects = refuse
    assert unchanged("GET", f"{server.url}/hello.txt").ok
    sent = [one.authorization for one in server.received]
    assert sent == [f"Bearer {old}", f"Bearer {new}"]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("answer", [*CHALLENGES, *NO_CHALLENGES])
def test_the_autopatch_sends_it_at_once_where_the_variable_says(serve, monkeypatch, answer):
    server = serve(answer=answer)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", server.url.removeprefix("https://"))
    assert unchanged("GET", f"{server.url}/hello.txt").content == b"hello\n"
    assert len(server.received) == 1


@pytest.mark.parametrize("send", CHOSEN)
def test_an_origin_that_accepted_the_token_gets_it_at_once(serve, send):
    server = serve()
    for _ in range(5):
        assert send("GET", f"{server.url}/hello.txt").ok
    assert len(server.received) == 6


@pytest.mark.parametrize("send", CHOSEN)
def test_a_refused_token_is_not_sent_again(serve, send, issuer, token_file, caplog):
    server = serve(answer="storm")
    token_file.write_text(issuer.mint(lifetime=60, scope="read:/elsewhere"))
    response = send("GET", f"{server.url}/hello.txt")
    assert response.status_code == 403
    assert [bool(one.authorization) for one in server.received] == [False, True]
    assert f"({token_file}) was sent, and there is no other: it has read:/" in caplog.text


def test_a_token_renewed_meanwhile_is_sent_instead(serve, issuer, token_file):
    server = serve()
    old = token_file.read_text()
    session = requests_scitokens.Session()
    assert session.get(f"{server.url}/hello.txt").ok
    server.rejects.add(old)
    new = issuer.mint(lifetime=900)
    token_file.write_text(new)
    del server.received[:]
    assert session.get(f"{server.url}/hello.txt").ok
    assert [one.authorization for one in server.received] == [f"Bearer {new}"]


def test_a_token_renewed_while_the_request_ran_is_sent_in_a_second_retry(
    serve, issuer, token_file
):
    server = serve()
    old, new = token_file.read_text(), issuer.mint(lifetime=900)

    def refuse(token: str) -> bool:
        token_file.write_text(new)
        return token == old

    server.rejects = refuse
    assert requests_scitokens.get(f"{server.url}/hello.txt").ok
    sent = [one.authorization for one in server.received]
    assert sent == [None, f"Bearer {old}", f"Bearer {new}"]


def test_a_token_function_is_asked_again(serve, issuer):
    server = serve()
    old, new = issuer.mint(), issuer.mint(lifetime=900)
    answers = [old, new]
    server.rejects.add(old)
    asked = []

    def function(url: str) -> str:
        asked.append(url)
        return answers.pop(0)

    url = f"{server.url}/hello.txt"
    assert requests.get(url, auth=HTTPSciTokenAuth(function)).ok
    assert asked == [url, url]
    assert [one.authorization for one in server.received] == [
        f"Bearer {old}",
        f"Bearer {new}",
    ]


def test_a_given_token_that_gets_a_403_is_not_replaced(serve, issuer):
    server = serve()
    given = issuer.mint("read:/elsewhere")
    response = requests_scitokens.get(f"{server.url}/hello.txt", token=given)
    assert response.status_code == 403
    assert [one.authorization for one in server.received] == [f"Bearer {given}"]


@pytest.mark.parametrize("force", [True, False])
def test_what_is_not_ours_is_not_renewed(serve, force):
    server = serve()
    auth = HTTPSciTokenAuth(force=force)
    request = requests.Request("GET", f"{server.url}/hello.txt", auth=auth)
    with requests.Session() as session:
        prepared = session.prepare_request(request)
        prepared.headers["Authorization"] = "Bearer the-callers-own"
        settings = session.merge_environment_settings(prepared.url, {}, None, None, None)
        assert session.send(prepared, **settings).status_code == 401
    assert [one.authorization for one in server.received] == ["Bearer the-callers-own"]


def test_an_origin_that_refuses_the_token_is_asked_first_again(serve, issuer, token_file):
    server = serve()
    url = f"{server.url}/hello.txt"
    assert requests_scitokens.get(url).ok
    server.rejects.add(token_file.read_text())
    assert requests_scitokens.get(url).status_code == 401
    del server.received[:]
    server.rejects.clear()
    assert requests_scitokens.get(url).ok
    assert [bool(one.authorization) for one in server.received] == [False, True]


def test_an_origin_where_only_the_scope_lacks_still_gets_the_token_at_once(
    serve, issuer, token_file
):
    token_file.write_text(issuer.mint("read:/hello.txt"))
    server = serve({"/hello.txt": b"", "/secret.txt": b""})
    assert requests_scitokens.get(f"{server.url}/hello.txt").ok
    assert requests_scitokens.get(f"{server.url}/secret.txt").status_code == 403
    del server.received[:]
    assert requests_scitokens.get(f"{server.url}/hello.txt").ok
    assert len(server.received) == 1


def test_a_body_that_cannot_be_sent_again_is_never_sent_short(
    serve, issuer, token_file, caplog
):
    token_file.write_text(issuer.mint("write:/"))
    server = serve({})
    token_file.unlink()

    def body():
        yield b"one"
        token_file.write_text(issuer.mint("write:/"))
        yield b"two"

    response = requests_scitokens.put(f"{server.url}/new", data=body())
    assert response.status_code == 401
    assert "/new" not in server.files
    assert "this body cannot be sent twice; force=True or hosts=" in caplog.text


def test_a_file_is_sent_again_from_where_it_was(serve, issuer, token_file, tmp_path):
    token_file.write_text(issuer.mint("write:/"))
    server = serve({})
    path = tmp_path / "body"
    path.write_bytes(b"0123456789")
    with path.open("rb") as body:
        body.seek(3)
        assert requests_scitokens.put(f"{server.url}/new", data=body).ok
    assert server.files["/new"] == b"3456789"


def test_the_retry_looks_like_the_first_request(serve):
    server = serve()
    seen = []
    response = requests_scitokens.get(
        f"{server.url}/hello.txt",
        stream=True,
        cookies={"mine": "1"},
        headers={"X-Mine": "2"},
        hooks={
            "response": lambda response, **kwargs: seen.append(
                (response.status_code, sorted(kwargs))
            )
        },
    )
    assert not response._content_consumed
    assert response.content == b"hello\n"
    _, second = server.received
    assert (second.headers["Cookie"], second.headers["X-Mine"]) == ("mine=1", "2")
    assert response.request.headers["Authorization"] == second.authorization
    assert response.elapsed.total_seconds() > 0
    assert seen == [(200, ["cert", "proxies", "stream", "timeout", "verify"])]


@pytest.mark.parametrize("status", [200, 307, 401, 403])
@pytest.mark.parametrize("missing", ["request", "connection"])
def test_responses_of_mock_adapters_pass_through(missing, status):
    auth = HTTPSciTokenAuth("a.b.c")
    request = requests.Request("GET", "https://a.example.org/", auth=auth).prepare()
    response = requests.Response()
    response.status_code = status
    response.headers["Location"] = "https://b.example.org/"
    response.request = request
    if missing == "request":
        del response.request
    (hook,) = request.hooks["response"]
    assert hook(response) is response
    assert HTTPSciTokenAuth("a.b.c").handle_response(response) is response


@pytest.mark.parametrize("missing", [True, False])
def test_a_response_of_a_mock_adapter_is_nobodys(missing):
    prepared = requests.Request("GET", "https://b.example.org/").prepare()
    response = requests.Response()  # its `request` is None
    if missing:
        del response.request
    assert exchange_of(response, prepared) is None


class Socket(requests.adapters.BaseAdapter):
    """Redirects, as a service behind a socket of this machine may."""

    def __init__(self, location):
        super().__init__()
        self.location = location

    def send(self, request, **kwargs):
        response = requests.Response()
        response.status_code, response.url = 302, request.url
        response.request, response.raw = request, BytesIO()
        response.headers["Location"] = self.location
        return response

    def close(self):
        pass


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("audience", "sent"),
    [("ANY", [False]), ("{}", [True])],
    ids=["for any server", "for this server"],
)
@pytest.mark.parametrize(
    "make",
    [
        requests.Session,
        requests_scitokens.Session,
        lambda: requests_scitokens.Session(force=True),
    ],
    ids=["autopatch", "Session", "force"],
)
def test_a_redirect_from_a_url_without_an_origin_leads_to_another_origin(
    serve, issuer, token_file, make, audience, sent
):
    server = serve()
    token_file.write_text(issuer.mint(audience=audience.format(server.url)))
    with make() as session:
        session.mount("http+unix://", Socket(f"{server.url}/hello.txt"))
        assert session.get("http+unix://socket/").ok is sent[0]
    assert [bool(one.authorization) for one in server.received] == sent


class MockAdapter(requests.adapters.BaseAdapter):
    """Answers without a server, as test helpers do."""

    def __init__(self):
        super().__init__()
        self.requests = []

    def send(self, request, **kwargs):
        self.requests.append(request)
        response = requests.Response()
        response.status_code = 200 if "Authorization" in request.headers else 401
        response.request = request
        response.connection = self
        return response

    def close(self):
        pass


def test_a_response_without_raw_is_answered_too():
    adapter = MockAdapter()
    with requests_scitokens.Session() as session:
        session.mount("https://", adapter)
        assert session.get("https://a.example.org/").ok
    assert len(adapter.requests) == 2


def test_cookies_that_the_401_sets_go_with_the_answer(serve):
    server = serve(answer=Answer(cookie="theirs=2"))
    with requests_scitokens.Session() as session:
        assert session.get(f"{server.url}/hello.txt", cookies={"mine": "1"}).ok
        assert dict(session.cookies) == {"theirs": "2"}
    first, second = server.received
    assert first.headers["Cookie"] == "mine=1"
    assert sorted(second.headers["Cookie"].split("; ")) == ["mine=1", "theirs=2"]


def test_a_cookie_header_of_the_callers_own_stays(serve):
    server = serve(answer=Answer(cookie="theirs=2"))
    headers = {"Cookie": "mine=1"}
    assert requests_scitokens.get(f"{server.url}/hello.txt", headers=headers).ok
    assert [one.headers["Cookie"] for one in server.received] == ["mine=1", "mine=1"]


def test_a_request_prepared_by_hand_is_answered(serve, trusted):
    server = serve(answer="storm")
    request = requests.PreparedRequest()
    request.prepare_method("GET")
    request.prepare_url(f"{server.url}/hello.txt", None)
    request.prepare_headers(None)
    request.prepare_auth(HTTPSciTokenAuth())
    with requests.Session() as session:
        assert session.send(request, verify=str(trusted)).ok
