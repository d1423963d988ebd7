"""The issuer and the protected server that tests get."""

from __future__ import annotations

import http.client
import importlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import jwt
import pytest
import requests
from requests.adapters import HTTPAdapter
from scitokens import Enforcer, SciToken
from urllib3.util import Retry

from requests_scitokens import testing
from requests_scitokens.testing import (
    ANSWERS,
    Answer,
    Fault,
    Issuer,
    ProtectedServer,
    Received,
    Redirect,
)
from requests_scitokens.testing.__main__ import main

WLCG_ANY = "https://wlcg.cern.ch/jwt/v1/any"


@pytest.fixture(scope="module")
def authority(issuer, tmp_path_factory):
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    issuer.write_ca(path)
    return str(path)


@pytest.fixture
def send(authority):
    """Send a request; what the environment says about certificates does not count."""
    with requests.Session() as session:
        session.trust_env = False

        def request(method, url, token="", **options):
            headers = options.pop("headers", {})
            if token:
                headers = {"Authorization": f"Bearer {token}", **headers}
            options = {"verify": authority, "timeout": 30, **options}
            return session.request(method, url, headers=headers, **options)

        yield request


@pytest.fixture
def make(issuer):
    """Start servers that stop when the test ends."""
    servers = []

    def start(files=None, **options):
        files = {"/file": b"content"} if files is None else files
        servers.append(ProtectedServer(issuer, files, **options).start())
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def connect(server, authority):
    context = ssl.create_default_context(cafile=authority)
    port = int(server.url.rpartition(":")[2])
    return closing(http.client.HTTPSConnection("localhost", port, context=context))


def exchange(server, content):
    """Send bytes over plain TCP; return all that comes back."""
    port = int(server.url.rpartition(":")[2])
    received = b""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(content)
        with suppress(OSError):  # the server may hang up first
            client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while more := client.recv(65536):
                received += more
    return received


# --- the issuer


def test_the_issuer_publishes_the_key_that_its_tokens_are_signed_with(issuer, authority):
    context = ssl.create_default_context(cafile=authority)

    def fetch(url):
        with urllib.request.urlopen(url, context=context, timeout=10) as response:
            return json.load(response)

    configuration = fetch(f"{issuer.url}/.well-known/openid-configuration")
    assert configuration["issuer"] == issuer.url
    keys = fetch(configuration["jwks_uri"])
    assert keys == issuer.jwks
    token = issuer.mint()
    assert jwt.get_unverified_header(token)["kid"] == keys["keys"][0]["kid"]
    key = jwt.PyJWK(keys["keys"][0])
    assert jwt.decode(token, key, algorithms=["ES256"])["iss"] == issuer.url


def test_the_issuer_has_nothing_else(issuer, send):
    assert send("GET", f"{issuer.url}/other").status_code == 404


def test_a_token_satisfies_the_scitokens_library(issuer):
    text = issuer.mint("read:/data", audience="https://here", subject="me", group="a")
    token = SciToken.deserialize(text, public_key=issuer.public_key)
    assert (token["sub"], token["group"], token["ver"]) == ("me", "a", "scitoken:2.0")
    assert Enforcer(issuer.url, audience="https://here").test(token, "read", "/data/x")
    assert not Enforcer(issuer.url, audience="https://there").test(token, "read", "/data/x")


def test_a_token_without_audience_satisfies_it_too(issuer):
    token = SciToken.deserialize(issuer.mint(), public_key=issuer.public_key)
    assert "aud" not in token
    assert Enforcer(issuer.url, audience="https://here").test(token, "read", "/x")


def test_an_issuer_can_share_an_authority(issuer):
    with Issuer(ca=issuer.ca) as other:
        assert other.ca is issuer.ca
        assert other.public_key != issuer.public_key


@pytest.mark.parametrize("lifetime", [0.5, 59.25, -0.5])
def test_a_lifetime_may_be_a_fraction(issuer, lifetime):
    before = time.time()
    claims = jwt.decode(issuer.mint(lifetime=lifetime), options={"verify_signature": False})
    assert before + lifetime <= claims["exp"] <= time.time() + lifetime


