"""Programs that use a client: `programs.py CLIENT '{"credentials": "URL", ...}'`.

For each of the credentials, a line says what each step returned, or which exception ended
it. All else that clients print is left out.
"""

import io
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import requests

CONTENT = bytes(range(256)) * 500


def rucio(url, own):
    Path("rucio.cfg").write_text("[client]\n")
    os.environ["RUCIO_CONFIG"] = str(Path("rucio.cfg").resolve())
    from rucio.client import Client

    where = {"rucio_host": url, "auth_host": url}
    if own == "password":
        login = {"username": "user", "password": "secret"}
        client = Client(**where, account="user", auth_type="userpass", creds=login)
    else:  # it looks in BEARER_TOKEN itself; another account, for it stores what it has
        client = Client(**where, account="other", auth_type="oidc")
    part = [{"scope": "data", "name": "a"}]
    yield client.ping
    yield client.whoami
    yield lambda: sorted(client.list_scopes())
    yield lambda: client.add_scope("user", "new")
    yield lambda: client.attach_dids_to_dids(
        [{"scope": "data", "name": "set", "dids": part}]
    )
    # With a password, it has to log in again in between.
    yield lambda: client.set_status("data", "set", open=False)
    yield lambda: client.detach_dids("data", "set", part)
    yield lambda: list(client.list_content("data", "set"))


def fts3(url, own):
    from fts3.rest.client import Context, Inquirer, Submitter, context, easy

    context._get_default_proxy = lambda: "none"
    client = Context(url, fts_access_token="own-token" if own == "token" else None)
    yield lambda: client.get_endpoint_info()["api"]
    yield lambda: easy.whoami(client)
    transfers = [{"sources": ["https://a.example.org"], "destinations": ["mock://b"]}]
    yield lambda: Submitter(client).submit(transfers)
    yield lambda: Inquirer(client).get_job_status("1")
    yield lambda: Submitter(client).cancel("1")


def webdav(url, own):
    from webdav3.client import Client

    options = {
        "password": {"webdav_login": "user", "webdav_password": "secret"},
        "token": {"webdav_token": "own-token"},
    }
    client = Client({"webdav_hostname": url, **options.get(own, {})})
    Path("a.bin").write_bytes(CONTENT)
    yield client.check
    yield lambda: client.mkdir("data")
    yield lambda: client.upload_sync(remote_path="data/a", local_path="a.bin")
    yield lambda: client.upload_sync(
        remote_path="data/b", local_path="a.bin", progress=lambda *_: None
    )
    yield lambda: sorted(client.list("data"))
    yield lambda: client.info("data/a")
    yield lambda: client.copy("data/a", "data/c")
    yield lambda: client.move("data/c", "data/d")
    yield lambda: client.download_sync(remote_path="data/d", local_path="back.bin")
    yield lambda: Path("back.bin").read_bytes() == CONTENT
    yield lambda: client.clean("data/a")


def tus(url, own):
    from tusclient.client import TusClient

    headers = {
        "password": {"Authorization": "Basic dXNlcjpzZWNyZXQ="},
        "token": {"Authorization": "Bearer own-token"},
    }
    client = TusClient(f"{url}/files/", headers=headers.get(own))
    stream = io.BytesIO(CONTENT)
    uploader = client.uploader(
        file_stream=stream, chunk_size=50_000, metadata={"name": "a"}, retries=1
    )
    uploader.retry_delay = 0
    yield uploader.upload
    yield uploader.get_offset


def pyvo(url, own):
    from pyvo.auth import AuthSession, securitymethods
    from pyvo.dal import TAPService

    session = None
    if own == "session":
        session = requests.Session()
        session.auth = ("user", "secret")
    elif own != "none":
        method = {"password": "BASIC", "cookie": "COOKIE"}.get(own, "ANONYMOUS")
        session = AuthSession()
        session.add_security_method_for_url(url, getattr(securitymethods, method))
        session.credentials.set_password("user", "secret")
        session.credentials.set_cookie("own", "cookie")
    service = TAPService(f"{url}/tap", session=session)
    yield lambda: list(service.run_sync("SELECT n FROM t")["n"])
    yield lambda: list(service.run_async("SELECT n FROM t")["n"])


def attempt(step):
    """Return what a step returns, or which exception ends it."""
    try:
        return step()
    except Exception as error:  # noqa: BLE001, it is the result
        return {"raised": f"{type(error).__name__}: {error}"}


def use(client, url, own):
    """Return the results of all steps; making a client can fail, too."""
    results = []
    failed = attempt(lambda: results.extend(map(attempt, client(url, own))))
    return [*results, failed] if failed else results


CLIENTS = {"rucio": rucio, "fts3": fts3, "webdav": webdav, "tus": tus, "pyvo": pyvo}

if __name__ == "__main__":
    # Whether this is patched as it is said to be.
    print(type(requests.Session().auth).__name__)
    for own, url in json.loads(sys.argv[2]).items():
        with redirect_stdout(io.StringIO()):
            results = use(CLIENTS[sys.argv[1]], url, own)
        print(json.dumps([own, *results], default=repr))
