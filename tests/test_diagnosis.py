"""python -m requests_scitokens: what would be sent where, and why."""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import site
import socket
import stat
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import requests_scitokens
from requests_scitokens.__main__ import main
from requests_scitokens._diagnosis import advice, places, startup_file
from requests_scitokens._discovery import Target
from requests_scitokens._origin import origin_of
from requests_scitokens._token import BearerToken
from requests_scitokens.testing import Answer, Redirect

NOW = 1_800_000_000.0
URL = "https://storage.example.org/frames/x"
SITE = ["site/requests_scitokens.pth"]
OFF = """
The autopatch
   off: REQUESTS_SCITOKENS_AUTOPATCH is not set; 1 turns it on
   start-up file: site/requests_scitokens.pth
   hosts: REQUESTS_SCITOKENS_HOSTS is not set; a token for any server is not
     sent
"""


#: What stands for the test's own directory, in what is shown.
HERE = "/tmp/d12345678"


@pytest.fixture
def here():
    """Make a directory with a short name, so that lines break at the same words."""
    with TemporaryDirectory(prefix="d", dir="/tmp") as folder:
        assert len(folder) == len(HERE)
        yield Path(folder)


@pytest.fixture(autouse=True)
def anywhere(monkeypatch, here):
    """Hide what depends on the machine."""
    monkeypatch.chdir(here)
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("runtime", "site"):
        Path(name).mkdir()
    Path(SITE[0]).touch()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(here / "runtime"))
    monkeypatch.setattr("requests_scitokens._discovery.SHARED_DIRECTORY", str(here))
    monkeypatch.setattr(startup_file, "_files", lambda: (SITE, SITE))


@pytest.fixture
def token_file():
    path = Path("runtime/bt_u1000")
    path.touch(0o600)
    return path


@pytest.fixture
def at_noon(monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)


def run(capsys, *arguments):
    """Run it; return the exit status, and the output below the verdict."""
    status = main([*arguments, "--verbose"])
    written = capsys.readouterr()
    assert written.err == ""
    plain = re.sub("\033\\[[0-9;]*m", "", written.out)
    assert max(map(len, plain.splitlines())) < 80
    return status, written.out.replace(os.getcwd(), HERE).partition("\n\n")[2]


def facts(capsys, *arguments):
    """Run it with `--json`; return the exit status and the facts."""
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("at_noon")
def test_it_shows_every_place_and_the_token_that_is_used(
    capsys, issuer, monkeypatch, token_file
):
    monkeypatch.setattr(places, "_owner", lambda uid: "alice")
    text = issuer.mint("read:/frames", audience="ANY", lifetime=4800)
    monkeypatch.setenv("BEARER_TOKEN", text)
    monkeypatch.setenv("SCITOKEN", "opaque")
    monkeypatch.setenv("SCITOKEN_FILE", "/missing")
    token_file.write_text("inner space")
    assert run(capsys) == (
        0,
        f"""\
Where tokens are looked for, in this order
-> $BEARER_TOKEN: used
        issuer    {issuer.url}
        subject   tester
        audience  ANY
        scope     read:/frames
        valid     began 0 s ago; expires in 1 h 20 min
   $BEARER_TOKEN_FILE: not set
   $SCITOKEN: not used: $BEARER_TOKEN comes first
        token     opaque: not a JSON Web Token, nothing can be read
   $SCITOKEN_FILE (/missing): No such file or directory
   $_CONDOR_CREDS: not set
   $XDG_RUNTIME_DIR/bt_u1000 (/tmp/d12345678/runtime/bt_u1000): not used:
     $BEARER_TOKEN comes first
        file      mode 0600, owner alice
   /tmp/d12345678/bt_u1000: No such file or directory
{OFF}
What to do
   add a URL to learn more
""",
    )


NO_PLACES = """\
Where tokens are looked for, in this order
   $BEARER_TOKEN: not set
   $BEARER_TOKEN_FILE: not set
   $SCITOKEN: not set
   $SCITOKEN_FILE: not set
   $_CONDOR_CREDS: not set
   $XDG_RUNTIME_DIR/bt_u1000 (/tmp/d12345678/runtime/bt_u1000): No such file or
     directory
   /tmp/d12345678/bt_u1000: No such file or directory
"""


def test_without_a_token_it_says_how_to_get_one(capsys):
    todo = "\nWhat to do\n   get a token, for example with htgettoken\n"
    assert run(capsys) == (1, NO_PLACES + OFF + todo)


@pytest.mark.usefixtures("at_noon")
def test_it_shows_htcondors_files_and_who_can_read_them(capsys, issuer, monkeypatch, here):
    monkeypatch.setattr(places, "_owner", lambda uid: "alice")
    monkeypatch.setenv("_CONDOR_CREDS", str(here / "creds"))
    for name, audience in (("a", "https://a.org"), ("b", URL[:-9]), ("c", "ANY")):
        path = here / "creds" / f"{name}.use"
        path.parent.mkdir(exist_ok=True)
        path.touch(0o600)
        token = issuer.mint("read:/frames", audience=audience, lifetime=4800)
        path.write_text(json.dumps({"access_token": token}))
    (here / "creds" / "b.use").chmod(0o644)
    status, out = run(capsys, URL)
    assert status == 0

    def block(audience, mode):
        return f"""\
        issuer    {issuer.url}
        subject   tester
        audience  {audience}
        scope     read:/frames
        valid     began 0 s ago; expires in 1 h 20 min
        file      mode {mode}
"""

    assert (
        out
        == f"""\
Where tokens are looked for, in this order
   $BEARER_TOKEN: not set
   $BEARER_TOKEN_FILE: not set
   $SCITOKEN: not set
   $SCITOKEN_FILE: not set
-> $_CONDOR_CREDS/b.use (/tmp/d12345678/creds/b.use): used
{block(URL[:-9], "0644, owner alice: all on this machine can read it")}\
   $_CONDOR_CREDS/c.use (/tmp/d12345678/creds/c.use): not used:
     $_CONDOR_CREDS/b.use comes first
{block("ANY", "0600, owner alice")}\
   $_CONDOR_CREDS/a.use (/tmp/d12345678/creds/a.use): it is for https://a.org;
     not for this server
{block("https://a.org", "0600, owner alice")}\
   $XDG_RUNTIME_DIR/bt_u1000 (/tmp/d12345678/runtime/bt_u1000): No such file or
     directory
   /tmp/d12345678/bt_u1000: No such file or directory
{OFF}
What {URL} would get
   auth=HTTPSciTokenAuth(), get(), Session
        action    send it with the request
        because   the token is for this server
   force=True
        action    send it with the request
        because   the token was requested with token= or force=True
   the autopatch
        action    send it with the request
        because   the token is for this server

What to do
   run chmod 600 /tmp/d12345678/creds/b.use
"""
    )