def test_a_whole_lifetime_makes_a_whole_expiry(issuer):
    claims = jwt.decode(issuer.mint(lifetime=60.0), options={"verify_signature": False})
    assert isinstance(claims["exp"], int)


# --- refusals

INVALID = 'Bearer error="invalid_token"'
NO_TOKEN = {
    "bearer": (401, ["Bearer"]),
    "bearer-lower": (401, ["bearer"]),
    "bearer-parameters": (
        401,
        [
            'Bearer realm="x", scope="read:/", error="invalid_request", '
            'error_description="no, \\"quoted\\" token"'
        ],
    ),
    "basic-then-bearer": (401, ['Basic realm="y", Bearer realm="x"']),
    "several-fields": (401, ['Basic realm="y"', "Bearer"]),
    "apache": (
        401,
        [
            'Bearer error="invalid_request", '
            'error_description="No bearer token found in the request"'
        ],
    ),
    "apache-login": (302, []),
    "dcache": (401, ['Basic realm=""']),
    "storm": (401, []),
    "nginx": (401, []),
    "xrootd": (403, []),
    "gwdatafind": (401, []),
}
BAD_TOKEN = {
    "bearer": (401, [INVALID]),
    "bearer-lower": (401, [INVALID]),
    "bearer-parameters": (401, [INVALID]),
    "basic-then-bearer": (401, [INVALID]),
    "several-fields": (401, [INVALID]),
    "apache": (401, [f'{INVALID}, error_description="the token is not valid"']),
    "apache-login": (401, [INVALID]),
    "dcache": (401, ['Basic realm=""']),
    "storm": (401, []),
    "nginx": (401, []),
    "xrootd": (403, []),
    "gwdatafind": (403, []),
}
PLAIN = ("apache-login", "dcache", "storm", "nginx", "xrootd", "gwdatafind")


def refusal(response):
    """Return the status, and each field: `response.headers` would join them."""
    return response.status_code, response.raw.headers.getlist("WWW-Authenticate")


@pytest.mark.parametrize("answer", ANSWERS)
def test_each_preset_refuses_as_its_server_does(make, send, issuer, answer):
    server = make(answer=answer)
    url = f"{server.url}/file"
    assert refusal(send("GET", url, allow_redirects=False)) == NO_TOKEN[answer]
    expired = issuer.mint(lifetime=-5)
    assert refusal(send("GET", url, expired)) == BAD_TOKEN[answer]
    lacking = [] if answer in PLAIN else [SCOPE]
    assert refusal(send("GET", url, issuer.mint("read:/other"))) == (403, lacking)
    assert send("GET", url, issuer.mint()).content == b"content"


SCOPE = 'Bearer error="insufficient_scope", scope="read:/file"'


def test_only_xrootd_hangs_up(make, send):
    closing = {
        answer
        for answer in ANSWERS
        if send("GET", make(answer=answer).url).headers.get("Connection") == "close"
    }
    assert closing == {"xrootd"}


def test_gwdatafind_refuses_in_json(make, send):
    response = send("GET", make(answer="gwdatafind").url)
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()


def test_a_login_page_is_what_strangers_get_instead(make, send):
    server = make(answer="apache-login")
    response = send("GET", f"{server.url}/file")
    assert [one.status_code for one in response.history] == [302]
    assert (response.status_code, response.url) == (200, f"{server.url}/login")
    assert response.headers["Content-Type"] == "text/html"
    assert response.text.startswith("<title>Log in</title>")


def test_a_server_can_refuse_in_its_own_way(make, send):
    answer = Answer(status=418, challenges=("Teapot",), body=b"short")
    response = send("GET", make(answer=answer).url)
    assert (*refusal(response), response.content) == (418, ["Teapot"], b"short")


def test_a_refusal_can_set_a_cookie(make, send):
    response = send("GET", make(answer=Answer(cookie="a=b")).url)
    assert response.cookies.get_dict() == {"a": "b"}
    assert not send("GET", make().url).cookies


