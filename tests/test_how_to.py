"""What the how-tos show and cannot run as it stands, tried with stand-ins."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import requests_cache

from requests_scitokens import (
    HTTPSciTokenAuth,
    Session,
    SessionMixin,
    TokenNotFoundError,
    get,
)
from requests_scitokens.testing import Redirect

PAGES = Path(__file__).parent.parent / "docs" / "how-to"


def shown(page, what):
    """Return what a page defines, from the example that begins to define it."""
    text = PAGES.joinpath(page).read_text()
    for example in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if re.search(rf"^(class|def) {what}\b", example, re.MULTILINE):
            namespace = {"__name__": __name__}
            exec(example, namespace)
            return namespace[what]
    raise LookupError(what)


# Where pickle finds it, as in the module of a user.
TokenFrom = shown("oidc-agent.md", "TokenFrom")


# --- a token from any command


@pytest.fixture
def oidc_token(tmp_path, monkeypatch):
    """Stand in for oidc-token: prints what is in a file, and notes how it was called."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "oidc-token"
    program.write_text(
        f"#!/bin/sh\necho $* >> {tmp_path}/calls\nexec cat {tmp_path}/token\n"
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def calls(oidc_token):
    return oidc_token.joinpath("calls").read_text().splitlines()


def test_a_command_is_asked_once_while_its_token_is_good(serve, issuer, oidc_token):
    server = serve()
    oidc_token.joinpath("token").write_text(issuer.mint() + "\n")
    with Session(token=TokenFrom("oidc-token", "--time=120", "frames")) as session:
        for _ in range(3):
            assert session.get(f"{server.url}/hello.txt").ok
    assert [one.status for one in server.received] == [200, 200, 200]
    assert calls(oidc_token) == ["--time=120 frames"]


def test_a_command_is_asked_again_before_its_token_expires(serve, issuer, oidc_token):
    server = serve()
    with Session(token=TokenFrom("oidc-token", "frames")) as session:
        for lifetime in (50, 600, 600):
            oidc_token.joinpath("token").write_text(issuer.mint(lifetime=lifetime))
            assert session.get(f"{server.url}/hello.txt").ok
    assert len(calls(oidc_token)) == 2


def test_a_command_that_fails_says_so(serve, oidc_token):
    with (
        Session(token=TokenFrom("oidc-token", "frames")) as session,
        pytest.raises(subprocess.CalledProcessError),
    ):
        session.get(f"{serve().url}/hello.txt")


def test_what_is_pickled_is_the_command_and_not_its_token(issuer, oidc_token):
    token = issuer.mint()
    oidc_token.joinpath("token").write_text(token)
    function = TokenFrom("oidc-token", "frames")
    assert function("https://storage.example.org/") == token
    pickled = pickle.dumps(Session(token=function))
    assert token.rpartition(".")[2].encode() not in pickled
    assert pickle.loads(pickled).auth.token("https://storage.example.org/") == token


# --- requests-cache


@pytest.mark.parametrize("keeps", [True, False])
def test_a_cache_can_be_kept_from_storing_urls_with_a_token(
    serve, issuer, token_file, tmp_path, keeps
):
    token = issuer.mint()
    token_file.write_text(token)
    storage, director = serve(answer="xrootd"), serve({}, protected=False)
    director.redirects["/hello.txt"] = Redirect(f"{storage.url}/hello.txt", copy_token=True)
    options = {} if keeps else {"filter_fn": shown("requests-cache.md", "without_token")}

    class CachedSession(SessionMixin, requests_cache.CachedSession):
        pass

    folder = tmp_path / "cache"
    with CachedSession(
        folder / "responses", backend="filesystem", hosts="localhost", **options
    ) as session:
        assert session.get(f"{director.url}/hello.txt").text == "hello\n"
    on_disk = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert (token.encode() in on_disk) is keeps


# --- GraceDB and GWDataFind; what the page says of IGWN's clients is tried in compat/igwn


def test_a_server_that_gives_strangers_less_has_the_token_at_once(
    serve, issuer, token_file
):
    token_file.write_text(issuer.mint())
    gracedb = serve(protected=False)  # it asks nobody, so nothing can be answered
    for hosts, sent in ((None, False), ("localhost", True)):
        with Session(hosts=hosts) as session:
            assert session.get(f"{gracedb.url}/hello.txt").ok
        assert (gracedb.received[-1].authorization is not None) is sent
    assert len(gracedb.received) == 2


def test_with_force_the_public_part_is_not_taken_for_the_whole(serve, token_file):
    gracedb = serve(protected=False)
    with pytest.raises(TokenNotFoundError, match=re.escape(str(token_file))):
        get(f"{gracedb.url}/hello.txt", force=True)
    assert gracedb.received == []


@pytest.mark.parametrize("way", ["Session", "get", "auth"])
def test_gwdatafind_gets_the_token_in_answer_to_its_401(serve, issuer, token_file, way):
    token_file.write_text(issuer.mint())
    datafind = serve(answer="gwdatafind")
    url = f"{datafind.url}/hello.txt"
    with Session() as session:
        ways = {
            "Session": session.get,
            "get": get,
            "auth": lambda url: requests.get(url, auth=HTTPSciTokenAuth()),
        }
        response = ways[way](url)
    assert response.ok
    assert [one.status for one in datafind.received] == [401, 200]
    assert "WWW-Authenticate" not in response.history[0].headers


def test_gwdatafind_answers_403_to_a_token_that_it_does_not_accept(
    serve, issuer, token_file
):
    token_file.write_text(issuer.mint("other.read"))
    assert get(f"{serve(answer='gwdatafind').url}/hello.txt").status_code == 403


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("hosts", "status"), [("", 401), ("other.example.org", 401), ("localhost", 200)]
)
def test_under_the_autopatch_gwdatafind_must_be_listed(
    serve, issuer, token_file, monkeypatch, hosts, status
):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    token_file.write_text(issuer.mint())
    datafind = serve(answer="gwdatafind")
    assert requests.get(f"{datafind.url}/hello.txt").status_code == status
    assert len(datafind.received) == 1


# --- tests of one's own code


def test_the_tests_of_a_client_pass(tmp_path):
    text = PAGES.joinpath("testing.md").read_text()
    files = re.findall(r"not run: (\w+\.py),.*\n```python\n((?:.*\n)*?)```", text)
    assert [name for name, _ in files] == ["conftest.py", "client.py", "test_client.py"]
    for name, content in files:
        (tmp_path / name).write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert " 8 passed" in done.stdout