@pytest.mark.usefixtures("at_noon")
def test_it_shows_what_a_url_would_get(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(lifetime=-7200))
    status, out = run(capsys, "https://user:secret@storage.example.org/frames/x?a=b")
    assert status == 1
    assert "   $BEARER_TOKEN: expired 2 h ago; passed over\n" in out
    assert (
        after(out, "What https://storage.example.org/frames/x would get")
        == """
What https://storage.example.org/frames/x would get
   auth=HTTPSciTokenAuth(), get(), Session
        action    do not send it
        because   there is no usable token (see above)
   force=True
        action    raise a TokenNotFoundError
        because   there is no usable token (see above)
   the autopatch
        action    do not send it
        because   there is no usable token (see above)

What to do
   renew the token in $BEARER_TOKEN, for example with htgettoken
"""
    )


@pytest.mark.usefixtures("at_noon")
def test_it_shows_the_rule_for_each_way_in(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience="ANY"))
    status, out = run(capsys, URL)
    assert status == 0
    assert (
        after(out, f"What {URL} would get")
        == f"""
What {URL} would get
   auth=HTTPSciTokenAuth(), get(), Session
        action    send it in answer to a 401 or 403
        because   the token is for any server, so it waits for a 401 or 403
   force=True
        action    send it with the request
        because   the token was requested with token= or force=True
   the autopatch
        action    do not send it
        because   the token is for any server, and the autopatch sends such a
                  token only to servers that are listed: set
                  REQUESTS_SCITOKENS_HOSTS=storage.example.org

What to do
   for the autopatch, set REQUESTS_SCITOKENS_HOSTS=storage.example.org
"""
    )


@pytest.mark.parametrize(
    ("audience", "url", "hosts", "actions"),
    [
        ("https://storage.example.org", URL, "", ["send it with the request"] * 3),
        (
            "https://elsewhere.example.org",
            URL,
            "",
            ["do not send it", "send it with the request", "do not send it"],
        ),
        (
            "ANY",
            URL,
            "",
            [
                "send it in answer to a 401 or 403",
                "send it with the request",
                "do not send it",
            ],
        ),
        ("ANY", URL, "*.example.org", ["send it with the request"] * 3),
        ("ANY", URL, "other.example.org", ["do not send it"] * 3),
        ("ANY", "http://storage.example.org/", "", ["do not send it"] * 3),
        ("ANY", URL, "*", ["raise a ValueError", "raise a ValueError", "do not send it"]),
    ],
)
def test_each_way_in_follows_the_decision_table(
    capsys, issuer, monkeypatch, audience, url, hosts, actions
):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=audience))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    status, found = facts(capsys, url)
    assert [way["action"] for way in found["url"]["ways"]] == actions
    assert (status == 0) is actions[0].startswith(("attach", "send"))


def after(text, heading):
    return text[text.index(f"\n{heading}\n") :]


def test_an_attempt_shows_each_exchange_and_what_to_do(capsys, issuer, monkeypatch, serve):
    server = serve(answer="storm")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    status, out = run(capsys, f"{server.url}/hello.txt?a=secret", "--try")
    assert status == 0
    assert (
        after(out, "Without a token")
        == f"""
Without a token
   GET {server.url}/hello.txt without a token: 401

With the token
   GET {server.url}/hello.txt without a token: 401
   GET {server.url}/hello.txt with the token: 200

What to do
   for the autopatch, set REQUESTS_SCITOKENS_HOSTS={server.url[8:]}
"""
    )


def test_an_attempt_without_a_token_is_no_cause_to_complain(
    capsys, issuer, monkeypatch, serve, caplog
):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    run(capsys, f"{serve(answer='storm').url}/hello.txt", "--try")
    assert caplog.messages == []


def test_an_attempt_shows_the_challenge(capsys, issuer, monkeypatch, serve):
    server = serve(answer="basic-then-bearer")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    _, out = run(capsys, f"{server.url}/hello.txt", "--try", "--method", "HEAD")
    assert (
        after(out, "With the token")
        == f"""
With the token
   HEAD {server.url}/hello.txt without a token: 401
     WWW-Authenticate: Basic realm="y", Bearer realm="x"
   HEAD {server.url}/hello.txt with the token: 200

What to do
   for the autopatch, set REQUESTS_SCITOKENS_HOSTS={server.url[8:]}
"""
    )


@pytest.mark.parametrize(
    ("answer", "scope", "method", "todo"),
    [
        (
            "storm",
            "read:/a",
            "GET",
            "the token has read:/a; the server may want read:/hello.txt, or a scope that "
            "contains it; or the token is for another audience, or from an issuer that "
            "the server does not know",
        ),
        (
            Answer(scope_challenges=('Bearer scope="write:/hello.txt"',)),
            "read:/a",
            "HEAD",
            "the token has read:/a, the server wants write:/hello.txt: get one with that",
        ),
    ],
)
def test_a_401_or_403_to_the_token_is_followed_by_what_to_do(
    capsys, issuer, monkeypatch, serve, answer, scope, method, todo
):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(scope))
    url = f"{serve(answer=answer).url}/hello.txt"
    status, found = facts(capsys, url, "--try", "--method", method)
    assert (status, found["advice"]) == (1, [todo])


