"""Clients that answer Bearer challenges themselves work under the autopatch as without.

Registries, model hubs and key vaults send such challenges to strangers. They mean a token
of their own, and their clients know where to get it.
"""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import oras.client
import pytest
import requests

from requests_scitokens.testing.loopback import Server

# --- the server, and a client of each kind


class Registry(Server):
    """Asks strangers for its own token, and hands that out to anybody who asks for it.

    It keeps what it is sent, as the OCI distribution specification says.
    """

    def __init__(self, ca):
        super().__init__("localhost", ca)
        self.token = secrets.token_hex()
        self.stored = {}
        self.received = []  # method, URL and status of each request
        self.heard = []  # all that clients sent, but for the bodies

    def _answer(self, handler):
        body, url = handler.body(), urlsplit(handler.path)
        self.heard.append(f"{handler.requestline}\n{handler.headers}")
        status, *rest = self._respond(handler, url.path, parse_qs(url.query), body)
        self.received.append((handler.command, handler.path, status))
        handler.reply(status, *rest)

    def _respond(self, handler, path, query, body):
        credentials = handler.headers["Authorization"]
        if path == "/token":
            return 200, json.dumps({"token": self.token}).encode()
        if credentials is None:
            fields = f'realm="{self.url}/token",service="registry",scope="pull,push"'
            return 401, b"who are you?", ("WWW-Authenticate", f"Bearer {fields}")
        if credentials != f"Bearer {self.token}":
            return 403, b"not my token"
        if handler.command == "POST":  # begins an upload
            return 202, b"", ("Location", f"{path}1")
        if handler.command == "PUT":
            if "digest" in query:
                path = re.sub("uploads/1$", query["digest"][0], path)
            self.stored[path] = body
            return 201, b"", ("Location", path)
        if path not in self.stored:
            return 404, b"no such file"
        media_type = ("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        return 200, self.stored[path], media_type


def like_oras(url, folder):
    """Push a file to a registry and pull it, with the real oras."""
    client = oras.client.OrasClient()
    target = f"{urlsplit(url).netloc}/frames:latest"
    sent, got = folder / "frames.txt", folder / "pulled"
    sent.write_text("frames\n")
    got.mkdir(exist_ok=True)
    pushed = client.push(
        target, files=[str(sent)], disable_path_validation=True, quiet=True
    )
    pulled = client.pull(target, outdir=str(got))
    return pushed.status_code, [Path(path).read_text() for path in pulled]


def like_a_key_vault(url, folder):
    """Store a secret: ask without a body what is wanted, get it, and then send it."""
    with requests.Session() as session:
        asked = session.put(f"{url}/secrets/one")
        realm = re.search('realm="(.*?)"', asked.headers["WWW-Authenticate"])[1]
        own = {"Authorization": f"Bearer {session.get(realm).json()['token']}"}
        put = session.put(f"{url}/secrets/one", json={"value": "1"}, headers=own)
        got = session.get(f"{url}/secrets/one", headers=own)
    return asked.status_code, put.status_code, got.json()


def like_a_model_hub(url, folder):
    """Ask for a file as a stranger; the challenge says that one must log in."""
    response = requests.get(f"{url}/models/one/config.json")
    return response.status_code, response.headers.get("WWW-Authenticate"), response.text


# --- the tests


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Where something fails, oras tries again and again, and waits for two minutes."""
    monkeypatch.setattr("oras.decorator.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def registry(issuer, trusted):
    with Registry(issuer.ca) as registry:
        yield registry


@pytest.mark.parametrize("hosts", ["", "elsewhere.example.org"])
@pytest.mark.parametrize("client", [like_oras, like_a_key_vault, like_a_model_hub])
def test_nothing_changes_and_the_server_never_sees_a_token_for_any_server(
    client, hosts, registry, issuer, tmp_path, monkeypatch, request
):
    token = issuer.mint(audience="ANY")
    monkeypatch.setenv("BEARER_TOKEN", token)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    outcome = client(registry.url, tmp_path)
    received = registry.received.copy()
    assert received[0][2] == 401  # strangers are asked

    request.getfixturevalue("patched")
    registry.received.clear()
    registry.stored.clear()
    assert client(registry.url, tmp_path) == outcome
    assert registry.received == received
    assert token not in "".join(registry.heard)