def test_an_unknown_preset_is_an_error(issuer):
    with pytest.raises(ValueError, match="answer='squid' is none of bearer, .*xrootd"):
        ProtectedServer(issuer, answer="squid")


def test_a_path_without_a_slash_is_an_error(issuer):
    with pytest.raises(ValueError, match="'data' has to begin with a slash: /data"):
        ProtectedServer(issuer, {"data": b"1"})


def test_text_as_content_is_an_error(issuer):
    with pytest.raises(TypeError, match="content of /data is of type str; give bytes"):
        ProtectedServer(issuer, {"/data": "1"})


# --- tokens


@pytest.mark.parametrize("name", ["authz", "access_token"])
def test_a_token_may_come_in_the_url(make, send, issuer, name):
    server, token = make(), issuer.mint()
    assert send("GET", f"{server.url}/file?a=b&{name}={token}").ok
    other = {"Authorization": "Basic eDp5"}
    assert send("GET", f"{server.url}/file?{name}={token}", headers=other).ok
    assert server.received[0].path == "/file"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-4],
        lambda token: "opaque",
        lambda token: "a.b.c",
        lambda token: ".".join([token.split(".")[0], "W10", token.split(".")[2]]),
    ],
)
def test_what_is_no_token_of_the_issuer_is_refused(make, send, issuer, spoil):
    bad = (401, [INVALID])
    assert refusal(send("GET", f"{make().url}/file", spoil(issuer.mint()))) == bad


def test_another_issuers_token_is_refused(make, send, issuer):
    with Issuer(ca=issuer.ca) as other:
        assert send("GET", f"{make().url}/file", other.mint()).status_code == 401


@pytest.mark.parametrize("name", ["{url}", "{netloc}", "localhost", "ANY", WLCG_ANY])
def test_a_token_for_this_server_or_any_is_taken(make, send, issuer, name):
    server = make()
    name = name.format(url=server.url, netloc=server.url.partition("://")[2])
    for audience in (name, ["https://elsewhere", name]):
        assert send("GET", f"{server.url}/file", issuer.mint(audience=audience)).ok


@pytest.mark.parametrize("audience", ["https://elsewhere", [], ["a", "b"]])
def test_a_token_for_elsewhere_is_refused(make, send, issuer, audience):
    token = issuer.mint(audience=audience)
    assert refusal(send("GET", f"{make().url}/file", token)) == (401, [INVALID])


@pytest.mark.parametrize("audience", ["storage", ["other", "storage"]])
def test_a_server_can_have_other_names(make, send, issuer, audience):
    server = make(audience=audience)
    assert send("GET", f"{server.url}/file", issuer.mint(audience="storage")).ok
    assert send("GET", f"{server.url}/file", issuer.mint(audience=WLCG_ANY)).ok
    assert not send("GET", f"{server.url}/file", issuer.mint(audience=server.url)).ok


def test_claims_that_mean_nothing_here_are_ignored(make, send, issuer):
    token = issuer.mint(**{"wlcg.ver": "1.0", "group": ["a"]})
    assert send("GET", f"{make().url}/file", token).ok


def test_a_token_expires_while_it_is_used(make, send, issuer):
    server = make()
    token = issuer.mint(lifetime=0.4)
    assert send("GET", f"{server.url}/file", token).status_code == 200
    time.sleep(0.45)
    assert send("GET", f"{server.url}/file", token).status_code == 401


def test_reading_and_writing_are_different_scopes(make, send, issuer):
    server = make({"/in/file": b"1"})
    reads, writes = issuer.mint("read:/in"), issuer.mint("write:/in")
    url = f"{server.url}/in/file"
    for method in ("GET", "HEAD", "OPTIONS"):
        assert send(method, url, reads).status_code == 200
        assert send(method, url, writes).status_code == 403
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        assert send(method, url, writes, data=b"2").status_code == 204
        assert send(method, url, reads).status_code == 403


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("storage.read:/", ["GET /old"]),
        ("storage.stage:/", ["GET /old"]),
        ("storage.create:/", ["PUT /new"]),
        ("storage.modify:/", ["PUT /new", "PUT /old", "PATCH /old", "DELETE /old"]),
        ("storage.poll:/ compute.read:/", []),
    ],
)
def test_scopes_may_be_those_of_the_wlcg_profile(make, send, issuer, scope, allowed):
    token, done = issuer.mint(scope, **{"wlcg.ver": "1.0"}), []
    for request in ("GET /old", "PUT /new", "PUT /old", "PATCH /old", "DELETE /old"):
        method, path = request.split()
        server = make({"/old": b"1"})
        if send(method, f"{server.url}{path}", token, data=b"2").ok:
            done.append(request)
    assert done == allowed


