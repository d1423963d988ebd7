"""The decision table: may this token go to this origin? Pure functions, no I/O."""

from __future__ import annotations

import re
from collections.abc import Container
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from ._hosts import HostPattern
from ._messages import Code, Reason, because
from ._origin import (
    DEFAULT_PORTS,
    NOWHERE,
    Origin,
    carries_credential,
    is_loopback,
    split_host_port,
)
from ._shown import may_be_shown
from ._token import BearerToken

#: Audiences that every server accepts: SciTokens' own word, and the one of the WLCG Common
#: JWT Profiles 1.0.
ANY_AUDIENCE = frozenset({"ANY", "https://wlcg.cern.ch/jwt/v1/any"})

#: Methods that read (RFC 9110 section 9.2.1, RFC 4918 section 9.1).
READS = ("GET", "HEAD", "OPTIONS", "PROPFIND")

#: What a scope that lets one read or write is called: SciTokens' own names and the WLCG
#: profile's, from tape too.
READ_SCOPES = frozenset({"read", "storage.read", "storage.stage"})
WRITE_SCOPES = frozenset({"write", "storage.modify", "storage.create"})


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
    """A request: all that decides about it, but for the token."""

    url: str = ""
    origin: Origin = NOWHERE  # where it goes
    method: str = "GET"
    chosen: bool = True  # whether the caller put the handler there, or the autopatch
    requested: bool = False  # whether the caller requested the token
    hosts: tuple[HostPattern, ...] | None = None  # where tokens may go, if that is set
    start: Origin = NOWHERE  # where the caller sent it
    came_by: tuple[Origin, ...] = ()  # the origins whose redirects led here
    upload: bool = False  # whether it cannot wait for a 401 or 403
    by_proxy: tuple[Origin, ...] = ()  # where a proxy can read what goes there
    accepted: Container[tuple[Origin, object]] = ()  # who has accepted whose token

    @property
    def elsewhere(self) -> bool:
        """Whether this is another origin than the one that the caller chose."""
        return self.start != self.origin


class Decision(NamedTuple):
    """What to do with a token, and why."""

    action: Action
    reason: Reason


# Made once: these are most requests.
_LISTED, _REQUESTED, _FOR_THIS, _UPLOAD, _ACCEPTED = (
    Decision(Action.ATTACH, because(code))
    for code in (Code.LISTED, Code.REQUESTED, Code.FOR_THIS, Code.UPLOAD, Code.ACCEPTED)
)
_WAITS = Decision(Action.WAIT, because(Code.WAITS))

# The rows of the table from the last to the first, since the lower one decides.


def barred(at: Situation) -> Reason | None:
    """Say why no token at all may go there; `None` if one may."""
    origin, hosts = at.origin, at.hosts
    if origin == NOWHERE:
        return because(Code.NO_CERTAIN_HOST)
    # Only beside what the caller wrote, and asked for.
    asked = at.requested and not at.came_by
    if "?" in at.url and not asked and carries_credential(at.url):
        return because(Code.URL_CREDENTIAL)
    entries = [one for one in hosts if one.matches(origin)] if hosts else []
    # RFC 6750 section 5.3: bearer tokens travel under TLS only.
    if origin.scheme != "https" and not any(one.scheme == "http" for one in entries):
        if not is_loopback(origin.host):
            return because(Code.PLAIN_HTTP, origin=origin)
        if origin in at.by_proxy:
            return because(Code.PROXY, host=origin.host)
    if hosts == ():
        return because(Code.NOT_UNDERSTOOD)
    if hosts is not None and not entries:
        return because(
            Code.NOT_LISTED, origin=origin, servers=origin.netloc, listed=listed(hosts)
        )
    return None


def decide(token: BearerToken, at: Situation) -> Decision:
    """Decide what may be done with this token, and give the reason."""
    reason = barred(at)
    return judge(token, at) if reason is None else Decision(Action.NEVER, reason)


def judge(token: BearerToken, at: Situation) -> Decision:
    """Decide where not every token is barred."""
    for by in () if at.method in READS else at.came_by:
        before = at._replace(url=f"{by}/", origin=by, came_by=())
        if decide(token, before).action is Action.NEVER:
            decision = _never(Code.LED_BY_ANOTHER, token, at)
            return decision._replace(
                reason=decision.reason.with_(
                    by=str(by) if by != NOWHERE else "an unknown server"
                )
            )
    if at.hosts is not None:
        return _LISTED
    if at.requested and at.start == at.origin:
        return _REQUESTED
    stands = standing(token, at.origin)
    if stands is Standing.THIS:
        return _FOR_THIS
    if at.elsewhere:
        return _never(Code.LED_AWAY, token, at)
    if stands is Standing.ANOTHER:
        return _never(Code.FOR_ANOTHER, token, at)
    if not at.chosen:
        return _never(Code.AUTOPATCH_LISTS, token, at)
    if at.upload:
        return _UPLOAD
    if (at.origin, token.holder) in at.accepted:
        return _ACCEPTED
    return _WAITS


def listed(hosts: tuple[HostPattern, ...] | None) -> str:
    """Put what `hosts` lists into words; an entry that may hold a token aside."""
    entries = map(str, hosts or ())
    return ", ".join(one if may_be_shown(one) else "(not shown)" for one in entries)


def _never(code: Code, token: BearerToken, at: Situation) -> Decision:
    # A read needs only the last server listed; a write, all that led it there.
    servers = [at.origin.netloc]
    if at.method not in READS:
        servers = [*(by.netloc for by in at.came_by if by != NOWHERE), *servers]
    reason = because(
        code, whom=token.whom, origin=at.origin, servers=",".join(dict.fromkeys(servers))
    )
    return Decision(Action.NEVER, reason)


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
