"""requests_scitokens.testing: an issuer and a protected server."""

from __future__ import annotations

import socket
import threading

import pytest
import requests
import trustme
from scitokens import SciToken

from requests_scitokens.testing import ANSWERS, Answer, Issuer, ProtectedServer, Redirect


def send(server, path="/hello.txt", token=None, method="GET", **kwargs):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers.update(kwargs.pop("headers", {}))
    kwargs.setdefault("allow_redirects", False)
    return requests.request(
        method, f"{server.url}{path}", headers=headers, timeout=30, **kwargs
    )


def test_an_issuer_publishes_its_key(issuer, trusted):
    well_known = requests.get(f"{issuer.url}/.well-known/openid-configuration", timeout=30)
    assert well_known.json()["issuer"] == issuer.url
    assert requests.get(well_known.json()["jwks_uri"], timeout=30).json() == issuer.jwks
    assert requests.get(f"{issuer.url}/else", timeout=30).status_code == 404


def test_an_issuer_mints_what_scitokens_verifies(issuer):
    text = issuer.mint("read:/a", audience="https://b", subject="c", lifetime=60, jti="d")
    token = SciToken.deserialize(text, public_key=issuer.public_key)
    claims = dict(token.claims())
    assert claims.items() >= {"scope": "read:/a", "aud": "https://b", "sub": "c"}.items()
    assert (claims["exp"] - claims["iat"], claims["jti"]) == (60, "d")


@pytest.mark.parametrize(("name", "answer"), ANSWERS.items())
def test_each_answer_refuses_as_it_says(serve, issuer, name, answer):
    server = serve({"/hello.txt": b"", "/other.txt": b""}, answer=name)
    token = issuer.mint("read:/hello.txt")
    for response, status, challenges in (
        (send(server), answer.status, answer.challenges),
        (send(server, token="a.b.c"), answer.bad_status, answer.bad_challenges),
        (
            send(server, token=issuer.mint(lifetime=-9)),
            answer.bad_status,
            answer.bad_challenges,
        ),
        (send(server, "/other.txt", token), 403, answer.scope_challenges),
    ):
        assert response.status_code == status
        assert response.headers.get("WWW-Authenticate", "") == ", ".join(challenges)
        assert response.content == answer.body
        assert (response.headers.get("Connection") == "close") is answer.closes
    assert send(server, token=token).ok


def test_a_server_takes_an_answer_of_ones_own(serve):
    server = serve(answer=Answer(status=418))
    assert send(server).status_code == 418


@pytest.mark.parametrize(
    ("audience", "called", "taken"),
    [
        (None, None, True),
        ("ANY", None, True),
        ("https://wlcg.cern.ch/jwt/v1/any", None, True),
        ("https://elsewhere.example.org", None, False),
        ("here", "here", True),
        ("here", ["there", "here"], True),
        ("here", "there", False),
    ],
)
def test_a_server_checks_the_audience(serve, issuer, audience, called, taken):
    server = serve(audience=called)
    assert send(server, token=issuer.mint(audience=audience)).ok is taken


def test_a_server_checks_the_issuer(serve):
    with Issuer() as other:
        assert send(serve(), token=other.mint()).status_code == 401


def test_a_server_knows_itself_by_its_url(serve, issuer):
    server = serve()
    assert send(server, token=issuer.mint(audience=server.url)).ok
    assert send(server, token=issuer.mint(audience=server.url[8:])).ok


@pytest.mark.parametrize("kind", ["dictionary", "directory"])
def test_a_server_stores_serves_and_removes_files(serve, issuer, tmp_path, kind):
    files = tmp_path / "files" if kind == "directory" else {}
    server = serve(files)
    token = issuer.mint("read:/ write:/")
    assert send(server, "/a/b", token, "PUT", data=b"one").status_code == 201
    assert send(server, "/a/b", token, "POST", data=iter([b"tw", b"o"])).status_code == 204
    assert send(server, "/a/b", token).content == b"two"
    assert send(server, "/a/b", token, "HEAD").headers["Content-Length"] == "3"
    assert send(server, "/a/b", token, "OPTIONS").ok
    assert dict(server.files) == {"/a/b": b"two"}
    assert len(server.files) == 1
    assert send(server, "/a/b", token, "DELETE").status_code == 204
    assert send(server, "/a/b", token, "DELETE").status_code == 404
    assert send(server, "/a/b", token).status_code == 404
    with pytest.raises(KeyError):
        del server.files["/a/b"]


def test_a_directory_is_not_left(serve, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "secret").touch()
    server = serve(tmp_path / "files", protected=False)
    assert "/../secret" not in server.files


def test_writing_needs_another_scope(serve, issuer):
    server = serve()
    response = send(server, "/new", issuer.mint("read:/"), "PUT", data=b"1")
    assert response.status_code == 403
    assert "/new" not in server.files


def test_a_server_may_ask_for_nothing(serve):
    assert send(serve(protected=False)).ok


def test_a_server_may_speak_plain_http(serve, issuer):
    server = serve(tls=False)
    assert server.url.startswith("http://")
    assert send(server, token=issuer.mint()).ok


def test_a_good_token_may_be_rejected(serve, issuer):
    server, token = serve(), issuer.mint()
    server.rejects.add(token)
    assert send(server, token=token).status_code == 401
    server.rejects = lambda token: True
    assert send(server, token=token).status_code == 401
    server.rejects = set()
    assert send(server, token=token).ok


def test_a_redirect_may_copy_the_token_into_the_url(serve, issuer):
    server, token = serve(), issuer.mint()
    server.redirects["/plain"] = Redirect("/hello.txt", 302)
    server.redirects["/copied"] = Redirect("/hello.txt?a=b", copy_token=True)
    response = send(server, "/plain")
    assert (response.status_code, response.headers["Location"]) == (302, "/hello.txt")
    response = send(server, "/copied", token)
    assert response.headers["Location"] == f"/hello.txt?a=b&authz={token}"
    assert send(server, response.headers["Location"]).ok


def test_a_server_writes_down_what_it_received_and_shows_no_token(serve, issuer):
    server, token = serve(), issuer.mint("write:/")
    send(server, f"/new?authz={token}", token, "PUT", data=b"body", headers={"X-Mine": "1"})
    (received,) = server.received
    assert (received.method, received.path, received.body) == ("PUT", "/new", b"body")
    assert (received.status, received.headers["x-mine"]) == (201, "1")
    assert received.authorization == f"Bearer {token}"
    assert token not in repr(received)


def test_one_connection_serves_many_requests(serve, issuer):
    server, token = serve(), issuer.mint()
    with requests.Session() as session:
        for _ in range(3):
            headers = {"Authorization": f"Bearer {token}"}
            assert session.get(f"{server.url}/hello.txt", headers=headers, timeout=30).ok
        (pool,) = session.adapters["https://"].poolmanager.pools._container.values()
        assert pool.num_connections == 1


def test_a_client_that_shakes_no_hands_blocks_nobody(serve, issuer, capfd, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    server, token = serve(), issuer.mint()
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as idle:
        with pytest.raises(requests.exceptions.SSLError):
            send(server, verify=str(other))
        assert send(server, token=token).ok
        idle.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert capfd.readouterr().err == ""


def test_nothing_stays_when_a_server_is_closed(issuer):
    before = threading.active_count()
    with ProtectedServer(issuer) as server:
        port = int(server.url.rpartition(":")[2])
        idle = socket.create_connection(("127.0.0.1", port))
    assert threading.active_count() == before
    idle.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))
