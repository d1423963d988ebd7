"""Every public function is driven with a token, and all that comes out is searched for it.

What comes out: log records at every level, warnings, standard output and error, the
representation of each result, exceptions with their causes and attributes, tracebacks (of
this package's own frames with the local variables too), and pickles. Left out is what is
the caller's own: a token in an argument, and functions that are there to return one.
"""

from __future__ import annotations

import inspect
import json
import logging
import pickle
import re
import secrets
import socket
import sys
import traceback
import warnings
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests
from scitokens import SciToken

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError, testing, utils
from requests_scitokens.__main__ import main
from requests_scitokens.testing import Answer, Redirect

patch = import_module("requests_scitokens.patch")
patch.disable()  # importing it patches

PACKAGE = str(Path(requests_scitokens.__file__).parent)


def public():
    """Name all that is public, with the methods and properties of classes."""
    names = {"main"}
    for module in (requests_scitokens, utils, testing, patch):
        names |= set(module.__all__) - {"ANSWERS", "Given", "TokenFunction"}
        for thing in map(partial(getattr, module), module.__all__):
            if inspect.isclass(thing) and thing is not TokenNotFoundError:
                names |= {
                    f"{thing.__name__}.{name}"
                    for name, value in vars(thing).items()
                    if name[0] != "_" and (callable(value) or isinstance(value, property))
                }
    return names


class Output(logging.Handler):
    """Collects whatever could come before somebody's eyes."""

    def __init__(self):
        super().__init__(level=0)
        self.seen = []
        self.driven = set()
        self.locals = True

    def add(self, what, *values):
        self.seen += [(what, value) for one in values for value in (repr(one), str(one))]

    def emit(self, record):
        self.format(record)  # puts an exception into words
        ours = record.name.startswith("requests_scitokens")
        self.add("our log" if ours else "the log", record.__dict__, record.getMessage())

    def drive(self, name, function, *args, show=True, **kwargs):
        """Call a function and keep what comes of it; `show=False` if that is the token."""
        self.driven.add(name)
        try:
            result = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001, of any kind
            self.add_error(name, error)
            return None
        if show:
            self.add(name, result)
        if isinstance(result, requests.Response):
            for response in (*result.history, result):
                self.add(name, response, response.request, response.request.hooks)
        return result

    def add_error(self, name, error):
        whole = traceback.format_exception(type(error), error, error.__traceback__)
        self.add(f"the traceback of {name}", *whole)
        while error is not None:
            self.add(f"the error of {name}", error, error.args, vars(error))
            self.driven.add(type(error).__name__)
            found = traceback.TracebackException.from_exception(error, capture_locals=True)
            for frame in found.stack:
                self.add(f"a frame of {name}", frame, frame.line)
                if self.locals and frame.filename.startswith(PACKAGE):
                    self.add(f"{frame.name}() under {name}", frame.locals)
            error = error.__cause__ or error.__context__

    def check(self, *secrets, where=("",)):
        """Search for a token, or the part of it that says most, or its signature."""
        parts = {part for secret in secrets for part in (secret, *secret.split(".")[1:])}
        for what, text in self.seen:
            if what.startswith(tuple(where)):
                assert not any(part in text for part in parts), f"{what} shows it: {text}"


@pytest.fixture
def output(capfd, monkeypatch):
    """Collect everything; what is written is added when the test checks it."""
    output = Output()
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.NOTSET)
    root.addHandler(output)
    check = output.check

    def add_and_check(*secrets, **kwargs):
        output.add("the terminal", *capfd.readouterr())
        output.add("a warning", *[(str(one.message), vars(one)) for one in caught])
        check(*secrets, **kwargs)

    monkeypatch.setattr(output, "check", add_and_check)
    output.forget = lambda: (output.seen.clear(), caught.clear())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield output
    root.removeHandler(output)


# --- what is driven


@pytest.fixture
def servers(serve):
    """Start servers that take the token, refuse it for ever, hang up on it, redirect it."""

    def hang_up(token):
        raise ConnectionError

    options = {"audience": "https://localhost"}
    good, bare, never, rude = (
        serve(**options),
        serve(answer="storm", **options),
        serve(answer="basic-then-bearer", **options),
        serve(answer=Answer(challenges=("Bearer",), closes=True), **options),
    )
    never.rejects, rude.rejects = (lambda token: True), hang_up
    good.redirects["/away"] = Redirect(f"{bare.url}/hello.txt")
    good.redirects["/stay"] = Redirect(f"{good.url}/hello.txt?authz=another")
    return good, bare, never, rude