def test_a_server_that_answers_without_a_token_is_named(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    server = serve(protected=False)
    status, found = facts(capsys, f"{server.url}/hello.txt", "--try", "--method", "OPTIONS")
    assert status == 0
    less = "the server answers without a token too, perhaps with less"
    listing = f"REQUESTS_SCITOKENS_HOSTS={server.url[8:]}"
    assert found["advice"] == [
        f"{less}; if it should have your token at once, set {listing}"
    ]
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    _, found = facts(capsys, f"{server.url}/hello.txt", "--try")
    assert found["advice"] == [less]


def test_an_opaque_token_has_no_scope(capsys, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", "opaque")
    _, found = facts(capsys, f"{serve().url}/hello.txt", "--try")
    assert "the token has no scope that can be read; " in found["advice"][0]


def test_where_no_token_is_needed_one_is_still_missing(capsys, serve):
    url = f"{serve(protected=False).url}/hello.txt"
    status, found = facts(capsys, url, "--try")
    assert status == 0  # the program gets what it asks for
    assert found["advice"] == [
        "get a token, for example with htgettoken",
        "the server answers without a token too, perhaps with less",
    ]


def test_a_path_that_is_not_there_is_nothing_that_works(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    status, found = facts(capsys, f"{serve().url}/missing", "--try")
    assert (status, found["tries"][1]["status"]) == (1, 404)
    assert found["advice"] == [
        "the server got the token, and has no such path: check the URL"
    ]


@pytest.mark.parametrize(
    ("hosts", "listed"),
    [
        ("", "{first},{last}"),
        ("a.example.org", '"$REQUESTS_SCITOKENS_HOSTS,{first},{last}"'),
        ("*.example.org,{first}", '"$REQUESTS_SCITOKENS_HOSTS,{last}"'),
    ],
)
def test_after_a_redirect_all_servers_are_to_be_listed(
    capsys, issuer, monkeypatch, serve, hosts, listed
):
    last, first = serve(), serve()
    first.redirects["/hello.txt"] = Redirect(f"{last.url}/hello.txt")
    names = {"first": first.url[8:], "last": last.url[8:]}
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts.format(**names))
    _, found = facts(capsys, f"{first.url}/hello.txt", "--try")
    setting = f"REQUESTS_SCITOKENS_HOSTS={listed.format(**names)}"
    assert found["advice"] == [f"if the token may go there, set {setting}"]


@pytest.mark.parametrize(
    ("urls", "listed"),
    [
        (["https://a.org/x", "https://a.org/y"], "a.org"),
        (["http://a.org/x", "http://localhost:81/"], "http://a.org,localhost:81"),
        (["https://a.org/x", "https://a\\b/"], "a.org"),
    ],
)
def test_each_server_is_to_be_listed_once(urls, listed):
    assert advice._listing(*urls) == f"REQUESTS_SCITOKENS_HOSTS={listed}"


def test_a_url_with_a_token_of_its_own_gets_no_other(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    _, found = facts(capsys, f"{serve().url}/hello.txt?authz=x", "--try")
    assert found["advice"] == []


@pytest.mark.parametrize(
    ("hosts", "error", "todo"),
    [
        (
            "",
            "ConnectionError (NewConnectionError)",
            "the server cannot be reached; check host, port, network and proxy",
        ),
        ("*", "ValueError", "correct REQUESTS_SCITOKENS_HOSTS"),
    ],
)
def test_a_server_that_cannot_be_asked_is_an_error(
    capsys, issuer, monkeypatch, serve, hosts, error, todo
):
    url = serve(tls=False).url.replace("http://localhost", "http://127.0.0.2")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    status, out = run(capsys, url, "--try")
    assert status == 1
    assert (
        after(out, "With the token")
        == f"""
With the token
   error: {error}

What to do
   {todo}
"""
    )


def test_a_certificate_that_is_not_trusted_is_named(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    _, found = facts(capsys, f"{serve().url}/hello.txt", "--try")
    error = "SSLError (SSLError): the certificate is not trusted"
    assert found["tries"][1]["error"] == error
    assert found["advice"] == [
        "the server's certificate is not trusted here; set REQUESTS_CA_BUNDLE to the file "
        "with its authority's certificate"
    ]


def test_a_missing_bundle_of_certificates_is_named(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    url = serve().url
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/missing")
    _, found = facts(capsys, url, "--try")
    assert found["tries"][1]["error"] == "OSError"
    assert found["advice"] == [
        "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file; correct it"
    ]


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "https://a\\b/",
        "https://localhost:99999999/",
        "https://\xff\xfe/",
        "https://%00/",
        "gopher://localhost/",
        "https://" + "x" * 70 + ".invalid/",
        "/hello.txt",
    ],
)
def test_a_redirect_that_leads_nowhere_is_no_traceback(
    capsys, issuer, monkeypatch, serve, location
):
    server = serve()
    server.redirects["/hello.txt"] = Redirect(location)
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    status, found = facts(capsys, f"{server.url}/hello.txt", "--try")
    assert (status, found["tries"][1]["status"]) == (1, None)
    assert re.fullmatch(r"\w+( \(\w+\))?(: [a-z ]+)?", found["tries"][1]["error"])


# --- the verdict

HERE_TOO = "https://storage.example.org"
WAITS = f"is sent to {HERE_TOO} when it answers 401 or 403."
AT_ONCE = f"is sent to {HERE_TOO} with each request."


def verdict(capsys, *arguments):
    """Return whether it works, and the verdict, with which the report begins."""
    status, found = facts(capsys, *arguments)
    main(list(arguments))
    shown = capsys.readouterr().out.partition("\n\n")[0]
    assert " ".join(shown.split()) == found["verdict"]
    assert found["usable"] is (status == 0)
    return status == 0, found["verdict"]


@pytest.mark.parametrize(
    ("audience", "hosts", "works", "sentence"),
    [
        ("ANY", "", True, f"The token in $BEARER_TOKEN {WAITS}"),
        (HERE_TOO, "", True, f"The token in $BEARER_TOKEN {AT_ONCE}"),
        ("ANY", "*.example.org", True, f"The token in $BEARER_TOKEN {AT_ONCE}"),
        (
            "ANY",
            "a.org",
            False,
            f"No token is sent to {HERE_TOO}: hosts= or REQUESTS_SCITOKENS_HOSTS does not "
            "list storage.example.org; add it if it may have the token.",
        ),
    ],
)
def test_the_verdict_comes_first(
    capsys, issuer, monkeypatch, audience, hosts, works, sentence
):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=audience))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    assert verdict(capsys, URL) == (works, sentence)


@pytest.mark.usefixtures("patched")
def test_under_the_autopatch_it_is_about_the_autopatch(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience="ANY"))
    works, sentence = verdict(capsys, URL)
    assert not works
    assert sentence.startswith(f"No token is sent to {HERE_TOO}: the token is for any")
    assert facts(capsys, URL)[1]["advice"] == [
        "if the token may go there, set REQUESTS_SCITOKENS_HOSTS=storage.example.org"
    ]
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "storage.example.org")
    assert verdict(capsys, URL) == (True, f"The token in $BEARER_TOKEN {AT_ONCE}")
    assert facts(capsys, URL)[1]["advice"] == ["add --try to ask the server"]


