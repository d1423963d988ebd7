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
import threading
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import requests

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth
from requests_scitokens import _environment as environment
from requests_scitokens import _state as state
from requests_scitokens.__main__ import main
from requests_scitokens._diagnosis import places, startup_file, ways
from requests_scitokens._messages import Code
from requests_scitokens._token import BearerToken
from requests_scitokens.testing import Answer, Redirect

NOW = 1_800_000_000.0
HOST = "https://storage.example.org"
URL = f"{HOST}/frames/x"
SITE = ["site/requests_scitokens.pth"]
OFF = """
The autopatch
   off: REQUESTS_SCITOKENS_AUTOPATCH is not set; 1 turns it on
   start-up file: site/requests_scitokens.pth
   hosts: REQUESTS_SCITOKENS_HOSTS is not set; a token for any server is not
     sent
"""
SWITCH_ON = "for programs that only use Requests, run export REQUESTS_SCITOKENS_AUTOPATCH=1"
LIST_IT = "run export REQUESTS_SCITOKENS_HOSTS=storage.example.org"
LESS = "the server answers without a token too, perhaps with less"
HTGETTOKEN = "get one, for example with htgettoken"
ALONE = "To a program that only uses Requests,"
WITH_AUTH = "With auth=HTTPSciTokenAuth(), get() or Session,"

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
    own = environment.Place(environment.OWN_FILE, path=str(here))
    monkeypatch.setattr(environment, "PLACES", (*environment.PLACES[:-1], own))
    monkeypatch.setattr(startup_file, "_files", lambda: (SITE, SITE))


@pytest.fixture
def token_file():
    path = Path("runtime/bt_u1000")
    path.touch(0o600)
    return path


@pytest.fixture
def at_noon(monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)


@pytest.fixture(params=[True, False], ids=["on", "off"])
def on(request):
    """Run the test under the autopatch, and without; which it is."""
    if request.param:
        request.getfixturevalue("patched")
    return request.param


@pytest.fixture
def netrc(monkeypatch, here):
    """Have a password for a host in `.netrc`."""

    def write(host):
        (here / "netrc").write_text(f"machine {host} login me password secret\n")
        monkeypatch.setenv("NETRC", str(here / "netrc"))

    return write


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


def verdict(capsys, *arguments):
    """Return the exit status, the verdict and its code, and what to do."""
    status, found = facts(capsys, *arguments)
    main(list(arguments))
    shown = capsys.readouterr().out.partition("\n\n")[0]
    assert " ".join(shown.split()) == found["verdict"]
    assert found["usable"] is (status == 0)
    codes = [found["code"], *(one["code"] for one in found["places"])]
    codes += [one["code"] for one in found.get("url", {"ways": []})["ways"]]
    assert all(code is None or re.fullmatch("[a-z_0-9]+", code) for code in codes)
    return status, found["verdict"], found["code"], found["advice"]


def after(text, heading):
    return text[text.index(f"\n{heading}\n") :]


# --- the whole report


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
   $SCITOKEN_FILE (/missing): the file does not exist
   $_CONDOR_CREDS: not set
   $XDG_RUNTIME_DIR/bt_u1000 (/tmp/d12345678/runtime/bt_u1000): not used:
     $BEARER_TOKEN comes first
        file      mode 0600, owner alice
   /tmp/d12345678/bt_u1000: no such file
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
   $XDG_RUNTIME_DIR/bt_u1000 (/tmp/d12345678/runtime/bt_u1000): no such file
   /tmp/d12345678/bt_u1000: no such file
"""


def test_without_a_token_it_says_how_to_get_one(capsys):
    todo = f"\nWhat to do\n   {HTGETTOKEN}\n"
    assert run(capsys) == (1, NO_PLACES + OFF + todo)


@pytest.mark.usefixtures("at_noon", "patched")
def test_it_shows_htcondors_files_and_who_can_read_them(capsys, issuer, monkeypatch, here):
    monkeypatch.setattr(places, "_owner", lambda uid: "alice")
    monkeypatch.setenv("_CONDOR_CREDS", str(here / "creds"))
    (here / "creds").mkdir()
    for name, audience in (("a", "https://a.org"), ("b", HOST), ("c", "ANY")):
        path = here / "creds" / f"{name}.use"
        path.touch(0o600)
        token = issuer.mint("read:/frames", audience=audience, lifetime=4800)
        path.write_text(json.dumps({"access_token": token}))
    (here / "creds" / "box.use").write_text("opaque")
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
{block(HOST, "0644, owner alice: all on this machine can read it")}\
   $_CONDOR_CREDS/c.use (/tmp/d12345678/creds/c.use): not used:
     $_CONDOR_CREDS/b.use comes first
{block("ANY", "0600, owner alice")}\
   $_CONDOR_CREDS/a.use (/tmp/d12345678/creds/a.use): it is for https://a.org;
     not for this server
{block("https://a.org", "0600, owner alice")}\
   $_CONDOR_CREDS/box.use (/tmp/d12345678/creds/box.use): no JSON Web Token, so
     it may be of another service
        file      mode 0600, owner alice
   $XDG_RUNTIME_DIR/bt_u1000 (/tmp/d12345678/runtime/bt_u1000): no such file
   /tmp/d12345678/bt_u1000: no such file

The autopatch
   on in this process
   start-up file: site/requests_scitokens.pth
   hosts: REQUESTS_SCITOKENS_HOSTS is not set; a token for any server is not
     sent

What {URL} would get
   a program that only uses Requests
        action    send it with the request
        because   the token is for this server
   auth=HTTPSciTokenAuth(), get(), Session
        action    send it with the request
        because   the token is for this server
   force=True
        action    send it with the request
        because   it was passed with token=, or force=True was
   the autopatch
        action    send it with the request
        because   the token is for this server
   another HTTP library (aiohttp, httpx, urllib): do not send it

What to do
   run chmod 600 /tmp/d12345678/creds/b.use
   add --try to ask the server
"""
    )
    main([URL])
    passed_over = after(capsys.readouterr().out.replace(str(here), HERE), "Passed over")
    assert passed_over.startswith("""
Passed over
   $_CONDOR_CREDS/box.use (/tmp/d12345678/creds/box.use): no JSON Web Token, so
     it may be of another service

Other ways in
""")


