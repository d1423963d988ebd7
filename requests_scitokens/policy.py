"""The decision table: may this token go to this origin? Pure functions, no I/O."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from .hosts import HostPattern
from .origin import DEFAULT_PORTS, NOWHERE, Origin, split_host_port
from .token import BearerToken

#: Audiences that every server accepts: SciTokens' own word, and the one of the WLCG Common
#: JWT Profiles 1.0.
ANY_AUDIENCE = frozenset({"ANY", "https://wlcg.cern.ch/jwt/v1/any"})

_HOSTS = "hosts= or REQUESTS_SCITOKENS_HOSTS"


class Action(Enum):
    """What may be done with a token for one request."""

    ATTACH = "send it with the request"
    WAIT = "send it in answer to a 401 or 403"
    NEVER = "do not send it"


class Standing(Enum):
    """Which servers a token is for, seen from one of them."""

    THIS = "for this server"
    ANY = "for any server"
    ANOTHER = "for another server"


class Situation(NamedTuple):
    """All that decides about a request, but for the token."""

    origin: Origin  # where it goes
    requested: bool = False  # whether the caller requested the token
    chosen: bool = True  # whether the caller put the handler there, or the autopatch
    listed: bool | None = None  # whether `hosts` lists the origin; `None`: it is not set
    once: bool = False  # whether it is an upload, which is sent only once
    redirected: bool = False  # whether a redirect led here
    elsewhere: bool = False  # whether that was from another origin than the caller's
    redirectors: tuple[Situation, ...] = ()  # the origins that led a write here
    credential: bool = False  # whether the URL carries a credential of its own
    plain: str = ""  # who can read it over plain http: "network", "proxy" or nobody


# The rows of the table from the last to the first, since the lower one decides.


def barred(at: Situation) -> str:
    """Say why no token at all may go there; an empty string if one may."""
    if at.origin == NOWHERE:
        return (
            "the URL does not say for certain which host is meant; write it plainly, as in "
            "https://storage.example.org/path"
        )
    if at.credential and (at.redirected or not at.requested):
        return (
            "the URL carries a credential of its own; the token goes beside that only with "
            "token= or force=True, and not after a redirect"
        )
    # RFC 6750 section 5.3: bearer tokens travel under TLS only.
    if at.plain == "network":
        return (
            "everybody on the way could read the token over plain http; use https, or add "
            f"http://{at.origin.netloc} to {_HOSTS}"
        )
    if at.plain:
        return (
            "a proxy could read the token over plain http; exclude this server from it "
            f"with NO_PROXY={at.origin.host}"
        )
    if at.listed is False:
        return f"{_HOSTS} does not list {at.origin.netloc}; add it if it may have the token"
    return ""


def decide(
    token: BearerToken, at: Situation, *, accepted: bool = False
) -> tuple[Action, str]:
    """Decide what may be done with this token, and give the reason."""
    reason = barred(at)
    if reason:
        return Action.NEVER, reason
    for before in at.redirectors:
        if decide(token, before)[0] is Action.NEVER:
            return Action.NEVER, (
                f"a redirect from {before.origin} led here, which may not have the token; "
                "only requests that read follow such a redirect with it"
            )
    if at.listed:
        return Action.ATTACH, f"{_HOSTS} lists this server"
    if at.requested and not at.elsewhere:
        return Action.ATTACH, "the token was requested with token= or force=True"
    stands = standing(token, at.origin)
    if stands is Standing.THIS:
        return Action.ATTACH, "the token is for this server"
    if at.elsewhere:
        return Action.NEVER, (
            f"a redirect led here, and the token is {stands.value}; if it may have the "
            f"token, list both servers in {_HOSTS}"
        )
    if stands is Standing.ANOTHER:
        return Action.NEVER, (
            f"the token is for another server ({token.whom}); get one for this server, or "
            f"add {at.origin.netloc} to {_HOSTS} if it accepts this one"
        )
    if not at.chosen:
        return Action.NEVER, (
            "the token is for any server, and the autopatch sends such a token only to "
            f"servers that are listed: set REQUESTS_SCITOKENS_HOSTS={at.origin.netloc}"
        )
    if at.once:
        return Action.ATTACH, "the token is for any server, and an upload cannot wait"
    if accepted:
        return Action.ATTACH, "this server has accepted the token before"
    return Action.WAIT, "the token is for any server, so it waits for a 401 or 403"


def standing(token: BearerToken, origin: Origin) -> Standing:
    """Tell whether the token's audience names this origin, another, or none."""
    hosts = _hosts_named(token.audience)
    for host in hosts:
        if host.matches(origin):
            return Standing.THIS
    bound = hosts and ANY_AUDIENCE.isdisjoint(token.audience)
    return Standing.ANOTHER if bound else Standing.ANY


@lru_cache(maxsize=1024)
def _hosts_named(audience: tuple[str, ...]) -> list[HostPattern]:
    return [host for host in map(_host_named, audience) if host is not None]


def _host_named(entry: str) -> HostPattern | None:
    """Return the host that an `aud` entry names; `None` for a logical name or any."""
    no_host = HostPattern(None, "", None)
    if not entry or len(entry) > 500:
        return no_host  # what cannot be read is not a licence
    if entry in ANY_AUDIENCE:
        return None
    scheme, separator, rest = entry.rpartition("://")
    # A path is ignored, and so is a scheme that HTTP does not know (roots, davs).
    found = split_host_port(re.split("[/?#]", rest, maxsplit=1)[0])
    known = scheme.lower() if scheme.lower() in DEFAULT_PORTS else None
    if found is None:
        return no_host if separator or re.search(_LIKE_A_HOST, entry) else None
    named = (
        separator or "." in found[0] or found[1] is not None or re.match(_ADDRESS, entry)
    )
    return HostPattern(known, *found) if named else None


_ADDRESS = r"\[|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*$"
# What names a host, but not in a way that can be read: a dotted name beside something else.
_LIKE_A_HOST = rf"[\w-]\.[\w-]+[^\w@.-]|[^\w@.-]\.?[\w-]+\.[\w-]|{_ADDRESS}"
