"""The decision table, cell by cell; and which servers a token is for.

What is expected stands here, written out: nothing of it is taken from the package.
"""

from __future__ import annotations

from typing import Any

import pytest

from requests_scitokens._hosts import parse_hosts
from requests_scitokens._messages import text
from requests_scitokens._origin import NOWHERE, Origin, origin_of
from requests_scitokens._policy import Action, Situation, Standing, barred, decide, standing
from requests_scitokens._token import BearerToken

ATTACH, WAIT, NEVER = Action.ATTACH, Action.WAIT, Action.NEVER
THIS, ANY, ANOTHER = Standing.THIS, Standing.ANY, Standing.ANOTHER

HERE = Origin("https", "storage.example.org", 443)
START = Origin("https", "start.example.org", 443)
PLAIN = Origin("http", "storage.example.org", 80)
LOCAL = Origin("http", "localhost", 8080)


def token_for(*audience: str) -> BearerToken:
    return BearerToken("abc", {"aud": list(audience)} if audience else {})


FOR_THIS = token_for("https://storage.example.org")
FOR_ANY = token_for()
FOR_ANOTHER = token_for("https://other.example.org")
FOR_START_TOO = token_for("https://start.example.org", "https://storage.example.org")


def situation(token: BearerToken = FOR_ANY, **facts: Any) -> Situation:
    """Describe a request by what is not as usual; it is the caller's own by default."""
    origin = facts.setdefault("origin", HERE)
    facts = {"url": f"{origin}/data", "start": origin, **facts}
    facts["url"] += facts.pop("query", "")
    if isinstance(facts.get("hosts"), str):
        facts["hosts"] = parse_hosts(facts["hosts"])
    if facts.pop("accepted", False):
        facts["accepted"] = {(origin, token.holder)}
    return Situation(**facts)


# Of the columns, the first from the left that fits decides. What was requested is sent
# whatever its audience says, so the least welcome one stands for all.
COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    "requested": ("https://other.example.org", {"requested": True}),
    "for this server": ("this server", {}),
    "for any server, chosen": ("", {}),
    "for any server, default": ("", {"chosen": False}),
    "for another": ("https://other.example.org", {}),
}

AWAY: dict[str, Any] = {"start": START, "came_by": (START,)}
WITHIN: dict[str, Any] = {"came_by": (HERE,)}
WRITE: dict[str, Any] = {"method": "PUT", "upload": True}
AUTHZ: dict[str, Any] = {"query": "?authz=abc"}
EAGER: dict[str, Any] = {"upload": True, "accepted": True}
BY_PROXY: dict[str, Any] = {"origin": LOCAL, "by_proxy": (LOCAL,)}
BOTH = "storage.example.org, start.example.org"

ALL = (ATTACH,) * 5
NONE = (NEVER,) * 5
OWN = (ATTACH, ATTACH, WAIT, NEVER, NEVER)
AT_ONCE = (ATTACH, ATTACH, ATTACH, NEVER, NEVER)
ONLY_THIS = (NEVER, ATTACH, NEVER, NEVER, NEVER)
ONLY_REQUESTED = (ATTACH, NEVER, NEVER, NEVER, NEVER)