@pytest.mark.usefixtures("at_noon")
def test_the_report_is_short(capsys, issuer, monkeypatch):
    monkeypatch.setenv("SCITOKEN", issuer.mint("read:/frames", audience="ANY"))
    assert main([URL]) == 1
    assert (
        capsys.readouterr().out
        == f"""\
A program that only uses Requests sends no token to
  https://storage.example.org: the autopatch is off. With
  auth=HTTPSciTokenAuth(), get() or Session, the token in $SCITOKEN is sent
  when it answers 401 or 403.

The token in $SCITOKEN
        issuer    {issuer.url}
        subject   tester
        audience  ANY
        scope     read:/frames
        valid     began 0 s ago; expires in 10 min

Other ways in
   force=True: send it with the request
   another HTTP library (aiohttp, httpx, urllib): do not send it

What to do
   for programs that only use Requests, run export
     REQUESTS_SCITOKENS_AUTOPATCH=1
   run export REQUESTS_SCITOKENS_HOSTS=storage.example.org
"""
    )


def test_a_program_can_ask_for_it(issuer, monkeypatch, capsys):
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    main([URL])
    assert requests_scitokens.explain(URL) + "\n" == capsys.readouterr().out
    assert "The token in $SCITOKEN can be used." in requests_scitokens.explain()


@pytest.mark.parametrize(
    "url", ["storage.example.org", "http://[::1", "davs://a.org/x", "https://*.a.org/"]
)
def test_a_url_that_is_none_is_no_traceback(issuer, monkeypatch, url):
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    said = " ".join(requests_scitokens.explain(url).split())
    assert said.startswith(f"No token is sent to this URL: {Code.NO_CERTAIN_HOST.value[0]}")
    assert "write it plainly, as in https://storage.example.org/path" in said


def test_asking_says_nothing_and_leaves_to_say_what_is_to_be_said(monkeypatch, caplog):
    """Nor does it keep other threads from saying something meanwhile."""
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "storage.example.org")
    caplog.set_level("DEBUG")
    look = places.look

    def look_slowly(*args):
        other = threading.Thread(target=state.log.warning, args=["another thread"])
        other.start()
        other.join()
        return look(*args)

    requests_scitokens.explain(URL)
    assert caplog.records == []
    monkeypatch.setattr(places, "look", look_slowly)
    requests_scitokens.explain(URL)
    assert {one.getMessage() for one in caplog.records} == {"another thread"}
    caplog.clear()
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", answer_401)
    requests.get(URL, auth=HTTPSciTokenAuth())
    levels = [record.levelname for record in caplog.records]
    assert "WARNING" in levels
    assert "DEBUG" in levels


def answer_401(adapter, request, **kwargs):
    response = requests.Response()
    response.status_code, response.request, response.url = 401, request, request.url
    response.raw, response.connection = io.BytesIO(), adapter
    return response


# --- what a program that only uses Requests does now


WAITS = "is sent when it answers 401 or 403."
AT_ONCE = "The token in $BEARER_TOKEN is sent to https://storage.example.org with each"
NOT_LISTED = (
    "hosts= or REQUESTS_SCITOKENS_HOSTS does not list storage.example.org, but a.org"
)
NOTHING_SENT = f"A program that only uses Requests sends no token to {HOST}:"


@pytest.mark.parametrize(
    ("audience", "hosts", "otherwise", "todo"),
    [
        ("ANY", "", f"the token in $BEARER_TOKEN {WAITS}", [SWITCH_ON, LIST_IT]),
        (HOST, "", "the token in $BEARER_TOKEN is sent with each request.", [SWITCH_ON]),
        (
            "ANY",
            "*.example.org",
            "the token in $BEARER_TOKEN is sent with each request.",
            [SWITCH_ON],
        ),
        (
            "ANY",
            "a.org",
            f"none is sent either: {NOT_LISTED}.",
            [SWITCH_ON, "add storage.example.org if it may be sent the token"],
        ),
    ],
)
def test_while_the_autopatch_is_off_no_token_is_sent(
    capsys, issuer, monkeypatch, audience, hosts, otherwise, todo
):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=audience))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    assert verdict(capsys, URL) == (
        1,
        f"{NOTHING_SENT} the autopatch is off. {WITH_AUTH} {otherwise}",
        "autopatch_off",
        todo,
    )


