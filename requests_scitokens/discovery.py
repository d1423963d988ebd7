"""Where tokens are looked for, and in which order."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from .origin import Origin
from .policy import ANY_AUDIENCE, Standing, standing
from .token import WHITE_SPACE, BearerToken, certain_path, plain
from .token_file import Lookup, read_file, read_text

#: Where the last place is: anybody can put a file there.
SHARED_DIRECTORY = "/tmp"  # noqa: S108

#: Methods that read (RFC 9110 section 9.2.1, RFC 4918 section 9.1).
READS = ("GET", "HEAD", "OPTIONS", "PROPFIND")

# What a scope is called that lets one read or write: SciTokens' own and the WLCG profile's.
_READ_SCOPES = frozenset({"read", "storage.read"})
_WRITE_SCOPES = frozenset({"write", "storage.modify", "storage.create"})

# The first places. The last two of them are what IGWN's tools document, in the same form.
_VARIABLES = ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "SCITOKEN", "SCITOKEN_FILE")
_NOT_SET = {
    name: Lookup(f"${name}", reason="not set")
    for name in (*_VARIABLES, "_CONDOR_CREDS", "XDG_RUNTIME_DIR")
}


class Target(NamedTuple):
    """Where a request goes that wants a token, and how it came to go there."""

    url: str = ""
    origin: Origin | None = None  # what `origin_of` says of the URL
    method: str = "GET"
    start: Origin | None = None  # where the caller sent it; `None` for here
    passed: tuple[Origin, ...] = ()  # the origins whose redirects led here
    once: bool = False  # whether it is an upload, which is sent only once
    proxies: dict[str, str] | None = None  # `None` for those of the environment
    refused: tuple[BearerToken, ...] = ()  # what the server has just answered 401 or 403
    earlier: BearerToken | None = None  # the token for the caller's own URL

    @property
    def elsewhere(self) -> bool:
        """Whether this is another origin than the one that the caller chose."""
        return self.start is not None and self.start != self.origin


ANYWHERE = Target()


class Found(NamedTuple):
    """The token that was found, or the reason why there is none."""

    token: BearerToken | None = None
    place: Lookup | str = "the token"  # where it came from
    reason: str = ""  # why there is none that can be used, and what to do
    passed: tuple[Lookup, ...] = ()  # the places before, and why each gave none
    silent: bool = False  # whether that needs no message: the caller said "no token"

    @property
    def name(self) -> str:
        """How to speak of the token."""
        place = self.place
        return place if isinstance(place, str) else f"the token in {place.name}"

    def everything(self) -> str:
        """Say why there is none, and what was in every place looked in."""
        passed = [str(lookup) for lookup in self.passed if str(lookup) not in self.reason]
        looked = f"; looked in: {'; '.join(passed)}" if passed else ""
        return f"no usable token: {self.reason}{looked}"


def find(to: Target = ANYWHERE, audience: tuple[str, ...] = ()) -> Found:
    """Search all places in order, up to the one that decides.

    If `audience` has entries, the token's `aud` claim must have one of them.

    WLCG Bearer Token Discovery 1.0: a token ends the search, and so does something
    malformed; an empty value continues it. An expired token is passed over. Nothing is
    verified and no network is touched.
    """
    passed: list[Lookup] = []
    for lookup in look_everywhere(to, audience):
        if lookup.ends:
            return Found(None, lookup, f"{lookup}; correct or remove it", tuple(passed))
        if lookup.token is not None and not lookup.reason:
            misfit = _misfit(lookup.token, audience)
            if misfit:
                reason = f"the token in {lookup.name} {misfit}"
                return Found(None, lookup, reason, tuple(passed))
            return Found(lookup.token, lookup, "", tuple(passed))
        passed.append(lookup)
    for lookup in passed:
        if lookup.token is not None and lookup.token.expired():
            text = f"the token in {lookup.name} {lookup.token.expired()}"
            reason = f"{text}; renew it, for example with htgettoken"
            return Found(None, lookup, reason, tuple(passed))
    there = [str(lookup) for lookup in passed if lookup.reason not in _NOTHING_THERE]
    parts = ["no token was found", *there, "get one, for example with htgettoken"]
    return Found(reason="; ".join(parts), passed=tuple(passed))


_NOTHING_THERE = ("not set", os.strerror(errno.ENOENT))


def look_everywhere(
    to: Target = ANYWHERE, audience: tuple[str, ...] = ()
) -> Iterator[Lookup]:
    """Look in every place, one after the other, whatever is found; see `find`."""
    for name in _VARIABLES:
        value = os.environ.get(name)
        if value is None:
            yield _NOT_SET[name]
        elif not value.strip(WHITE_SPACE):
            yield Lookup(f"${name}", reason="empty")
        elif name.endswith("_FILE"):
            yield _look_at_named_file(name, value)
        else:
            yield read_text(f"${name}", value)
    directory = os.environ.get("_CONDOR_CREDS")
    if directory:
        yield from _look_at_condor(directory, to, audience)
    else:
        yield _NOT_SET["_CONDOR_CREDS"]
    if hasattr(os, "geteuid"):
        user = os.geteuid()
        name = f"bt_u{user}"
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        if runtime:
            place, path = f"$XDG_RUNTIME_DIR/{name}", f"{runtime}/{name}"
            yield read_file(place, path, owner=user)
        else:
            yield _NOT_SET["XDG_RUNTIME_DIR"]
        path = f"{SHARED_DIRECTORY}/{name}"
        yield read_file(path, path, owner=user)


def _look_at_named_file(name: str, path: str) -> Lookup:
    lookup = read_file(f"${name}", path)
    if lookup.token is None and not certain_path(path) and not os.path.exists(path):
        right = name[: -len("_FILE")]
        reason = f"no such file (not shown: a token itself would go into ${right})"
        return Lookup(f"${name}", reason=reason)
    return lookup


def _look_at_condor(
    directory: str, to: Target, audience: tuple[str, ...]
) -> Iterator[Lookup]:
    """Choose from HTCondor's directory, which holds one file for each service."""
    names, nothing = [], "no file there is called *.use"
    try:
        names = [name for name in os.listdir(directory) if name.endswith(".use")]
    except OSError as error:
        nothing = error.strerror or type(error).__name__
    if not names:
        yield Lookup("$_CONDOR_CREDS", reason=nothing, path=directory)
        return
    ranked = []
    for name in sorted(names, key=lambda name: (name != "scitokens.use", name)):
        lookup = read_file(f"$_CONDOR_CREDS/{plain(name)}", f"{directory}/{name}")
        ranked.append((_rank(lookup, to, audience), lookup))
    ranked.sort(key=lambda one: one[0], reverse=True)  # keeps the order by name
    for rank, lookup in ranked:
        if rank or lookup.token is None or lookup.reason:
            yield lookup
        else:
            reason = f"it is for {lookup.token.whom}; not for this server"
            yield lookup._replace(reason=reason)


def _rank(lookup: Lookup, to: Target, audience: tuple[str, ...]) -> tuple[bool, ...]:
    """Rank what a file holds: what may go there, what was not refused, what fits best."""
    token = lookup.token
    if token is None or lookup.reason or _misfit(token, audience):
        return ()
    stands = standing(token, to.origin) if to.origin else Standing.ANY
    if stands is Standing.ANOTHER:
        return ()
    verbs = {scope.partition(":")[0] for scope in token.scope.split()}
    fits = not verbs.isdisjoint(_READ_SCOPES if to.method in READS else _WRITE_SCOPES)
    return (token not in to.refused, stands is Standing.THIS, fits)


def _misfit(token: BearerToken, audience: tuple[str, ...]) -> str:
    """Say why the token's audience is none of those wanted; empty if it is one."""
    if not audience or not ANY_AUDIENCE.union(audience).isdisjoint(token.audience):
        return ""
    names = plain(", ".join(audience))
    return f"is for {token.whom}, not for {names}; get one for {names}"
