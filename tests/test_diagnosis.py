"""python -m requests_scitokens: what would be sent where, and why."""

from __future__ import annotations

import json
import runpy
import site
import stat
import sys
from pathlib import Path

import pytest

from requests_scitokens import diagnosis
from requests_scitokens.__main__ import main
from requests_scitokens.testing import Answer
from requests_scitokens.token import BearerToken

NOW = 1_800_000_000.0
URL = "https://storage.example.org/frames/x"
AUTOPATCH = {
    "variable": None,
    "on": False,
    "files": ["/site/requests_scitokens.pth"],
    "problem": "",
    "hosts": "",
}


@pytest.fixture(autouse=True)
def anywhere(monkeypatch, tmp_path):
    """Hide what depends on the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "runtime")
    monkeypatch.setattr("requests_scitokens.discovery.SHARED_DIRECTORY", "shared")
    monkeypatch.setattr(diagnosis, "_autopatch", lambda: AUTOPATCH)


@pytest.fixture
def token_file():
    path = Path("runtime/bt_u1000")
    path.touch(0o600)
    return path


@pytest.fixture
def at_noon(monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)


def run(capsys, *arguments):
    """Run it; return the exit status and the output."""
    status = main(list(arguments))
    written = capsys.readouterr()
    assert written.err == ""
    assert max(map(len, written.out.splitlines())) < 80
    return status, written.out


def facts(capsys, *arguments):
    """Run it with `--json`; return the exit status and the facts."""
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("at_noon")
def test_it_shows_every_place_and_the_token_that_is_used(
    capsys, issuer, monkeypatch, token_file
):
    monkeypatch.setattr(diagnosis, "_owner", lambda uid: "alice")
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
        valid     since 0 s ago; expires in 1 h 20 min
   $BEARER_TOKEN_FILE: not set
   $SCITOKEN: not used: $BEARER_TOKEN comes first
        token     opaque: not a JSON Web Token, nothing can be read
   $SCITOKEN_FILE (/missing): No such file or directory
   $_CONDOR_CREDS: not set
   $XDG_RUNTIME_DIR/bt_u1000 (runtime/bt_u1000): not used: $BEARER_TOKEN comes
     first
        file      mode 0600, owner alice
   shared/bt_u1000: No such file or directory

The autopatch
   off in this process; REQUESTS_SCITOKENS_AUTOPATCH: not set
   start-up file: /site/requests_scitokens.pth
   REQUESTS_SCITOKENS_HOSTS: not set: by audience, and in answer to refusals
""",
    )


@pytest.mark.usefixtures("at_noon")
def test_it_shows_what_a_url_would_get(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(lifetime=-7200))
    status, out = run(capsys, "https://user:secret@storage.example.org/frames/x?a=b")
    assert status == 1
    assert "-> $BEARER_TOKEN: expired 2 h ago\n" in out
    assert out.endswith("""
What https://storage.example.org/frames/x would get
   auth=HTTPSciTokenAuth(), get(), Session: do not send it; there is no usable
     token (see above)
   force=True: do not send it; there is no usable token (see above)
   the autopatch: do not send it; there is no usable token (see above)
""")