def test_a_scope_ends_where_its_path_does(make, send, issuer):
    server = make({"/in": b"1", "/inside": b"2", "/out/in": b"3"})
    token = issuer.mint("read:/in")
    assert send("GET", f"{server.url}/in", token).status_code == 200
    for path in ("/inside", "/out/in", "/in/%2e%2e/inside"):
        assert send("GET", f"{server.url}{path}", token).status_code == 403


def test_rejected_tokens_are_bad_ones_until_they_are_not(make, send, issuer):
    server = make()
    old, new = issuer.mint(), issuer.mint()
    server.rejects.add(old)
    assert refusal(send("GET", f"{server.url}/file", old)) == (401, [INVALID])
    assert send("GET", f"{server.url}/file", new).ok
    server.rejects.clear()
    assert send("GET", f"{server.url}/file", old).ok


def test_a_function_can_reject_tokens(make, send, issuer):
    server = make()
    asked = []

    def first(token):
        asked.append(token)
        return len(asked) == 1

    server.rejects = first
    token = issuer.mint()
    assert send("GET", f"{server.url}/file", token).status_code == 401
    assert send("GET", f"{server.url}/file", token).status_code == 200
    assert asked == [token, token]


def test_an_unprotected_server_wants_no_token(make, send):
    server = make(protected=False)
    assert send("GET", f"{server.url}/file").content == b"content"
    assert send("DELETE", f"{server.url}/file").status_code == 204


# --- files


def test_files_are_stored_served_and_removed(make, send, issuer):
    server = make()
    token = issuer.mint("read:/ write:/")
    url = f"{server.url}/a/new%20file"
    assert send("GET", url, token).status_code == 404
    assert send("DELETE", url, token).status_code == 404
    assert send("PUT", url, token, data=b"one").status_code == 201
    assert server.files["/a/new file"] == b"one"
    assert send("PATCH", url, token, data=b"two").status_code == 204
    assert send("GET", url, token).content == b"two"
    assert send("DELETE", url, token).status_code == 204
    assert "/a/new file" not in server.files
    assert send("POST", url, token, data=b"three").status_code == 201


@pytest.mark.parametrize(
    ("wanted", "status", "content", "says"),
    [
        ("bytes=0-3", 206, b"cont", "bytes 0-3/7"),
        ("bytes=4-", 206, b"ent", "bytes 4-6/7"),
        ("bytes=-2", 206, b"nt", "bytes 5-6/7"),
        ("bytes=-20", 206, b"content", "bytes 0-6/7"),
        ("bytes=5-99", 206, b"nt", "bytes 5-6/7"),
        ("bytes=7-", 416, b"", "bytes */7"),
        ("bytes=0-1,3-4", 200, b"content", None),
        ("bytes=-", 200, b"content", None),
        ("lines=1-2", 200, b"content", None),
    ],
)
def test_a_part_of_a_file_can_be_had(make, send, issuer, wanted, status, content, says):
    headers = {"Range": wanted}
    response = send("GET", f"{make().url}/file", issuer.mint(), headers=headers)
    assert (response.status_code, response.content) == (status, content)
    assert response.headers.get("Content-Range") == says


def test_a_file_has_a_type(make, send, issuer):
    server = make({"/a.json": b"{}", "/b.gwf": b""})
    types = [
        send("GET", f"{server.url}{path}", issuer.mint()).headers["Content-Type"]
        for path in ("/a.json", "/b.gwf", "/missing")
    ]
    assert types == ["application/json", "application/octet-stream", "text/plain"]


