"""IGWN's clients beside this package, with the autopatch or without it.

What docs/how-to/igwn.md says of them; its examples are run from there.
"""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import dqsegdb2
import gracedb_sdk
import gwdatafind.__main__
import ligo.gracedb.cli.client
import pytest
import requests
from igwn_auth_utils import IgwnAuthError
from ligo.gracedb.rest import GraceDb

from requests_scitokens import HTTPSciTokenAuth

pytest_plugins = ["requests_scitokens.testing.fixtures"]

PATCHED = isinstance(requests.Session().auth, HTTPSciTokenAuth)
PAGE = Path(os.environ["IGWN_PAGE"]).read_text()
SCOPE = "read:/ gwdatafind.read dqsegdb.read gracedb.read"
GRACEDB = "https://gracedb.example.org/api/"
SEGMENTS = "https://segments.example.org"


@pytest.fixture
def servers(scitokens_server, monkeypatch):
    """Serve what the clients ask for first, at the names that the page uses."""
    service = {
        "links": {"superevents": f"{GRACEDB}superevents/"},
        "templates": {
            "superevent-detail-template": f"{GRACEDB}superevents/{{superevent_id}}/"
        },
        "API VERSIONS": ["default"],
    }
    files = {
        "datafind": {"/api/v1/gwf.json": b'["H", "L"]'},
        "segments": {"/dq": b'{"Ifos": ["H1", "L1"]}'},
        "gracedb": {
            "/api/": json.dumps(service).encode(),
            "/api/superevents/": b'{"superevents": [], "links": {}, "numRows": 0}',
            "/api/superevents/S1/": b'{"superevent_id": "S1"}',
        },
    }
    started = {
        f"{name}.example.org": scitokens_server(
            content,
            host=f"{name}.example.org",
            audience=f"https://{name}.example.org",
            answer="gwdatafind",
            # Strangers get less from GraceDB; whether one was a stranger is in `received`.
            protected=name != "gracedb",
        )
        for name, content in files.items()
    }
    ports = {name: int(one.url.rpartition(":")[2]) for name, one in started.items()}
    resolve = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        here = ("127.0.0.1", ports[host]) if host in ports else (host, port)
        return resolve(*here, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return {name.partition(".")[0]: server for name, server in started.items()}


def datafind(**options):
    return gwdatafind.find_observatories(host="datafind.example.org", **options)


def segments(**options):
    return dqsegdb2.query_ifos(host=SEGMENTS, **options)


def gracedb(**options):
    with GraceDb(GRACEDB, **options) as client:
        return list(client.superevents("far: < 1"))


def sdk(auth=None, **options):
    with gracedb_sdk.Client(GRACEDB, **options) as client:
        if auth is not None:
            client.session.auth = auth
        return client.superevents["S1"].get()


def gw_data_find():
    arguments = ["--server", "https://datafind.example.org", "--show-observatories"]
    gwdatafind.__main__.main(arguments)


def gracedb_command():
    arguments = ["--service-url", GRACEDB, "search", "superevents", "far: < 1"]
    ligo.gracedb.cli.client.main(arguments)


CLIENTS = {"datafind": datafind, "segments": segments, "gracedb": gracedb, "sdk": sdk}
BY_IGWN_AUTH_UTILS = ["datafind", "segments", "gracedb"]


def asked(servers, name):
    """Return whether each of a client's requests had a token."""
    server = servers["gracedb" if name == "sdk" else name]
    return {one.authorization is not None for one in server.received}


@pytest.fixture
def token(scitokens_issuer):
    return scitokens_issuer.mint(SCOPE, audience="ANY")


@pytest.fixture
def with_token(token, scitokens_file):
    """Put the user's token where htgettoken and httokensh do."""
    scitokens_file.write_text(token)


@pytest.fixture
def in_job(token, scitokens_environment, tmp_path, monkeypatch):
    """Put the user's token where HTCondor does, in the form that it mostly has."""
    file = tmp_path / "creds" / "scitokens.use"
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text(json.dumps({"access_token": token, "expires_in": 600}))
    monkeypatch.setenv("_CONDOR_CREDS", str(file.parent))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.example.org")
    return file


def sent(servers, name):
    """Return the last token that a client sent."""
    (*_, last) = servers["gracedb" if name == "sdk" else name].received
    return (last.authorization or "").removeprefix("Bearer ")


# --- they find tokens by themselves


@pytest.mark.usefixtures("with_token")
@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("hosts", ["", "storage.example.org", "*.example.org"])
def test_a_token_that_they_find_is_sent_whatever_hosts_say(
    servers, token, monkeypatch, name, hosts
):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    CLIENTS[name]()
    assert asked(servers, name) == {True}
    assert sent(servers, name) == token


@pytest.mark.parametrize("name", BY_IGWN_AUTH_UTILS)
def test_igwn_auth_utils_finds_the_other_form_of_file_in_a_job(
    servers, token, in_job, name
):
    in_job.write_text(token)
    CLIENTS[name]()
    assert asked(servers, name) == {True}


@pytest.mark.parametrize("name", ["datafind", "segments"])
def test_without_a_token_they_get_a_401(servers, name):
    with pytest.raises(requests.HTTPError, match="401"):
        CLIENTS[name]()


# --- in a job with JSON files


@pytest.mark.usefixtures("in_job")
@pytest.mark.parametrize("name", ["datafind", "segments"])
def test_in_a_job_gwdatafind_and_dqsegdb2_get_a_401(servers, name):
    with pytest.raises(requests.HTTPError, match="401"):
        CLIENTS[name]()
    assert asked(servers, name) == {False}


@pytest.mark.usefixtures("in_job")
def test_in_a_job_ligo_gracedb_gets_only_what_is_public(servers):
    gracedb()
    assert asked(servers, "gracedb") == {False}


@pytest.mark.usefixtures("in_job")
def test_in_a_job_ligo_gracedb_can_be_told_that_this_is_an_error(servers):
    with pytest.raises(IgwnAuthError):
        gracedb(fail_if_noauth=True)
    assert asked(servers, "gracedb") == set()


@pytest.mark.usefixtures("in_job")
@pytest.mark.parametrize("options", [{}, {"force_noauth": True}])
def test_in_a_job_gracedb_sdk_has_the_token_of_the_autopatch(servers, token, options):
    sdk(**options)
    assert asked(servers, "sdk") == {PATCHED}
    assert sent(servers, "sdk") == (token if PATCHED else "")


@pytest.mark.usefixtures("in_job")
def test_the_autopatch_gives_gracedb_sdk_nothing_where_hosts_do_not_list_it(
    servers, monkeypatch
):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "datafind.example.org")
    sdk()
    assert asked(servers, "sdk") == {False}