@pytest.mark.parametrize(
    ("audience", "url", "hosts", "actions"),
    [
        ("https://storage.example.org", URL, "", ["attach it at once"] * 3),
        (
            "https://elsewhere.example.org",
            URL,
            "",
            ["do not send it", "attach it at once", "do not send it"],
        ),
        (
            "ANY",
            URL,
            "",
            [
                "send it in answer to any 401 or 403",
                "attach it at once",
                "send it in answer to a Bearer challenge",
            ],
        ),
        ("ANY", URL, "*.example.org", ["attach it at once"] * 3),
        ("ANY", URL, "other.example.org", ["do not send it"] * 3),
        ("ANY", "http://storage.example.org/", "", ["do not send it"] * 3),
        ("ANY", URL, "*", ["raises", "raises", "do not send it"]),
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
"""
    )


@pytest.mark.parametrize(
    ("answer", "options", "token", "advice"),
    [
        (
            "storm",
            {},
            {"scope": "read:/a"},
            "has read:/a, the server wants read:/hello.txt, or",
        ),
        (
            Answer(scope_challenges=('Bearer scope="write:/hello.txt"',)),
            {},
            {"scope": "read:/a"},
            "it has read:/a, the server wants write:/hello.txt; it may",
        ),
        ("storm", {"protected": False}, {}, "it answers strangers too, perhaps with less"),
        (
            "storm",
            {},
            {"audience": "https://a.org"},
            "no token was sent; the reason is above",
        ),
    ],
)
def test_a_refusal_is_followed_by_what_to_do(
    capsys, issuer, monkeypatch, serve, answer, options, token, advice
):
    server = serve(answer=answer, **options)
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(**token))
    status, found = facts(capsys, f"{server.url}/hello.txt", "--try")
    (line,) = found["advice"]
    assert advice in line
    assert status == (0 if options.get("protected") is False else 1)


def test_a_refused_opaque_token_has_no_scope(capsys, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", "opaque")
    _, found = facts(capsys, f"{serve().url}/hello.txt", "--try")
    assert "it has no scope that can be read" in found["advice"][0]


def test_an_unlisted_host_can_be_listed(capsys, issuer, monkeypatch, serve):
    server = serve()
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "a.example.org")
    _, found = facts(capsys, f"{server.url}/hello.txt", "--try")
    netloc = server.url[8:]
    assert found["advice"] == [
        f"add {netloc} to REQUESTS_SCITOKENS_HOSTS if it may have it"
    ]


@pytest.mark.parametrize(
    ("hosts", "error"), [("", "ConnectionError (NewConnectionError)"), ("*", "ValueError")]
)
def test_a_server_that_cannot_be_asked_is_an_error(
    capsys, issuer, monkeypatch, serve, hosts, error
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
   the server cannot be reached like this; see the error above
"""
    )


# --- the token


def test_what_is_malformed_ends_the_search(capsys, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", "inner space")
    monkeypatch.setenv("SCITOKEN", "opaque")
    status, found = facts(capsys)
    reasons = {place["place"]: place["reason"] for place in found["places"]}
    assert status == 1
    assert reasons["$BEARER_TOKEN"] == "not a bearer token: it has white space inside"
    assert reasons["$SCITOKEN"] == "not used: $BEARER_TOKEN comes first"


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize(
    ("claims", "described"),
    [
        ({"scp": ["read:/a", "write:/b"]}, {"scope": "read:/a write:/b"}),
        ({"sub": "\x1b[31mred\n"}, {"subject": "\ufffd[31mred\ufffd"}),
        ({"aud": ["a", "b"]}, {"audience": ["a", "b"]}),
        ({}, {"issuer": "", "valid": "never expires"}),
        ({"nbf": NOW + 90}, {"valid": "not before 1 min from now; never expires"}),
        ({"iat": NOW - 90, "exp": NOW - 5}, {"valid": "since 1 min ago; expired 5 s ago"}),
    ],
)
def test_a_token_is_described_by_its_claims(claims, described):
    assert diagnosis.describe(BearerToken("a.b.c", claims)).items() >= described.items()


def test_no_token_is_ever_printed(capsys, issuer, monkeypatch, serve):
    server = serve()
    token = issuer.mint("read:/elsewhere")
    monkeypatch.setenv("BEARER_TOKEN", token)
    url = f"{server.url}/hello.txt?authz={token}"
    for arguments in ([], [url], [url, "--try"], [url, "--try", "--json"], ["--verify"]):
        main(arguments)
        written = capsys.readouterr()
        for part in token.split("."):
            assert part not in written.out + written.err


@pytest.mark.parametrize("good", [True, False])
def test_the_signature_is_checked_if_asked(
    capsys, issuer, monkeypatch, trusted, tmp_path, good
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    signed, other = (issuer.mint(subject=name).split(".") for name in ("one", "other"))
    signature = signed[2] if good else other[2]
    monkeypatch.setenv("BEARER_TOKEN", ".".join([*signed[:2], signature]))
    out = run(capsys, "--verify")[1]
    if good:
        assert f"\n   signature: verified with the keys of {issuer.url}\n" in out
    else:
        assert "\n   signature: not verified: InvalidSignatureError" in out


def test_without_a_token_there_is_no_signature(capsys):
    assert "signature: there is no token to verify" in run(capsys, "--verify")[1]


@pytest.mark.parametrize("uid", [987654321, 0])
def test_an_owner_without_a_name_is_a_number(monkeypatch, uid):
    if uid == 0:  # as where there is no such module
        monkeypatch.setitem(sys.modules, "pwd", None)
    assert diagnosis._owner(uid) == str(uid)


# --- the autopatch


@pytest.fixture
def really(monkeypatch, tmp_path):
    """Look at start-up files in a directory of the test's own."""
    monkeypatch.undo()
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), str(folder)])
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(folder)])
    return folder


