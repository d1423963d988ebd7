"""The decision table, row by row; audiences; the hosts that tokens may go to."""

from __future__ import annotations

from typing import Any

import pytest

from requests_scitokens.origin import (
    TOKEN_PARAMETERS,
    Origin,
    carries_token,
    origin_of,
)
from requests_scitokens.policy import (
    ANSWER_CHALLENGE,
    ANSWER_REFUSAL,
    ATTACH,
    ELSEWHERE,
    NAMED,
    NEVER,
    UNBOUND,
    Action,
    barred,
    judge,
    parse_hosts,
    standing,
)
from requests_scitokens.token import BearerToken

STORAGE = "https://storage.example.org"
OTHER = "https://other.example.org"
START = "https://start.example.org"
DATA = f"{STORAGE}/data"
HTTP = "http://storage.example.org/data"

REFUSAL, CHALLENGE = ANSWER_REFUSAL, ANSWER_CHALLENGE


def token_for(*audience: str) -> BearerToken:
    return BearerToken("abc", {"aud": list(audience)} if audience else {})


def decide(
    url: str,
    token: BearerToken,
    *,
    home: str = "",
    hosts: str | None = None,
    asked: bool = False,
    chosen: bool = True,
    taken: bool = False,
    audience: tuple[str, ...] = (),
) -> Action:
    origin = origin_of(url)
    patterns = None if hosts is None else parse_hosts(hosts)
    if barred(url, origin, hosts=patterns, asked=asked):
        return NEVER
    assert origin is not None
    action, why = judge(
        token,
        origin,
        redirected=bool(home) and origin_of(home) != origin,
        hosts=patterns,
        asked=asked,
        chosen=chosen,
        taken=taken,
        audience=audience,
    )
    assert why
    return action


# The columns of the table. What was asked for is sent whatever its audience says, so
# the least welcome one stands for all.
COLUMNS: dict[str, dict[str, Any]] = {
    "asked for": {"token": token_for(OTHER), "asked": True},
    "names the origin": {"token": token_for(STORAGE)},
    "unbound, chosen": {"token": token_for()},
    "unbound, default": {"token": token_for(), "chosen": False},
    "elsewhere": {"token": token_for(OTHER)},
}

# "Wait" and "answer" are one action each: what a token waits for is what it answers.
# A cell that the table leaves empty is None.
TABLE: list[tuple[str, dict[str, Any], tuple[Action | None, ...]]] = [
    (
        "the request as the caller made it",
        {"url": DATA},
        (ATTACH, ATTACH, REFUSAL, CHALLENGE, NEVER),
    ),
    (
        "the request as the caller made it, to an origin that has taken the token",
        {"url": DATA, "taken": True},
        (ATTACH, ATTACH, ATTACH, ATTACH, NEVER),
    ),
    (
        "no credentials were sent, 401 with a Bearer challenge",
        {"url": DATA},
        (None, None, REFUSAL, CHALLENGE, NEVER),
    ),
    (
        "no credentials were sent, any other 401 or a 403",
        {"url": DATA},
        (None, None, REFUSAL, CHALLENGE, NEVER),  # a challenge is what did not come
    ),
    (
        "401 or 403 to the token itself: a renewed one may go where the old one went",
        {"url": DATA},
        (ATTACH, ATTACH, REFUSAL, CHALLENGE, None),
    ),
    (
        "a redirect led to another origin",
        {"url": DATA, "home": START},
        (NEVER, ATTACH, NEVER, NEVER, NEVER),
    ),
    (
        "a redirect led to another origin, which has taken the token",
        {"url": DATA, "home": START, "taken": True},
        (NEVER, ATTACH, NEVER, NEVER, NEVER),
    ),
    (
        "a redirect led to another port",
        {"url": f"{STORAGE}:1094/data", "home": STORAGE},
        (NEVER, ATTACH, NEVER, NEVER, NEVER),
    ),
    (
        "hosts is set and the origin is in it",
        {"url": DATA, "hosts": "storage.example.org"},
        (ATTACH, ATTACH, ATTACH, ATTACH, ATTACH),
    ),
    (
        "hosts is set and the origin is in it, after a redirect",
        {"url": DATA, "hosts": "storage.example.org", "home": START},
        (ATTACH, ATTACH, ATTACH, ATTACH, ATTACH),
    ),
    (
        "hosts is set and the origin is not in it",
        {"url": DATA, "hosts": "other.example.org"},
        (NEVER, NEVER, NEVER, NEVER, NEVER),
    ),
    (
        "plain http to anything but loopback",
        {"url": HTTP},
        (NEVER, NEVER, NEVER, NEVER, NEVER),
    ),
    (
        "plain http, and hosts lists it without a scheme",
        {"url": HTTP, "hosts": "storage.example.org"},
        (NEVER, NEVER, NEVER, NEVER, NEVER),
    ),
    (
        "plain http, and hosts lists it with https://",
        {"url": HTTP, "hosts": STORAGE},
        (NEVER, NEVER, NEVER, NEVER, NEVER),
    ),
    (
        "plain http, and hosts lists it with an explicit http://",
        {"url": HTTP, "hosts": "http://storage.example.org"},
        (ATTACH, ATTACH, ATTACH, ATTACH, ATTACH),
    ),
    (
        "the URL itself carries a token",
        {"url": f"{DATA}?authz=abc"},
        (ATTACH, NEVER, NEVER, NEVER, NEVER),
    ),
    (
        "the URL itself carries a token, and hosts lists the origin",
        {"url": f"{DATA}?a=b&access_token=abc", "hosts": "storage.example.org"},
        (ATTACH, NEVER, NEVER, NEVER, NEVER),
    ),
]