def test_an_autopatch_that_is_wanted_and_off_sends_nothing(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=HERE_TOO))
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", "1")
    although = (
        f"No token is sent to {HERE_TOO}, although REQUESTS_SCITOKENS_AUTOPATCH is set"
    )
    assert verdict(capsys, URL) == (False, f"{although}: it is off in this process.")
    monkeypatch.setattr(startup_file, "_files", lambda: ([], []))
    assert verdict(capsys, URL)[1].startswith(f"{although}: requests_scitokens.pth is miss")


def test_without_a_url_it_is_about_the_token(capsys, monkeypatch):
    missing = "no token was found; get one, for example with htgettoken"
    assert verdict(capsys) == (False, f"No token can be used: {missing}.")
    assert verdict(capsys, URL) == (False, f"No token is sent to {HERE_TOO}: {missing}.")
    monkeypatch.setenv("SCITOKEN", "opaque")
    assert verdict(capsys) == (True, "The token in $SCITOKEN can be used.")


@pytest.mark.parametrize(
    ("path", "options", "works", "sentence"),
    [
        ("hello.txt", {}, True, "It works: {url} answered 200 to the token in $SCITOKEN."),
        ("missing", {}, False, "{url} answered 404 to the token in $SCITOKEN."),
        ("hello.txt", {"protected": False}, True, "{url} answered 200 without a token."),
    ],
)
def test_a_try_decides(capsys, issuer, monkeypatch, serve, path, options, works, sentence):
    server = serve(**options)
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    found = verdict(capsys, f"{server.url}/{path}", "--try")
    assert found == (works, sentence.format(url=server.url))


def test_so_it_does_without_a_token_or_an_answer(capsys, monkeypatch, serve):
    url = serve().url
    missing = "no token was found; get one, for example with htgettoken"
    works, sentence = verdict(capsys, f"{url}/hello.txt", "--try")
    assert not works
    assert sentence == f"{url} answered 401, and no token was sent: {missing}."
    gone = url.replace("localhost", "127.0.0.2")
    works, sentence = verdict(capsys, gone, "--try")
    assert not works
    assert sentence.startswith(f"{gone} gave no answer: ")


def test_where_a_redirect_led_the_verdict_says(capsys, issuer, monkeypatch, serve):
    last, first = serve(), serve()
    first.redirects["/hello.txt"] = Redirect(f"{last.url}/hello.txt")
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    works, sentence = verdict(capsys, f"{first.url}/hello.txt", "--try")
    assert not works
    assert sentence == (
        f"{last.url}/hello.txt answered 401, and no token was sent: a redirect led there."
    )


def test_a_bad_signature_is_the_verdict(capsys, issuer, monkeypatch):
    header, payload, signature = issuer.mint().split(".")
    monkeypatch.setenv("SCITOKEN", f"{header}.{payload}.{signature[::-1]}")
    works, sentence = verdict(capsys, "--verify")
    assert not works
    assert sentence.startswith("The token's signature is not verified: ")


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("hosts", ["localhost", ""])
def test_a_try_under_the_autopatch_is_what_the_program_would_do(
    capsys, issuer, monkeypatch, serve, hosts
):
    monkeypatch.setenv("SCITOKEN", issuer.mint(audience="ANY"))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    works, sentence = verdict(capsys, f"{serve().url}/hello.txt", "--try")
    assert works is bool(hosts)
    assert ("It works" in sentence) is bool(hosts)


# --- the short report


@pytest.mark.usefixtures("at_noon")
def test_the_report_is_short(capsys, issuer, monkeypatch):
    monkeypatch.setenv("SCITOKEN", issuer.mint("read:/frames", audience="ANY"))
    assert main([URL]) == 0
    assert (
        capsys.readouterr().out
        == f"""\
The token in $SCITOKEN is sent to https://storage.example.org when it answers
  401 or 403.

The token in $SCITOKEN
        issuer    {issuer.url}
        subject   tester
        audience  ANY
        scope     read:/frames
        valid     began 0 s ago; expires in 10 min

Other ways in
   force=True: send it with the request
   the autopatch: do not send it

What to do
   for the autopatch, set REQUESTS_SCITOKENS_HOSTS=storage.example.org
"""
    )