def test_a_start_up_file_is_named(really):
    file = really / "requests_scitokens.pth"
    file.touch()
    assert diagnosis._autopatch() == AUTOPATCH | {"files": [str(file)]}


def test_a_missing_start_up_file_is_a_problem(really, monkeypatch):
    assert (
        "no site directory of sys.path has requests_s" in diagnosis._autopatch()["problem"]
    )
    (really / "requests_scitokens.pth").touch()
    monkeypatch.setattr(site, "getsitepackages", list)
    assert (
        "no site directory of sys.path has requests_s" in diagnosis._autopatch()["problem"]
    )


def test_a_hidden_start_up_file_is_a_problem(really, monkeypatch):
    (really / "requests_scitokens.pth").touch()
    status = type("Status", (), {"st_flags": stat.UF_HIDDEN})
    monkeypatch.setattr(diagnosis.os, "stat", lambda path: status)
    problem = diagnosis._start_up_problem("x.pth", ["/site/x.pth"])
    assert (
        problem == "/site/x.pth is hidden, so Python skips it: chflags nohidden /site/x.pth"
    )


def test_python_without_site_is_a_problem(really, monkeypatch):
    monkeypatch.setattr(diagnosis.sys, "flags", type("Flags", (), {"no_site": 1}))
    assert "started with -S" in diagnosis._start_up_problem("x.pth", ["/site/x.pth"])


def test_a_problem_is_shown(capsys, monkeypatch):
    problem = AUTOPATCH | {"problem": "something", "variable": "", "on": True}
    monkeypatch.setattr(diagnosis, "_autopatch", lambda: problem)
    out = run(capsys)[1]
    assert "\n   on in this process; REQUESTS_SCITOKENS_AUTOPATCH: empty\n" in out
    assert "\n   problem: something\n" in out


# --- the command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--try"], "--try needs a URL"),
        (["storage.example.org"], "URL: an https:// or http:// address with a plain host"),
        (["https://a\\b/"], "URL: an https:// or http:// address with a plain host"),
        ([URL, "--method", "PUT"], "invalid choice: 'PUT'"),
    ],
)
def test_bad_usage_is_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_colours_are_for_terminals(capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\033" not in run(capsys)[1]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(capsys)[1].startswith("\033[1mWhere tokens are looked for")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in run(capsys)[1]


def test_the_package_can_be_run(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["requests_scitokens"])
    monkeypatch.delitem(sys.modules, "requests_scitokens.__main__")
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("requests_scitokens", run_name="__main__")
    assert caught.value.code == 1
    assert "Where tokens are looked for" in capsys.readouterr().out