@pytest.mark.usefixtures("in_job")
@pytest.mark.parametrize("name", ["datafind", "segments", "sdk"])
def test_in_a_job_a_handler_of_this_package_can_be_passed(
    servers, token, monkeypatch, name
):
    monkeypatch.delenv("REQUESTS_SCITOKENS_HOSTS")
    hosts = "gracedb.example.org" if name == "sdk" else None
    CLIENTS[name](auth=HTTPSciTokenAuth(hosts=hosts))
    assert sent(servers, name) == token


@pytest.mark.usefixtures("in_job")
def test_ligo_gracedb_takes_no_handler():
    with pytest.raises(TypeError, match="auth"):
        GraceDb(GRACEDB, auth=HTTPSciTokenAuth())


@pytest.mark.usefixtures("in_job")
def test_gracedb_sdk_can_be_told_to_send_no_token(servers):
    with gracedb_sdk.Client(GRACEDB) as client:
        client.session.auth = None
        client.superevents["S1"].get()
    assert asked(servers, "sdk") == {False}


# --- renewal


@pytest.mark.parametrize("name", ["datafind", "segments"])
def test_a_handler_notices_that_the_token_of_a_job_is_renewed(
    servers, in_job, scitokens_issuer, name
):
    auth = HTTPSciTokenAuth()
    for lifetime in (600, 700):
        token = scitokens_issuer.mint(SCOPE, audience="ANY", lifetime=lifetime)
        in_job.write_text(json.dumps({"access_token": token}))
        CLIENTS[name](auth=auth)
        assert sent(servers, name) == token


def test_ligo_gracedb_looks_for_a_token_with_each_request(
    servers, scitokens_file, scitokens_issuer
):
    with GraceDb(GRACEDB) as client:
        for lifetime in (600, 700):
            token = scitokens_issuer.mint(SCOPE, audience="ANY", lifetime=lifetime)
            scitokens_file.write_text(token)
            client.superevent("S1")
            assert sent(servers, "gracedb") == token


@pytest.mark.usefixtures("with_token")
@pytest.mark.parametrize("ours", [True, False])
def test_gracedb_sdk_reads_its_token_once_and_a_handler_at_each_request(
    servers, token, scitokens_file, scitokens_issuer, ours
):
    with gracedb_sdk.Client(GRACEDB) as client:
        if ours:
            client.session.auth = HTTPSciTokenAuth(hosts="gracedb.example.org")
        renewed = scitokens_issuer.mint(SCOPE, audience="ANY", lifetime=700)
        scitokens_file.write_text(renewed)
        client.superevents["S1"].get()
    assert sent(servers, "sdk") == (renewed if ours else token)


# --- the examples of the page


def example(language, part):
    """Return the one example of the page that has this text in it."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (text,) = (one for one in found if part in one)
    return text


@pytest.mark.usefixtures("in_job")
@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("import gwdatafind", ["datafind", "segments"]),
        ("import gracedb_sdk", ["sdk"]),
        ("import GraceDb", ["gracedb"]),
    ],
)
def test_the_examples_of_the_page_send_the_token_of_a_job(
    servers, token, monkeypatch, part, names
):
    monkeypatch.delenv("REQUESTS_SCITOKENS_HOSTS")
    exec(example("python", part), {"__name__": "example"})
    for name in names:
        assert sent(servers, name) == token
        # GraceDB asks nobody; the others have sent a 401 first.
        assert asked(servers, name) == (
            {True} if "gracedb" in part.lower() else {False, True}
        )


@pytest.mark.usefixtures("in_job")
@pytest.mark.parametrize(
    ("client", "name"),
    [
        *((client, name) for name, client in CLIENTS.items()),
        (gw_data_find, "datafind"),
        (gracedb_command, "gracedb"),
    ],
)
def test_all_of_them_find_the_copy_that_the_page_makes(
    servers, token, monkeypatch, tmp_path, client, name
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    python = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", f"{python}{os.pathsep}{os.environ['PATH']}")
    text = example("shell", "export BEARER_TOKEN_FILE")
    for _ in range(2):  # once more when the token has been renewed
        done = subprocess.run(
            ["bash", "-euc", f'{text}\necho "$BEARER_TOKEN_FILE"'],
            capture_output=True,
            check=True,
            text=True,
        )
        copy = Path(done.stdout.strip())
        assert copy.stat().st_mode & 0o77 == 0
        assert copy.read_text().strip() == token
        monkeypatch.setenv("BEARER_TOKEN_FILE", str(copy))
    client()
    assert asked(servers, name) == {True}
    assert sent(servers, name) == token