def test_a_program_can_ask_for_it(issuer, monkeypatch, capsys):
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    main([URL])
    assert requests_scitokens.explain(URL) + "\n" == capsys.readouterr().out
    assert "The token in $SCITOKEN can be used." in requests_scitokens.explain()


def test_asking_says_nothing_and_leaves_to_say_what_is_to_be_said(monkeypatch, caplog):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "storage.example.org")
    caplog.set_level("DEBUG")
    for _ in range(2):
        requests_scitokens.explain(URL)
    assert caplog.records == []
    requests_scitokens.HTTPSciTokenAuth()._decide(Target(URL, origin_of(URL)))
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG"]


# --- the advice


@pytest.mark.parametrize(
    ("audience", "url", "advised"),
    [
        (
            "https://other.example.org",
            URL,
            f"get a token for {HERE_TOO}; set REQUESTS_SCITOKENS_HOSTS=storage.example.org "
            "only if this server accepts the one that you have (XRootD checks the "
            "audience, too)",
        ),
        (
            "ANY",
            "http://storage.example.org/",
            "write https:// in the URL: over plain http everybody on the way can read all",
        ),
        ("ANY", f"{URL}?authz=x", "add --try to ask the server"),
    ],
)
def test_what_to_do_about_a_token_that_is_not_sent(
    capsys, issuer, monkeypatch, audience, url, advised
):
    monkeypatch.setenv("SCITOKEN", issuer.mint(audience=audience))
    assert facts(capsys, url)[1]["advice"] == [advised]


def test_where_all_is_well_the_autopatch_may_be_off(capsys, issuer, monkeypatch):
    monkeypatch.setenv("SCITOKEN", issuer.mint(audience=HERE_TOO))
    assert facts(capsys, URL)[1]["advice"] == [
        "add --try to ask the server",
        "for programs that do not use this package, set REQUESTS_SCITOKENS_AUTOPATCH=1",
    ]


def test_an_expired_token_before_a_good_one_is_to_be_unset(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(lifetime=-60))
    monkeypatch.setenv("SCITOKEN", issuer.mint(audience=HERE_TOO))
    assert facts(capsys, URL)[1]["advice"][0] == (
        "unset BEARER_TOKEN: the token in it has expired, so a later place is used"
    )


def test_an_empty_file_of_htcondor_is_the_pools(capsys, monkeypatch, here):
    (here / "creds").mkdir()
    (here / "creds" / "frames.use").write_text('{"access_token": ""}')
    monkeypatch.setenv("_CONDOR_CREDS", str(here / "creds"))
    assert facts(capsys)[1]["advice"] == [
        "HTCondor has put a file here without a token in it: ask your pool whether you may "
        "use this service, for example whether you are in its group"
    ]


OTHERWISE = (
    "; or the token is for another audience, or from an issuer that the server does not "
    "know"
)


@pytest.mark.parametrize(
    ("scope", "claims", "advised"),
    [
        (
            "storage.create:/",
            {"wlcg.ver": "1.0"},
            "the token has storage.create:/; the server may want storage.read:/hello.txt, "
            f"or a scope that contains it{OTHERWISE}",
        ),
        (
            "read:/",
            {"aud": "ANY"},
            "the token's scope covers this path, so ask the site whether it accepts "
            "{issuer} as issuer and ANY as audience, and where that issuer's paths begin",
        ),
        (
            "read:/hello.txt",
            {"aud": "https://other.example.org"},
            "get a token for {url}: this one is for https://other.example.org",
        ),
    ],
)
def test_what_to_do_about_a_token_that_is_not_accepted(
    capsys, issuer, monkeypatch, serve, scope, claims, advised
):
    server, token = serve(answer="storm"), issuer.mint(scope, **claims)
    server.rejects.add(token)
    monkeypatch.setenv("SCITOKEN", token)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    status, sentence = verdict(capsys, f"{server.url}/hello.txt", "--try")
    assert (status, sentence) == (
        False,
        f"{server.url} answered 401 to the token in $SCITOKEN.",
    )
    _, found = facts(capsys, f"{server.url}/hello.txt", "--try")
    assert found["advice"] == [advised.format(issuer=issuer.url, url=server.url)]


def test_what_expires_meanwhile_is_to_be_renewed(issuer):
    token = BearerToken.parse(issuer.mint(lifetime=-60))
    last = {"url": URL, "challenge": None}
    assert (
        advice._about_refused("GET", token, last) == "renew the token: it expired 1 min ago"
    )


@pytest.mark.parametrize(
    ("status", "page", "advised"),
    [
        (404, "text/plain", "the server answers 404 and never asks for a token"),
        (400, "text/plain", "the server answers 400 and never asks for a token"),
        (
            200,
            "text/plain",
            "the server answers without a token too, perhaps with less",
        ),
    ],
)
def test_what_strangers_get_is_said(status, page, advised):
    exchange = {"url": URL, "token": False, "status": status, "html": page == "text/html"}
    assert advice._about_strangers({"status": status, "exchanges": [exchange]}) == advised


def test_a_login_page_is_told_from_data():
    exchanges = [{"html": False}, {"html": True}]
    assert advice._about_strangers({"status": 200, "exchanges": exchanges}) == (
        "the server shows strangers a page in HTML, perhaps a login page"
    )


@pytest.mark.parametrize(
    ("answer", "advised"),
    [
        (400, "the server got the token, and makes no sense of the request: check the URL"),
        (500, "the server got the token, and answered 500"),
    ],
)
def test_what_the_server_answers_to_the_token_is_said(answer, advised):
    exchange = {"url": URL, "token": True, "status": answer, "html": False}
    trial = {"status": answer, "exchanges": [exchange], "error": None}
    token = BearerToken("opaque")
    found = advice._about_answer("GET", URL, token, {"tries": [trial, trial]})
    assert found == [advised]


