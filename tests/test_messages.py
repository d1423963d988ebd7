"""What the package says: each reason in a real situation, each line of the log; exactly.

The page of messages explains the log's lines and the exceptions; its tables of reasons are
made from `_messages.Code` (docs/conf.py).
"""

from __future__ import annotations

import ast
import logging
import multiprocessing
import os
import re
import sys
from pathlib import Path

import pytest
import requests
from scitokens import SciToken

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError
from requests_scitokens import _environment as environment
from requests_scitokens import _state as state
from requests_scitokens._challenge import objection
from requests_scitokens._discovery import find
from requests_scitokens._hosts import parse_hosts
from requests_scitokens._messages import Code, because, full, text
from requests_scitokens._origin import NOWHERE, Origin
from requests_scitokens._policy import Situation, decide
from requests_scitokens._token import LIMIT, BearerToken
from requests_scitokens.testing import Answer, Redirect

from .ways import unchanged

ROOT = Path(requests_scitokens.__file__).parent
PAGE = ROOT.parent / "docs" / "reference" / "messages.md"
HOSTS = "hosts= or REQUESTS_SCITOKENS_HOSTS"
COMMAND = "`python -m requests_scitokens --try URL` shows what the server wants"
GET_ONE = "get one, for example with htgettoken"

#: The codes of reasons that a test here has had in a real situation.
TOLD: set[Code] = set()


def tells(*codes):
    """Note that a test has the package tell these."""
    TOLD.update(codes)
    return lambda test: test


def used_in(*paths):
    """Return the codes that these modules give."""
    return {
        Code[node.attr]
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Code"
    }


def test_every_reason_of_the_library_is_told_in_a_real_situation():
    assert used_in(*ROOT.glob("*.py")) - TOLD == set()


def test_every_reason_is_given_by_some_module():
    modules = [path for path in ROOT.rglob("*.py") if path.name != "_messages.py"]
    assert set(Code) - used_in(*modules) == set()


def test_no_two_reasons_are_the_same():
    assert len(Code) == len(Code.__members__)


# --- the reasons

HERE = Origin("https", "a.example.org", 443)
THERE = Origin("https", "b.example.org", 443)
EXPIRED = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln"
FOR_ONE = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJvbmUifQ.c2ln"  # aud: one
FOR_THERE = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJiLmV4YW1wbGUub3JnIn0.c2ln"


def write(content):
    return lambda path: path.write_text(content)


