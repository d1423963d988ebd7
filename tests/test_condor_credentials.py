"""HTCondor's directory of credentials: whose token is which, and which one is tried."""

from __future__ import annotations

import json
import time

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError
from requests_scitokens.__main__ import main

from .ways import CHOSEN

HOME, OTHER = "https://home.example.org", "https://other.example.org"

# What HTCondor puts beside SciTokens, where a job uses other services as well.
BOX = "T9cE5asGnuyYCCqIZFoWjFHvNbvVqHjl"
STRANGERS = {
    "Box": BOX,
    "Box, in JSON": json.dumps({"access_token": BOX, "expires_in": 4000}),
    "Google": "ya29.a0AfH6SMBx-Zv1_7yq3sXk2",
    "Google, in three parts": "ya29.a0AfH6SMBx.Zv17yq3sXk2",
    "Google, in JSON": json.dumps({"access_token": "ya29.a0AfH6SMBx-Zv1_7yq3sXk2"}),
    "GitHub": "gho_16C7e42F292c6912E7710c838347Ae178B4a",
}

CHALLENGE = (401, (("WWW-Authenticate", "Bearer"),))


@pytest.fixture
def credentials(tmp_path, monkeypatch):
    """Make HTCondor's directory; the test puts files there."""
    directory = tmp_path / ".condor_creds"
    directory.mkdir()
    monkeypatch.setenv("_CONDOR_CREDS", str(directory))

    def put(name, token):
        (directory / f"{name}.use").write_text(token)
        return token

    put.directory = directory
    return put


def bare(token):
    """Return the token in what a `.use` file holds."""
    return json.loads(token)["access_token"] if token.startswith("{") else token


def received(servers):
    """Return the tokens that arrived, in order, and forget them."""
    tokens = [(one.authorization or " ").split(" ")[1] for one in servers.received]
    servers.received.clear()
    return tokens


# --- tokens of other services


@pytest.mark.parametrize("name", ["box_personal", "scitokens", "a"])
@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("send", CHOSEN)
def test_the_token_of_another_service_goes_to_nobody(
    world, credentials, stranger, name, send
):
    servers = world(HOME)
    credentials(name, stranger)
    servers.answer = lambda seen: CHALLENGE
    assert send("GET", f"{HOME}/a").status_code == 401
    assert send("PUT", f"{HOME}/a", data=b"upload").status_code == 401
    assert send("PUT", f"{HOME}/a", data=iter([b"upload"])).status_code == 401
    assert set(received(servers)) == {""}


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_nor_does_the_autopatch_give_it_to_a_server_that_is_listed(
    world, credentials, monkeypatch, stranger
):
    servers = world(HOME)
    credentials("box_personal", stranger)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.example.org")
    servers.answer = lambda seen: CHALLENGE
    assert requests.get(f"{HOME}/a").status_code == 401
    assert requests.put(f"{HOME}/a", data=b"upload").status_code == 401
    assert set(received(servers)) == {""}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_nor_is_it_tried_after_a_token_that_is_not_accepted(
    world, issuer, credentials, stranger, status
):
    servers = world(HOME)
    token = credentials("sci_read", issuer.mint(audience=HOME))
    credentials("box_personal", stranger)
    credentials("zbox", stranger)
    servers.answer = lambda seen: (status, ())
    assert requests_scitokens.get(f"{HOME}/a").status_code == status
    assert set(received(servers)) == {token}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_nor_where_the_token_was_requested(world, credentials, stranger):
    servers = world(HOME)
    credentials("box_personal", stranger)
    for ours in ({"force": True}, {"force": True, "hosts": HOME}):
        with pytest.raises(TokenNotFoundError):
            requests_scitokens.get(f"{HOME}/a", **ours)
    assert servers.received == []
    assert HTTPSciTokenAuth().find_token(HOME, error=False) is None


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("name", ["box_personal", "scitokens"])
def test_it_is_passed_over_on_the_way_to_a_token_elsewhere(
    world, issuer, credentials, token_file, stranger, name
):
    servers = world(HOME)
    credentials(name, stranger)
    token_file.write_text(issuer.mint(audience=HOME))
    assert requests_scitokens.get(f"{HOME}/a").ok
    assert received(servers) == [token_file.read_text()]


def test_whose_variable_names_an_opaque_token_has_it_sent(world, credentials, monkeypatch):
    """They chose it; the directory is filled by HTCondor."""
    servers = world(HOME)
    servers.answer = lambda seen: (200, ()) if seen.authorization else CHALLENGE
    credentials("box_personal", "ya29.another")
    monkeypatch.setenv("BEARER_TOKEN", BOX)
    assert requests_scitokens.get(f"{HOME}/a").ok
    assert received(servers) == ["", BOX]
    monkeypatch.delenv("BEARER_TOKEN")
    path = credentials.directory / "box_personal.use"
    path.write_text(BOX)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    assert requests_scitokens.get(f"{HOME}/b", hosts=HOME).ok
    assert received(servers) == [BOX]