@pytest.fixture
def urls(servers):
    urls = [f"{server.url}/hello.txt" for server in servers]
    return [*urls, f"{servers[0].url}/away", f"{servers[0].url}/stay"]


def drive_handler(output, make, url):
    name = "HTTPSciTokenAuth"
    auth = output.drive(name, make)
    if auth is None:
        return
    output.add(name, auth.is_default, auth.audience, hash(auth), auth == make())
    header = f"{name}.generate_bearer_header"
    output.drive(header, auth.generate_bearer_header, show=False)
    find = partial(output.drive, f"{name}.find_token", auth.find_token)
    for options in ({}, {"error": False}, {"insecure": True}, {"public_key": b"none"}):
        find(url, **options)
    find(find_func=SciToken.discover)
    with requests.Session() as session:
        refusal = session.get(url)
        for method in ("handle_response", "handle_401", "authenticate_bearer"):
            output.drive(f"{name}.{method}", getattr(auth, method), refusal)
    if auth.token is None:
        output.add("a pickled handler", pickle.dumps(auth), vars(auth))


def drive_functions(output, url, **ours):
    for name in ("options", "head", "post", "put", "patch", "delete"):
        output.drive(name, getattr(requests_scitokens, name), url, **ours)
    output.drive("request", requests_scitokens.request, "GET", url, **ours)
    bases = (requests_scitokens.SessionMixin, requests.Session)
    output.drive("SessionMixin", type("Mixed", bases, {}), **ours)


def drive_url(output, url, **ours):
    output.drive("get", requests_scitokens.get, url, **ours)
    output.drive("get", requests_scitokens.get, url, **ours, force=True)
    with suppress(ValueError):  # there is no such handler
        output.drive("auth=", requests.get, url, auth=HTTPSciTokenAuth(**ours))
    session = output.drive("Session", requests_scitokens.Session, **ours)
    if session is None:
        return
    with session:
        response = output.drive("Session", session.get, url)
        output.add("Session", session.auth)
        if response is not None:
            request = response.request.copy()
            rebuild = session.rebuild_auth
            output.drive("SessionMixin.rebuild_auth", rebuild, request, response)
        if not ours:
            output.add("a pickled session", pickle.dumps(session))


def drive_autopatch(output, urls):
    output.drive("enable", patch.enable)
    try:
        output.drive("enabled", patch.enabled)
        output.drive("patch", patch, urls[0])
        for url in urls:
            with requests.Session() as session:
                output.add("a patched session", session.auth)
                output.drive("patched", session.get, url)
                output.add("a pickled session", pickle.dumps(session), vars(session.auth))
    finally:
        output.drive("disable", patch.disable)


def drive_program(output, url):
    for arguments in (
        [],
        ["--json", "--verify"],
        [url],
        [url, "--try"],
        [url, "--try", "--verbose"],
        [url, "--try", "--json", "--method", "HEAD"],
    ):
        with suppress(SystemExit):
            output.drive("main", main, arguments)
    output.drive("explain", requests_scitokens.explain)
    output.drive("explain", requests_scitokens.explain, url)


def drive_servers(output, issuer, server):
    output.drive("Issuer", lambda: issuer)
    output.drive("Issuer.mint", issuer.mint, show=False)
    output.drive("ProtectedServer", lambda: server)
    output.drive("Received", lambda: server.received)
    output.drive(
        "Received.authorization", lambda: server.received[0].authorization and None
    )
    output.drive("Redirect", lambda: server.redirects)
    output.drive("Answer", lambda: testing.ANSWERS)
    output.drive("Fault", lambda: testing.Fault(503))


KINDS = ["named", "unbound", "elsewhere", "expired", "opaque", "malformed"]


@pytest.fixture(params=KINDS)
def token(request, issuer):
    """Mint a token; one that is malformed still holds a good one."""
    options = {
        "named": {"audience": "https://localhost"},
        "elsewhere": {"audience": "https://storage.example.org"},
        "expired": {"lifetime": -9999},
    }
    if request.param == "opaque":
        return "0123456789abcdef" * 4
    token = issuer.mint(**options.get(request.param, {}))
    return f"{token} {token}" if request.param == "malformed" else token