FILES = {
    Code.EMPTY: (write(""), "empty; put a token there, or remove it"),
    Code.NO_REGULAR_FILE: (Path.mkdir, "it is not a regular file; correct or remove it"),
    Code.NO_FILE: (
        lambda path: None,
        "the file does not exist; correct the path, or unset the variable",
    ),
    Code.FAILS: (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    Code.TOO_LONG: (
        write("x" * (LIMIT + 1)),
        f"it is longer than {LIMIT} bytes, and no token is; correct or remove it",
    ),
    Code.NO_ACCESS_TOKEN: (
        write("{}"),
        "it is JSON without an access_token; correct or remove it",
    ),
    Code.CUT_SHORT: (write("eyJhbGciOiJ"), "it is cut short; write it again"),
    Code.WHITE_SPACE: (write("a b"), "it has white space inside; correct or remove it"),
    Code.CONTROLS: (write("a\x01b"), "it has a control character inside; write it again"),
    Code.CHARACTERS: (
        write("a,b"),
        "it has a character that no token has (RFC 6750 section 2.1); correct or remove it",
    ),
    Code.WORD_BEARER: (
        write("Bearer a"),
        "the word Bearer is no part of the token; remove the word",
    ),
    Code.QUOTES: (write('"a"'), "it has quotes around it; remove the quotes"),
    Code.BYTE_ORDER_MARK: (
        write("\ufeffa"),
        "it begins with a byte order mark (BOM); save it as plain text",
    ),
    Code.UTF_16: (
        lambda path: path.write_text("a", "utf-16"),
        "it is in UTF-16; save it as plain text (ASCII)",
    ),
    Code.LINES: (write("a\nb"), "it has more than one line; leave one line in it"),
    Code.A_PATH: (
        write(f"{ROOT}\n"),
        "this is a path, and no token; set BEARER_TOKEN_FILE to it",
    ),
}


@tells(*FILES)
@pytest.mark.parametrize("code", FILES, ids=lambda code: code.name)
def test_what_is_wrong_with_a_file(monkeypatch, tmp_path, code):
    make, says = FILES[code]
    path = tmp_path / "token"
    make(path)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    lookup = find().looked[0]
    assert lookup.reason.code is code
    assert str(lookup) == f"$BEARER_TOKEN_FILE ({path}): {text(lookup.reason)}"
    assert full(lookup.reason) == says


@tells(Code.UNREADABLE)
def test_a_file_that_this_user_may_not_read(monkeypatch, token_file):
    def deny(path, *args):
        raise PermissionError(13, "Permission denied", path)

    token_file.write_text("a")
    monkeypatch.setattr(os, "open", deny)
    assert full(find().reason) == (
        f"$XDG_RUNTIME_DIR/{token_file.name} ({token_file}): Permission denied; let this "
        "user read it: chmod u+r, and the directories above"
    )


@tells(Code.ANOTHER_OWNER, Code.ANOTHER_LINK)
@pytest.mark.parametrize(
    ("link", "says"),
    [
        (
            False,
            "it belongs to another user (uid {}); remove it, or name it in "
            "BEARER_TOKEN_FILE if you trust it",
        ),
        (True, "it is another user's symbolic link; remove it"),
    ],
)
def test_what_others_put_in_the_place_of_ones_own_file(monkeypatch, token_file, link, says):
    owner, user = os.geteuid(), os.geteuid() + 4242
    monkeypatch.setattr(os, "geteuid", lambda: user)
    path = token_file.with_name(f"bt_u{user}")
    if link:
        path.symlink_to(token_file)
        token_file.write_text("a")
    else:
        path.write_text("a")
    reason = find().reason
    assert full(reason) == f"$XDG_RUNTIME_DIR/{path.name} ({path}): {says.format(owner)}"


VARIABLES = {
    Code.TILDE: (
        "BEARER_TOKEN_FILE",
        "~/token",
        "$BEARER_TOKEN_FILE (~/token): the file does not exist: ~ stands for nothing here; "
        "write the whole path",
    ),
    Code.NO_PATH: (
        "SCITOKEN_FILE",
        "token",
        "$SCITOKEN_FILE: no such file (not shown: a token itself would go into $SCITOKEN); "
        "set $SCITOKEN, or correct the path",
    ),
    Code.A_PATH: (
        "SCITOKEN",
        str(ROOT),
        "$SCITOKEN: this is a path, and no token; set SCITOKEN_FILE to it",
    ),
    Code.NO_TOKEN: ("HOME", "", f"no token was found; {GET_ONE}"),
    Code.NO_TOKEN_BUT: (
        "SCITOKEN",
        "",
        f"no token was found; $SCITOKEN: empty; {GET_ONE}",
    ),
}


@tells(*VARIABLES)
@pytest.mark.parametrize("code", VARIABLES, ids=lambda code: code.name)
def test_what_is_wrong_with_a_variable(monkeypatch, tmp_path, code):
    variable, value, says = VARIABLES[code]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    reason = find().reason
    assert reason.code is code
    assert full(reason) == says


@tells(Code.NO_TOKEN_UNDER_SUDO)
def test_under_sudo(monkeypatch):
    monkeypatch.setenv("SUDO_UID", "1001")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert full(find().reason) == (
        "no token was found for user id 0; under sudo, the files of user id 1001 are not "
        "looked for; run it without sudo, or name the file: sudo BEARER_TOKEN_FILE=..."
    )


SERVICES = {
    Code.NO_USE_FILES: (
        "",
        "no file there is called *.use; ask for the service in the submit file: "
        "use_oauth_services",
    ),
    Code.NO_JWT: (
        "opaque",
        "no JSON Web Token, so it may be of another service; if it is for this server, "
        "name the file in BEARER_TOKEN_FILE",
    ),
    Code.NOT_FOR_HERE: (FOR_THERE, "it is for b.example.org; not for this server"),
    Code.EXPIRED: (EXPIRED, "it expired 20730 days ago; renew it, for example with htgett"),
}


@tells(*SERVICES)
@pytest.mark.parametrize("code", SERVICES, ids=lambda code: code.name)
def test_what_is_wrong_with_htcondors_directory(monkeypatch, tmp_path, code):
    content, says = SERVICES[code]
    monkeypatch.setattr("time.time", lambda: 20_730 * 86_400 + 1)
    monkeypatch.setenv("_CONDOR_CREDS", str(tmp_path))
    if content:
        (tmp_path / "a.use").write_text(content)
    (lookup, *_) = find(Situation("https://a.example.org/", HERE)).looked
    assert lookup.reason.code is code
    assert full(lookup.reason).startswith(says)


class ClassOfTheirs(HTTPSciTokenAuth):
    def find_token(self, url=None, *, error=True, **_):
        return None


AWAY = {"start": THERE, "came_by": (THERE,)}
FINDING = {
    Code.FUNCTION_NONE: (
        HTTPSciTokenAuth(lambda url: None),
        "the token function returned None for this URL",
    ),
    Code.FUNCTION_NOT_ASKED: (
        HTTPSciTokenAuth(lambda url: None),
        "a token function is not asked where a redirect leads away",
    ),
    Code.SWITCHED_OFF: (HTTPSciTokenAuth(False), "token=False was given"),
    Code.CLASS_NONE: (ClassOfTheirs(), "the handler's class found no token"),
    Code.NO_AUDIENCE: (
        HTTPSciTokenAuth(audience=["another", "third"]),
        "$SCITOKEN: it is for one, not for another, third; get one for another, third",
    ),
}


@tells(*FINDING)
@pytest.mark.parametrize("code", FINDING, ids=lambda code: code.name)
def test_why_there_is_no_token(monkeypatch, code):
    auth, says = FINDING[code]
    monkeypatch.setenv("SCITOKEN", FOR_ONE)
    at = Situation("https://a.example.org/", HERE, start=HERE)
    if code is Code.FUNCTION_NOT_ASKED:
        at = at._replace(**AWAY)
    reason = auth._find(at).reason
    assert reason.code is code
    assert full(reason) == says


@tells(Code.NOTHING)
def test_nothing_is_no_token():
    with pytest.raises(
        ValueError, match="^token= is not a bearer token: it is empty; give a"
    ):
        HTTPSciTokenAuth("")


LOCAL = Origin("http", "localhost", 81)
LISTS = parse_hosts("*.b.org, http://c.org:80")
DECISIONS = {
    Code.NO_CERTAIN_HOST: (
        "",
        {"origin": NOWHERE},
        "the URL does not say for certain which host is meant; write it plainly, as in "
        "https://storage.example.org/path",
    ),
    Code.URL_CREDENTIAL: (
        "",
        {"url": "https://a.example.org/?authz=b"},
        "the URL carries a credential of its own; the token goes beside that only with "
        "token= or force=True, and not after a redirect",
    ),
    Code.PLAIN_HTTP: (
        "",
        {"origin": Origin("http", "a.example.org", 81)},
        "everybody on the way could read the token over plain http; use https, or add "
        f"http://a.example.org:81 to {HOSTS}",
    ),
    Code.PROXY: (
        "",
        {"origin": LOCAL, "by_proxy": (LOCAL,)},
        "a proxy could read the token over plain http; exclude this server from it with "
        "NO_PROXY=localhost",
    ),
    Code.NOT_LISTED: (
        "",
        {"hosts": LISTS},
        f"{HOSTS} does not list a.example.org, but *.b.org, http://c.org:80; add "
        "a.example.org if it may be sent the token",
    ),
    Code.NOT_UNDERSTOOD: (
        "",
        {"hosts": ()},
        "REQUESTS_SCITOKENS_HOSTS is not understood; correct REQUESTS_SCITOKENS_HOSTS",
    ),
    Code.LED_BY_ANOTHER: (
        "a.example.org",
        {**AWAY, "method": "PUT"},
        "a redirect from https://b.example.org led here, which may not be sent the token; "
        "only requests that read follow such a redirect with it; if all of them may be "
        f"sent the token, list b.example.org,a.example.org in {HOSTS}",
    ),
    Code.LED_AWAY: (
        "",
        AWAY,
        "a redirect led here, and the token is for any server; if the token may go there, "
        f"list a.example.org in {HOSTS}",
    ),
    Code.FOR_ANOTHER: (
        "b.example.org",
        {},
        "the token is for another server (b.example.org); get one for this server, or add "
        f"a.example.org to {HOSTS} if it accepts this one",
    ),
    Code.AUTOPATCH_LISTS: (
        "",
        {"chosen": False},
        "the token is for any server; the autopatch sends that only to listed servers; run "
        "export REQUESTS_SCITOKENS_HOSTS=a.example.org",
    ),
    Code.LISTED: (
        "",
        {"hosts": parse_hosts("a.example.org")},
        f"{HOSTS} lists this server",
    ),
    Code.REQUESTED: (
        "",
        {"requested": True},
        "it was passed with token=, or force=True was",
    ),
    Code.FOR_THIS: ("a.example.org", {}, "the token is for this server"),
    Code.UPLOAD: (
        "",
        {"upload": True},
        "the token is for any server, and an upload cannot wait",
    ),
    Code.ACCEPTED: (
        "",
        {"accepted": {(HERE, ("a.b.c",))}},
        "this server has accepted the token before",
    ),
    Code.WAITS: ("", {}, "the token is for any server, so it waits for a 401 or 403"),
}


@tells(*DECISIONS)
@pytest.mark.parametrize("code", DECISIONS, ids=lambda code: code.name)
def test_why_a_token_is_sent_or_not(code):
    audience, facts, says = DECISIONS[code]
    token = BearerToken("a.b.c", {"aud": audience} if audience else None)
    facts = {"url": "https://a.example.org/", "origin": HERE, "start": HERE, **facts}
    if "start" not in DECISIONS[code][1]:
        facts["start"] = facts["origin"]
    reason = decide(token, Situation(**facts)).reason
    assert reason.code is code
    assert full(reason) == says


OBJECTIONS = {
    Code.SENT_ELSEWHERE: (
        {"aud": "b.example.org"},
        None,
        "it is for b.example.org; get one for https://a.example.org",
    ),
    Code.SCOPE_WANTED: (
        {"scope": "read:/a"},
        {"scope": "read:/b"},
        "it has read:/a, the server wants read:/b; get a token with that scope",
    ),
    Code.SCOPE_COVERS: (
        {"scope": "read:/", "iss": "https://i.example.org"},
        None,
        "its scope covers this path; ask the site whether it accepts https://i.example.org "
        "as issuer and any server as audience, and where that issuer's paths begin",
    ),
    Code.OPAQUE: (None, None, f"it is opaque, so nothing in it says why; {COMMAND}"),
}


@tells(*OBJECTIONS)
@pytest.mark.parametrize("code", OBJECTIONS, ids=lambda code: code.name)
def test_what_a_server_may_have_against_a_token(code):
    claims, challenge, says = OBJECTIONS[code]
    token = BearerToken("abc", claims)
    reason = objection(token, "GET", "https://a.example.org/b", challenge)
    assert reason.code is code
    assert full(reason) == says


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        (because(Code.NO_TOKEN), f"no token was sent: no token was found; {GET_ONE}"),
        (
            because(Code.FAILS, problem="Not a directory", place="$A"),
            "no token was sent: $A: Not a directory",
        ),
    ],
)
def test_a_reason_within_a_reason_is_told_with_what_to_do_about_it(inner, says):
    reason = because(Code.NONE_SENT, reason=inner)
    assert full(reason) == says
    assert hash(reason) == hash(because(Code.NONE_SENT, reason=inner))


