"""May this token go to this origin? Pure functions, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NewType

from .origin import (
    DEFAULT_PORTS,
    Origin,
    carries_token,
    is_address,
    is_loopback,
    split_host_port,
)
from .token import BearerToken

#: Audiences that every server accepts: SciTokens' own word, and the one of the
#: WLCG Common JWT Profiles 1.0.
ANY_AUDIENCE = frozenset({"ANY", "https://wlcg.cern.ch/jwt/v1/any"})

_LISTS = "hosts= or REQUESTS_SCITOKENS_HOSTS"


#: What may be done with a token for one request, in words.
Action = NewType("Action", str)
ATTACH = Action("attach it at once")
ANSWER_REFUSAL = Action("send it in answer to any 401 or 403")
ANSWER_CHALLENGE = Action("send it in answer to a Bearer challenge")
NEVER = Action("do not send it")

#: What sends a token though the server does not ask for one; and all that sends one.
#: Listed, so that whatever else there may be sends none.
UNASKED = (ATTACH, ANSWER_REFUSAL)
SENDS = (*UNASKED, ANSWER_CHALLENGE)

#: How a token's audience relates to an origin, in words.
Standing = NewType("Standing", str)
NAMED = Standing("names the origin")
UNBOUND = Standing("names no host")
ELSEWHERE = Standing("names other hosts")


# --- the decision table, from its last row to its first: the lower one decides


def barred(
    url: str,
    origin: Origin | None,
    *,
    hosts: tuple[HostPattern, ...] | None,
    asked: bool,
    proxied: bool = False,
) -> str:
    """Say why no token at all may go to this URL; an empty string if one may.

    Parameters
    ----------
    url : str
        Where the request goes.
    origin : Origin or None
        What `origin_of` says of it.
    hosts : tuple of HostPattern or None
        Where tokens may go; `None` for no such limit.
    asked : bool
        Whether the caller asked for the token (`token=`, `force=True`).
    proxied : bool, optional
        Whether a proxy on another machine gets what is for loopback.
    """
    if origin is None:
        return (
            "the URL does not say for certain which host is meant; write it plainly, as "
            "in https://storage.example.org/path"
        )
    if "?" in url and not asked and carries_token(url):
        return "the URL carries a token of its own; token= or force=True sends yours too"
    listed = [entry for entry in hosts if entry.matches(origin)] if hosts else []
    # RFC 6750 section 5.3: bearer tokens travel under TLS only.
    if origin.scheme == "http" and not any(entry.scheme == "http" for entry in listed):
        if not is_loopback(origin.host):
            return (
                "plain http would show the token to everybody on the way; use https, or "
                f"list http://{origin.netloc} in {_LISTS}"
            )
        if proxied:
            return (
                "a proxy on another machine would see the token; put this server into "
                f"NO_PROXY, as NO_PROXY={origin.host}"
            )
    if hosts is not None and not listed:
        return (
            f"{_LISTS} does not list this server; add {origin.netloc} if it may have the "
            "token"
        )
    return ""


def judge(
    token: BearerToken,
    origin: Origin,
    *,
    redirected: bool,
    hosts: tuple[HostPattern, ...] | None,
    asked: bool,
    chosen: bool,
    taken: bool,
    audience: tuple[str, ...] = (),
) -> tuple[Action, str]:
    """Decide what may be done with this token, where nothing bars it.

    Parameters
    ----------
    token : BearerToken
        The token.
    origin : Origin
        Where the request goes.
    redirected : bool
        Whether the caller sent it to another origin, and a redirect led here.
    hosts : tuple of HostPattern or None
        Where tokens may go; here, whether that was said at all.
    asked : bool
        Whether the caller asked for the token (`token=`, `force=True`).
    chosen : bool
        Whether the caller put the handler there; the autopatch did otherwise.
    taken : bool
        Whether this origin has taken this token before.
    audience : tuple of str, optional
        What the caller wants the token's audience to be.

    Returns
    -------
    action : Action
        What may be done.
    why : str
        The row of the decision table that says so, in words.
    """
    if hosts is not None:
        return ATTACH, f"{_LISTS} lists this server"
    if redirected:
        # What the caller said of the audience was said of the caller's own URL.
        if standing(token, origin) == NAMED:
            return ATTACH, "a redirect led there, and the token names it"
        why = (
            "a redirect led there, and the token does not name it; if it may have the "
            f"token, list both servers in {_LISTS}"
        )
        return NEVER, why
    if asked:
        return ATTACH, "the token was asked for"
    stands = standing(token, origin, audience)
    if stands == NAMED:
        return ATTACH, "the token names this server"
    if stands == ELSEWHERE:
        why = (
            f"the token is for {token.whom}, not for this server; get one for it, or list "
            f"{origin.netloc} in {_LISTS} if it may have this one"
        )
        return NEVER, why
    if taken:
        return ATTACH, "this server has taken the token before"
    why = "the token names no server, so it waits until this one"
    if chosen:
        return ANSWER_REFUSAL, f"{why} refuses"
    return ANSWER_CHALLENGE, f"{why} asks for it"


# --- audiences


def standing(
    token: BearerToken, origin: Origin, audience: tuple[str, ...] = ()
) -> Standing:
    """Tell whether the token's audience names this origin.

    Parameters
    ----------
    token : BearerToken
        The token.
    origin : Origin
        Where it would go.
    audience : tuple of str, optional
        Where given, it decides alone: the token must carry one of these.
    """
    if audience:
        carries = not set(audience).isdisjoint(token.audience)
        return NAMED if carries else ELSEWHERE
    return _standing(token.audience, origin)


@lru_cache(maxsize=10_000)
def _standing(audience: tuple[str, ...], origin: Origin) -> Standing:
    entries = [_named_by(entry) for entry in audience]
    if any(entry is not None and entry.matches(origin) for entry in entries):
        return NAMED
    return ELSEWHERE if entries and None not in entries else UNBOUND


class HostPattern:
    """Hosts that an entry of `hosts`, or of a token's audience, stands for.

    `scheme` and `port` are `None` where any will do. A `host` of `*.example.org`
    stands for what is below `example.org`; an empty one matches nothing.
    """

    __slots__ = ("host", "port", "scheme")

    def __init__(self, scheme: str | None, host: str, port: int | None) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port

    def matches(self, origin: Origin) -> bool:
        """Tell whether the origin is one of them."""
        return (
            self.scheme in (None, origin.scheme)
            and self.port in (None, origin.port)
            and (
                origin.host.endswith(self.host[1:])
                if self.host.startswith("*.")
                else origin.host == self.host
            )
        )


_NO_HOST = HostPattern(None, "", None)


@lru_cache(maxsize=1024)
def _named_by(entry: str) -> HostPattern | None:
    """Return the hosts an `aud` entry names; `None` for a logical name or any."""
    if entry in ANY_AUDIENCE:
        return None
    scheme, separator, rest = entry.partition("://")
    if not separator:
        found = split_host_port(entry)
        if found is None or ("." not in found[0] and found[1] is None):
            return None
        return HostPattern(None, *found)
    # A path is ignored, and so is a scheme that HTTP does not know (roots, davs).
    found = split_host_port(re.split(r"[/?#]", rest, maxsplit=1)[0])
    known = scheme.lower() if scheme.lower() in DEFAULT_PORTS else None
    return HostPattern(known, *found) if found else _NO_HOST


# --- hosts= and REQUESTS_SCITOKENS_HOSTS


def parse_hosts(hosts: str | Iterable[str]) -> tuple[HostPattern, ...]:
    """Read the hosts that tokens may go to.

    Parameters
    ----------
    hosts : str or iterable of str
        Entries such as `storage.example.org`, `*.example.org`,
        `https://host:1094` or `http://localhost:8080`; commas separate them in a
        string.

    Raises
    ------
    ValueError
        If an entry is none of these, or would match too much.
    """
    return _parse_hosts(tuple(hosts.split(",") if isinstance(hosts, str) else hosts))


@lru_cache(maxsize=256)
def _parse_hosts(entries: tuple[str, ...]) -> tuple[HostPattern, ...]:
    return tuple(_parse_host(entry.strip()) for entry in entries)


# Names below these belong to many organisations. A country's own second level, as in
# example.co.uk, is a guess: the whole list (publicsuffix.org) is long and changes
# weekly; these are the ones that a person would write.
_PUBLIC_SUFFIX = (
    r"[^.]+|(?:ac|asn|asso|co|com|ed|edu|ernet|gc|gen|go|gob|gouv|gov|govt|gv|id|idf|ind"
    r"|ltd|me|mil|nat|ne|net|nhs|nic|nom|or|org|plc|police|re|res|sch|school)\.[a-z]{2}"
)


def _parse_host(entry: str) -> HostPattern:
    scheme, separator, rest = entry.rpartition("://")
    scheme, rest = scheme.lower(), rest.removesuffix("/")
    wildcard = rest.startswith("*.")
    found = split_host_port(rest[2:] if wildcard else rest)
    if not entry:
        problem = "it is empty"
    elif separator and scheme not in DEFAULT_PORTS:
        problem = "only http:// and https:// can be asked for"
    elif re.search(r"[/?#]", rest):
        problem = "a host is meant, without a path"
    elif "*" in rest.removeprefix("*."):
        problem = "a star stands only for what is below a name, as in *.example.org"
    elif found is None:
        problem = "it is not a host name"
    elif wildcard and (is_address(found[0]) or re.fullmatch(_PUBLIC_SUFFIX, found[0])):
        problem = "it would match far more than one organisation's hosts"
    else:
        return HostPattern(scheme or None, ("*." if wildcard else "") + found[0], found[1])
    raise ValueError(
        f"{entry!r} cannot be one of the hosts that tokens may go to: {problem}; "
        "write for example storage.example.org, *.example.org or https://host:1094"
    )