CELLS = [
    pytest.param(
        {**COLUMNS[column], **situation}, action, id=f"{row} | {column}".replace("::", ":")
    )
    for row, situation, actions in TABLE
    for column, action in zip(COLUMNS, actions, strict=True)
    if action is not None
]


@pytest.mark.parametrize(("situation", "action"), CELLS)
def test_every_cell_of_the_decision_table(situation, action):
    assert decide(**situation) == action


@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize(
    ("audience", "action"), [(STORAGE, ATTACH), (OTHER, NEVER)], ids=["named", "not"]
)
def test_an_audience_that_is_a_host_decides_whoever_put_the_handler_there(
    audience, action, chosen, taken
):
    assert decide(DATA, token_for(audience), chosen=chosen, taken=taken) == action


def test_what_was_asked_for_follows_a_redirect_to_what_it_names():
    assert decide(DATA, token_for(STORAGE), home=START, asked=True) == ATTACH


@pytest.mark.parametrize("asked", [True, False])
def test_audience_says_nothing_of_where_a_redirect_leads(asked):
    situation = {"home": START, "asked": asked, "audience": ("mine",)}
    assert decide(DATA, token_for("mine"), **situation) == NEVER
    assert decide(DATA, token_for("mine", STORAGE), **situation) == ATTACH


@pytest.mark.parametrize(
    ("has", "action"),
    [
        (("mine",), ATTACH),
        (("other", "mine"), ATTACH),
        (("other",), NEVER),
        ((STORAGE,), NEVER),
        (("ANY",), NEVER),
        ((), NEVER),
    ],
)
def test_audience_alone_decides_where_it_is_given(has, action):
    assert decide(DATA, token_for(*has), audience=("mine", "yours")) == action


@pytest.mark.parametrize(
    "situation",
    [
        {"url": f"{HTTP}?authz=abc"},
        {"url": f"{DATA}?authz=abc", "hosts": "other.example.org"},
        {"url": f"{DATA}?authz=abc", "home": START},
    ],
)
def test_a_token_in_the_url_lifts_no_other_rule(situation):
    assert decide(token=token_for(OTHER), asked=True, **situation) == NEVER


@pytest.mark.parametrize(
    "netloc", ["localhost", "localhost:8080", "127.0.0.1:1", "127.8.9.1", "[::1]:8080"]
)
def test_plain_http_to_loopback_is_as_good_as_https(netloc):
    url = f"http://{netloc}/data"
    assert decide(url, token_for(), asked=True) == ATTACH
    assert decide(url, token_for(f"http://{netloc}")) == ATTACH
    assert decide(url, token_for()) == REFUSAL
    assert decide(url, token_for(), chosen=False) == CHALLENGE
    assert decide(url, token_for(STORAGE)) == NEVER
    assert decide(url, token_for(), hosts=netloc) == ATTACH
    assert decide(url, token_for(), hosts="storage.example.org") == NEVER


@pytest.mark.parametrize(
    "url",
    ["http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://127.1/"],
)
def test_what_only_looks_like_loopback_is_not(url):
    assert decide(url, token_for(), asked=True) == NEVER