# --- the page


def section(heading):
    """Return the rows of the page below a heading: what it says there, as patterns."""
    page = PAGE.read_text()
    start = page.index(f"\n{heading}\n") + 1
    level = heading.partition(" ")[0]
    end = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE).search(page, start + 5)
    below = page[start : end.start() if end else None]
    rows = re.findall(r"^\| (.+?) \|", below, re.MULTILINE)
    return [pattern(row) for row in rows if row not in ("it says", "---")]


def pattern(row):
    """Make a pattern of a cell, in which italics and `...` stand for what varies."""
    parts = re.split(r"(?<!\\)\*.+?(?<!\\)\*|\.\.\.", row)
    cell = ".+".join(re.escape(part.replace("\\", "")) for part in parts)
    return re.compile(re.sub(r"`(\w+)`", r"\1", cell), re.DOTALL)


def explained(message, heading):
    """Fail, and say which message it is, unless the page has it below this heading."""
    if not any(row.fullmatch(message) for row in section(heading)):
        pytest.fail(f"{PAGE.name} does not have this below {heading!r}: {message}")
    return message


@pytest.mark.parametrize(
    ("row", "message", "fits"),
    [
        ("*a server* answered *401*; ...", "x answered 403; no token", True),
        ("*a server* answered *401*; ...", "x said 403; no token", False),
        (r"`TypeError`: no \*.use", "TypeError: no *.use", True),
    ],
)
def test_a_message_that_changed_would_be_found(row, message, fits):
    assert bool(pattern(row).fullmatch(message)) is fits


