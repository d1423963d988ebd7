"""The leak matrix: which origin receives the token, in every combination there is.

Each way in, reading and writing, with each token, over each route, to servers that answer
strangers in each way, with and without a credential in the URL, and each `hosts`. There is
a server at every origin, and each writes down what it receives. What is expected is written
out below: the decision table, in its order, the lower row deciding. Nothing of the package
is asked about it.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest
import requests
from urllib3 import PoolManager

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError
from requests_scitokens import _state as state

from .recorder import World
from .ways import FORGETS_THE_FIRST, Keeps

HOME = "https://storage.example.org"
PORT = "https://storage.example.org:1094"
PLAIN = "http://storage.example.org"
FOREIGN = "https://foreign.example.org"
OTHER = "https://other.example.org"
LOCAL = "http://localhost"
LOCAL_TLS = "https://localhost"


# --- the dimensions


def with_auth(send, **options):
    return send(requests, auth=HTTPSciTokenAuth(**options))


def with_session(send, **options):
    with requests_scitokens.Session(**options) as session:
        return send(session)


def with_keeping(send, **options):
    with Keeps() as session:
        session.auth = HTTPSciTokenAuth(**options)
        return send(session)


METHODS = {
    "GET": lambda url: partial(requests_method, "GET", url),
    "PUT": lambda url: partial(requests_method, "PUT", url, data=b"body"),
}


def requests_method(method, url, owner, **kwargs):
    """Send it with one of the functions of Requests, of this package or of a session."""
    return owner.request(method, url, timeout=30, **kwargs)


# How it is sent; what that is in the table; and whether the session can put the token
# on a redirected request. One of Requests' own cannot: the token waits for a refusal.
WAYS = {
    "auth=": (lambda send, token, hosts: with_auth(send, hosts=hosts), "chosen", False),
    "token=": (
        lambda send, token, hosts: with_auth(send, token=token, hosts=hosts),
        "requested",
        False,
    ),
    "force=True": (
        lambda send, token, hosts: with_session(send, force=True, hosts=hosts),
        "requested",
        True,
    ),
    "auth=, which keeps the header": (
        lambda send, token, hosts: with_keeping(send, hosts=hosts),
        "chosen",
        False,
    ),
    "Session": (lambda send, token, hosts: with_session(send, hosts=hosts), "chosen", True),
    "get()": (
        lambda send, token, hosts: send(requests_scitokens, hosts=hosts),
        "chosen",
        True,
    ),
    "autopatch": (lambda send, token, hosts: send(requests), "default", True),
}

# The audience of each token, and which origins it names; `None` for any.
TOKENS = {
    "names the origin": ("https://storage.example.org:443", {HOME}),
    "names the host": ("storage.example.org", {HOME, PORT, PLAIN}),
    "for any server": ("ANY", None),
    "for another server": ("https://other.example.org", {OTHER}),
    "expired": ("https://storage.example.org:443", {HOME}),
}

ROUTES = {
    "direct": (HOME,),
    "direct over plain http": (PLAIN,),
    "same-origin redirect": (HOME, HOME),
    "to another host": (HOME, FOREIGN),
    "to another port": (HOME, PORT),
    "from https to http": (HOME, PLAIN),
    "to an http origin and back": (HOME, PLAIN, HOME),
    "from a foreign origin to the named one": (FOREIGN, HOME),
    "from a foreign origin to the named one and on": (FOREIGN, HOME, OTHER),
    "chain of three": (HOME, FOREIGN, HOME, OTHER),
    # Requests itself would take a header along here.
    "on loopback from http to https": (LOCAL, LOCAL_TLS),
}

ANSWERS = {
    "200 at once": (200, ()),
    "Bearer challenge": (401, (("WWW-Authenticate", 'Bearer realm="x"'),)),
    "Basic challenge": (401, (("WWW-Authenticate", 'Basic realm="x"'),)),
    "bare 401": (401, ()),
    "bare 403": (403, ()),
}

# Who answers so to what comes without a token: the last origin alone, or each on the way.
ASKERS = ("the last asks", "each asks")

# Which URL carries a credential of its own.
IN_URL = ("no credential in a URL", "a credential in the last URL")

# `hosts`, and which origins are in it: one of plain http only if that says http://.
HOSTS = {
    "hosts unset": (None, None),
    "hosts matching": ("storage.example.org", {HOME, PORT}),
    "hosts matching all": (
        "*.example.org, http://storage.example.org",
        {HOME, PORT, PLAIN, FOREIGN, OTHER},
    ),
    "hosts not matching": ("unrelated.example.org", set()),
}


def cells(route):
    """List the cells of a route."""
    for cell in product(METHODS, TOKENS, ANSWERS, ASKERS, IN_URL, HOSTS):
        method, _, answer, askers, _, _ = cell
        # What a server says with its 401 makes no difference to whoever writes.
        if method == "PUT" and answer in ("Bearer challenge", "Basic challenge"):
            continue
        # Where nobody asks, or nobody is on the way, this is the same as the last.
        if askers == "the last asks" or (
            answer != "200 at once" and len(ROUTES[route]) > 1
        ):
            yield cell


# --- the decision table

# What was requested has a second column, for an origin that it names as well: a redirect
# makes that difference. The last is for who has no valid token. A dash leaves it to the
# rows above.
TABLE = """
                              | requested | requested, named | named  | any, chosen | any, default | another | none
