"""Other people's clients under the autopatch, which know nothing of tokens."""

from __future__ import annotations

import hashlib
import io
import os

import pooch
import pytest
import requests
from requests_cache import CachedSession
from requests_toolbelt import MultipartEncoder
from webdav3.client import Client
from webdav3.exceptions import MethodNotSupported

pytestmark = pytest.mark.usefixtures("patched")


@pytest.fixture
def storage(xrootd, trusted, issuer, token_file, monkeypatch):
    """Use a real XRootD, listed as one that gets the token at once."""
    token_file.write_text(issuer.mint("read:/ write:/", audience="ANY"))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", xrootd.url.removeprefix("https://"))
    return xrootd


def stored(xrootd, name, content):
    path = xrootd.root / name
    path.write_bytes(content)
    path.chmod(0o644)


def test_pooch_downloads_a_registry_with_progress_and_checksums(storage, tmp_path, capsys):
    contents = {f"pooch-{n}.bin": os.urandom(300_000) for n in range(3)}
    for name, content in contents.items():
        stored(storage, name, content)
    registry = {name: hashlib.sha256(one).hexdigest() for name, one in contents.items()}
    files = pooch.create(tmp_path / "cache", f"{storage.url}/", registry=registry)
    for name, content in contents.items():
        path = files.fetch(name, downloader=pooch.HTTPDownloader(progressbar=True))
        with open(path, "rb") as file:
            assert file.read() == content
    assert "100%" in capsys.readouterr().err


class XRootDClient(Client):
    """XRootD 5.5 says of files nothing at all where DAV wants an empty `resourcetype`."""

    def is_dir(self, remote_path):
        try:
            return super().is_dir(remote_path)
        except MethodNotSupported:
            return False


def test_webdavclient_lists_uploads_downloads_and_removes(storage, trusted, tmp_path):
    client = XRootDClient({"webdav_hostname": storage.url, "disable_check": True})
    client.verify = str(trusted)
    mine, back = tmp_path / "mine", tmp_path / "back"
    mine.write_bytes(os.urandom(1_000_000))
    client.upload_sync(remote_path="dav.bin", local_path=str(mine))
    assert (storage.root / "dav.bin").read_bytes() == mine.read_bytes()
    assert "dav.bin" in client.list("/")
    client.download_sync(remote_path="dav.bin", local_path=str(back))
    assert back.read_bytes() == mine.read_bytes()
    client.clean("dav.bin")
    assert not (storage.root / "dav.bin").exists()


@pytest.mark.parametrize("backend", ["sqlite", "filesystem"])
def test_requests_cache_stores_no_token(serve, issuer, token_file, tmp_path, backend):
    server, folder = serve(), tmp_path / "cache"
    token = issuer.mint(audience=server.url)
    token_file.write_text(token)
    with CachedSession(folder / "responses", backend=backend) as session:
        for from_cache in (False, True, True):
            response = session.get(f"{server.url}/hello.txt")
            assert (response.text, response.from_cache) == ("hello\n", from_cache)
    assert len(server.received) == 1
    on_disk = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"hello" in on_disk
    for part in token.split("."):
        assert part.encode() not in on_disk


def test_requests_toolbelt_streams_a_multipart_upload(serve, issuer, token_file):
    server = serve({})
    token_file.write_text(issuer.mint("write:/", audience=server.url))
    content = os.urandom(3_000_000)
    encoder = MultipartEncoder({"file": ("name", io.BytesIO(content), "text/plain")})
    headers = {"Content-Type": encoder.content_type}
    assert requests.post(f"{server.url}/new", data=encoder, headers=headers).ok
    assert content in server.files["/new"]
    assert len(server.received) == 1


def test_requests_toolbelt_is_told_when_a_stream_cannot_be_sent_twice(
    serve, issuer, token_file
):
    token_file.write_text(issuer.mint("write:/"))
    server = serve({})
    encoder = MultipartEncoder({"field": "value"})
    assert requests.post(f"{server.url}/new", data=encoder).status_code == 401
    assert server.files == {}