@pytest.mark.parametrize(
    ("serve_it", "host", "advised"),
    [
        (
            {},
            "127.0.0.1",
            "use the server's own name in the URL, the one in its certificate",
        ),
        (
            {"tls": False},
            "localhost",
            "look for the server's https port: this one speaks plain http",
        ),
    ],
)
def test_what_is_wrong_with_a_connection_is_told(
    capsys, issuer, monkeypatch, serve, serve_it, host, advised
):
    url = serve(**serve_it).url.replace("localhost", host).replace("http://", "https://")
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    status, found = facts(capsys, url, "--try")
    assert (status, found["advice"]) == (1, [advised])


def test_a_server_that_says_nothing_is_waited_for_no_longer(capsys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        status, found = facts(capsys, url, "--try", "--timeout", "0.1")
    assert status == 1
    assert found["tries"][1]["error"].endswith(": it took too long")
    assert found["advice"][-1] == (
        "try again, with a longer --timeout if the server is slow"
    )


# --- the token


def test_what_is_malformed_ends_the_search(capsys, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", "inner space")
    monkeypatch.setenv("SCITOKEN", "opaque")
    status, found = facts(capsys)
    reasons = {place["place"]: place["reason"] for place in found["places"]}
    assert status == 1
    assert reasons["$BEARER_TOKEN"] == (
        "not a bearer token: it has white space inside; the search ends here"
    )
    assert found["advice"] == ["correct or remove what is in $BEARER_TOKEN"]
    assert reasons["$SCITOKEN"] == "not used: $BEARER_TOKEN comes first"


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize(
    ("claims", "described"),
    [
        ({"scp": ["read:/a", "write:/b"]}, {"scope": "read:/a write:/b"}),
        ({"sub": "\x1b[31mred\n"}, {"subject": "\ufffd[31mred\ufffd"}),
        ({"aud": ["a", "b"]}, {"audience": ["a", "b"]}),
        ({}, {"issuer": "", "valid": "never expires"}),
        (
            {"nbf": NOW + 90},
            {"valid": "not valid yet: begins in 1 min; never expires", "expires": None},
        ),
        (
            {"iat": NOW - 90, "exp": NOW - 5},
            {"valid": "began 1 min ago; expired 5 s ago", "expires": NOW - 5},
        ),
        (
            {"iat": NOW + 90, "exp": NOW + 5},
            {"valid": "issued 1 min from now; expires in 5 s"},
        ),
        ({"iat": True, "exp": NOW + 5}, {"valid": "expires in 5 s"}),
        ({"iss": {"a": [1]}}, {"issuer": "(not a text)"}),
        ({"aud": 42}, {"audience": ["(cannot be read)"]}),
        ({"sub": "x" * 1000}, {"subject": f"{'x' * 300}... (1000 characters)"}),
    ],
)
def test_a_token_is_described_by_its_claims(claims, described):
    found = places.describe(BearerToken("a.b.c", claims))
    assert {name: found[name] for name in described} == described
    json.dumps(found, allow_nan=False)


FAR = "more than 100 years (is that in milliseconds?)"


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize(
    ("claims", "valid"),
    [
        ({"nbf": 10**400}, f"not valid yet: begins in {FAR}; never expires"),
        ({"nbf": NOW * 1000}, f"not valid yet: begins in {FAR}; never expires"),
        ({"nbf": -(10**400)}, f"began {NOW // 86400:.0f} days ago; never expires"),
        ({"nbf": float("nan")}, "never expires"),
        ({"nbf": "tomorrow"}, "never expires"),
        ({"exp": 10**400}, f"expires in {FAR}"),
        ({"exp": NOW * 1000}, f"expires in {FAR}"),
        ({"exp": "2030-01-01"}, "when it expires cannot be read"),
        ({"exp": float("nan")}, "when it expires cannot be read"),
        ({"exp": None}, "when it expires cannot be read"),
    ],
)
def test_times_that_nobody_meant_are_no_traceback(
    capsys, issuer, monkeypatch, claims, valid
):
    parts = [json.dumps({"alg": "none"}), json.dumps({"sub": "x", **claims})]
    coded = [urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    monkeypatch.setenv("BEARER_TOKEN", ".".join([*coded, "c2ln"]))
    status, found = facts(capsys, URL)
    assert status == 0
    assert found["places"][0]["token"]["valid"] == valid
    assert f"valid     {valid[:20]}" in run(capsys)[1]


def test_a_token_that_is_not_valid_yet_is_said_to_be_so(capsys, issuer, monkeypatch):
    """It is sent all the same: the clock may be wrong."""
    monkeypatch.setattr("time.time", lambda: NOW)
    token = issuer.mint(audience=URL[:-9])
    monkeypatch.setenv("BEARER_TOKEN", token)
    monkeypatch.setattr("time.time", lambda: NOW - 3600)
    status, found = facts(capsys, URL)
    assert status == 0
    assert found["places"][0]["reason"] == "used; it is not valid yet"
    assert found["places"][0]["token"]["valid"] == (
        "not valid yet: begins in 1 h; expires in 1 h 10 min"
    )
    assert found["advice"] == [
        "wait until the token is valid; if it should be valid now, check this machine's "
        "clock"
    ]


def test_a_file_with_a_strange_name_takes_one_line(capsys, issuer, monkeypatch, here):
    monkeypatch.setenv("_CONDOR_CREDS", str(here / "creds"))
    (here / "creds").mkdir()
    path = here / "creds" / "a\nWhat to do\n\x1b[31m.use"
    path.write_text(issuer.mint())
    path.chmod(0o644)
    _, found = facts(capsys)
    assert all(
        text.isprintable() for text in [*found["advice"], *found["places"][4].values()][:3]
    )
    assert run(capsys)[1].count("\nWhat to do\n") == 1
    assert "\x1b" not in run(capsys)[1]


def test_a_file_whose_path_may_hold_a_token_is_named_by_its_place(
    capsys, issuer, monkeypatch, here
):
    folder = here / "0123456789abcdefghijABCDEFGHIJ"
    folder.mkdir()
    (folder / "token").write_text(issuer.mint())
    (folder / "token").chmod(0o644)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(folder / "token"))
    _, found = facts(capsys)
    assert folder.name not in json.dumps(found)
    assert found["advice"] == [
        "let nobody else read the file in $BEARER_TOKEN_FILE (chmod 600)"
    ]


def test_no_token_is_ever_printed(capsys, issuer, monkeypatch, serve):
    token = issuer.mint("read:/elsewhere")
    server = serve(answer=Answer(scope_challenges=(f'Bearer error="{token}"',)))
    monkeypatch.setenv("BEARER_TOKEN", token)
    # where people put it, too
    monkeypatch.setenv("BEARER_TOKEN_FILE", token)
    monkeypatch.setenv("_CONDOR_CREDS", token)
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", token)
    url = f"{server.url}/hello.txt?authz={token}"
    for arguments in (
        [],
        [url],
        [url, "--try"],
        [url, "--try", "--json"],
        ["--verify"],
        [f"{server.url}/{token}", "--try"],
    ):
        main(arguments)
        written = capsys.readouterr()
        for part in token.split("."):
            assert part not in written.out + written.err


def test_an_opaque_token_that_a_server_quotes_is_not_printed(capsys, monkeypatch, serve):
    server = serve(answer=Answer(bad_challenges=('Basic realm="no-JWT-at-all!"',)))
    monkeypatch.setenv("BEARER_TOKEN", "no-JWT-at-all")
    out = run(capsys, f"{server.url}/hello.txt", "--try")[1]
    assert '\n     WWW-Authenticate: Basic realm="...!"\n' in out


def test_what_the_log_says_is_in_the_report_alone(capsys, serve, caplog, token_file):
    token_file.write_text("a.b.c")
    token_file.chmod(0o644)
    run(capsys, f"{serve().url}/hello.txt", "--try")
    assert caplog.records == []
    requests_scitokens.get(f"{serve().url}/hello.txt")
    assert caplog.records != []


@pytest.mark.parametrize("good", [True, False])
def test_the_signature_is_checked_if_asked(
    capsys, issuer, monkeypatch, trusted, tmp_path, good
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    # scitokens asks with this; since Python 3.12 it keeps what it was first told to trust.
    monkeypatch.setattr("urllib.request._opener", None)
    signed, other = (issuer.mint(subject=name).split(".") for name in ("one", "other"))
    signature = signed[2] if good else other[2]
    monkeypatch.setenv("BEARER_TOKEN", ".".join([*signed[:2], signature]))
    status, out = run(capsys, "--verify")
    if good:
        assert f"\n        signature verified with the keys of {issuer.url}\n" in out
        assert status == 0
    else:
        assert "\n        signature not verified: InvalidSignatureError" in out
        assert status == 1


def test_without_a_token_there_is_no_signature(capsys):
    assert run(capsys, "--verify")[1].startswith(
        f"{NO_PLACES}        signature there is no token to verify\n\n"
    )


@pytest.mark.parametrize("uid", [987654321, 0])
def test_an_owner_without_a_name_is_a_number(monkeypatch, uid):
    if uid == 0:  # as where there is no such module
        monkeypatch.setitem(sys.modules, "pwd", None)
    assert places._owner(uid) == str(uid)


# --- the autopatch


@pytest.fixture
def really(monkeypatch, tmp_path):
    """Look at start-up files in a directory of the test's own."""
    monkeypatch.undo()
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), str(folder)])
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(folder)])
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    monkeypatch.setattr(startup_file, "__file__", str(folder / "package" / "module.py"))
    for name in ("AUTOPATCH", "HOSTS"):
        monkeypatch.delenv(f"REQUESTS_SCITOKENS_{name}", raising=False)
    return folder