def test_no_setting_is_advised_that_changes_nothing(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    status, said, code, todo = verdict(capsys, f"{URL}?authz=x")
    assert (status, code, todo) == (1, "autopatch_off", [])
    assert f"{WITH_AUTH} none is sent either: the URL carries a credential" in said


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("audience", "hosts", "said", "code", "todo"),
    [
        (
            "ANY",
            "",
            f"No token is sent to {HOST}: the token is for any server; the autopatch sends "
            "that only to listed servers.",
            "autopatch_lists",
            LIST_IT,
        ),
        ("ANY", "*.example.org", f"{AT_ONCE} request.", "listed", None),
        (HOST, "", f"{AT_ONCE} request.", "for_this", None),
        (
            "ANY",
            "a.org",
            f"No token is sent to {HOST}: {NOT_LISTED}.",
            "not_listed",
            "add storage.example.org if it may be sent the token",
        ),
        (
            "https://other.example.org",
            "",
            f"No token is sent to {HOST}: the token is for another server "
            "(https://other.example.org).",
            "for_another",
            "get one for this server, or add storage.example.org to hosts= or "
            "REQUESTS_SCITOKENS_HOSTS if it accepts this one",
        ),
    ],
)
def test_under_the_autopatch_it_is_about_the_autopatch(
    capsys, issuer, monkeypatch, audience, hosts, said, code, todo
):
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", "1")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=audience))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    advised = [todo or "add --try to ask the server"]
    assert verdict(capsys, URL) == (1 if todo else 0, said, code, advised)
    assert "export REQUESTS_SCITOKENS_AUTOPATCH" not in requests_scitokens.explain(URL)


SENDS = "send it with the request"
WAIT = "send it in answer to a 401 or 403"
NEVER = "do not send it"


@pytest.mark.parametrize(
    ("audience", "url", "hosts", "actions"),
    [
        (HOST, URL, "", [SENDS] * 3),
        ("https://elsewhere.example.org", URL, "", [NEVER, SENDS, NEVER]),
        ("ANY", URL, "", [WAIT, SENDS, NEVER]),
        ("ANY", URL, "*.example.org", [SENDS] * 3),
        ("ANY", URL, "other.example.org", [NEVER] * 3),
        ("ANY", "http://storage.example.org/", "", [NEVER] * 3),
        ("ANY", URL, "*", ["raise a ValueError", "raise a ValueError", NEVER]),
    ],
)
def test_each_way_in_follows_the_decision_table(
    capsys, issuer, monkeypatch, audience, url, hosts, actions, on
):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=audience))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    status, found = facts(capsys, url)
    now = actions[-1] if on else NEVER
    assert [way["action"] for way in found["url"]["ways"]] == [now, *actions]
    assert [way["sends"] for way in found["url"]["ways"]] == [
        action in (SENDS, WAIT) for action in (now, *actions)
    ]
    assert (status == 0) is (now == SENDS)
    assert state.patching.on is on


@pytest.mark.usefixtures("at_noon")
def test_a_password_in_the_url_comes_before_the_token(capsys, issuer, monkeypatch):
    """And it is not shown, nor is the query."""
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(lifetime=-7200))
    url = "https://user:secret@storage.example.org/frames/x?a=secret"
    expired = "$BEARER_TOKEN: it expired 2 h ago"
    assert verdict(capsys, url) == (
        1,
        f"No token is sent to {HOST}: the user and password in the URL are used.",
        "url_user",
        ["remove them from the URL", f"{expired}; renew it, for example with htgettoken"],
    )
    assert [
        (one["action"], one["why"]) for one in facts(capsys, url)[1]["url"]["ways"]
    ] == [
        (NEVER, "the user and password in the URL are used"),
        (NEVER, expired),
        ("raise a TokenNotFoundError", expired),
        (NEVER, "the user and password in the URL are used"),
    ]
    out = run(capsys, url)[1]
    assert "   $BEARER_TOKEN: it expired 2 h ago; passed over\n" in out
    assert "secret" not in out


def test_a_password_in_netrc_comes_before_the_token(capsys, issuer, monkeypatch, netrc, on):
    netrc("storage.example.org")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "storage.example.org")
    assert verdict(capsys, URL) == (
        1,
        f"No token is sent to {HOST}: the password in .netrc is used.",
        "netrc",
        ["remove this host from .netrc"],
    )
    _, found = facts(capsys, URL)
    assert [one["code"] for one in found["url"]["ways"]] == [
        "netrc",
        "listed",
        "listed",
        "netrc",
    ]


def test_force_raises_where_no_token_may_go_and_there_is_none(capsys):
    _, found = facts(capsys, "http://storage.example.org/")
    assert [(one["action"], one["code"]) for one in found["url"]["ways"]] == [
        (NEVER, "no_token"),
        (NEVER, "plain_http"),
        ("raise a TokenNotFoundError", "no_token"),
        (NEVER, "plain_http"),
    ]


@pytest.mark.parametrize("arguments", [[], [URL], [URL, "--try"]])
def test_a_list_of_hosts_that_is_not_understood_comes_first(
    capsys, issuer, monkeypatch, arguments
):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*")
    status, said, code, todo = verdict(capsys, *arguments)
    assert (status, code) == (1, "not_understood")
    assert ": REQUESTS_SCITOKENS_HOSTS: '*' cannot be one of the hosts" in said
    assert todo == ["correct REQUESTS_SCITOKENS_HOSTS"]


# --- what the person set, and what is wrong with it


def test_without_a_url_it_is_about_the_token(capsys, monkeypatch):
    nothing = "no token was found"
    end = (1, "no_token", [HTGETTOKEN])
    assert verdict(capsys) == (1, f"No token can be used: {nothing}.", *end[1:])
    assert verdict(capsys, URL) == (1, f"No token is sent to {HOST}: {nothing}.", *end[1:])
    monkeypatch.setenv("SCITOKEN", "opaque")
    used = "The token in $SCITOKEN can be used."
    assert verdict(capsys) == (0, used, None, ["add a URL to learn more"])