# What waits is sent in answer to a 401 or 403: of the rows about those, the decision is
# the same, made anew.
TABLE: dict[str, tuple[dict[str, Any], tuple[Action, ...]]] = {
    "the request as the caller made it": ({}, OWN),
    "to an origin that has accepted the token": ({"accepted": True}, AT_ONCE),
    "an upload": ({"upload": True}, AT_ONCE),
    "a write that can wait": ({"method": "DELETE"}, OWN),
    # redirects
    "a redirect within the origin": (WITHIN, OWN),
    "a redirected write within the origin": ({**WITHIN, "method": "POST"}, OWN),
    "a redirected upload within the origin": ({**WITHIN, **WRITE}, AT_ONCE),
    "a redirect led elsewhere": (AWAY, ONLY_THIS),
    "a redirect led elsewhere, an upload, accepted": ({**AWAY, **EAGER}, ONLY_THIS),
    "a redirect led a write elsewhere": ({**AWAY, **WRITE}, NONE),
    "redirects led elsewhere and back": ({"came_by": (HERE, START)}, OWN),
    "redirects led a write elsewhere and back": (
        {"came_by": (HERE, START), "method": "POST"},
        NONE,
    ),
    "nobody knows what led there": ({"start": NOWHERE, "came_by": (NOWHERE,)}, ONLY_THIS),
    "nobody knows what led a write there": ({"came_by": (NOWHERE,), **WRITE}, NONE),
    # hosts
    "hosts lists the origin": ({"hosts": "storage.example.org"}, ALL),
    "hosts lists it, and a redirect led there": (
        {**AWAY, "hosts": "storage.example.org"},
        ALL,
    ),
    "hosts does not list the origin": ({"hosts": "start.example.org"}, NONE),
    "hosts does not list it, and it has accepted the token": (
        {"hosts": "start.example.org", **EAGER},
        NONE,
    ),
    "hosts is not understood": ({"hosts": ()}, NONE),
    "a redirected write from an origin that hosts lists too": (
        {**AWAY, **WRITE, "hosts": BOTH},
        ALL,
    ),
    "a redirected write from an origin that hosts does not list": (
        {**AWAY, **WRITE, "hosts": "storage.example.org"},
        NONE,
    ),
    "a redirected write by way of one that hosts does not list": (
        {"start": START, "came_by": (START, PLAIN), **WRITE, "hosts": BOTH},
        NONE,
    ),
    "a redirected write by way of plain http that hosts lists": (
        {
            "came_by": (PLAIN,),
            "hosts": "storage.example.org, http://storage.example.org",
            **WRITE,
        },
        ALL,
    ),
    "a redirected write by way of a proxy": (
        {"came_by": (LOCAL,), "by_proxy": (LOCAL,), **WRITE, "hosts": f"{BOTH},localhost"},
        NONE,
    ),
    "nobody knows what led there, and hosts lists it": (
        {"came_by": (NOWHERE,), "hosts": "storage.example.org"},
        ALL,
    ),
    "nobody knows what led a write there, and hosts lists it": (
        {"came_by": (NOWHERE,), **WRITE, "hosts": "storage.example.org"},
        NONE,
    ),
    # plain http
    "plain http to this machine": ({"origin": LOCAL}, OWN),
    "plain http to another machine": ({"origin": PLAIN}, NONE),
    "plain http that hosts does not list as http://": (
        {"origin": PLAIN, **EAGER, "hosts": BOTH},
        NONE,
    ),
    "plain http that hosts lists as http://": (
        {"origin": PLAIN, "hosts": "http://storage.example.org"},
        ALL,
    ),
    "plain http to this machine by way of a proxy": (BY_PROXY, NONE),
    "and hosts lists it without http://": ({**BY_PROXY, "hosts": "localhost:8080"}, NONE),
    "and hosts lists it as https://": ({**BY_PROXY, "hosts": "https://localhost"}, NONE),
    "and hosts lists it as http://": ({**BY_PROXY, "hosts": "http://localhost"}, ALL),
    "another one goes by way of a proxy": ({"by_proxy": (LOCAL,)}, OWN),
    # credentials in the URL
    "the URL carries a credential": (AUTHZ, ONLY_REQUESTED),
    "the URL carries a credential, an upload": ({**AUTHZ, **EAGER}, ONLY_REQUESTED),
    "the URL carries a credential, and hosts lists the origin": (
        {**AUTHZ, "hosts": BOTH},
        ONLY_REQUESTED,
    ),
    "the URL carries a credential, and hosts does not list the origin": (
        {**AUTHZ, "hosts": "a.org"},
        NONE,
    ),
    "the URL carries a credential, over plain http": ({**AUTHZ, "origin": PLAIN}, NONE),
    "the URL carries a credential, after a redirect within the origin": (
        {**AUTHZ, **WITHIN},
        NONE,
    ),
    "the URL carries a credential, after a redirect to what hosts lists": (
        {**AUTHZ, **AWAY, "hosts": BOTH},
        NONE,
    ),
    # no certain host
    "the URL does not say for certain which host is meant": (
        {"origin": NOWHERE, "hosts": BOTH},
        NONE,
    ),
}

