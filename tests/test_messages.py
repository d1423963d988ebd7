"""What the package says: the place, the reason, the next step; and the page explains it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path

import pytest
import requests
from scitokens import SciToken

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError, policy, state
from requests_scitokens.discovery import Target, look_everywhere
from requests_scitokens.hosts import parse_hosts
from requests_scitokens.origin import origin_of
from requests_scitokens.policy import Action, Situation
from requests_scitokens.source import Source
from requests_scitokens.testing import Answer, Redirect
from requests_scitokens.token import LIMIT, BearerToken

from .ways import unchanged

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "messages.md"
HOSTS = "hosts= or REQUESTS_SCITOKENS_HOSTS"
HINT = "`python -m requests_scitokens --try URL` shows what the server wants"


def section(heading):
    """Return the rows of the page below a heading: what it says there, as patterns."""
    text = PAGE.read_text()
    start = text.index(f"\n{heading}\n") + 1
    level = heading.partition(" ")[0]
    end = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE).search(text, start + 5)
    below = text[start : end.start() if end else None]
    rows = re.findall(r"^\| (.+?) \|", below, re.MULTILINE)
    return [pattern(row) for row in rows if row not in ("it says", "---")]


def pattern(row):
    """Make a pattern of a cell, in which italics and `...` stand for what varies."""
    parts = re.split(r"(?<!\\)\*.+?(?<!\\)\*|\.\.\.", row)
    text = ".+".join(re.escape(part.replace("\\", "")) for part in parts)
    return re.compile(re.sub(r"`(\w+)`", r"\1", text), re.DOTALL)


def explained(text, heading):
    """Fail, and say which message it is, unless the page has it below this heading."""
    if not any(row.fullmatch(text) for row in section(heading)):
        pytest.fail(f"{PAGE.name} does not have this below {heading!r}: {text}")
    return text


@pytest.fixture(autouse=True)
def nothing_in_tmp(monkeypatch):
    monkeypatch.setattr("requests_scitokens.discovery.SHARED_DIRECTORY", "/nowhere")


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


# --- a handler that the caller chose


def test_no_token(serve, log):
    server = serve()
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: no token was found; get "
        "one, for example with htgettoken"
    ]


def test_what_is_in_a_place_is_named(serve, log, monkeypatch):
    monkeypatch.setenv("SCITOKEN", " ")
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: no token was found; "
        "$SCITOKEN: empty; get one, for example with htgettoken"
    ]


def test_a_malformed_token(serve, log, token_file, place):
    token_file.write_text("inner space")
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: {place}: not a bearer "
        "token: it has white space inside; correct or remove it"
    ]


def test_an_expired_token_and_then_one_for_elsewhere(serve, issuer, log, token_file, place):
    elsewhere = {"audience": "https://a.example.org"}
    token_file.write_text(issuer.mint(lifetime=-10800, **elsewhere))
    server = serve()
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: the token in {place} "
        "expired 3 h ago; renew it, for example with htgettoken"
    ]
    token_file.write_text(issuer.mint(**elsewhere))
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 401; no token was sent: the token is for another "
        "server (https://a.example.org); get one for this server, or add "
        f"{server.url[8:]} to {HOSTS} if it accepts this one"
    ]


def test_a_token_that_is_not_accepted(serve, issuer, log, token_file, place):
    token_file.write_text(issuer.mint("read:/frames"))
    server = serve(answer="storm")
    for _ in range(2):
        requests_scitokens.get(f"{server.url}/hello.txt")
    assert log() == [
        f"WARNING: {server.url} answered 403; the token in {place} was sent, and there is "
        f"no other; {HINT}"
    ]


@pytest.mark.parametrize(
    ("token", "answer", "guess"),
    [
        (
            {"scope": "read:/frames"},
            "bearer",
            "403; {}; it has read:/frames, the server wants read:/hello.txt",
        ),
        (
            {"scope": ""},
            Answer(scope_challenges=('Bearer scope="a\x1b[31m"',)),
            "403; {}; it has no scope, the server wants a\N{REPLACEMENT CHARACTER}[31m",
        ),
        ({"lifetime": -10800}, "bearer", "401; {}; it expired 3 h ago"),
    ],
)
def test_a_given_token_that_is_not_accepted(serve, issuer, log, token, answer, guess):
    server = serve(answer=answer)
    requests_scitokens.get(f"{server.url}/hello.txt", token=issuer.mint(**token))
    guess = guess.format("the token was sent")
    assert log() == [f"WARNING: {server.url} answered {guess}"]


def test_a_token_that_is_gone(serve, issuer, log):
    tokens = [issuer.mint(lifetime=-1), None]
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt", token=lambda url: tokens.pop(0))
    assert log() == [
        f"WARNING: {server.url} answered 401; the token was sent, and now there is none: "
        "the token function returned None for this URL"
    ]


def test_a_renewed_token_that_is_not_accepted_either(serve, issuer, log):
    tokens = [issuer.mint(lifetime=-1, jti=name) for name in ("one", "two")]
    server = serve()
    requests_scitokens.get(f"{server.url}/hello.txt", token=lambda url: tokens.pop(0))
    name = "the token that the token function returned"
    assert log() == [
        f"INFO: {server.url}: {name} is a new one, and is sent",
        f"WARNING: {server.url} answered 401; {name} was sent, and so was the one before; "
        f"{HINT}",
    ]


def test_a_body_that_cannot_be_sent_twice(serve, issuer, log, token_file):
    """One of a token function, which has nothing at first: an upload does not wait."""
    token_file.write_text(issuer.mint("write:/"))
    server = serve({}, answer="storm")
    url = f"{server.url}/new"
    tokens = [None, issuer.mint("write:/")]
    requests_scitokens.post(url, data=iter([b"one"]), token=lambda url: tokens.pop(0))
    assert log() == [
        f"WARNING: {server.url} answered 401; the token was not sent: this body cannot be "
        "sent twice; force=True or hosts= sends the token at once"
    ]


def test_a_redirect(serve, issuer, log, token_file):
    token_file.write_text(issuer.mint())
    target, first = serve(), serve()
    first.redirects["/hello.txt"] = Redirect(f"{target.url}/hello.txt")
    requests_scitokens.get(f"{first.url}/hello.txt")
    assert log() == [
        f"WARNING: {target.url} answered 401; no token was sent: a redirect led here, and "
        "the token is for any server; if it may have the token, list both servers in "
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
        f"WARNING: no token was sent to {server.url}: no token was found; get one, for "
        "example with htgettoken"
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
        f"DEBUG: GET {server.url}, no token: do not send it; reason: the token in {place} "
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
    def fail(self, target):
        raise AttributeError

    monkeypatch.setattr(Source, "_decide", fail)
    unchanged("GET", f"{serve().url}/hello.txt")
    assert log(logging.DEBUG) == ["DEBUG: no token was sent: unexpected AttributeError"]


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


def write(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (write(""), "empty"),
        (Path.mkdir, "it is not a regular file"),
        (write("x" * (LIMIT + 1)), f"it is longer than {LIMIT} bytes, and no token is"),
        (write("{}"), "it is JSON without an access_token"),
        (write('{"access_token": ""}'), "empty"),
        (write("eyJhbGciOiJ"), "not a bearer token: it is cut short"),
        (write("a b"), "not a bearer token: it has white space inside"),
        (write("a\x01b"), "not a bearer token: it has a control character inside"),
        (
            write("a,b"),
            "not a bearer token: it has a character that no token has (RFC 6750 section "
            "2.1)",
        ),
        (write("Bearer a"), "not a bearer token: the word Bearer is no part of the token"),
        (write('"a"'), "not a bearer token: it has quotes around it"),
        (
            write("\ufeffa"),
            "not a bearer token: it begins with a byte order mark (BOM)",
        ),
        (
            lambda path: path.write_text("a", "utf-16"),
            "not a bearer token: it is in UTF-16",
        ),
        (write("a\nb"), "not a bearer token: it has more than one line"),
        (lambda path: None, "No such file or directory"),
    ],
)
def test_what_is_in_a_file_is_said(monkeypatch, tmp_path, make, reason):
    path = tmp_path / "token"
    make(path)
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    lookup = list(look_everywhere())[1]
    assert explained(lookup.reason, "## What was in a place") == reason


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("BEARER_TOKEN", "", "empty"),
        ("BEARER_TOKEN", "a b", "not a bearer token: it has white space inside"),
        (
            "BEARER_TOKEN",
            "x" * (LIMIT + 1),
            f"not a bearer token: it is longer than {LIMIT} bytes",
        ),
        (
            "BEARER_TOKEN_FILE",
            "token",
            "no such file (not shown: a token itself would go into $BEARER_TOKEN)",
        ),
        ("_CONDOR_CREDS", ".", "no file there is called *.use"),
    ],
)
def test_what_is_in_a_variable_is_said(monkeypatch, tmp_path, variable, value, reason):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    found = {lookup.place: lookup.reason for lookup in look_everywhere()}
    assert explained(found[f"${variable}"], "## What was in a place") == reason


# --- why a URL gets the token or not


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        (
            "https://a.example.org/",
            {"credential": True},
            "the URL carries a credential of its own; the token goes beside that only with "
            "token= or force=True, and not after a redirect",
        ),
        (
            "http://a.example.org:81/",
            {"plain": "network"},
            "everybody on the way could read the token over plain http; use https, or add "
            f"http://a.example.org:81 to {HOSTS}",
        ),
        (
            "http://localhost:81/",
            {"plain": "proxy"},
            "a proxy could read the token over plain http; exclude this server from it "
            "with NO_PROXY=localhost",
        ),
        (
            "https://a.example.org/",
            {"listed": False},
            f"{HOSTS} does not list a.example.org; add it if it may have the token",
        ),
        (
            "https://a.example.org/",
            {
                "redirectors": (
                    Situation(origin_of("https://b.example.org/"), listed=False),
                )
            },
            "a redirect from https://b.example.org led here, which may not have the token; "
            "only requests that read follow such a redirect with it",
        ),
        (
            "https://a.example.org/",
            {"chosen": False},
            "the token is for any server, and the autopatch sends such a token only to "
            "servers that are listed: set REQUESTS_SCITOKENS_HOSTS=a.example.org",
        ),
    ],
)
def test_why_a_token_is_not_sent(url, options, reason):
    token = BearerToken("a.b.c")
    decided = policy.decide(token, Situation(origin_of(url), **options))
    assert decided == (Action.NEVER, reason)
    explained(reason, "### It is not sent")


@pytest.mark.parametrize(
    ("audience", "options", "reason"),
    [
        ("", {}, "the token is for any server, so it waits for a 401 or 403"),
        ("", {"accepted": True}, "this server has accepted the token before"),
        ("", {"once": True}, "the token is for any server, and an upload cannot wait"),
        ("", {"listed": True}, f"{HOSTS} lists this server"),
        ("", {"requested": True}, "the token was requested with token= or force=True"),
        ("a.example.org", {}, "the token is for this server"),
    ],
)
def test_why_a_token_is_sent(audience, options, reason):
    token = BearerToken("a.b.c", {"aud": audience} if audience else None)
    accepted = options.pop("accepted", False)
    at = Situation(origin_of("https://a.example.org/"), **options)
    action, said = policy.decide(token, at, accepted=accepted)
    assert action is not Action.NEVER
    assert explained(said, "### It is sent") == reason


class OwnWay(Source):
    def _own_way(self, **_):
        return lambda url: None


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (
            Source(token=lambda url: None),
            Target(
                "https://b.org/",
                origin_of("https://b.org/"),
                start=origin_of("https://a.org/"),
            ),
            "a token function is not asked where a redirect leads elsewhere",
        ),
        (
            Source(token=lambda url: None),
            Target("https://a.org/", origin_of("https://a.org/")),
            "the token function returned None for this URL",
        ),
        (
            OwnWay(),
            Target("https://a.org/", origin_of("https://a.org/")),
            "the handler's class found no token",
        ),
        (
            Source(token=False),
            Target("https://a.org/", origin_of("https://a.org/")),
            "token=False was given",
        ),
    ],
)
def test_why_there_is_no_token(source, target, reason):
    found = source._find(target)
    assert explained(found.reason, "### There is no usable token") == reason


def test_a_token_without_the_wanted_audience(monkeypatch, issuer):
    monkeypatch.setenv("SCITOKEN", issuer.mint(audience="one"))
    found = Source(audience="another")._find(Target())
    assert explained(found.reason, "### There is no usable token") == (
        "the token in $SCITOKEN is for one, not for another; get one for another"
    )


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
            "MalformedTokenError: token= is not a bearer token: it is empty",
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


def test_what_is_said_where_a_token_has_to_be(monkeypatch, place):
    monkeypatch.setenv("SCITOKEN", "")
    with pytest.raises(TokenNotFoundError) as caught:
        HTTPSciTokenAuth(force=True).find_token()
    said = f"TokenNotFoundError: {caught.value}"
    assert explained(said, "## Exceptions") == (
        "TokenNotFoundError: no usable token: no token was found; $SCITOKEN: empty; get "
        "one, for example with htgettoken; looked in: $BEARER_TOKEN: not set; "
        "$BEARER_TOKEN_FILE: not set; $SCITOKEN_FILE: not set; $_CONDOR_CREDS: not set; "
        f"{place}: No such file or directory; "
        f"/nowhere/bt_u{os.geteuid()}: No such file or directory"
    )


def test_hosts_that_are_not_understood_by_a_chosen_handler(monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.org")
    with pytest.raises(ValueError, match="REQUESTS_SCITOKENS_HOSTS: ") as caught:
        requests_scitokens.get("https://a.example.org/")
    explained(f"ValueError: {caught.value}", "## Exceptions")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("", "it is empty"),
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


@pytest.fixture
def logger(monkeypatch):
    """Leave the logger as it was."""
    before = state.log.level, state.log.disabled, list(state.log.handlers)
    yield state.log
    state.log.setLevel(before[0])
    state.log.disabled = before[1]
    state.log.handlers[:] = before[2]


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING"]),
        ("Info", ["INFO", "WARNING"]),
        (" warning ", ["WARNING"]),
        ("off", []),
    ],
)
def test_the_variable_says_what_is_shown_on_stderr(logger, capsys, setting, shown):
    state.show_log(setting)
    for level in ("DEBUG", "INFO", "WARNING"):
        logger.log(getattr(logging, level), level)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"requests-scitokens: {level}" for level in shown]


def test_another_setting_is_a_warning(logger, log):
    state.show_log("verbose")
    assert log() == [
        "WARNING: REQUESTS_SCITOKENS_LOG is none of debug, info, warning and off; it is "
        "ignored"
    ]


def test_a_closed_stderr_is_no_error(logger, monkeypatch):
    state.show_log("warning")
    for stderr in (None, open(os.devnull)):  # noqa: SIM115, closed below
        monkeypatch.setattr("sys.stderr", stderr)
        logger.warning("nobody reads this")
        with contextlib.suppress(AttributeError):
            stderr.close()


# --- the page


@pytest.mark.parametrize(
    ("row", "text", "fits"),
    [
        ("*a server* answered *401*; ...", "x answered 403; no token", True),
        ("*a server* answered *401*; ...", "x said 403; no token", False),
        (r"`TypeError`: no \*.use", "TypeError: no *.use", True),
    ],
)
def test_a_message_that_changed_would_be_found(row, text, fits):
    assert bool(pattern(row).fullmatch(text)) is fits


def test_a_message_that_is_missing_is_named():
    with pytest.raises(pytest.fail.Exception, match="messages.md does not have this.*nix"):
        explained("nix", "## Log lines")