@pytest.mark.parametrize(
    ("path", "why", "code", "todo"),
    [
        (
            "/no/such/file",
            "the file does not exist",
            "no_file",
            "correct the path, or unset the variable",
        ),
        (
            r"C:\Users\me\token",
            "the file does not exist",
            "no_file",
            "correct the path, or unset the variable",
        ),
        (
            "~/token",
            "the file does not exist: ~ stands for nothing here",
            "tilde",
            "write the whole path",
        ),
        ("/", "it is not a regular file", "no_regular_file", "correct or remove it"),
        (
            "/secret/token",
            "Permission denied",
            "unreadable",
            "let this user read it: chmod u+r, and the directories above",
        ),
    ],
)
@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_is_wrong_with_what_the_person_set_comes_first(
    capsys, monkeypatch, path, why, code, todo, elsewhere
):
    opened = os.open

    def deny(path, *args, **kwargs):
        if path == "/secret/token":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", deny)
    monkeypatch.setenv("BEARER_TOKEN_FILE", path)
    named = f"$BEARER_TOKEN_FILE ({path})"
    if elsewhere and path != "/":  # the next place has one: that is used, and both are said
        monkeypatch.setenv("SCITOKEN", "opaque")
        _, _, _, advised = verdict(capsys)
        assert advised == [f"{named}: {why}; {todo}", "add a URL to learn more"]
        return
    said = f"{named}: {why}."
    assert verdict(capsys, URL) == (
        1,
        f"No token is sent to {HOST}: {said}",
        code,
        [f"{named}: {todo}"],
    )
    assert verdict(capsys)[1] == f"No token can be used: {said}"