@pytest.fixture(
    params=["BEARER_TOKEN", "SCITOKEN_FILE", "_CONDOR_CREDS", "function", "given"]
)
def ours(request, token, tmp_path, monkeypatch, output):
    """Let the token be found, or give it; what the caller gives."""
    if request.param == "function":
        return {"token": lambda url: token}
    if request.param == "given":
        output.locals = False  # an argument is there to be seen
        return {"token": token}
    value = token
    if request.param != "BEARER_TOKEN":
        path = tmp_path / "scitokens.use"
        path.write_text(json.dumps({"access_token": token}))
        path.chmod(0o644)  # of which a warning is given
        value = str(tmp_path if request.param == "_CONDOR_CREDS" else path)
    monkeypatch.setenv(request.param, value)
    return {}


def drive_all(output, servers, urls, issuer, text, **ours):
    for more in ({}, {"force": True}, {"hosts": "localhost"}, {"audience": "x"}):
        drive_handler(output, partial(HTTPSciTokenAuth, **ours, **more), urls[1])
    for url in urls:
        drive_url(output, url, **ours)
    drive_functions(output, urls[0], **ours)
    drive_autopatch(output, urls)
    drive_program(output, urls[0])
    drive_servers(output, issuer, servers[0])
    output.drive("default_audience", utils.default_audience, urls[0])
    output.drive("MalformedTokenError", HTTPSciTokenAuth, "to ken")
    for given in (text, text.encode(), SciToken()):
        output.drive("serialize_token", utils.serialize_token, given, show=False)


def test_nothing_shows_the_token(output, servers, urls, issuer, token, ours):
    drive_all(output, servers, urls, issuer, token, **ours)
    output.check(token)


def test_all_that_is_public_is_driven(output, servers, urls, issuer):
    drive_all(output, servers, urls, issuer, "abc")
    assert public() - output.driven == set()


def test_what_is_searched_for_would_be_found(output, issuer):
    token = issuer.mint()
    for show in (
        lambda: logging.getLogger("requests_scitokens.x").debug("%s", token),
        lambda: warnings.warn(token, stacklevel=1),
        lambda: sys.stderr.write(token),
        lambda: output.drive("get", HTTPSciTokenAuth(token).generate_bearer_header),
        lambda: output.drive("get", requests_scitokens.get, "x", token=token),
        lambda: output.add("a pickled handler", pickle.dumps(HTTPSciTokenAuth(token))),
    ):
        show()
        with pytest.raises(AssertionError, match="shows it"):
            output.check(token)
        output.forget()


# --- tokens in URLs, and where a file's name is meant


@pytest.mark.parametrize("kind", ["query", "password", "copied"])
def test_what_the_package_says_shows_no_token_of_a_url(
    output, servers, issuer, monkeypatch, kind
):
    """What Requests and urllib3 say of a URL is their own."""
    good, bare, never, _ = servers
    token, other = issuer.mint(), issuer.mint(subject="other")
    monkeypatch.setenv("BEARER_TOKEN", token)
    for server in (bare, never):
        url = f"{server.url}/hello.txt"
        if kind == "query":
            url += f"?authz={other}&access_token={other}"
        elif kind == "password":
            url = url.replace("://", f"://{other}:{other}@")
        else:
            good.redirects["/copied"] = Redirect(url, copy_token=True)
            url = f"{good.url}/copied?authz={other}"
        drive_url(output, url)
        drive_autopatch(output, [url])
        drive_program(output, url)
    output.check(token, other, where=["our log", "the terminal", "main"])


def spell(token, how):
    """Write a token in one of the ways in which a hostile server may repeat it."""
    middle = len(token) // 2
    return {
        "whole": token,
        "in part": token[middle : middle + 30],
        "spaced out": " ".join(token),
        "with dashes": "-".join(token[middle:]),
        "in capitals": token.upper(),
        "in small letters": token.lower(),
        "percent-encoded": "".join(f"%{ord(one):02x}" for one in token),
        "twice percent-encoded": "".join(f"%25{ord(one):02X}" for one in token),
        "spaced out and encoded": "%20".join(token),
        "around itself": token[:200] + token + token[200:],
    }[how]


SPELLINGS = [
    "whole",
    "in part",
    "spaced out",
    "with dashes",
    "in capitals",
    "in small letters",
    "percent-encoded",
    "twice percent-encoded",
    "spaced out and encoded",
    "around itself",
]