def test_head_and_options_have_no_body(make, send, issuer):
    server = make()
    response = send("HEAD", f"{server.url}/file", issuer.mint())
    assert (response.headers["Content-Length"], response.content) == ("7", b"")
    response = send("OPTIONS", f"{server.url}/file", issuer.mint())
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE"
    assert response.content == b""


def test_a_directory_is_served_and_written(make, send, issuer, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"1")
    server = make(tmp_path / "sub")
    token = issuer.mint("read:/ write:/")
    assert dict(server.files) == {"/file": b"1"}
    assert len(server.files) == 1
    assert send("GET", f"{server.url}/file", token).content == b"1"
    assert send("PUT", f"{server.url}/a/b", token, data=b"2").status_code == 201
    assert (tmp_path / "sub" / "a" / "b").read_bytes() == b"2"
    assert send("GET", f"{server.url}/a", token).status_code == 404
    assert send("PUT", f"{server.url}/a", token, data=b"2").status_code == 409
    assert send("DELETE", f"{server.url}/a/b", token).status_code == 204
    assert not (tmp_path / "sub" / "a" / "b").exists()
    with pytest.raises(KeyError):
        del server.files["/a/b"]


@pytest.mark.parametrize("path", ["/%2e%2e/secret", "/link", "/%00", "/..%2Fsecret"])
def test_nothing_outside_a_directory_is_touched(make, send, issuer, tmp_path, path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link").symlink_to(secret)
    server = make(tmp_path / "sub")
    token = issuer.mint("read:/ write:/")
    assert send("GET", f"{server.url}{path}", token).status_code == 404
    assert send("PUT", f"{server.url}{path}", token, data=b"x").status_code == 409
    assert send("DELETE", f"{server.url}{path}", token).status_code == 404
    assert secret.read_bytes() == b"secret"


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_path_can_lead_elsewhere(make, send, status):
    server = make()
    server.redirects["/old"] = Redirect("https://elsewhere/file", status)
    response = send("GET", f"{server.url}/old", allow_redirects=False)
    assert response.status_code == status
    assert response.headers["Location"] == "https://elsewhere/file"
    assert server.received[0].status == status


@pytest.mark.parametrize(("url", "separator"), [("/file", "?"), ("/file?a=b", "&")])
def test_a_redirect_can_carry_the_token(make, send, issuer, url, separator):
    server, token = make(), issuer.mint()
    server.redirects["/old"] = Redirect(url, copy_token=True)
    response = send("GET", f"{server.url}/old", token, allow_redirects=False)
    assert response.headers["Location"] == f"{url}{separator}authz={token}"
    assert send("GET", f"{server.url}/old", token).content == b"content"
    response = send("GET", f"{server.url}/old", allow_redirects=False)
    assert response.headers["Location"] == url


# --- what goes wrong


@pytest.mark.parametrize(
    ("fault", "fields"),
    [
        (Fault(503), []),
        (Fault(503, retry_after=0), ["0"]),
        (Fault(429, retry_after=120), ["120"]),
        (Fault(429, "Wed, 21 Oct 2026 07:28:00 GMT"), ["Wed, 21 Oct 2026 07:28:00 GMT"]),
    ],
)
def test_a_server_can_be_busy_and_stores_nothing_then(make, send, issuer, fault, fields):
    server, token = make(), issuer.mint("write:/")
    server.faults = [fault]
    response = send("PUT", f"{server.url}/new", token, data=b"body")
    assert response.status_code == fault.status
    assert response.raw.headers.getlist("Retry-After") == fields
    assert server.files == {"/file": b"content"}
    assert send("PUT", f"{server.url}/new", token, data=b"body").status_code == 201
    assert server.files["/new"] == b"body"
    assert [(one.status, one.body) for one in server.received] == [
        (fault.status, b"body"),
        (201, b"body"),
    ]
    assert len({one.connection for one in server.received}) == 1


def test_a_librarys_retries_can_be_tested(make, issuer, authority):
    server, token = make(), issuer.mint("write:/")
    server.faults = [
        Fault(503, retry_after=0),
        Fault(429),
        Fault(hang_up="before"),
        Fault(hang_up="after"),
    ]
    with requests.Session() as session:
        session.trust_env = False
        retries = Retry(4, status_forcelist=[429, 503])
        session.mount("https://", HTTPAdapter(max_retries=retries))
        headers = {"Authorization": f"Bearer {token}"}
        options = {"headers": headers, "verify": authority, "timeout": 30}
        response = session.put(f"{server.url}/new", b"body", **options)
    # Where the answer was missing, the file was there already.
    assert response.status_code == 204
    assert [one.status for one in server.received] == [503, 429, 0, 0, 204]
    assert server.files["/new"] == b"body"
    connections = [one.connection for one in server.received]
    assert connections[0] == connections[1] == connections[2]
    assert len(set(connections)) == 3


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(
    ("when", "body", "stored"), [("before", b"", False), ("after", b"body", True)]
)
def test_a_server_can_hang_up(make, send, issuer, tls, when, body, stored):
    server, token = make(tls=tls), issuer.mint("write:/")
    server.faults = [Fault(hang_up=when)]
    with pytest.raises(requests.ConnectionError):
        send("PUT", f"{server.url}/new", token, data=b"body")
    (received,) = server.received
    assert (received.body, received.status) == (body, 0)
    assert ("/new" in server.files) is stored


@pytest.mark.parametrize(
    ("fault", "status", "size", "part"),
    [
        (Fault(hang_up="halfway"), 200, 7, b"con"),
        (Fault(503, hang_up="halfway"), 503, 8, b"not "),
    ],
)
def test_a_server_can_hang_up_halfway_through_its_answer(
    make, authority, issuer, fault, status, size, part
):
    server = make()
    server.faults = [fault]
    token = {"Authorization": f"Bearer {issuer.mint()}"}
    with connect(server, authority) as connection:
        connection.request("GET", "/file", headers=token)
        response = connection.getresponse()
        assert response.status == status
        assert response.headers["Content-Length"] == str(size)
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
    assert caught.value.partial == part
    assert [one.status for one in server.received] == [status]


def test_a_server_can_be_slow(make, send, issuer):
    server = make()
    server.faults = [Fault(delay=0.3)]
    started = time.monotonic()
    assert send("GET", f"{server.url}/file", issuer.mint()).content == b"content"
    assert time.monotonic() - started >= 0.3


def test_a_server_can_be_too_slow_and_is_closed_all_the_same(make, send):
    server = make()
    server.faults = [Fault(delay=300)]
    with pytest.raises(requests.exceptions.ReadTimeout):
        send("PUT", f"{server.url}/new", data=b"body", timeout=(30, 0.2))
    (received,) = server.received
    assert (received.body, received.status) == (b"body", 0)
    started = time.monotonic()
    server.close()
    assert time.monotonic() - started < 5


def test_each_request_takes_the_first_fault_whatever_its_token(make, send, issuer):
    server, asked = make(), []
    server.rejects = asked.append
    server.faults = [Fault(), Fault(503)]
    url, token = f"{server.url}/file", issuer.mint()
    assert send("GET", url).status_code == 401  # Fault() is none
    assert send("GET", url, token).status_code == 503
    assert asked == []
    assert send("GET", url, token).status_code == 200
    assert server.faults == []


def test_many_requests_at_a_time_take_each_fault_once(make, send):
    server = make(protected=False)
    server.faults = [Fault(503)] * 5
    statuses = []
    threads = [
        threading.Thread(
            target=lambda: statuses.append(send("GET", f"{server.url}/file").status_code)
        )
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 15 + [503] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hang_up": "during"}, "hang_up='during' is none of before, after, halfway"),
        ({"retry_after": 1}, r"retry_after needs a status: Fault\(503, retry_after=1\)"),
    ],
)
def test_a_fault_that_means_nothing_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        Fault(**options)