def test_a_message_that_is_missing_is_named():
    with pytest.raises(pytest.fail.Exception, match="messages.md does not have this.*nix"):
        explained("nix", "## Log lines")


def test_the_page_has_every_reason_once():
    """`docs/conf.py` puts a row for each code from one to another where these stand."""
    codes, shown = list(Code), []
    marker = re.compile(r"^<!-- reasons (\w+) (\w+) -->$", re.MULTILINE)
    for first, last in marker.findall(PAGE.read_text()):
        shown += codes[codes.index(Code[first]) : codes.index(Code[last]) + 1]
    assert sorted(shown, key=codes.index) == codes


# --- the log: a handler that the caller chose


@pytest.fixture
def log(caplog):
    """Return what the log has had to say since the last time; the page explains it."""

    def take(level=logging.INFO):
        lines = [one for one in caplog.records if one.levelno >= level]
        said = [f"{one.levelname}: {one.getMessage()}" for one in lines]
        for one in caplog.records:
            explained(one.getMessage(), "## Log lines")
        caplog.clear()
        return said

    caplog.set_level(logging.DEBUG, "requests_scitokens")
    return take


@pytest.fixture
def place(token_file):
    return f"$XDG_RUNTIME_DIR/{token_file.name} ({token_file})"


@tells(Code.NONE_SENT)
def test_no_token(serve, log):
    server = serve()
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: no token was found; "
        f"{GET_ONE}"
    ]