INSTEAD = "write `import requests_scitokens.patch` in the program instead"


def test_a_start_up_file_is_named(really):
    file = really / "requests_scitokens.pth"
    file.touch()
    assert startup_file.autopatch() == {
        "variable": None,
        "on": False,
        "state": "off: REQUESTS_SCITOKENS_AUTOPATCH is not set; 1 turns it on",
        "files": [str(file)],
        "problem": "",
        "hosts": "",
        "hosts_problem": "",
    }


def test_a_missing_start_up_file_is_a_problem(really):
    assert startup_file.autopatch()["problem"] == (
        f"requests_scitokens.pth is missing; install requests-scitokens again, or {INSTEAD}"
    )


def test_a_start_up_file_where_python_looks_for_none_is_a_problem(really, monkeypatch):
    file = really / "requests_scitokens.pth"
    file.touch()
    monkeypatch.setattr(site, "getsitepackages", list)
    assert startup_file.autopatch()["problem"] == (
        f"{file} is not processed: {really} is not one of Python's site-packages; {INSTEAD}"
    )


def test_user_site_packages_may_be_switched_off(really, monkeypatch):
    file = really / "requests_scitokens.pth"
    file.touch()
    monkeypatch.setattr(site, "getsitepackages", list)
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(really))
    assert startup_file.autopatch()["problem"] == (
        f"{file} is not processed: the user's site-packages are switched off (-s, -I or "
        f"PYTHONNOUSERSITE); {INSTEAD}"
    )
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    assert startup_file.autopatch()["problem"] == ""