def test_what_is_no_path_is_not_shown(capsys, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN_FILE", "secret-of-mine")
    _, said, code, todo = verdict(capsys, URL)
    assert code == "no_path"
    assert "$BEARER_TOKEN_FILE: no such file (not shown: a token itself" in said
    assert todo == ["$BEARER_TOKEN_FILE: set $BEARER_TOKEN, or correct the path"]


def test_under_sudo_the_user_that_was_looked_for_is_named(capsys, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "1001")
    status, said, code, todo = verdict(capsys, URL)
    assert (status, code) == (1, "no_token_under_sudo")
    assert "no token was found for user id 1000; under sudo, the files of user id 1001" in (
        said
    )
    assert todo == ["run it without sudo, or name the file: sudo BEARER_TOKEN_FILE=..."]


def test_what_is_malformed_ends_the_search(capsys, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", "inner space")
    monkeypatch.setenv("SCITOKEN", "opaque")
    assert verdict(capsys) == (
        1,
        "No token can be used: $BEARER_TOKEN: it has white space inside.",
        "white_space",
        ["$BEARER_TOKEN: correct or remove it"],
    )
    _, found = facts(capsys)
    assert [(one["code"], one["reason"]) for one in found["places"][:3]] == [
        ("white_space", "it has white space inside; the search ends here"),
        ("not_set", "not set"),
        ("comes_later", "not used: $BEARER_TOKEN comes first"),
    ]


def test_an_expired_token_before_a_good_one_is_named(capsys, issuer, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(lifetime=-60))
    monkeypatch.setenv("SCITOKEN", issuer.mint(audience=HOST))
    assert facts(capsys, URL)[1]["advice"][0] == (
        "$BEARER_TOKEN: it expired 1 min ago; renew it, for example with htgettoken"
    )


@pytest.mark.parametrize(
    ("content", "code", "todo"),
    [
        (
            '{"access_token": ""}',
            "empty",
            "HTCondor has put a file here without a token in it: ask your pool whether you "
            "may use this service, for example whether you are in its group",
        ),
        (
            "opaque",
            "no_jwt",
            "$_CONDOR_CREDS/box.use ({path}): no JSON Web Token, so it may be of another "
            "service; if it is for this server, name the file in BEARER_TOKEN_FILE",
        ),
    ],
)
def test_what_htcondor_put_there_may_be_no_scitoken(
    capsys, monkeypatch, here, content, code, todo
):
    path = here / "creds" / "box.use"
    path.parent.mkdir()
    path.write_text(content)
    monkeypatch.setenv("_CONDOR_CREDS", str(path.parent))
    status, said, why, advised = verdict(capsys)
    assert (status, why) == (1, "no_token_but")
    assert said.startswith(
        f"No token can be used: no token was found; $_CONDOR_CREDS/{path.name}"
    )
    assert advised == [HTGETTOKEN, todo.format(path=path)]
    assert facts(capsys)[1]["places"][4]["code"] == code
    monkeypatch.setattr("os.geteuid", os.getuid)  # it is no fault where there is another
    Path(f"runtime/bt_u{os.getuid()}").write_text("opaque")
    assert verdict(capsys)[3] == ["add a URL to learn more"]


# --- --try


def test_an_attempt_shows_each_request_and_what_to_do(capsys, issuer, monkeypatch, serve):
    server = serve(answer="storm")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    status, out = run(capsys, f"{server.url}/hello.txt?a=secret", "--try")
    assert status == 1
    assert (
        after(out, "Tried: Requests alone")
        == f"""
Tried: Requests alone
   GET {server.url}/hello.txt without a token: 401

Tried: auth=HTTPSciTokenAuth(), get(), Session
   GET {server.url}/hello.txt without a token: 401
   GET {server.url}/hello.txt with the token: 200

What to do
   for programs that only use Requests, run export
     REQUESTS_SCITOKENS_AUTOPATCH=1
   run export REQUESTS_SCITOKENS_HOSTS={server.url[8:]}
"""
    )
    said = verdict(capsys, f"{server.url}/hello.txt", "--try")[1]
    assert said == (
        f"{ALONE} {server.url} answered 401, and no token was sent: the autopatch is off. "
        f"{WITH_AUTH} it works: {server.url} answered 200 to the token in $BEARER_TOKEN."
    )


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("hosts", ["localhost", ""])
def test_a_try_under_the_autopatch_is_what_the_program_would_do(
    capsys, issuer, monkeypatch, serve, hosts
):
    url = serve().url
    monkeypatch.setenv("SCITOKEN", issuer.mint(audience="ANY"))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    found = verdict(capsys, f"{url}/hello.txt", "--try")
    if hosts:
        said = f"It works: {url} answered 200 to the token in $SCITOKEN."
        assert found == (0, said, None, [])
    else:
        assert found == (
            1,
            f"{url} answered 401, and no token was sent: the token is for any server; the "
            "autopatch sends that only to listed servers.",
            "autopatch_lists",
            [f"run export REQUESTS_SCITOKENS_HOSTS={url[8:]}"],
        )


def test_an_attempt_shows_the_challenge(capsys, issuer, monkeypatch, serve):
    server = serve(answer="basic-then-bearer")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    _, out = run(capsys, f"{server.url}/hello.txt", "--try", "--method", "HEAD")
    assert f"""
   HEAD {server.url}/hello.txt without a token: 401
     WWW-Authenticate: Basic realm="y", Bearer realm="x"
   HEAD {server.url}/hello.txt with the token: 200
""" in after(out, "Tried: auth=HTTPSciTokenAuth(), get(), Session")


ASK = "ask the site which scope, audience and issuer it accepts"


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("claims", "against", "code", "todo"),
    [
        (
            {"scope": "read:/a"},
            "it has read:/a; the server may want read:/hello.txt, or a scope that contains "
            "it, another audience, or another issuer",
            "scope_lacks",
            ASK,
        ),
        (
            {"scope": "read:/", "aud": "ANY"},
            "its scope covers this path",
            "scope_covers",
            "ask the site whether it accepts {issuer} as issuer and ANY as audience, and "
            "where that issuer's paths begin",
        ),
        (
            {"scope": "read:/hello.txt", "aud": "https://other.example.org"},
            "it is for https://other.example.org",
            "sent_elsewhere",
            "get one for {url}",
        ),
        (None, "it is opaque, so nothing in it says why", "opaque", ASK),
    ],
)
def test_what_to_do_about_a_token_that_is_not_accepted(
    capsys, issuer, monkeypatch, serve, claims, against, code, todo
):
    server = serve(answer="storm")
    token = issuer.mint(**claims) if claims else "no-JWT-at-all"
    server.rejects.add(token)
    monkeypatch.setenv("SCITOKEN", token)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    assert verdict(capsys, f"{server.url}/hello.txt", "--try") == (
        1,
        f"{server.url} answered 401 to the token in $SCITOKEN: {against}.",
        code,
        [todo.format(issuer=issuer.url, url=server.url)],
    )


def test_the_scope_that_a_server_wants_is_said(capsys, issuer, monkeypatch, serve):
    answer = Answer(scope_challenges=('Bearer scope="write:/hello.txt"',))
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint("read:/a"))
    url = serve(answer=answer).url
    _, said, code, todo = verdict(capsys, f"{url}/hello.txt", "--try", "--method", "HEAD")
    assert said == (
        f"{ALONE} {url} answered 401, and no token was sent: the autopatch is off. "
        f"{WITH_AUTH} {url} answered 403 to the token in $BEARER_TOKEN: it has read:/a, "
        "the server wants write:/hello.txt."
    )
    assert code == "autopatch_off"
    assert todo == [
        "get a token with that scope",
        SWITCH_ON,
        f"run export REQUESTS_SCITOKENS_HOSTS={url[8:]}",
    ]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("answer", "hint"), [(404, ": check the URL"), (400, ": check the URL"), (500, "")]
)
def test_what_the_server_answers_to_the_token_is_said(capsys, monkeypatch, answer, hint):
    def send(adapter, request, **kwargs):
        response = answer_401(adapter, request)
        response.status_code = answer
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    monkeypatch.setenv("SCITOKEN", "opaque")
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "storage.example.org")
    assert verdict(capsys, URL, "--try") == (
        1,
        f"{HOST} answered {answer} to the token in $SCITOKEN.",
        None,
        [f"the server got the token, and answered {answer}{hint}"],
    )


