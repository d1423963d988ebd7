"""The decision table, cell by cell; and which servers a token is for.

What is expected stands here, written out: nothing of it is taken from the package.
"""

from __future__ import annotations

from typing import Any

import pytest

from requests_scitokens.origin import Origin, origin_of
from requests_scitokens.policy import Action, Situation, Standing, barred, decide, standing
from requests_scitokens.token import BearerToken

ATTACH, WAIT, NEVER = Action.ATTACH, Action.WAIT, Action.NEVER
THIS, ANY, ANOTHER = Standing.THIS, Standing.ANY, Standing.ANOTHER

HERE = Origin("https", "storage.example.org", 443)
PLAIN = Origin("http", "storage.example.org", 80)
START = Origin("https", "start.example.org", 443)


def token_for(*audience: str) -> BearerToken:
    return BearerToken("abc", {"aud": list(audience)} if audience else {})


FOR_THIS = token_for("https://storage.example.org")
FOR_ANY = token_for()
FOR_ANOTHER = token_for("https://other.example.org")
FOR_START_TOO = token_for("https://start.example.org", "https://storage.example.org")

# Of the columns, the first from the left that fits decides. What was requested is sent
# whatever its audience says, so the least welcome one stands for all.
COLUMNS: dict[str, tuple[BearerToken, dict[str, Any]]] = {
    "requested": (FOR_ANOTHER, {"requested": True}),
    "for this server": (FOR_THIS, {}),
    "for any server, chosen": (FOR_ANY, {}),
    "for any server, default": (FOR_ANY, {"chosen": False}),
    "for another": (FOR_ANOTHER, {}),
}

AWAY: dict[str, Any] = {"redirected": True, "elsewhere": True}
ALL = (ATTACH,) * 5
NONE = (NEVER,) * 5

# What waits is sent in answer to a 401 or 403: of the rows about those, the decision is
# the same, made anew. `accepted` stands beside the situation.
TABLE: list[tuple[str, dict[str, Any], tuple[Action, ...]]] = [
    (
        "the request as the caller made it",
        {},
        (ATTACH, ATTACH, WAIT, NEVER, NEVER),
    ),
    (
        "the request as the caller made it, to an origin that has accepted the token",
        {"accepted": True},
        (ATTACH, ATTACH, ATTACH, NEVER, NEVER),
    ),
    (
        "the request as the caller made it, an upload",
        {"once": True},
        (ATTACH, ATTACH, ATTACH, NEVER, NEVER),
    ),
    (
        "a redirect within the origin",
        {"redirected": True},
        (ATTACH, ATTACH, WAIT, NEVER, NEVER),
    ),
    (
        "a redirect led to another origin",
        AWAY,
        (NEVER, ATTACH, NEVER, NEVER, NEVER),
    ),
    (
        "a redirect led to another origin, which has accepted the token",
        {**AWAY, "accepted": True},
        (NEVER, ATTACH, NEVER, NEVER, NEVER),
    ),
    (
        "a redirect led an upload to another origin, from one that may have the token",
        {**AWAY, "once": True, "redirectors": (Situation(START, listed=True),)},
        (NEVER, ATTACH, NEVER, NEVER, NEVER),
    ),
    (
        "hosts lists the origin",
        {"listed": True},
        ALL,
    ),
    (
        "hosts lists the origin, and a redirect led there",
        {**AWAY, "listed": True},
        ALL,
    ),
    (
        "hosts does not list the origin",
        {"listed": False},
        NONE,
    ),
    (
        "hosts does not list the origin, which has accepted the token",
        {"listed": False, "accepted": True, "once": True},
        NONE,
    ),
    (
        "a redirected write from an origin that may have the token",
        {"redirected": True, "redirectors": (Situation(START, requested=True),)},
        (ATTACH, ATTACH, WAIT, NEVER, NEVER),
    ),
    (
        "a redirected write from an origin that hosts does not list",
        {**AWAY, "listed": True, "redirectors": (Situation(START, listed=False),)},
        NONE,
    ),
    (
        "a redirected write from an origin that can be read by everybody",
        {"listed": True, "redirectors": (Situation(PLAIN, listed=True, plain="network"),)},
        NONE,
    ),
    (
        "a redirected write from an origin that was itself a redirect's goal",
        {
            **AWAY,
            "listed": True,
            "redirectors": (Situation(START, redirected=True, elsewhere=True),),
        },
        NONE,
    ),
    (
        "plain http to another machine",
        {"origin": PLAIN, "plain": "network"},
        NONE,
    ),
    (
        "plain http to another machine, an upload, accepted, and listed without http://",
        {
            "origin": PLAIN,
            "plain": "network",
            "listed": True,
            "once": True,
            "accepted": True,
        },
        NONE,
    ),
    (
        "plain http to another machine that hosts lists as http://, so that nobody counts",
        {"origin": PLAIN, "listed": True},
        ALL,
    ),
    (
        "plain http to this machine by way of a proxy",
        {"origin": Origin("http", "localhost", 8080), "plain": "proxy"},
        NONE,
    ),
    (
        "plain http to this machine by way of a proxy, and hosts lists it as https://",
        {"origin": Origin("http", "localhost", 8080), "plain": "proxy", "listed": True},
        NONE,
    ),
    (
        "the URL carries a credential",
        {"credential": True},
        (ATTACH, NEVER, NEVER, NEVER, NEVER),
    ),
    (
        "the URL carries a credential, an upload",
        {"credential": True, "once": True, "accepted": True},
        (ATTACH, NEVER, NEVER, NEVER, NEVER),
    ),
    (
        "the URL carries a credential, and hosts lists the origin",
        {"credential": True, "listed": True},
        (ATTACH, NEVER, NEVER, NEVER, NEVER),
    ),
    (
        "the URL carries a credential, and hosts does not list the origin",
        {"credential": True, "listed": False},
        NONE,
    ),
    (
        "the URL carries a credential, over plain http",
        {"credential": True, "origin": PLAIN, "plain": "network"},
        NONE,
    ),
    (
        "the URL carries a credential, after a redirect within the origin",
        {"credential": True, "redirected": True},
        NONE,
    ),
    (
        "the URL carries a credential, after a redirect to an origin that hosts lists",
        {**AWAY, "credential": True, "listed": True},
        NONE,
    ),
]