def test_a_hidden_start_up_file_is_a_problem(monkeypatch):
    status = type("Status", (), {"st_flags": stat.UF_HIDDEN})
    monkeypatch.setattr(startup_file.os, "stat", lambda path: status)
    assert startup_file._problem(SITE, SITE) == (
        f"{SITE[0]} is hidden, so Python skips it; run chflags nohidden {SITE[0]}"
    )


def test_python_without_site_is_a_problem(monkeypatch):
    monkeypatch.setattr(startup_file.sys, "flags", type("Flags", (), {"no_site": 1}))
    assert startup_file._problem(SITE, SITE) == (
        f"Python was started with -S and processes no start-up files; {INSTEAD}"
    )


@pytest.mark.parametrize(
    ("setting", "state"),
    [
        ("", "off: REQUESTS_SCITOKENS_AUTOPATCH is empty; 1 turns it on"),
        ("No", "off: REQUESTS_SCITOKENS_AUTOPATCH is No; 1 turns it on"),
        ("1", "off, although REQUESTS_SCITOKENS_AUTOPATCH is 1"),
        (
            "maybe",
            "off: REQUESTS_SCITOKENS_AUTOPATCH is neither 1 (true, yes, on) nor 0 (false, "
            "no, off)",
        ),
    ],
)
def test_the_variable_is_explained(monkeypatch, setting, state):
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", setting)
    assert startup_file.autopatch()["state"] == state


@pytest.mark.usefixtures("patched")
def test_where_it_is_on_nothing_is_a_problem(monkeypatch):
    monkeypatch.setattr(startup_file, "_files", lambda: ([], []))
    found = startup_file.autopatch()
    assert (found["state"], found["problem"]) == ("on in this process", "")


@pytest.mark.parametrize(
    ("hosts", "audience", "advised"),
    [
        ("", "ANY", True),
        ("*.example.org", "ANY", False),
        ("", "https://storage.example.org", False),
    ],
)
def test_the_autopatch_needs_to_know_where_a_token_for_any_server_may_go(
    capsys, issuer, monkeypatch, hosts, audience, advised
):
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", "1")
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=audience))
    text = (
        "set REQUESTS_SCITOKENS_HOSTS to the servers that may get the token: it is for any "
        "server, and the autopatch sends it only to those"
    )
    _, found = facts(capsys)
    assert found["advice"] == [text if advised else "add a URL to learn more"]


@pytest.mark.parametrize("hosts", ["x" * 24, "eyJhbGciOiJS.eyJhbGciOiJS"])
def test_what_may_be_a_token_in_a_variable_is_not_shown(capsys, monkeypatch, hosts):
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", hosts)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", f"a.example.org,{hosts}.example.org")
    _, found = facts(capsys, URL)
    assert found["autopatch"]["hosts"] == "(not shown: it may hold a token)"
    assert found["autopatch"]["variable"] == "(not shown: it may hold a token)"
    assert hosts not in json.dumps(found)


def test_a_problem_is_shown(capsys, monkeypatch):
    monkeypatch.setattr(startup_file, "_files", lambda: ([], []))
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", "1")
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.example.org")
    out = run(capsys)[1]
    assert after(out, "The autopatch").startswith("""
The autopatch
   off, although REQUESTS_SCITOKENS_AUTOPATCH is 1
   problem: requests_scitokens.pth is missing; install requests-scitokens
     again, or write `import requests_scitokens.patch` in the program instead
   hosts: *.example.org (REQUESTS_SCITOKENS_HOSTS)

""")


# --- the command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--try"], "--try needs a URL"),
        (
            ["storage.example.org"],
            "URL: give an https:// or http:// address with a plain host",
        ),
        (["https://a\\b/"], "URL: give an https:// or http:// address with a plain host"),
        ([URL, "--method", "PUT"], "invalid choice: 'PUT'"),
        (
            [URL, "--timeout", "0"],
            "--timeout: give a number of seconds that is more than 0",
        ),
        ([URL, "--timeout", "nan"], "--timeout: give a number of seconds"),
    ],
)
def test_bad_usage_is_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_its_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    version = requests_scitokens.__version__
    assert capsys.readouterr().out == f"requests-scitokens {version}\n"


def test_who_waits_at_a_terminal_is_told_so(capsys, monkeypatch, serve):
    url = serve().url
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main([url, "--try", "--timeout", "5"])
    assert capsys.readouterr().err == "asking the server, up to 5 s each time ...\n"
    main([url, "--try", "--json"])
    main([url])
    assert capsys.readouterr().err == ""


def test_colours_are_for_terminals(capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\033" not in run(capsys)[1]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(capsys)[1].startswith("\033[1mWhere tokens are looked for")
    main([])
    assert capsys.readouterr().out.startswith("\033[1;31mNo token can be used")
    monkeypatch.setenv("SCITOKEN", "opaque")
    main([])
    assert capsys.readouterr().out.startswith("\033[1;32mThe token in $SCITOKEN")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in run(capsys)[1]


def test_a_narrow_terminal_gets_narrow_lines(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, run(capsys)[1].splitlines())) < 50


def test_what_an_encoding_lacks_is_replaced(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(subject="J\N{LATIN SMALL LETTER U}\xfc"))
    with io.TextIOWrapper(io.BytesIO(), "ascii") as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        assert main([]) == 0
        narrow.flush()
        assert b"subject   Ju?\n" in narrow.buffer.getvalue()


def test_the_package_can_be_run(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["requests_scitokens"])
    monkeypatch.delitem(sys.modules, "requests_scitokens.__main__")
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("requests_scitokens", run_name="__main__")
    assert caught.value.code == 1
    assert capsys.readouterr().out.startswith("No token can be used: no token was found")


def test_a_reader_that_has_seen_enough_is_no_error():
    """As `| head` is."""
    command = [sys.executable, "-m", "requests_scitokens", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