def test_a_server_that_answers_without_a_token_is_named(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    server = serve(protected=False)
    url = f"{server.url}/hello.txt"
    assert verdict(capsys, url, "--try", "--method", "OPTIONS") == (
        0,
        f"{server.url} answered 200 without a token.",
        "autopatch_off",
        [
            LESS,
            f"if it should have the token at once, list {server.url[8:]} in hosts= or "
            "REQUESTS_SCITOKENS_HOSTS",
            SWITCH_ON,
        ],
    )
    status, said, _, todo = verdict(capsys, f"{server.url}/missing", "--try")
    assert status == 1
    assert said.endswith(
        "answered 404, and no token was sent: the server did not ask for one."
    )
    assert todo[-1] == SWITCH_ON
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    status, said, _, todo = verdict(capsys, url, "--try")
    assert (status, todo) == (0, [LESS, SWITCH_ON])
    assert said == (
        f"{server.url} answered 200 without a token. {WITH_AUTH} it works: {server.url} "
        "answered 200 to the token in $BEARER_TOKEN."
    )


def test_a_login_page_is_told_from_data(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    url = serve(answer="apache-login").url
    status, _, _, todo = verdict(capsys, f"{url}/hello.txt", "--try")
    assert (status, todo[0]) == (
        0,
        "the server shows strangers a page in HTML, perhaps a login page",
    )


def test_where_no_token_is_needed_one_is_still_missing(capsys, serve):
    url = f"{serve(protected=False).url}/hello.txt"
    status, _, code, todo = verdict(capsys, url, "--try")
    assert (status, code) == (0, "no_token")  # the program gets what it asks for
    assert todo == [LESS, HTGETTOKEN]


def test_without_a_token_a_try_says_so(capsys, monkeypatch, serve):
    url = serve().url
    assert verdict(capsys, f"{url}/hello.txt", "--try") == (
        1,
        f"{url} answered 401, and no token was sent: no token was found.",
        "no_token",
        [HTGETTOKEN],
    )
    monkeypatch.setenv("BEARER_TOKEN_FILE", "/missing")
    assert verdict(capsys, f"{url}/hello.txt", "--try") == (
        1,
        f"{url} answered 401, and no token was sent: $BEARER_TOKEN_FILE (/missing): the "
        "file does not exist.",
        "no_file",
        ["$BEARER_TOKEN_FILE (/missing): correct the path, or unset the variable"],
    )


@pytest.mark.parametrize("protected", [True, False])
def test_with_a_password_in_netrc_no_try_gives_a_reason_for_sending(
    capsys, issuer, monkeypatch, serve, netrc, on, protected
):
    netrc("localhost")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "localhost")
    url = serve(protected=protected).url
    status, said, code, todo = verdict(capsys, f"{url}/hello.txt", "--try")
    assert (status, code) == (1 if protected else 0, "netrc")
    done = (
        f"{url} answered 401, and no token was sent: the password in .netrc is used."
        if protected
        else f"{url} answered 200 without a token: the password in .netrc is used."
    )
    ours = f"it works: {url} answered 200 to the token in $BEARER_TOKEN."
    assert said == (done if on else f"{done} {WITH_AUTH} {ours}")
    assert todo == (["remove this host from .netrc"] if protected else [])
    assert "hello.txt with a password: " in run(capsys, f"{url}/hello.txt", "--try")[1]


def test_a_password_for_where_a_redirect_led_is_named(
    capsys, issuer, monkeypatch, serve, netrc, on
):
    netrc("localhost")
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "127.0.0.1,localhost")
    last, first = serve(), serve(tls=False)
    first.redirects["/x"] = Redirect(f"{last.url}/hello.txt")
    url = first.url.replace("localhost", "127.0.0.1")
    status, said, code, _ = verdict(capsys, f"{url}/x", "--try")
    assert (status, code) == (1, "netrc")
    assert said.startswith(
        f"{last.url}/hello.txt answered 401, and no token was sent: the password in .netrc"
    )


def test_after_a_redirect_a_read_needs_only_the_last_server_listed(
    capsys, issuer, monkeypatch, serve, on
):
    last, first = serve(), serve()
    first.redirects["/hello.txt"] = Redirect(f"{last.url}/hello.txt")
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    url, led = (
        f"{first.url}/hello.txt",
        "a redirect led here, and the token is for any server",
    )
    status, said, code, todo = verdict(capsys, url, "--try")
    none = f"{last.url}/hello.txt answered 401, and no token was sent:"
    listing = (
        f"if the token may go there, list {last.url[8:]} in hosts= or "
        "REQUESTS_SCITOKENS_HOSTS"
    )
    assert status == 1
    if on:
        assert (said, code, todo) == (f"{none} {led}.", "led_away", [listing])
    else:
        off = f"{ALONE} {none} the autopatch is off."
        assert (said, code) == (f"{off} {WITH_AUTH} {none} {led}.", "autopatch_off")
        assert todo == [listing, SWITCH_ON]
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", last.url[8:])
    works = f"orks: {last.url}/hello.txt answered 200 to the token in $SCITOKEN."
    status, said, _, todo = verdict(capsys, url, "--try")
    assert said.endswith(works)
    assert (status, todo) == ((0, []) if on else (1, [SWITCH_ON]))


@pytest.mark.usefixtures("patched")
def test_a_token_that_was_sent_on_the_way_is_said(capsys, issuer, monkeypatch, serve):
    """As Pelican's director copies it into the URL of a cache."""
    last, first = serve(), serve()
    first.redirects["/x"] = Redirect(f"{last.url}/hello.txt", copy_token=True)
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", first.url[8:])
    assert verdict(capsys, f"{first.url}/x", "--try")[:2] == (
        0,
        f"It works: {last.url}/hello.txt answered 200, and the token was sent before.",
    )
    assert facts(capsys, f"{first.url}/x", "--try")[1]["advice"] == []