def test_the_diagnosis_names_it(issuer, credentials, capsys):
    credentials("box_personal", BOX)
    assert main([]) == 1
    out = capsys.readouterr().out
    assert "box_personal.use" in out
    assert BOX not in out
    credentials("sci_read", issuer.mint(audience="ANY"))
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "box_personal.use" in out
    assert "sci_read.use" in out


# --- several that fit


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 12])
def test_each_token_that_fits_is_tried_once_and_at_most_eight(
    world, issuer, credentials, count, status
):
    servers = world(HOME)
    tokens = [
        credentials(f"sci{number:02}", issuer.mint(audience=HOME, jti=f"{number}"))
        for number in range(count)
    ]
    servers.answer = lambda seen: (status, ())
    response = requests_scitokens.get(f"{HOME}/a")
    assert response.status_code == status
    assert received(servers) == tokens[:8]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("place", range(8))
def test_the_first_that_is_accepted_ends_it(world, issuer, credentials, place, status):
    servers = world(HOME)
    tokens = [
        credentials(f"sci{number}", issuer.mint(audience=HOME, jti=f"{number}"))
        for number in range(8)
    ]
    right = f"Bearer {tokens[place]}"
    servers.answer = lambda seen: (200 if seen.authorization == right else status, ())
    response = requests_scitokens.get(f"{HOME}/a")
    assert response.status_code == 200
    assert received(servers) == tokens[: place + 1]
    assert [one.status_code for one in response.history] == [status] * place


def test_tokens_for_any_server_wait_and_are_then_tried_one_after_the_other(
    world, issuer, credentials
):
    servers = world(HOME)
    tokens = [
        credentials(f"sci{number}", issuer.mint(audience="ANY", jti=f"{number}"))
        for number in range(4)
    ]
    servers.answer = lambda seen: (
        200 if seen.authorization == f"Bearer {tokens[-1]}" else 403,
        (),
    )
    assert requests_scitokens.get(f"{HOME}/a").ok
    assert received(servers) == ["", *tokens]


@pytest.mark.usefixtures("patched")
def test_the_autopatch_tries_them_too_where_it_sent_the_first(world, issuer, credentials):
    servers = world(HOME)
    tokens = [
        credentials(f"sci{number}", issuer.mint(audience=HOME, jti=f"{number}"))
        for number in range(4)
    ]
    servers.answer = lambda seen: (
        200 if seen.authorization == f"Bearer {tokens[-1]}" else 403,
        (),
    )
    assert requests.get(f"{HOME}/a").ok
    assert received(servers) == tokens


def test_the_order_is_this_server_then_the_verb_then_scitokens_use_then_the_name(
    world, issuer, credentials
):
    servers = world(HOME)
    named = {
        "a": issuer.mint("write:/", audience="ANY", jti="a"),
        "b": issuer.mint("read:/", audience="ANY", jti="b"),
        "c": issuer.mint("write:/", audience=HOME, jti="c"),
        "d": issuer.mint("read:/", audience=HOME, jti="d"),
        "e": issuer.mint("read:/", audience=OTHER, jti="e"),
        "f": issuer.mint("read:/", audience="ANY", jti="f"),
        "g": issuer.mint("read:/", audience=HOME, jti="g", lifetime=-9999),
        "scitokens": issuer.mint("read:/", audience="ANY", jti="s"),
    }
    for name, token in named.items():
        credentials(name, token)
    credentials("h", BOX)
    servers.answer = lambda seen: (401, ())
    requests_scitokens.get(f"{HOME}/a")
    in_order = [named[name] for name in ("d", "c", "scitokens", "b", "f", "a")]
    assert received(servers) == in_order


@pytest.mark.parametrize(
    ("scope", "reads"),
    [
        ("storage.stage:/", True),
        ("storage.read:/", True),
        ("read:/", True),
        ("storage.stage:/ storage.modify:/", True),
        ("storage.create:/", False),
        ("compute.read", False),
        ("storage.staged:/", False),
    ],
)
def test_a_scope_that_reads_from_tape_ranks_as_reading(
    world, issuer, credentials, scope, reads
):
    servers = world(HOME)
    first = credentials("a", issuer.mint("queue", audience=HOME))
    second = credentials("b", issuer.mint(scope, audience=HOME))
    assert requests_scitokens.get(f"{HOME}/a").ok
    assert received(servers) == [second if reads else first]


def test_the_same_token_in_several_files_is_tried_once(world, issuer, credentials):
    servers = world(HOME)
    token = issuer.mint(audience=HOME)
    other = issuer.mint(audience=HOME, jti="other")
    for name in "abc":
        credentials(name, token)
    credentials("d", json.dumps({"access_token": other}))
    servers.answer = lambda seen: (401, ())
    requests_scitokens.get(f"{HOME}/a")
    assert received(servers) == [token, other]