CELLS = [
    pytest.param(column, situation, action, id=f"{row} | {column}")
    for row, situation, actions in TABLE
    for column, action in zip(COLUMNS, actions)
]


@pytest.mark.parametrize(("column", "situation", "action"), CELLS)
def test_every_cell_of_the_decision_table(column, situation, action):
    token, who = COLUMNS[column]
    at = {"origin": HERE, **who, **situation}
    accepted = at.pop("accepted", False)
    decided, reason = decide(token, Situation(**at), accepted=accepted)
    assert decided is action
    assert reason
    assert "abc" not in reason


@pytest.mark.parametrize("who", [{"chosen": True}, {"chosen": False}], ids=str)
@pytest.mark.parametrize("accepted", [True, False])
def test_a_token_for_this_or_another_server_does_not_care_who_put_the_handler_there(
    who, accepted
):
    at = Situation(HERE, **who)
    assert decide(FOR_THIS, at, accepted=accepted)[0] is ATTACH
    assert decide(FOR_ANOTHER, at, accepted=accepted)[0] is NEVER


@pytest.mark.parametrize("token", [FOR_THIS, FOR_ANY, FOR_ANOTHER], ids=["1", "2", "3"])
def test_a_requested_token_goes_whatever_its_audience_is(token):
    assert decide(token, Situation(HERE, requested=True))[0] is ATTACH


def test_a_requested_token_follows_a_redirect_only_to_a_server_that_it_is_for():
    at = Situation(HERE, requested=True, **AWAY)
    assert decide(FOR_START_TOO, at)[0] is ATTACH
    assert decide(FOR_ANY, at)[0] is NEVER