# --- HTTP


def test_a_connection_is_kept_and_bodies_of_refused_requests_are_read(
    make, authority, issuer
):
    server = make()
    token = {"Authorization": f"Bearer {issuer.mint('read:/ write:/')}"}
    with connect(server, authority) as connection:
        connection.request("PUT", "/new", b"x" * 100_000)
        response = connection.getresponse()
        assert (response.status, response.read()) == (401, b"refused\n")
        first = connection.sock
        for _ in range(3):
            connection.request("GET", "/file", headers=token)
            assert connection.getresponse().read() == b"content"
        assert connection.sock is first
    assert len(server.received[0].body) == 100_000


def test_xrootd_does_not_read_what_it_refuses(make, authority):
    server = make(answer="xrootd")
    with connect(server, authority) as connection:
        connection.putrequest("PUT", "/new")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        assert connection.getresponse().status == 403
    assert server.received[0].body == b""


def test_chunked_bodies_are_stored(make, send, issuer):
    server = make()
    token = issuer.mint("write:/")
    parts = (part for part in (b"one ", b"two ", b"x" * 20_000))
    assert send("PUT", f"{server.url}/new", token, data=parts).status_code == 201
    assert server.files["/new"] == b"one two " + b"x" * 20_000


def test_chunks_may_have_extensions_and_trailers(make, issuer):
    server = make(tls=False, protected=False)
    answer = exchange(
        server,
        b"PUT /new HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
        b"3;a=b\r\none\r\n0\r\nTrailer: x\r\n\r\n"
        b"GET /new HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
    assert answer.endswith(b"\r\nConnection: close\r\n\r\none")


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 9\r\n\r\nshort",
        b"Content-Length: -1\r\n\r\nshort",
        b"Content-Length: many\r\n\r\nshort",
        b"Transfer-Encoding: chunked\r\n\r\n9\r\nshort",
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\nshort",
        b"Transfer-Encoding: chunked\r\n\r\nmany\r\nshort",
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_an_upload_that_breaks_off_is_not_stored(make, capfd, rest):
    server = make(tls=False, protected=False)
    assert exchange(server, b"PUT /new HTTP/1.1\r\n" + rest) == b""
    assert "/new" not in server.files
    assert capfd.readouterr().err == ""


def test_a_server_can_speak_plain_http(make, send, issuer):
    server = make(tls=False, host="127.0.0.1")
    assert server.url.startswith("http://127.0.0.1:")
    assert send("GET", f"{server.url}/file", issuer.mint()).content == b"content"


def test_a_certificate_is_for_the_servers_host(make, authority):
    server = make(host="storage.test")
    context = ssl.create_default_context(cafile=authority)
    port = int(server.url.removeprefix("https://storage.test:"))
    for name, good in {"storage.test": True, "localhost": False}.items():
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            try:
                context.wrap_socket(plain, server_hostname=name).close()
            except ssl.SSLCertVerificationError:
                assert not good
            else:
                assert good


def test_a_server_can_have_another_authority(make, send, tmp_path):
    import trustme

    server = make(ca=trustme.CA())
    server.write_ca(tmp_path / "other.pem")
    with pytest.raises(requests.exceptions.SSLError):
        send("GET", f"{server.url}/file")
    response = send("GET", f"{server.url}/file", verify=str(tmp_path / "other.pem"))
    assert response.status_code == 401


def test_clients_that_fail_at_tls_disturb_nobody(make, send, issuer, capfd):
    server = make()
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):  # says nothing
        exchange(server, b"GET / HTTP/1.1\r\n\r\n")
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(requests.exceptions.SSLError):
            send("GET", f"{server.url}/file", verify=True)
        assert send("GET", f"{server.url}/file", issuer.mint()).ok
    assert capfd.readouterr().err == ""
    assert len(server.received) == 1