def test_what_is_in_a_place_is_named(serve, log, monkeypatch):
    monkeypatch.setenv("SCITOKEN", " ")
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: no token was found; "
        f"$SCITOKEN: empty; {GET_ONE}"
    ]


def test_a_malformed_token(serve, log, token_file, place):
    token_file.write_text("inner space")
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: {place}: it has "
        "white space inside; correct or remove it"
    ]


def test_an_expired_token_and_then_one_for_elsewhere(serve, issuer, log, token_file, place):
    elsewhere = {"audience": "https://a.example.org"}
    token_file.write_text(issuer.mint(lifetime=-10800, **elsewhere))
    server = serve()
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: {place}: it expired 3 h "
        "ago; renew it, for example with htgettoken"
    ]
    token_file.write_text(issuer.mint(**elsewhere))
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: the token is for another "
        "server (https://a.example.org); get one for this server, or add "
        f"{server.url[8:]} to {HOSTS} if it accepts this one"
    ]


@tells(Code.NO_OTHER, Code.SCOPE_LACKS)
def test_a_token_that_is_not_accepted(serve, issuer, log, token_file, place):
    token_file.write_text(issuer.mint("read:/frames"))
    server = serve(answer="storm")
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 403; the token in {place} was sent, and there is "
        "no other: it has read:/frames; the server may want read:/hello.txt, or a scope "
        f"that contains it, another audience, or another issuer; {COMMAND}"
    ]


@pytest.mark.parametrize(
    ("token", "answer", "guess"),
    [
        (
            {"scope": "read:/frames"},
            "bearer",
            "403; {}: it has read:/frames, the server wants read:/hello.txt; get a token "
            "with that scope",
        ),
        (
            {"scope": ""},
            Answer(scope_challenges=('Bearer scope="a\x1b[31m"',)),
            "403; {}: it has no scope, the server wants a\N{REPLACEMENT CHARACTER}[31m; "
            "get a token with that scope",
        ),
        (
            {"lifetime": -10800},
            "bearer",
            "401; {}: it expired 3 h ago; renew it, for example with htgettoken",
        ),
    ],
)
def test_a_given_token_that_is_not_accepted(serve, issuer, log, token, answer, guess):
    server = serve(answer=answer)
    requests_scitokens.get(f"{server.url}/hello.txt", token=issuer.mint(**token))
    guess = guess.format("the token was sent, and there is no other")
    assert log() == [f"WARNING: {server.url} answered {guess}"]


@pytest.mark.parametrize("answer", ["storm", "bearer"])
def test_one_reason_is_said_once_of_a_server_whatever_the_path_is(
    serve, issuer, log, answer
):
    server = serve({f"/{number}": b"" for number in range(5)}, answer=answer)
    for number in range(5):
        url = f"{server.url}/{number}"
        requests_scitokens.get(url, token=issuer.mint("read:/frames"))
    assert len(log()) == 1


@tells(Code.NOW_NONE)
def test_a_token_that_is_gone(serve, issuer, log):
    tokens = [issuer.mint(lifetime=-1), None]
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt", token=lambda url: tokens.pop(0))
    assert log() == [
        f"WARNING: {server.url} answered 401; the token was sent, and now there is none: "
        "the token function returned None for this URL"
    ]


@tells(Code.TWO_SENT)
def test_a_renewed_token_that_is_not_accepted_either(serve, issuer, log):
    tokens = [issuer.mint(lifetime=-10800, jti=name) for name in ("one", "two")]
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt", token=lambda url: tokens.pop(0))
    name = "the token that the token function returned"
    assert log() == [
        f"INFO: {server.url}: {name} is a new one, and is sent",
        f"WARNING: {server.url} answered 401; {name} was sent, and so was the one before: "
        "it expired 3 h ago; renew it, for example with htgettoken",
    ]