def test_a_redirected_write_is_judged_by_the_same_token_at_both_origins():
    from_start = Situation(HERE, **AWAY, redirectors=(Situation(START),))
    assert decide(FOR_START_TOO, from_start)[0] is ATTACH
    assert decide(FOR_THIS, from_start)[0] is NEVER
    assert "https://start.example.org" in decide(FOR_THIS, from_start)[1]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(
    ("at", "says"),
    [
        ({"listed": False}, "does not list storage.example.org; add it"),
        ({"origin": PLAIN, "plain": "network"}, "add http://storage.example.org to hosts="),
        ({"plain": "proxy"}, "exclude this server from it with NO_PROXY=storage.exam"),
        ({"credential": True, "redirected": True}, "a credential of its own"),
    ],
    ids=str,
)
def test_what_bars_every_token_is_said_before_one_is_looked_for(column, at, says):
    token, who = COLUMNS[column]
    situation = Situation(**{"origin": HERE, **who, **at})
    assert says in barred(situation)
    assert decide(token, situation) == (NEVER, barred(situation))


@pytest.mark.parametrize("at", [{}, {"listed": True}, AWAY, {"once": True}], ids=str)
def test_where_some_token_may_go_none_is_barred(at):
    assert barred(Situation(HERE, **at)) == ""


@pytest.mark.parametrize(
    ("token", "at", "says"),
    [
        (FOR_ANOTHER, {}, "for another server (https://other.example.org); get one for"),
        (FOR_ANY, {"chosen": False}, "set REQUESTS_SCITOKENS_HOSTS=storage.example.org"),
        (FOR_ANY, AWAY, "a redirect led here, and the token is for any server; if it"),
        (FOR_ANOTHER, AWAY, "a redirect led here, and the token is for another server"),
        (FOR_THIS, AWAY, "the token is for this server"),
        (FOR_THIS, {}, "the token is for this server"),
        (FOR_ANY, {}, "it waits for a 401 or 403"),
        (FOR_ANY, {"once": True}, "an upload cannot wait"),
        (FOR_ANY, {"listed": True}, "lists this server"),
        (FOR_ANY, {"requested": True}, "requested with token= or force=True"),
    ],
)
def test_the_reason_says_what_decided(token, at, says):
    assert says in decide(token, Situation(HERE, **at))[1]


def test_that_the_server_has_accepted_it_is_a_reason():
    assert "accepted" in decide(FOR_ANY, Situation(HERE), accepted=True)[1]


# --- which servers a token is for


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        # URLs; a path is ignored, and a missing port means any port
        (["https://storage.example.org"], THIS),
        (["https://storage.example.org/"], THIS),
        (["https://storage.example.org/some/path?a=b#c"], THIS),
        (["https://storage.example.org?a=b"], THIS),
        (["https://storage.example.org:443"], THIS),
        (["HTTPS://Storage.Example.ORG."], THIS),
        (["https://storage.example.org:1094"], ANOTHER),
        (["http://storage.example.org"], ANOTHER),
        (["https://other.example.org"], ANOTHER),
        (["https://example.org"], ANOTHER),
        (["https://a.storage.example.org"], ANOTHER),
        (["https://*.example.org"], ANOTHER),
        (["https://my-service"], ANOTHER),
        # a scheme that HTTP does not know is ignored
        (["roots://storage.example.org"], THIS),
        (["davs://storage.example.org:443/path"], THIS),
        (["root://other.example.org"], ANOTHER),
        # host names with a dot, and host:port
        (["storage.example.org"], THIS),
        (["storage.example.org:443"], THIS),
        (["storage.example.org:1094"], ANOTHER),
        (["other.example.org"], ANOTHER),
        (["localhost:443"], ANOTHER),
        # logical names
        ([], ANY),
        (["my-service"], ANY),
        (["my-service", "other-service"], ANY),
        (["localhost"], ANY),
        (["urn:example:storage"], ANY),
        (["https"], ANY),
        # any audience, alone or beside others
        (["ANY"], ANY),
        (["https://wlcg.cern.ch/jwt/v1/any"], ANY),
        (["ANY", "https://other.example.org"], ANY),
        (["https://other.example.org", "https://wlcg.cern.ch/jwt/v1/any"], ANY),
        (["ANY", ""], ANY),
        (["any"], ANY),  # a logical name
        (["https://wlcg.cern.ch/jwt/v1/other"], ANOTHER),
        (["https://wlcg.cern.ch/jwt/v1/any/"], ANOTHER),
        # this server among others
        (["https://other.example.org", "storage.example.org"], THIS),
        (["my-service", "storage.example.org"], THIS),
        (["ANY", "storage.example.org"], THIS),
        (["", "storage.example.org"], THIS),
        # a host beside a logical name binds the token to the host
        (["https://other.example.org", "my-service"], ANOTHER),
        (["my-service", "other.example.org"], ANOTHER),
        (["https://other.example.org", "a.example.org"], ANOTHER),
        # what cannot be read is not a licence
        ([""], ANOTHER),
        (["", "my-service"], ANOTHER),
        (["https://"], ANOTHER),
        (["https://[::g]"], ANOTHER),
        (["https://a:port"], ANOTHER),
        (["https://user@storage.example.org"], ANOTHER),
    ],
    ids=repr,
)
def test_how_an_audience_relates_to_an_origin(audience, expected):
    assert standing(token_for(*audience), HERE) is expected