def test_a_url_with_a_token_of_its_own_gets_no_other(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    _, found = facts(capsys, f"{serve().url}/hello.txt?authz=x", "--try")
    assert found["advice"] == []


def test_no_reason_for_sending_stands_behind_no_token_was_sent(capsys, monkeypatch, serve):
    """The token came after the request."""
    sent = requests.adapters.HTTPAdapter.send
    url = serve().url

    def send(adapter, request, **kwargs):
        response = sent(adapter, request, **kwargs)
        monkeypatch.setattr(HTTPSciTokenAuth, "handle_401", lambda self, r, **k: r)
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    monkeypatch.setenv("BEARER_TOKEN", "opaque")
    _, said, _, _ = verdict(capsys, f"{url}/hello.txt", "--try")
    assert said.endswith(f"{WITH_AUTH} {url} answered 401, and no token was sent.")


# --- a server that gives no answer


@pytest.mark.parametrize(
    ("options", "change", "error", "todo"),
    [
        (
            {"tls": False},
            ("localhost", "127.0.0.2"),
            "ConnectionError (NewConnectionError)",
            "the server cannot be reached; check host, port, network and proxy",
        ),
        (
            {"tls": False},
            ("http:", "https:"),
            "SSLError (SSLError): this port speaks plain http",
            "look for the server's https port",
        ),
        (
            {},
            ("https:", "http:"),
            "ConnectionError: this port may want https",
            "write https:// in the URL",
        ),
        (
            {},
            ("localhost", "127.0.0.1"),
            "SSLError (SSLError): the certificate is for another name",
            "use the name that is in the certificate",
        ),
    ],
)
def test_what_is_wrong_with_a_connection_is_told(
    capsys, issuer, monkeypatch, serve, options, change, error, todo
):
    server = serve(**options).url
    url = server.replace(*change)
    monkeypatch.setenv("SCITOKEN", issuer.mint())
    assert verdict(capsys, url, "--try") == (
        1,
        f"{url} gave no answer: {error}.",
        "no_answer",
        [todo],
    )
    assert f"\n   error: {error}\n" in run(capsys, url, "--try")[1]


def test_certificates_that_are_missing_are_named(capsys, issuer, monkeypatch, serve):
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint())
    url = f"{serve().url}/hello.txt"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    _, found = facts(capsys, url, "--try")
    error = "SSLError (SSLError): the certificate is not trusted"
    assert found["tries"][1]["error"] == error
    assert found["advice"] == ["set REQUESTS_CA_BUNDLE to its authority's file"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/missing")
    _, found = facts(capsys, url, "--try")
    error = "OSError: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file"
    assert (found["tries"][1]["error"], found["advice"]) == (error, ["correct it"])


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


def test_a_server_that_says_nothing_is_waited_for_no_longer(capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        status, found = facts(capsys, url, "--try", "--timeout", "0.1")
    assert status == 1
    assert found["tries"][1]["error"].endswith(": it took too long")
    assert found["advice"][0] == "try again, with a longer --timeout if the server is slow"


def test_an_error_without_a_text_has_a_name():
    error, todo = ways._trouble(ValueError(), URL)
    assert (error, todo[:28]) == ("ValueError", "the server cannot be reached")


# --- the token


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
    found = places.describe_token(BearerToken("a.b.c", claims))
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
    _, found = facts(capsys, URL)
    assert found["places"][0]["token"]["valid"] == valid
    assert f"valid     {valid[:20]}" in run(capsys)[1]


def test_a_token_that_is_not_valid_yet_is_said_to_be_so(capsys, issuer, monkeypatch):
    """It is sent all the same: the clock may be wrong."""
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=HOST))
    monkeypatch.setattr("time.time", lambda: NOW - 3600)
    _, found = facts(capsys, URL)
    assert found["url"]["ways"][1]["sends"]
    assert found["places"][0]["reason"] == "used; it is not valid yet"
    assert found["places"][0]["token"]["valid"] == (
        "not valid yet: begins in 1 h; expires in 1 h 10 min"
    )
    assert found["advice"] == [
        "wait until it is valid; if it should be, check the clock here",
        SWITCH_ON,
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
    assert found["advice"][0] == "run chmod 600 on the file in $BEARER_TOKEN_FILE"


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
    module = folder / "requests_scitokens" / "_diagnosis" / "startup_file.py"
    monkeypatch.setattr(startup_file, "__file__", str(module))
    for name in ("AUTOPATCH", "HOSTS"):
        monkeypatch.delenv(f"REQUESTS_SCITOKENS_{name}", raising=False)
    return folder


INSTEAD = "write `import requests_scitokens.patch` in the program instead"


def problem():
    """Return what keeps the autopatch off, and fail unless the reason has it, too."""
    found, why = startup_file.autopatch()
    if not found["problem"]:
        return ""
    about = dict(why.about)
    assert why.code is Code.AUTOPATCH_FAILS
    assert found["problem"] == f"{about['problem']}; {about['todo']}"
    return found["problem"]


def test_a_start_up_file_is_named(really):
    file = really / "requests_scitokens.pth"
    file.touch()
    found, why = startup_file.autopatch()
    assert why.code is Code.AUTOPATCH_OFF
    assert found == {
        "variable": None,
        "on": False,
        "state": "off: REQUESTS_SCITOKENS_AUTOPATCH is not set; 1 turns it on",
        "files": [str(file)],
        "problem": "",
        "hosts": "",
        "hosts_problem": "",
    }


def test_a_start_up_file_that_python_does_not_process_is_a_problem(really, monkeypatch):
    missing = "requests_scitokens.pth is missing; install requests-scitokens again, or"
    assert problem() == f"{missing} {INSTEAD}"
    file = really / "requests_scitokens.pth"
    file.touch()
    monkeypatch.setattr(site, "getsitepackages", list)
    why = f"{really} is not one of Python's site-packages"
    assert problem() == f"{file} is not processed: {why}; {INSTEAD}"
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(really))
    why = "the user's site-packages are switched off (-s, -I or PYTHONNOUSERSITE)"
    assert problem() == f"{file} is not processed: {why}; {INSTEAD}"
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    assert problem() == ""