@tells(Code.NOT_TWICE, Code.NOT_TWICE_UNSENT)
@pytest.mark.parametrize("first", [True, False])
def test_a_body_that_cannot_be_sent_twice(serve, issuer, log, first):
    """A token function may have nothing at first: an upload does not wait."""
    server = serve({}, answer="storm")
    tokens = [issuer.mint(lifetime=-1) if first else None, issuer.mint("write:/")]
    requests_scitokens.post(
        f"{server.url}/new", data=iter([b"one"]), token=lambda url: tokens.pop(0)
    )
    advice = "" if first else "; force=True or hosts= sends the token at once"
    assert log() == [
        f"WARNING: {server.url} answered 401; the token that the token function returned "
        f"was not sent: this body cannot be sent twice{advice}"
    ]


def test_a_redirect(serve, issuer, log, token_file):
    token_file.write_text(issuer.mint())
    target, first = serve(), serve()
    first.redirects["/hello.txt"] = Redirect(f"{target.url}/hello.txt")
    requests_scitokens.get(f"{first.url}/hello.txt")
    assert log() == [
        f"WARNING: {target.url} answered 401; no token was sent: a redirect led here, and "
        f"the token is for any server; if the token may go there, list {target.url[8:]} in "
        f"{HOSTS}"
    ]


def test_a_redirect_to_plain_http_with_the_token(world, issuer, log):
    here, there = "https://a.example.org", "http://b.example.org:8080"
    token = issuer.mint()

    def answer(seen):
        if seen.origin == there:
            return 200, ()
        return 307, (("Location", f"{there}/?authz={token}"),)

    world(here, there).answer = answer
    for _ in range(2):
        requests_scitokens.get(here, token=token)
    assert log() == [
        f"WARNING: {here} redirects to plain http on b.example.org:8080 with your token in "
        "the URL, where everybody on the way can read it; ask the site to redirect to "
        "https (XRootD: http.desthttps yes)"
    ]


def test_a_url_that_does_not_say_which_host(log):
    response = requests.Response()
    response.status_code = 401
    response.request = requests.Request("GET", "https://a/").prepare()
    response.request.url = "https://a\\@b/"
    response.connection = object()
    assert HTTPSciTokenAuth("a.b.c").handle_response(response) is response
    assert log() == [
        "WARNING: a server answered 401; no token was sent: the URL does not say for "
        "certain which host is meant; write it plainly, as in "
        "https://storage.example.org/path"
    ]


def test_a_server_that_hosts_lists_and_no_token(serve, log):
    server = serve(protected=False)
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt", hosts="localhost")
    assert log() == [
        f"WARNING: no token was sent to {server.url}: no token was found; {GET_ONE}"
    ]


def test_a_server_that_hosts_lists_where_a_redirect_led(serve, log):
    listed, first = serve(protected=False), serve(protected=False)
    first.redirects["/hello.txt"] = Redirect(f"{listed.url}/hello.txt")
    requests_scitokens.get(f"{first.url}/hello.txt", hosts=listed.url)
    assert log() == [
        f"WARNING: no token was sent to {listed.url}: no token was found; {GET_ONE}"
    ]


def test_nothing_is_said_where_the_caller_said_no(serve, log):
    for token in (lambda url: None, False):
        server = serve(protected=False)
        requests_scitokens.get(f"{server.url}/", token=token, hosts="localhost")
    assert log() == []


@tells(Code.NO_URL)
def test_a_request_that_is_not_prepared(log):
    HTTPSciTokenAuth("a.b.c")(requests.Request("GET", headers={}))
    assert log(logging.DEBUG) == [
        "DEBUG: GET a URL without a certain host, the token given with token=: send it "
        "with the request; reason: there is no URL yet"
    ]


# --- the autopatch


@pytest.mark.usefixtures("patched")
def test_a_token_for_any_server_under_the_autopatch(serve, issuer, log, token_file):
    token_file.write_text(issuer.mint())
    for _ in range(2):
        unchanged("GET", f"{serve().url}/hello.txt")
    assert log() == [
        "WARNING: your token is for any server, so the autopatch sends it only to servers "
        "that REQUESTS_SCITOKENS_HOSTS lists, and that is not set; "
        "`python -m requests_scitokens URL` tells more"
    ]


@pytest.mark.usefixtures("patched")
def test_an_expired_token_under_the_autopatch(serve, issuer, log, token_file, place):
    token_file.write_text(issuer.mint(lifetime=-10800))
    server = serve()
    unchanged("GET", f"{server.url}/hello.txt")
    assert log(logging.DEBUG) == [
        f"DEBUG: GET {server.url}, no token: do not send it; reason: {place}: it "
        "expired 3 h ago; renew it, for example with htgettoken"
    ]