@pytest.mark.parametrize(
    "url", ["", "ftp://storage.example.org/", "mailto:a@b.example.org"]
)
def test_no_token_goes_where_the_host_cannot_be_told(url):
    reason = barred(url, origin_of(url), hosts=None, asked=True)
    assert reason.startswith("the URL does not say for certain which host is meant; ")


@pytest.mark.parametrize("name", [*sorted(TOKEN_PARAMETERS), "AUTHZ", "X-Amz-Signature"])
def test_urls_that_carry_a_token_are_recognised(name):
    assert carries_token(f"{DATA}?{name}=abc")
    assert carries_token(f"{DATA}?a=b&{name}=abc&c=d#e")


@pytest.mark.parametrize(
    "url",
    [
        DATA,
        f"{DATA}?",
        f"{DATA}?authz=",
        f"{DATA}?token=abc",
        f"{DATA}?path=authz",
        f"{STORAGE}/authz=abc",
        f"{DATA}#?authz=abc",
    ],
)
def test_urls_that_carry_none_are_not(url):
    assert not carries_token(url)


# --- audiences


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        # URLs
        (["https://storage.example.org"], NAMED),
        (["https://storage.example.org/"], NAMED),
        (["https://storage.example.org/some/path?a=b#c"], NAMED),
        (["https://storage.example.org:443"], NAMED),
        (["HTTPS://Storage.Example.ORG."], NAMED),
        (["https://storage.example.org:1094"], ELSEWHERE),
        (["http://storage.example.org"], ELSEWHERE),
        (["https://other.example.org"], ELSEWHERE),
        (["https://example.org"], ELSEWHERE),
        (["https://a.storage.example.org"], ELSEWHERE),
        # a scheme that HTTP does not know is ignored
        (["roots://storage.example.org"], NAMED),
        (["davs://storage.example.org:443/path"], NAMED),
        (["root://other.example.org"], ELSEWHERE),
        # host names, and host:port
        (["storage.example.org"], NAMED),
        (["storage.example.org:443"], NAMED),
        (["storage.example.org:1094"], ELSEWHERE),
        (["other.example.org"], ELSEWHERE),
        (["localhost:443"], ELSEWHERE),
        # logical names, and whatever is neither
        ([], UNBOUND),
        (["my-service"], UNBOUND),
        (["storage"], UNBOUND),
        (["urn:example:storage"], UNBOUND),
        (["https"], UNBOUND),
        ([""], UNBOUND),
        # any audience
        (["ANY"], UNBOUND),
        (["https://wlcg.cern.ch/jwt/v1/any"], UNBOUND),
        (["https://wlcg.cern.ch/jwt/v1/other"], ELSEWHERE),
        # several
        (["https://other.example.org", "storage.example.org"], NAMED),
        (["my-service", "storage.example.org"], NAMED),
        (["ANY", "storage.example.org"], NAMED),
        (["https://other.example.org", "a.example.org"], ELSEWHERE),
        (["https://other.example.org", "my-service"], UNBOUND),
        (["https://other.example.org", "ANY"], UNBOUND),
    ],
    ids=repr,
)
def test_how_an_audience_relates_to_an_origin(audience, expected):
    origin = Origin("https", "storage.example.org", 443)
    assert standing(token_for(*audience), origin) == expected


def test_a_missing_port_in_an_audience_is_any_port():
    origin = Origin("https", "storage.example.org", 1094)
    for audience in ("https://storage.example.org", "storage.example.org"):
        assert standing(token_for(audience), origin) == NAMED


# --- hosts


@pytest.mark.parametrize(
    ("hosts", "patterns"),
    [
        ("storage.example.org", [(None, "storage.example.org", None)]),
        ("STORAGE.Example.org.", [(None, "storage.example.org", None)]),
        ("*.example.org", [(None, "*.example.org", None)]),
        ("*.example.org:1094", [(None, "*.example.org", 1094)]),
        ("https://*.example.org", [("https", "*.example.org", None)]),
        ("https://host:1094", [("https", "host", 1094)]),
        ("HTTPS://host:1094/", [("https", "host", 1094)]),
        ("http://localhost:8080", [("http", "localhost", 8080)]),
        ("localhost", [(None, "localhost", None)]),
        ("[::1]:8443", [(None, "::1", 8443)]),
        ("127.0.0.1", [(None, "127.0.0.1", None)]),
        ("bücher.example", [(None, "xn--bcher-kva.example", None)]),
        (" a.org , b.org:1 ", [(None, "a.org", None), (None, "b.org", 1)]),
        (["a.org", "http://b"], [(None, "a.org", None), ("http", "b", None)]),
        ([], []),
    ],
    ids=repr,
)
def test_hosts_are_read(hosts, patterns):
    assert [(one.scheme, one.host, one.port) for one in parse_hosts(hosts)] == patterns


