"""What may be a token: no path, and no claims that cannot be read."""

from __future__ import annotations

import base64
import json

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError
from requests_scitokens.__main__ import main

from .ways import CHOSEN

HOME = "https://home.example.org"
CHALLENGE = (401, (("WWW-Authenticate", "Bearer"),))


def encode(content):
    text = content if isinstance(content, bytes) else content.encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def jwt(payload, header='{"alg":"ES256","typ":"JWT"}'):
    return f"{encode(header)}.{payload}.c2lnbmF0dXJl"


# Payloads of JSON Web Tokens that cannot be read.
UNREADABLE = {
    "an integer of 5,000 digits": encode('{"iat":' + "1" * 5000 + "}"),
    "lists, 5,000 deep": encode('{"aud":' + "[" * 5000 + "]" * 5000 + "}"),
    "lists, 20,000 deep": encode('{"aud":' + "[" * 20_000 + "]" * 20_000 + "}"),
    "objects, 5,000 deep": encode('{"aud":' * 5000 + "{}" + "}" * 5000),
    "a list": encode('["ANY"]'),
    "a text": encode('"ANY"'),
    "a number": encode("1"),
    "null": encode("null"),
    "empty": "",
    "not base64": "a",
    "characters that base64 has not": "e30~e30",
    "not JSON": encode("{aud}"),
    "cut short": encode('{"aud":"ANY","sub"'),
    "not UTF-8": encode(b'{"aud":"\xff"}'),
    "encrypted": encode(bytes(range(128, 256))),
}


def sent(servers):
    tokens = {(one.authorization or " ").split(" ")[1] for one in servers.received}
    servers.received.clear()
    return tokens


@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("send", CHOSEN)
def test_a_json_web_token_that_cannot_be_read_is_for_another_server(
    world, token_file, payload, send
):
    servers = world(HOME)
    servers.answer = lambda seen: CHALLENGE
    token_file.write_text(jwt(payload))
    assert send("GET", f"{HOME}/a").status_code == 401
    assert send("PUT", f"{HOME}/a", data=b"upload").status_code == 401
    assert send("POST", f"{HOME}/a", data=iter([b"upload"])).status_code == 401
    assert sent(servers) == {""}


@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
def test_where_it_was_requested_or_the_server_is_listed_it_goes(world, token_file, payload):
    servers = world(HOME)
    token = jwt(payload)
    token_file.write_text(token)
    for ours in ({"force": True}, {"hosts": HOME}, {"token": token}):
        assert requests_scitokens.get(f"{HOME}/a", **ours).ok
        assert sent(servers) == {token}


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
def test_the_autopatch_gives_it_to_listed_servers_alone(
    world, token_file, monkeypatch, payload
):
    servers = world(HOME)
    servers.answer = lambda seen: (200, ()) if seen.authorization else CHALLENGE
    token_file.write_text(jwt(payload))
    assert requests.get(f"{HOME}/a").status_code == 401
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.example.org")
    assert requests.get(f"{HOME}/a").status_code == 200


@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
def test_the_diagnosis_does_not_call_it_a_token_for_any_server(token_file, payload, capsys):
    token_file.write_text(jwt(payload))
    main([HOME, "--json"])
    report = capsys.readouterr().out
    assert jwt(payload) not in report
    assert "for any server" not in report


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b.c",
        "eyJ.b.c",
        jwt(encode("{}"), header="[]"),
        jwt(encode("{}"), header='"ES256"'),
        jwt("a", header="not JSON"),
        "ya29.a0AfH6SMBx.Zv17yq3sXk2",
        "a.b.c.d.e",
    ],
)
def test_what_is_no_json_web_token_is_for_any_server(world, token_file, token):
    """Three parts and a first that is a JSON object are what makes one."""
    servers = world(HOME)
    servers.answer = lambda seen: (200, ()) if seen.authorization else CHALLENGE
    token_file.write_text(token)
    assert requests_scitokens.get(f"{HOME}/a").ok
    assert sent(servers) == {"", token}


# --- a path where a token is meant


@pytest.fixture
def path(tmp_path, issuer):
    """Write a token file; what somebody takes for a token is its path."""
    path = tmp_path / "tok"
    path.write_text(issuer.mint(audience=HOME))
    return str(path)