def runs(text, length=12):
    """Return all that a person can read in a text, whatever stands in between."""
    for _ in range(3):
        text = unquote(text)
    letters = re.sub("[^a-z0-9]", "", text.lower())
    return {letters[i : i + length] for i in range(len(letters) - length + 1)}


# The name of a host has no percent sign.
REPEATS = [
    (where, how)
    for where in ("challenge", "scope", "path", "host")
    for how in SPELLINGS
    if not (where == "host" and "encoded" in how)
]


@pytest.mark.parametrize("opaque", [True, False], ids=["opaque", "JWT"])
@pytest.mark.parametrize(("where", "how"), REPEATS)
def test_a_server_that_repeats_the_token_has_it_hidden(
    serve, issuer, monkeypatch, capsys, where, how, opaque
):
    token = secrets.token_urlsafe(150) if opaque else issuer.mint("read:/elsewhere")
    monkeypatch.setenv("BEARER_TOKEN", token)
    repeated = spell(token, how)
    field = f'Bearer realm="{repeated}"'
    if where == "scope":
        field = f'Bearer error="insufficient_scope", scope="{repeated}"'
    server = serve(answer=Answer(bad_challenges=(field,), scope_challenges=(field,)))
    if where == "path":
        server.redirects["/hello.txt"] = Redirect(f"{server.url}/{repeated}")
    elif where == "host":
        labels = re.findall(".{1,60}", re.sub("[^A-Za-z0-9]", "", repeated)[:200])
        other = serve(tls=False).url.replace("localhost", ".".join([*labels, "invalid"]))
        really = socket.getaddrinfo
        monkeypatch.setattr(
            "socket.getaddrinfo", lambda host, *args: really("127.0.0.1", *args)
        )
        server.redirects["/hello.txt"] = Redirect(other)
    for arguments in (["--try"], ["--try", "--json"]):
        main([f"{server.url}/hello.txt", *arguments])
        written = capsys.readouterr()
        assert written.err == ""
        assert "..." in written.out or "(a token)" in written.out
        assert not runs(token) & runs(written.out)


def test_what_a_server_sends_with_the_token_stays_one_line(
    serve, issuer, monkeypatch, capsys
):
    token = issuer.mint("read:/elsewhere")
    monkeypatch.setenv("BEARER_TOKEN", token)
    server, encoded = serve(), spell(token, "spaced out and encoded")
    server.redirects["/hello.txt"] = Redirect(f"{server.url}/%0a%1b[31m/{encoded}")
    main([f"{server.url}/hello.txt", "--try", "--json"])
    tries = json.loads(capsys.readouterr().out)["tries"]
    urls = [exchange["url"] for one in tries for exchange in one["exchanges"]]
    assert "/\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m/" in urls[1]
    assert all(url.isprintable() for url in urls)


@pytest.mark.parametrize("how", SPELLINGS)
def test_an_issuer_that_repeats_the_token_has_it_hidden(issuer, monkeypatch, capsys, how):
    token = issuer.mint()
    monkeypatch.setenv("BEARER_TOKEN", token)

    def deserialize(*args, **kwargs):
        raise ValueError(f"no {spell(token, how)}")

    monkeypatch.setattr(SciToken, "deserialize", deserialize)
    main(["--verify"])
    out = capsys.readouterr().out
    assert not runs(token) & runs(out)
    assert "not verified: ValueError: no " in " ".join(out.split())


@pytest.mark.parametrize("length", [0, 300], ids=["short", "longer than a name can be"])
@pytest.mark.parametrize(
    "variable", ["BEARER_TOKEN_FILE", "SCITOKEN_FILE", "_CONDOR_CREDS", "XDG_RUNTIME_DIR"]
)
def test_a_token_where_a_path_is_meant_is_not_shown(
    output, urls, issuer, monkeypatch, variable, length
):
    token = "0123456789abcdef" * 4 if not length else issuer.mint(claim="x" * length)
    monkeypatch.setenv(variable, token)
    drive_handler(output, partial(HTTPSciTokenAuth, force=True), urls[1])
    drive_url(output, urls[1])
    drive_program(output, urls[0])
    output.check(token)
    if variable.endswith("_FILE"):
        assert any("a token itself would go into" in text for _, text in output.seen)