def test_a_token_that_was_given_in_time_is_among_them(world, issuer, credentials):
    """One that is renewed while another is tried is looked at again."""
    servers = world(HOME)
    old = credentials("a", issuer.mint(audience=HOME, jti="old"))
    other = credentials("b", issuer.mint(audience=HOME, jti="other"))
    new = issuer.mint(audience=HOME, jti="new")

    def answer(seen):
        if seen.authorization == f"Bearer {other}":
            credentials("a", new)
        return (200 if seen.authorization == f"Bearer {new}" else 401), ()

    servers.answer = answer
    assert requests_scitokens.get(f"{HOME}/a").ok
    assert received(servers) == [old, other, new]


def test_a_body_arrives_whole_with_the_token_that_is_accepted(serve, issuer, credentials):
    server, body = serve({}), bytes(range(256)) * 100
    credentials("a", issuer.mint("read:/", audience=server.url))
    for name in "bcd":
        scope = f"storage.modify:/{name}"
        credentials(name, issuer.mint(scope, audience=server.url))
    credentials("e", issuer.mint("write:/", audience=server.url))
    assert requests_scitokens.put(f"{server.url}/new", data=body).ok
    assert server.files == {"/new": body}
    assert [one.status for one in server.received] == [403, 403, 403, 201]


def test_elsewhere_one_different_token_is_tried_once(world, issuer, token_file):
    servers = world(HOME)
    tokens = [issuer.mint(audience=HOME, jti=f"{number}") for number in range(9)]
    turn = iter(tokens)

    def answer(seen):
        token_file.write_text(next(turn))
        return 401, ()

    token_file.write_text(next(turn))
    servers.answer = answer
    requests_scitokens.get(f"{HOME}/a")
    assert received(servers) == tokens[:2]
    given = iter(tokens)
    requests_scitokens.get(f"{HOME}/a", token=lambda url: next(given))
    assert received(servers) == tokens[:2]


# --- a file that is missing for a moment


@pytest.fixture
def one_of_two(serve, issuer, credentials):
    """Start a server that accepts one of the directory's two tokens."""
    server = serve({"/file": b"content"})
    credentials("sci_read", issuer.mint("read:/", audience="ANY"))
    credentials("sci_write", issuer.mint("write:/", audience="ANY"))
    return server, credentials.directory / "sci_read.use"


@pytest.mark.parametrize("ours", [{}, {"force": True}, {"hosts": "localhost"}], ids=str)
def test_a_file_that_is_missing_for_a_moment_has_a_stand_in(one_of_two, ours):
    server, path = one_of_two
    for _ in range(2):
        assert requests_scitokens.get(f"{server.url}/file", **ours).ok
    content = path.read_text()
    path.unlink()
    for _ in range(3):
        assert requests_scitokens.get(f"{server.url}/file", **ours).ok
    path.write_text(content)
    assert requests_scitokens.get(f"{server.url}/file", **ours).ok
    assert [one.status for one in server.received if one.status == 403] == []


@pytest.mark.usefixtures("patched")
def test_so_it_has_under_the_autopatch(one_of_two, monkeypatch):
    server, path = one_of_two
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    assert requests.get(f"{server.url}/file").ok
    path.unlink()
    assert requests.get(f"{server.url}/file").ok
    assert [one.status for one in server.received] == [200, 200]


def test_so_it_has_where_it_is_the_only_one(serve, issuer, credentials):
    server = serve({"/file": b"content"})
    credentials("scitokens", issuer.mint("read:/", audience=server.url))
    assert requests_scitokens.get(f"{server.url}/file").ok
    (credentials.directory / "scitokens.use").unlink()
    assert requests_scitokens.get(f"{server.url}/file").ok
    assert [one.status for one in server.received] == [200, 200]


def test_the_token_stands_in_for_a_second_and_no_longer(one_of_two):
    server, path = one_of_two
    assert requests_scitokens.get(f"{server.url}/file", force=True).ok
    content = path.read_text()
    path.unlink()
    assert requests_scitokens.get(f"{server.url}/file", force=True).ok
    time.sleep(1.2)
    assert requests_scitokens.get(f"{server.url}/file", force=True).status_code == 403
    path.write_text(content)
    assert requests_scitokens.get(f"{server.url}/file", force=True).ok


def test_what_this_process_never_read_has_none(serve, issuer, credentials):
    server = serve({"/file": b"content"})
    credentials("sci_write", issuer.mint("write:/", audience="ANY"))
    assert requests_scitokens.get(f"{server.url}/file").status_code == 403
    credentials("sci_read", issuer.mint("read:/", audience="ANY"))
    (credentials.directory / "sci_read.use").unlink()
    assert requests_scitokens.get(f"{server.url}/file").status_code == 403