@pytest.mark.parametrize("variable", ["BEARER_TOKEN", "SCITOKEN"])
@pytest.mark.parametrize("white_space", ["", "\n", " "])
def test_a_path_in_the_place_of_a_token_goes_to_no_server(
    world, path, monkeypatch, variable, white_space
):
    servers = world(HOME)
    servers.answer = lambda seen: CHALLENGE
    monkeypatch.setenv(variable, path + white_space)
    requests_scitokens.get(f"{HOME}/a")
    requests_scitokens.get(f"{HOME}/a", hosts=HOME)
    requests_scitokens.put(f"{HOME}/a", data=b"upload")
    assert sent(servers) == {""}
    with pytest.raises(TokenNotFoundError):
        requests_scitokens.get(f"{HOME}/a", force=True)
    assert sent(servers) == set()


@pytest.mark.parametrize("variable", ["BEARER_TOKEN", "SCITOKEN"])
def test_and_the_message_names_the_variable_for_paths(path, monkeypatch, variable, capsys):
    monkeypatch.setenv(variable, path)
    with pytest.raises(TokenNotFoundError) as caught:
        HTTPSciTokenAuth().find_token(HOME)
    main([HOME])
    for text in str(caught.value), " ".join(capsys.readouterr().out.split()):
        assert "a path" in text
        assert f"{variable}_FILE" in text


@pytest.mark.usefixtures("patched")
def test_the_autopatch_sends_no_path_either(world, path, monkeypatch):
    servers = world(HOME)
    monkeypatch.setenv("BEARER_TOKEN", path)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", HOME)
    assert requests.get(f"{HOME}/a").ok
    assert sent(servers) == {""}


def test_a_path_ends_the_search_as_whatever_else_is_malformed(
    world, path, monkeypatch, issuer, token_file
):
    servers = world(HOME)
    token_file.write_text(issuer.mint(audience=HOME))
    monkeypatch.setenv("BEARER_TOKEN", path)
    assert requests_scitokens.get(f"{HOME}/a").ok
    assert sent(servers) == {""}


@pytest.mark.parametrize("give", [str, str.encode])
def test_a_path_that_is_given_for_a_token_is_a_value_error(path, give):
    with pytest.raises(ValueError, match="a path"):
        HTTPSciTokenAuth(give(path))
    with pytest.raises(ValueError, match="a path"):
        requests_scitokens.get(f"{HOME}/a", token=give(path))
    with pytest.raises(ValueError, match="a path"):
        requests_scitokens.Session(token=give(path))


def test_so_it_is_where_a_function_returns_it_or_it_is_assigned(world, path):
    servers = world(HOME)
    auth = HTTPSciTokenAuth()
    auth.token = path
    for wrong in auth, HTTPSciTokenAuth(lambda url: path):
        with pytest.raises(ValueError, match="a path"):
            requests.get(f"{HOME}/a", auth=wrong)
    assert servers.received == []


@pytest.mark.parametrize("in_json", [True, False])
def test_a_path_in_a_file_is_no_token_either(world, path, token_file, in_json):
    servers = world(HOME)
    servers.answer = lambda seen: CHALLENGE
    token_file.write_text(json.dumps({"access_token": path}) if in_json else path)
    requests_scitokens.get(f"{HOME}/a")
    requests_scitokens.put(f"{HOME}/a", data=b"upload")
    assert sent(servers) == {""}


@pytest.mark.parametrize("token", ["/9j/4AAQSkZJRgABAQ==", "//8=", "/"])
def test_base64_that_begins_with_a_slash_is_a_token(world, monkeypatch, token):
    """There is no file of that name."""
    servers = world(HOME)
    servers.answer = lambda seen: (200, ()) if seen.authorization else CHALLENGE
    if token == "/":
        token = "/+/+/+"
    monkeypatch.setenv("BEARER_TOKEN", token)
    assert requests_scitokens.get(f"{HOME}/a").ok
    assert sent(servers) == {"", token}
    monkeypatch.delenv("BEARER_TOKEN")
    assert requests_scitokens.get(f"{HOME}/a", token=token).ok
    assert sent(servers) == {token}