@pytest.mark.parametrize(
    "aud", [None, "", 42, True, {"a": 1}, [None], [1], [["a"]]], ids=str
)
def test_an_aud_of_a_wrong_type_is_for_another_server(aud):
    token = BearerToken("abc", {"aud": aud})
    assert standing(token, HERE) is ANOTHER
    assert decide(token, Situation(HERE))[0] is NEVER


@pytest.mark.parametrize("claims", [None, {}, {"sub": "me"}, {"aud": []}], ids=str)
def test_a_token_without_aud_or_without_claims_is_for_any_server(claims):
    assert standing(BearerToken("abc", claims), HERE) is ANY


def test_aud_may_be_one_string():
    token = BearerToken("abc", {"aud": "https://storage.example.org"})
    assert standing(token, HERE) is THIS


@pytest.mark.parametrize(
    ("audience", "url", "expected"),
    [
        ("https://storage.example.org", "https://storage.example.org:1094", THIS),
        ("storage.example.org", "https://storage.example.org:1094", THIS),
        ("storage.example.org", "http://storage.example.org:1094", THIS),
        ("http://storage.example.org", "http://storage.example.org:8080", THIS),
        ("https://storage.example.org", "http://storage.example.org", ANOTHER),
        ("https://storage.example.org:443", "https://storage.example.org:1094", ANOTHER),
        ("localhost:8443", "https://localhost:8443", THIS),
        ("https://localhost", "https://localhost:8443", THIS),
        ("https://[::1]", "https://[::1]:8443", THIS),
        ("[::1]:8443", "https://[::1]:8443", THIS),
        ("127.0.0.1", "https://127.0.0.1:8443", THIS),
    ],
)
def test_ports_and_schemes_of_an_audience(audience, url, expected):
    origin = origin_of(url)
    assert origin is not None
    assert standing(token_for(audience), origin) is expected


@pytest.mark.parametrize(
    "entry",
    [
        "//storage.example.org/",
        "https:storage.example.org",
        " storage.example.org",
        "*.example.org",
        "storage.example.org, other.example.org",
        "2001:db8::1",
        "storage.example.org;x",
    ],
)
def test_a_host_that_cannot_be_read_is_no_licence(entry):
    """It is no logical name either, with which the token would be for any server."""
    assert standing(BearerToken("abc", {"aud": entry}), HERE) is Standing.ANOTHER


@pytest.mark.parametrize(
    "entry",
    [
        "storage.example.org/data",
        "storage.example.org:443/p",
    ],
)
def test_a_path_is_ignored_with_a_scheme_and_without(entry):
    assert standing(BearerToken("abc", {"aud": entry}), HERE) is Standing.THIS


@pytest.mark.parametrize("entry", ["my-service", "urn:x:y", "client@example.org", "a b"])
def test_a_logical_name_may_have_odd_characters(entry):
    assert standing(BearerToken("abc", {"aud": entry}), HERE) is Standing.ANY