STAR = "a star stands only for what is below a name"
TOO_MUCH = "it would match far more than one organisation's hosts"
NO_NAME = "it is not a host name"
PATH = "a host is meant, without a path"
SCHEME = "only http:// and https:// can be asked for"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("*", STAR),
        ("*:443", STAR),
        ("https://*", STAR),
        ("*.*", STAR),
        ("*.*.org", STAR),
        ("**.example.org", STAR),
        ("a.*.example.org", STAR),
        ("*example.org", STAR),
        ("*.org", TOO_MUCH),
        ("*.ORG", TOO_MUCH),
        ("*.com.", TOO_MUCH),
        ("*.localhost", TOO_MUCH),
        ("https://*.edu:443", TOO_MUCH),
        ("*.0.0.1", TOO_MUCH),
        ("*.[::1]", TOO_MUCH),
        ("*.ac.uk", TOO_MUCH),
        ("*.co.uk.", TOO_MUCH),
        ("*.com.au", TOO_MUCH),
        ("*.co.jp", TOO_MUCH),
        ("*.edu.au", TOO_MUCH),
        ("*.gov.uk", TOO_MUCH),
        ("*.org.br", TOO_MUCH),
        ("*.", NO_NAME),
        ("*..com", NO_NAME),
        (".example.org", NO_NAME),
        ("a..example.org", NO_NAME),
        ("a b.example.org", NO_NAME),
        ("user@a.example.org", NO_NAME),
        ("a.example.org:", NO_NAME),
        ("a.example.org:port", NO_NAME),
        ("a.example.org:1:2", NO_NAME),
        ("[::1", NO_NAME),
        ("[::g]", NO_NAME),
        ("https://", NO_NAME),
        ("a.example.org/path", PATH),
        ("https://a.example.org/path", PATH),
        ("a.example.org?query", PATH),
        ("a.example.org#fragment", PATH),
        ("ftp://a.example.org", SCHEME),
        ("root://a.example.org", SCHEME),
        ("://a.example.org", SCHEME),
    ],
)
def test_what_is_no_host_or_would_match_too_much_is_refused(entry, problem):
    with pytest.raises(
        ValueError, match=r"write for example storage\.example\.org"
    ) as caught:
        parse_hosts([entry])
    assert problem in str(caught.value)
    assert repr(entry.strip()) in str(caught.value)


@pytest.mark.parametrize("hosts", ["a.example.org,", ",", "a.example.org,,b.example.org"])
def test_an_empty_entry_among_others_is_refused(hosts):
    with pytest.raises(ValueError, match="it is empty"):
        parse_hosts(hosts)


@pytest.mark.parametrize(
    "host", ["ligo.org", "muni.cz", "ed.ac.uk", "cern.ch", "desy.de", "in2p3.fr", "kek.jp"]
)
def test_everything_below_one_organisations_name_may_be_listed(host):
    (pattern,) = parse_hosts(f"*.{host}")
    assert pattern.matches(Origin("https", f"a.b.{host}", 443))
    assert not pattern.matches(Origin("https", host, 443))
    assert not pattern.matches(Origin("https", f"evil{host}", 443))
    assert not pattern.matches(Origin("https", f"a.{host}.evil.example", 443))


@pytest.mark.parametrize(
    ("entry", "url", "matches"),
    [
        ("a.example.org", "https://a.example.org", True),
        ("a.example.org", "https://a.example.org:1094", True),
        ("a.example.org", "https://b.a.example.org", False),
        ("a.example.org:443", "https://a.example.org", True),
        ("a.example.org:443", "https://a.example.org:1094", False),
        ("https://a.example.org", "http://a.example.org", False),
        ("http://a.example.org", "https://a.example.org", False),
        ("http://a.example.org", "http://a.example.org:8080", True),
        ("*.example.org:1094", "https://a.example.org:1094", True),
        ("*.example.org:1094", "https://a.example.org", False),
    ],
)
def test_an_entry_matches_what_it_says(entry, url, matches):
    (pattern,) = parse_hosts(entry)
    origin = origin_of(url)
    assert origin is not None
    assert pattern.matches(origin) is matches