# --- what is left


def test_closing_ends_every_thread_and_connection(issuer, authority, send):
    before = set(threading.enumerate())
    with ProtectedServer(issuer, {"/file": b"1"}) as server:
        port = int(server.url.rpartition(":")[2])
        silent = socket.create_connection(("127.0.0.1", port), 10)
        for _ in range(3):
            with connect(server, authority) as gone:
                gone.request("GET", "/file")
                gone.getresponse().read()
        with connect(server, authority) as connection:
            connection.request("GET", "/file")
            assert connection.getresponse().read() == b"refused\n"
            started = time.monotonic()
            server.close()
            assert time.monotonic() - started < 5
            assert set(threading.enumerate()) <= before
            assert connection.sock.recv(1) == b""
    with silent:
        assert silent.recv(1) == b""
    with pytest.raises(requests.ConnectionError):
        send("GET", server.url)


def test_a_server_that_never_started_can_be_closed(issuer):
    ProtectedServer(issuer).close()


def test_no_token_shows_in_what_was_received(make, send, issuer):
    server, token = make(), issuer.mint("write:/")
    send("PUT", f"{server.url}/new?authz={token}", token, data=token)
    (received,) = server.received
    size = len(token)
    assert repr(received) == f"<Received PUT /new, {size} bytes: 201>"
    assert received.authorization == f"Bearer {token}"
    assert received.headers["AUTHORIZATION"] == received.authorization
    assert (received.query, received.body) == (f"authz={token}", token.encode())
    assert isinstance(received, Received)
    for part in token.split("."):
        assert part not in f"{received!r}{received}{server!r}{vars(server)['received']}"