CELLS = [
    pytest.param(column, facts, action, id=f"{row} | {column}")
    for row, (facts, actions) in TABLE.items()
    for column, action in zip(COLUMNS, actions)
]


@pytest.mark.parametrize(("column", "facts", "action"), CELLS)
def test_every_cell_of_the_decision_table(column, facts, action):
    audience, who = COLUMNS[column]
    if audience == "this server":
        audience = str(facts.get("origin", HERE))
    token = token_for(*filter(None, [audience]))
    at = situation(token, **who, **facts)
    decided, reason = decide(token, at)
    assert decided is action
    assert text(reason)
    assert "abc" not in repr(reason)
    if barred(at) is not None:
        assert (decided, reason) == (NEVER, barred(at))


@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize("accepted", [True, False])
def test_a_token_for_this_or_another_server_does_not_care_who_put_the_handler_there(
    chosen, accepted
):
    for token, action in ((FOR_THIS, ATTACH), (FOR_ANOTHER, NEVER)):
        at = situation(token, chosen=chosen, accepted=accepted)
        assert decide(token, at).action is action


@pytest.mark.parametrize("token", [FOR_THIS, FOR_ANY, FOR_ANOTHER], ids=["1", "2", "3"])
def test_a_requested_token_goes_whatever_its_audience_is(token):
    assert decide(token, situation(requested=True)).action is ATTACH


def test_a_requested_token_follows_a_redirect_only_to_a_server_that_it_is_for():
    at = situation(requested=True, **AWAY)
    assert decide(FOR_START_TOO, at).action is ATTACH
    assert decide(FOR_ANY, at).action is NEVER


def test_a_redirected_write_is_judged_by_the_same_token_at_both_origins():
    at = situation(**AWAY, **WRITE)
    assert decide(FOR_START_TOO, at).action is ATTACH
    assert decide(FOR_THIS, at).action is NEVER


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "MKCOL", "COPY", "get", ""])
def test_all_but_the_methods_that_read_are_writes(method):
    assert decide(FOR_THIS, situation(**AWAY, method=method)).action is NEVER


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PROPFIND"])
def test_what_reads_may_be_led_there_by_anybody(method):
    assert decide(FOR_THIS, situation(**AWAY, method=method)).action is ATTACH


def test_another_token_than_the_one_that_was_accepted_waits():
    other = BearerToken("other", {})
    assert decide(other, situation(FOR_ANY, accepted=True)).action is WAIT
    renewed = BearerToken("b", {"iss": "i", "sub": "s", "jti": "2"})
    before = BearerToken("a", {"iss": "i", "sub": "s", "jti": "1"})
    assert decide(renewed, situation(before, accepted=True)).action is ATTACH
    elsewhere = situation(before, accepted=True)._replace(origin=START, start=START)
    assert decide(renewed, elsewhere).action is WAIT


def test_a_reason_names_what_is_listed_but_no_entry_that_may_hold_a_token():
    at = situation(hosts=f"a.org, https://*.b.org:1094, {'a1' * 20}.example.org")
    listed = "does not list storage.example.org, but a.org, https://*.b.org:1094, (not show"
    assert listed in text(decide(FOR_ANY, at).reason)


def test_a_redirected_write_names_who_led_it_there_and_may_not_have_the_token():
    at = situation(came_by=(HERE, START), method="POST")
    says = text(decide(FOR_THIS, at).reason)
    assert says.startswith("a redirect from https://start.example.org led here")


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
        (["storage.example.org/data"], THIS),
        (["storage.example.org:443/p"], THIS),
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
        (["client@example.org"], ANY),
        (["a b"], ANY),
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
        (["//storage.example.org/"], ANOTHER),
        (["https:storage.example.org"], ANOTHER),
        ([" storage.example.org"], ANOTHER),
        (["*.example.org"], ANOTHER),
        (["storage.example.org, other.example.org"], ANOTHER),
        (["2001:db8::1"], ANOTHER),
        (["storage.example.org;x"], ANOTHER),
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
    assert decide(token, situation(token)).action is NEVER


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