@pytest.mark.usefixtures("patched")
def test_hosts_that_are_not_understood_under_the_autopatch(serve, log, monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*")
    for _ in range(2):
        unchanged("GET", f"{serve().url}/hello.txt")
    assert log() == [
        "WARNING: no token is sent; REQUESTS_SCITOKENS_HOSTS: '*' cannot be one of the "
        "hosts that tokens may go to: a star stands only for names below another, as in "
        "*.example.org; write for example storage.example.org, *.example.org or "
        "https://host:1094"
    ]


@pytest.mark.usefixtures("patched")
def test_a_failure_under_the_autopatch(serve, log, monkeypatch):
    def fail(*args):
        raise AttributeError

    monkeypatch.setattr(HTTPSciTokenAuth, "_find", fail)
    unchanged("GET", f"{serve().url}/hello.txt")
    assert log(logging.DEBUG) == ["DEBUG: no token was sent: unexpected AttributeError"]


NOT_SAID = {
    "plain http": ("http://storage.invalid/", {}, "abc"),
    "a credential in the URL": ("https://storage.invalid/?authz=abc", {}, "abc"),
    "a list": ("https://storage.invalid/", {"REQUESTS_SCITOKENS_HOSTS": "a.org"}, "abc"),
    "a token for another": ("https://storage.invalid/", {}, FOR_THERE),
    "no token": ("https://storage.invalid/", {}, ""),
}


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("case", NOT_SAID)
def test_that_hosts_is_not_set_is_not_said_where_it_would_make_no_difference(
    log, monkeypatch, token_file, case
):
    url, variables, token = NOT_SAID[case]
    token_file.write_text(token)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    requests.Session().prepare_request(requests.Request("GET", url))
    assert log() == []


@pytest.mark.usefixtures("patched")
def test_nor_in_the_workers_of_a_program(log, monkeypatch, token_file):
    token_file.write_text("abc")

    def prepare():
        request = requests.Request("GET", "https://storage.invalid/")
        requests.Session().prepare_request(request)
        return len(log())

    monkeypatch.setattr(multiprocessing, "parent_process", object)
    assert prepare() == 0
    monkeypatch.delitem(sys.modules, "multiprocessing")
    assert prepare() == 1
    assert prepare() == 0


@pytest.mark.usefixtures("patched")
def test_a_list_that_keeps_a_token_back_under_the_autopatch(
    serve, issuer, log, token_file, monkeypatch
):
    token_file.write_text(issuer.mint())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "loclhost, *.example.org:1094")
    server = serve()
    for _ in range(2):
        unchanged("GET", f"{server.url}/hello.txt")
    netloc = server.url.removeprefix("https://")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: {HOSTS} does not list "
        f"{netloc}, but loclhost, *.example.org:1094; add {netloc} if it may be sent the "
        "token"
    ]
    unchanged("GET", f"{serve(protected=False).url}/hello.txt")
    assert log() == []
    token_file.unlink()
    state.token_files.clear()
    unchanged("GET", f"{serve().url}/hello.txt")
    assert log() == []


@pytest.mark.usefixtures("patched")
def test_a_token_that_was_sent_and_refused_under_the_autopatch(
    serve, issuer, log, token_file, place, monkeypatch
):
    token_file.write_text(issuer.mint("read:/frames"))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", f"localhost, {'a1' * 20}.example.org")
    server = serve()
    for _ in range(2):
        unchanged("GET", f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 403; the token in {place} was sent, and there is "
        "no other: it has read:/frames, the server wants read:/hello.txt; get a token with "
        "that scope; REQUESTS_SCITOKENS_HOSTS lists localhost, (not shown)"
    ]


@pytest.mark.usefixtures("patched")
def test_a_certificate_that_the_program_does_not_check_under_the_autopatch(
    serve, issuer, log, token_file, monkeypatch, recwarn
):
    server = serve()
    for verify, audience in ((True, server.url), (False, "https://a.org"), (False, "ANY")):
        token_file.write_text(issuer.mint(audience=audience))
        unchanged("GET", f"{server.url}/hello.txt", verify=verify)
    log()
    token_file.write_text(issuer.mint(audience=server.url))
    for _ in range(2):
        unchanged("GET", f"{server.url}/hello.txt", verify=False)
    assert log() == [
        f"WARNING: the token was sent to {server.url} without a check of its certificate "
        "(the program passes verify=False), so anybody on the way may have it"
    ]
    requests_scitokens.get(f"{server.url}/hello.txt", verify=False)  # it was chosen
    assert log() == []


# --- token files


def test_a_file_that_is_being_rewritten(issuer, log, token_file, place):
    token_file.write_text(issuer.mint())
    assert HTTPSciTokenAuth().find_token()
    token_file.write_text("")
    for _ in range(2):
        assert HTTPSciTokenAuth().find_token()
    assert log() == [f"INFO: {place} is being rewritten; its last token stands in"]