def test_so_it_is_within_a_zipapp(really, monkeypatch, tmp_path):
    zipapp = tmp_path / "app.pyz"
    zipapp.touch()
    inside = zipapp / "requests_scitokens" / "_diagnosis" / "startup_file.py"
    monkeypatch.setattr(startup_file, "__file__", str(inside))
    assert problem() == (
        f"{zipapp}/requests_scitokens.pth is not processed: {zipapp} is not one of "
        f"Python's site-packages; {INSTEAD}"
    )


@pytest.mark.usefixtures("uncovered")
def test_a_zipapp_says_so_itself(tmp_path):
    archive, package = tmp_path / "app.pyz", Path(requests_scitokens.__file__).parent
    with zipfile.ZipFile(archive, "w") as file:
        for path in package.rglob("*.py"):
            file.write(path, path.relative_to(package.parent))
        file.writestr(
            "__main__.py",
            "import site; site.getsitepackages = list  # the package is not there\n"
            "import requests_scitokens.__main__ as command; command.main(['--verbose'])",
        )
    command = [sys.executable, str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = " ".join(done.stdout.split())
    assert (
        f"problem: {archive}/requests_scitokens.pth is not processed: {archive} is" in said
    )


def test_a_hidden_start_up_file_is_a_problem(monkeypatch):
    status = type("Status", (), {"st_flags": stat.UF_HIDDEN})
    monkeypatch.setattr(startup_file.os, "stat", lambda path: status)
    assert problem() == (
        f"{SITE[0]} is hidden, so Python skips it; run chflags nohidden {SITE[0]}"
    )


def test_python_without_site_is_a_problem(monkeypatch):
    monkeypatch.setattr(startup_file.sys, "flags", type("Flags", (), {"no_site": 1}))
    assert problem() == (
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
    assert startup_file.autopatch()[0]["state"] == state


@pytest.mark.usefixtures("patched")
def test_where_it_is_on_nothing_is_a_problem(monkeypatch):
    monkeypatch.setattr(startup_file, "_files", lambda: ([], []))
    found, why = startup_file.autopatch()
    assert (found["state"], found["problem"], why) == ("on in this process", "", None)


def test_an_autopatch_that_is_wanted_and_off_sends_nothing(capsys, issuer, monkeypatch):
    """And to export the variable is no advice, where it is exported."""
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=HOST))
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", "1")
    status, said, code, todo = verdict(capsys, URL)
    assert (status, code, todo) == (1, "autopatch_fails", ["start the program again"])
    assert said.startswith(
        f"{NOTHING_SENT} the autopatch is off: REQUESTS_SCITOKENS_AUTOPATCH was set after "
        f"this process began, or it was switched off. {WITH_AUTH} the token in"
    )
    monkeypatch.setattr(startup_file, "_files", lambda: ([], []))
    _, said, _, todo = verdict(capsys, URL)
    off = f"{NOTHING_SENT} the autopatch is off: requests_scitokens.pth is missing."
    assert said.startswith(off)
    assert todo == [f"install requests-scitokens again, or {INSTEAD}"]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("hosts", "audience", "advised"),
    [("", "ANY", True), ("*.example.org", "ANY", False), ("", HOST, False)],
)
def test_the_autopatch_needs_to_know_where_a_token_for_any_server_may_go(
    capsys, issuer, monkeypatch, hosts, audience, advised
):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", hosts)
    monkeypatch.setenv("BEARER_TOKEN", issuer.mint(audience=audience))
    lists = Code.AUTOPATCH_LISTS.value[0]
    more = "add a URL to learn more"
    assert facts(capsys)[1]["advice"] == ([lists, more] if advised else [more])


@pytest.mark.parametrize("hosts", ["x" * 24, "eyJhbGciOiJS.eyJhbGciOiJS"])
def test_what_may_be_a_token_in_a_variable_is_not_shown(capsys, monkeypatch, hosts):
    monkeypatch.setenv("REQUESTS_SCITOKENS_AUTOPATCH", hosts)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", f"a.example.org,{hosts}.example.org")
    _, found = facts(capsys, URL)
    assert found["autopatch"]["hosts"] == "(not shown: it may hold a token)"
    assert found["autopatch"]["variable"] == "(not shown: it may hold a token)"
    assert hosts not in json.dumps(found["autopatch"])


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


NO_URL = "URL: give an https:// or http:// address with a plain host"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--try"], "--try needs a URL\n"),
        (["storage.example.org"], f"{NO_URL}; did you mean https://storage.example.org?\n"),
        (
            ["me:secret@storage.example.org:1094/x?authz=secret"],
            f"{NO_URL}; did you mean https://storage.example.org:1094/x?\n",
        ),
        (["https://a\\b/"], f"{NO_URL}\n"),
        (["eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2ln"], f"{NO_URL}\n"),
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


def test_help_says_what_the_exit_status_means(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Exit status: 0 if it works for a program that only uses Requests" in said
    assert "1 if it does not, as with a URL while the autopatch is off" in said


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