as the caller made it         | attach    | attach           | attach | wait        | never        | never   | never
it writes                     | -         | -                | -      | attach      | -            | -       | -
it has accepted the token     | -         | -                | -      | attach      | -            | -       | -
401 or 403                    | -         | -                | -      | answer      | -            | -       | -
led to another origin         | never     | attach           | attach | never       | never        | never   | never
in hosts                      | attach    | attach           | attach | attach      | attach       | attach  | never
not in hosts                  | never     | never            | never  | never       | never        | never   | never
a write that was led here     | never     | never            | never  | never       | never        | never   | never
plain http, not in hosts      | never     | never            | never  | never       | never        | never   | never
a credential in the URL       | -         | -                | never  | never       | never        | never   | never
such a URL after a redirect   | never     | never            | never  | never       | never        | never   | never
"""  # noqa: E501, a table

(_, *COLUMNS), *ROWS = (
    [cell.strip() for cell in line.split("|")] for line in TABLE.strip("\n").splitlines()
)


def decide(column, situations):
    """Return the cell of the lowest row that applies and says something."""
    found = [
        cell
        for situation, *row in ROWS
        if situation in situations and (cell := row[COLUMNS.index(column)]) != "-"
    ]
    return found[-1]


def column_of(kind, token, origin):
    names = TOKENS[token][1]
    named = names is not None and origin in names
    if kind == "requested":
        return "requested, named" if named else "requested"
    if token == "expired":
        return "none"
    if names is None:
        return f"any, {kind}"
    return "named" if named else "another"


def situations_of(method, route, hosts, number):
    """List what does not depend on how the request came there."""
    origin, listed = ROUTES[route][number], HOSTS[hosts][1]
    situations = {"as the caller made it"}
    if method == "PUT":
        situations.add("it writes")
    if origin != ROUTES[route][0]:  # and not back where the caller sent it
        situations.add("led to another origin")
    if listed is not None:
        situations.add("in hosts" if origin in listed else "not in hosts")
    if origin == PLAIN and PLAIN not in (listed or ()):
        situations.add("plain http, not in hosts")
    return situations


def expected(way, route, method, token, answer, askers, in_url, hosts):
    """Walk the route; return who receives what, and the final status."""
    (_, kind, can_follow), origins = WAYS[way], ROUTES[route]
    if (way, token) == ("force=True", "expired"):
        return [], "TokenNotFoundError"
    received, accepted, before = [], set(), None
    for number, origin in enumerate(origins):
        last = number == len(origins) - 1
        column = column_of(kind, token, origin)
        situations = situations_of(method, route, hosts, number)
        if origin in accepted:
            situations.add("it has accepted the token")
        if method == "PUT":
            for step in range(number):
                at_redirector = situations_of(method, route, hosts, step)
                redirector = column_of(kind, token, origins[step])
                if decide(redirector, at_redirector) == "never":
                    situations.add("a write that was led here")
        if last and in_url == "a credential in the last URL":
            situations.add("a credential in the URL")
            if number:
                situations.add("such a URL after a redirect")
        # Requests itself keeps the header where only the path changes. Older versions do
        # not tell who was first, and a default that has sent nothing must know that.
        unknown = kind == "default" and FORGETS_THE_FIRST and number > 1 and not before[1]
        # But where a list keeps the token back, something watches, and knows the way.
        listed = HOSTS[hosts][1]
        if unknown and listed is not None and token != "expired":
            unknown = before[0] in listed or not before[0].startswith("https:")
        possible = number == 0 or (can_follow and not unknown) or before == (origin, True)
        attached = possible and decide(column, situations) == "attach"
        received.append((origin, attached))
        before = origin, attached
        if attached or answer == "200 at once" or not (last or askers == "each asks"):
            continue
        answers = decide(column, {*situations, "401 or 403"}) in ("attach", "answer")
        if unknown or not answers:
            return received, ANSWERS[answer][0]
        received.append((origin, True))
        accepted.add(origin)
    return received, 200


# --- the servers


@pytest.fixture(scope="module")
def origins(issuer):
    with World(issuer.ca, *{one for route in ROUTES.values() for one in route}) as world:
        yield world


@pytest.fixture
def servers(origins, trusted, monkeypatch):
    """Let sessions find the servers, and share connections: handshakes take longest."""
    monkeypatch.setattr("socket.getaddrinfo", origins.getaddrinfo)
    connections = PoolManager()
    monkeypatch.setattr("requests.adapters.PoolManager", lambda **_: connections)
    monkeypatch.setattr(connections, "clear", lambda: None)
    yield origins
    connections.pools.clear()


@pytest.fixture(scope="module")
def tokens(issuer):
    """Mint one of each."""
    return {
        name: issuer.mint(audience=audience, lifetime=-9999 if name == "expired" else 9999)
        for name, (audience, _) in TOKENS.items()
    }


@pytest.fixture
def found(tokens, tmp_path, monkeypatch):
    """Let discovery find one of the tokens."""
    paths = {name: tmp_path / name for name in tokens}
    for name, path in paths.items():
        path.write_text(tokens[name])
    return lambda name: monkeypatch.setenv("BEARER_TOKEN_FILE", str(paths[name]))


def lay_out(world, route, answer, askers, in_url):
    """Let the servers redirect along the route, and ask; return where it starts."""
    urls = [f"{origin}/{number}" for number, origin in enumerate(ROUTES[route])]
    if in_url == "a credential in the last URL":
        urls[-1] += "?authz=another"

    def reply(seen):
        number = int(seen.path[1])  # of the step on the route
        last = number == len(urls) - 1
        if seen.authorization is None and (last or askers == "each asks"):
            status, fields = ANSWERS[answer]
            if status != 200:
                return status, fields
        return (200, ()) if last else (307, (("Location", urls[number + 1]),))

    world.answer = reply
    return urls[0]


def show(received, status):
    steps = [origin + {True: " with the token"}.get(sent, "") for origin, sent in received]
    return f"{', '.join(steps) or 'nothing is sent'}; {status}"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("way", WAYS)
def test_the_token_goes_only_where_the_table_says(
    servers, tokens, found, request, monkeypatch, record_property, way, route
):
    if way == "autopatch":
        request.getfixturevalue("patched")
    way_in, count, differences = WAYS[way][0], 0, []
    for cell in cells(route):
        method, token, answer, askers, in_url, hosts = cell
        text = HOSTS[hosts][0]
        found(token)
        if way == "autopatch":
            monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", text or "")
        url = lay_out(servers, route, answer, askers, in_url)
        state.accepted.clear()
        servers.received.clear()
        try:
            send = METHODS[method](url)
            status = way_in(send, tokens[token], text).status_code
        except TokenNotFoundError:
            status = "TokenNotFoundError"
        sent = {None: False, f"Bearer {tokens[token]}": True}
        received = [(seen.origin, sent[seen.authorization]) for seen in servers.received]
        table = expected(way, route, *cell)
        if (received, status) != table:
            differences.append(
                f"{way} | {route} | {' | '.join(cell)}:\n"
                f"    the table: {show(*table)}\n    it did: {show(received, status)}"
            )
        count += 1
    record_property("cells of the leak matrix", count)
    assert not differences, f"{len(differences)} of {count}:\n" + "\n".join(differences)
