"""A real XRootD redirector with a data server: what the how-to says about it."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import pytest
import requests

from requests_scitokens import Session

from .pages import example
from .redirector import Redirector
from .ways import CHOSEN

SIZE = 50_000_000


@pytest.fixture(scope="module")
def running(installed_xrootd, issuer):
    with Redirector(issuer) as redirector:
        yield redirector


@pytest.fixture
def redirector(running, issuer, trusted, token_file, monkeypatch):
    token_file.write_text(issuer.mint("read:/ write:/", audience="ANY"))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost, 127.0.0.1")
    return running


@pytest.mark.parametrize("send", CHOSEN)
def test_it_redirects_with_the_token_in_the_url_alone(redirector, send):
    response = send("GET", f"{redirector.url}/hello.txt")
    assert response.content == b"hello\n"
    assert [one.status_code for one in response.history] == [302]
    assert urlsplit(response.url).query.startswith("authz=Bearer%20")
    assert "Authorization" not in response.request.headers


@pytest.mark.parametrize("send", CHOSEN)
def test_a_small_upload_is_redirected(redirector, send):
    assert send("PUT", f"{redirector.url}/{send.__name__}", data=b"small").ok
    assert (redirector.root / send.__name__).read_bytes() == b"small"


def test_a_large_upload_may_break_off_and_the_recipe_in_two_steps_does_not(
    redirector, tmp_path, monkeypatch
):
    content = os.urandom(SIZE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "big.bin").write_bytes(content)
    code = example("xrootd.md", "allow_redirects=False")
    code = code.replace("https://xrootd.example.org:1094", redirector.url)
    code = code.replace('hosts="*.example.org"', 'hosts="localhost, 127.0.0.1"')
    (redirector.root / "data").mkdir()
    (redirector.root / "data").chmod(0o777)
    with (tmp_path / "big.bin").open("rb") as body, Session() as session:
        try:  # which of the two is first to go on is a race
            session.put(f"{redirector.url}/data/large.bin", data=body)
        except requests.ConnectionError as error:
            assert "EOF" in str(error) or "Broken pipe" in str(error)
    exec(code, {"Session": Session})
    assert (redirector.root / "data" / "big.bin").read_bytes() == content


def test_an_empty_upload_shows_what_the_answer_was(redirector, issuer, capsys, monkeypatch):
    code = example("xrootd.md", "print(answer.status_code)")
    code = code.replace("https://xrootd.example.org:1094/data", redirector.url)
    code = code.replace('hosts="*.example.org"', 'hosts="localhost, 127.0.0.1"')
    exec(code, {"Session": Session})
    exec(code.replace(redirector.url, redirector.server), {"Session": Session})
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint("read:/", audience="ANY"))
    exec(code.replace(redirector.url, redirector.server), {"Session": Session})
    codes = capsys.readouterr().out.split()
    assert codes in (["307", "200", "403"], ["307", "201", "403"])


def test_an_error_at_the_data_server_has_the_token_in_its_text(redirector, token_file):
    """Which is why the how-to warns of it: the URL is in what Requests raises."""
    token = token_file.read_text()
    with Session() as session:
        place = session.get(f"{redirector.url}/hello.txt", allow_redirects=False)
        location = urlsplit(place.headers["Location"])
        nobody = location._replace(netloc="127.0.0.1:1").geturl()
        with pytest.raises(requests.ConnectionError) as raised:
            session.get(nobody)
    assert token in str(raised.value)
    clean: dict = {"requests": requests}
    exec(example("xrootd.md", "def without_token").partition("\ntry:")[0], clean)
    assert "authz=..." in clean["without_token"](raised.value)
    assert token.rpartition(".")[2] not in clean["without_token"](raised.value)