def test_an_authoritys_certificate_is_written_to_a_file(make, tmp_path):
    server = make()
    server.write_ca(tmp_path / "ca.pem")
    assert Path(tmp_path, "ca.pem").read_bytes() == server.ca.cert_pem.bytes()


def test_many_requests_at_a_time_are_all_answered_and_written_down(make, issuer, authority):
    server, token = make(), issuer.mint("write:/")
    context = ssl.create_default_context(cafile=authority)

    def store(number):
        request = urllib.request.Request(
            f"{server.url}/{number}",
            b"%d" % number,
            {"Authorization": f"Bearer {token}"},
            method="PUT",
        )
        urllib.request.urlopen(request, context=context, timeout=30).close()

    threads = [threading.Thread(target=store, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.received) == 20
    assert {server.files[f"/{number}"] for number in range(20)} == {
        b"%d" % number for number in range(20)
    }


# --- python -m requests_scitokens.testing


@pytest.mark.parametrize(
    ("directory", "number"), [(True, signal.SIGINT), (False, signal.SIGTERM)]
)
def test_it_can_be_started_by_hand(tmp_path, directory, number):
    if directory:
        (tmp_path / "hello.txt").write_bytes(b"hello\n")
    command = [sys.executable, "-m", "requests_scitokens.testing"]
    command += [tmp_path] if directory else ["--answer", "xrootd"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        # What a shell has in the background ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        try:
            url, *exports = [process.stdout.readline().rstrip("\n") for _ in range(3)]
            lines = "; ".join(exports)
            url += "/hello.txt" * directory
            fetch = "import sys, requests_scitokens as r; print(r.get(sys.argv[1]).text)"
            done = subprocess.run(
                ["sh", "-c", f'{lines}; "$@"', "sh", sys.executable, "-c", fetch, url],
                check=True,
                capture_output=True,
                text=True,
            )
        finally:
            process.send_signal(number)
    assert done.stdout.startswith("hello")
    assert process.returncode == 0
    assert not Path(exports[0].partition("=")[2]).exists()


def test_the_one_started_by_hand_can_fail_first(send):
    command = [sys.executable, "-m", "requests_scitokens.testing"]
    command += ["--fault", "503", "--fault", "hang-up"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url, authority, _ = [process.stdout.readline().rstrip("\n") for _ in range(3)]
            verify = authority.partition("=")[2]
            response = send("GET", url, verify=verify)
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "1"
            with pytest.raises(requests.ConnectionError):
                send("GET", url, verify=verify)
            assert send("GET", url, verify=verify).status_code == 401
        finally:
            process.terminate()
    assert process.returncode == 0


def test_what_is_no_directory_is_bad_usage(capsys, tmp_path):
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "missing")])
    assert caught.value.code == 2
    assert "missing is not a directory" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)
    for name in [one for one in sys.modules if one.startswith(testing.__name__)]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"pip install 'requests-scitokens\[testing\]'"):
        importlib.import_module("requests_scitokens.testing")