def test_a_file_that_others_can_read(issuer, log, token_file, place):
    token_file.write_text(issuer.mint())
    token_file.chmod(0o644)
    for _ in range(2):
        assert HTTPSciTokenAuth().find_token()
    assert log() == [
        f"WARNING: every user of this machine can read the token in {place}; let only you "
        "read that file, with chmod 600"
    ]


def test_what_a_token_says_of_itself_does_no_harm_to_the_log():
    audience = ["https://a.example.org/\x1b[31m\n", *["x" * 100] * 100]
    whom = BearerToken("a.b.c", {"aud": audience}).whom
    assert whom.startswith("https://a.example.org/\N{REPLACEMENT CHARACTER}[31m")
    assert whom.endswith("... (10228 characters)")
    assert whom.isprintable()


# --- exceptions


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: HTTPSciTokenAuth(42),
            "TypeError: token= is of type int; a SciToken, a str or bytes, True, or a "
            "function that returns one of these was expected",
        ),
        (
            lambda: HTTPSciTokenAuth(audience=42),
            "TypeError: audience= takes a string or a list of strings",
        ),
        (
            lambda: HTTPSciTokenAuth(hosts=[42]),
            "TypeError: hosts= takes a string or a list of strings",
        ),
        (
            lambda: requests_scitokens.get("https://a.org", auth=("a", "b"), token="a.b.c"),
            "TypeError: auth= was given together with token=; give one or the other",
        ),
        (
            lambda: HTTPSciTokenAuth(""),
            "MalformedTokenError: token= is not a bearer token: it is empty; give a token",
        ),
        (
            lambda: requests_scitokens.utils.serialize_token(SciToken()),
            "ValueError: the SciToken has not been serialised and holds no private key to "
            "do so; give the key to SciToken(key=...), or a serialised token",
        ),
        (
            lambda: requests_scitokens.gett,
            "AttributeError: module 'requests_scitokens' has no attribute 'gett'",
        ),
    ],
)
def test_what_exceptions_say(call, message):
    with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
        call()
    said = f"{type(caught.value).__name__}: {caught.value}"
    assert explained(said, "## Exceptions") == message


@tells(Code.NOT_SET, Code.NOT_THERE)
def test_what_is_said_where_a_token_has_to_be(monkeypatch, place):
    monkeypatch.setenv("SCITOKEN", "")
    with pytest.raises(TokenNotFoundError) as caught:
        HTTPSciTokenAuth(force=True).find_token()
    said = f"TokenNotFoundError: {caught.value}"
    (shared,) = [one.path for one in environment.PLACES if not one.variable]
    name = f"bt_u{os.geteuid()}"
    assert explained(said, "## Exceptions") == (
        "TokenNotFoundError: no usable token: no token was found; $SCITOKEN: empty; get "
        "one, for example with htgettoken; looked in: $BEARER_TOKEN: not set; "
        "$BEARER_TOKEN_FILE: not set; $SCITOKEN_FILE: not set; $_CONDOR_CREDS: not set; "
        f"{place}: no such file; /tmp/{name} ({shared}/{name}): no such file"
    )


def test_hosts_that_are_not_understood_by_a_chosen_handler(monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.org")
    with pytest.raises(ValueError, match="REQUESTS_SCITOKENS_HOSTS: ") as caught:
        requests_scitokens.get("https://a.example.org/")
    explained(f"ValueError: {caught.value}", "## Exceptions")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("root://a.example.org", "the scheme can only be http:// or https://"),
        ("a.example.org/path", "give the host only, without a path"),
        ("a.*.org", "a star stands only for names below another, as in *.example.org"),
        ("a b", "it is not a host name"),
        ("*.org", "it would match far more than one organisation's hosts"),
    ],
)
def test_what_is_wrong_with_an_entry_of_hosts(entry, problem):
    with pytest.raises(ValueError, match="cannot be one of the hosts") as caught:
        parse_hosts(entry)
    assert str(caught.value) == (
        f"{entry!r} cannot be one of the hosts that tokens may go to: {problem}; write for "
        "example storage.example.org, *.example.org or https://host:1094"
    )
    explained(problem, "### hosts= and REQUESTS_SCITOKENS_HOSTS")


# --- REQUESTS_SCITOKENS_LOG


def test_another_setting_of_the_log_is_a_warning(log):
    state.show_log("verbose")
    assert log() == [
        "WARNING: REQUESTS_SCITOKENS_LOG is none of debug, info, warning and off; it is "
        "ignored"
    ]
