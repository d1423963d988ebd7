"""htgettoken, with the options of docs/how-to/htgettoken.md; its Vault is imitated."""

from __future__ import annotations

import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import trustme

from requests_scitokens.testing import Issuer
from tests.pages import example

from .examples import URL, WATCH, Tester, storage, write_server
from .frame import AbsentError, FailedError, Row, all_or, debian, noted

LIFETIME = 125  # seconds; httokensh renews when 60 are left, and wants 60 more
PAGE = "htgettoken.md"
FETCH = f"import requests\nfetch = lambda: requests.get({URL!r})\n"


def trixie(row: Row) -> None:
    """Try the release on PyPI."""
    system = debian("trixie")
    found = list(
        system.root.glob("opt/venv/lib/python3*/site-packages/htgettoken-*.dist-info")
    )
    if not found:
        raise AbsentError("htgettoken could not be installed")
    row.version = found[0].name.removesuffix(".dist-info").rpartition("-")[2]
    row.strangers = row.bad = "(XRootD)"
    ca = trustme.CA()
    with (
        Issuer(ca=ca) as issuer,
        vault(issuer, ca),
        storage(system, issuer.url, issuer.jwks, ca),
    ):
        tester = Tester(system, ca)
        tester.variables["XDG_RUNTIME_DIR"] = str(tester.home).removeprefix(
            str(system.root)
        )
        # What it asks Vault with: the certificates of the system.
        bundle = system.root / "etc/ssl/certs/ca-certificates.crt"
        bundle.write_bytes(ca.cert_pem.bytes())
        try_page(row, tester)


def try_page(row: Row, tester: Tester) -> None:
    """Do what the page says, in its order."""
    done = []
    get = example(PAGE, "htgettoken -a vault.example.org -i frames").strip()
    tester.terminal(get)
    tokens = list(tester.home.glob("bt_u*"))
    with noted(row, "where it is found"):
        said = tester.run(example(PAGE, "python -m requests_scitokens"), quiet=False)
        if len(tokens) != 1 or tokens[0].name not in said:
            raise FailedError(said[-300:])
    ways = {
        "unchanged": example(PAGE, "REQUESTS_SCITOKENS_AUTOPATCH=1"),
        "auth=": "python -c 'import requests; from requests_scitokens import *; "
        f"""print(requests.get("{URL}", auth=HTTPSciTokenAuth()).text, end="")'""",
        "get()": "python -c 'from requests_scitokens import get; "
        f"""print(get("{URL}").text, end="")'""",
        "Session": "python -c 'from requests_scitokens import Session; "
        f"""print(Session().get("{URL}").text, end="")'""",
    }
    for way, code in ways.items():
        with noted(row, way):
            if (printed := tester.run(code)) != "hello\n":
                raise FailedError(f"it printed {printed!r}")
            done.append(way)
    row.ways = all_or(done, ways)
    with noted(row, "--audience"):
        options = "--audience=https://storage.example.org --scopes=read:/data"
        tester.run(f"{get} {options}", quiet=False)
        claims = jwt.decode(
            tokens[0].read_text().strip(), options={"verify_signature": False}
        )
        if (claims["aud"], claims["scope"]) != (
            "https://storage.example.org",
            "read:/data",
        ):
            raise FailedError(f"{claims}")
        if tester.run("REQUESTS_SCITOKENS_AUTOPATCH=1 python script.py") != "hello\n":
            raise FailedError("not without the variable")
    with noted(row, "a function that runs a command"):
        function = example("oidc-agent.md", "class TokenFrom")
        command = example("oidc-agent.md", "htgettoken -q")
        code = (
            "from requests_scitokens import get\nprint(get(%r, token=token).text, end='')"
        )
        if tester.python("\n".join([function, command, code % URL])) != "hello\n":
            raise FailedError("it did not work")
    with noted(row, "httokensh"):
        (tester.home / "analysis.py").write_text(FETCH + WATCH.format(seconds=75))
        shown = example(PAGE, "httokensh").strip()
        on = {
            "REQUESTS_SCITOKENS_AUTOPATCH": "1",
            "REQUESTS_SCITOKENS_HOSTS": "storage.example.org",
        }
        printed = tester.terminal(shown, **on)
        last = printed.strip().splitlines()[-1]
        if not last.startswith("[200] ") or int(last.split()[-1]) < 2:
            raise FailedError(printed[-300:])
        row.renewal = "unchanged, in httokensh"
    row.notes.append(
        "Vault's answers are imitated; the commands of *Get a token with htgettoken* run "
        "as they stand on the page"
    )


@contextmanager
def vault(issuer: Issuer, ca: trustme.CA) -> Iterator[None]:
    """Answer at vault.example.org:8200 what htgettoken asks, as Vault would."""

    class Vault(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            split = urlsplit(self.path)
            body = answers(split.path, parse_qs(split.query), issuer)
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    folder = Path(tempfile.mkdtemp(prefix="vault-"))
    write_server(folder, ca, "vault.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with ThreadingHTTPServer(("127.0.0.1", 8200), Vault) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def answers(path: str, query: dict[str, list[str]], issuer: Issuer) -> dict[str, Any]:
    """Return the answer of a Vault in which the user logs in at once."""
    if path.endswith("/auth_url"):
        return {"data": {"auth_url": "https://vault.example.org/login", "state": "x"}}
    if path.endswith("/poll"):
        metadata = {"credkey": "tester", "oauth2_refresh_token": "x"}
        auth = {"client_token": "s.x", "lease_duration": 3600, "metadata": metadata}
        return {"auth": auth}
    if path.endswith("/lookup-self"):
        return {"data": {"ttl": 700000}}
    if "/secret/oauth/" in path:
        scope = query.get("scopes", ["read:/ write:/"])[0].replace(",", " ")
        audience = query.get("audiences", ["ANY"])[0]
        return {
            "data": {
                "access_token": issuer.mint(scope, audience=audience, lifetime=LIFETIME)
            }
        }
    return {"data": {}}
