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


class Wanted(NamedTuple):
    """What a token is wanted for."""

    origin: Origin | None = None  # where the request goes, if that is known
    method: str = "GET"
    audience: tuple[str, ...] = ()  # what the caller wants in `aud`: one of these
    refused: tuple[BearerToken, ...] = ()  # what the server has just answered 401 or 403

    def misfit(self, token: BearerToken) -> str:
        """Say why the token's audience is not the wanted one; empty if it is."""
        wanted = {*self.audience, *ANY_AUDIENCE}
        if not self.audience or not wanted.isdisjoint(token.audience):
            return ""
        names = plain(", ".join(self.audience))
        return f"is for {token.whom}, not for {names}; get one for {names}"


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


ANYTHING = Wanted()


def find(wanted: Wanted = ANYTHING) -> Found:
    """Search all places in order, up to the one that decides.

    WLCG Bearer Token Discovery 1.0: a token ends the search, and so does something
    malformed; an empty value continues it. An expired token is passed over. Nothing is
    verified and no network is touched.
    """
    passed: list[Lookup] = []
    for lookup in look_everywhere(wanted):
        if lookup.token is not None and not lookup.reason:
            misfit = wanted.misfit(lookup.token)
            if misfit:
                reason = f"the token in {lookup.name} {misfit}"
                return Found(None, lookup, reason, tuple(passed))
            return Found(lookup.token, lookup, "", tuple(passed))
        if lookup.ends:
            return Found(
                None, reason=f"{lookup}; correct or remove it", passed=tuple(passed)
            )
        passed.append(lookup)
    for lookup in passed:
        if lookup.token is not None and lookup.token.expired():
            text = f"the token in {lookup.name} {lookup.token.expired()}"
            reason = f"{text}; renew it, for example with htgettoken"
            return Found(None, lookup, reason, tuple(passed))
    there = [str(lookup) for lookup in passed if lookup.reason not in _NOTHING_THERE]
    reason = "; ".join(
        ["no token was found", *there, "get one, for example with htgettoken"]
    )
    return Found(None, reason=reason, passed=tuple(passed))


_NOTHING_THERE = ("not set", os.strerror(errno.ENOENT))


def look_everywhere(wanted: Wanted = ANYTHING) -> Iterator[Lookup]:
    """Look in every place, one after the other, whatever is found."""
    refused = wanted.refused
    # The last two are what IGWN's tools document, in the same two forms.
    for name in ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "SCITOKEN", "SCITOKEN_FILE"):
        value = os.environ.get(name)
        if value is None:
            yield Lookup(f"${name}", reason="not set")
        elif not value.strip(WHITE_SPACE):
            yield Lookup(f"${name}", reason="empty")
        elif name.endswith("_FILE"):
            yield _look_at_named_file(name, value, refused)
        else:
            yield read_text(f"${name}", value)
    credentials = os.environ.get("_CONDOR_CREDS")
    if credentials:
        yield from _look_at_condor(credentials, wanted)
    else:
        yield Lookup("$_CONDOR_CREDS", reason="not set")
    if hasattr(os, "geteuid"):
        name = f"bt_u{os.geteuid()}"
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        if runtime:
            path = os.path.join(runtime, name)
            yield read_file(f"$XDG_RUNTIME_DIR/{name}", path, own=True, refused=refused)
        else:
            yield Lookup("$XDG_RUNTIME_DIR", reason="not set")
        path = os.path.join(SHARED_DIRECTORY, name)
        yield read_file(path, path, own=True, refused=refused)


def _look_at_named_file(name: str, path: str, refused: tuple[BearerToken, ...]) -> Lookup:
    lookup = read_file(f"${name}", path, refused=refused)
    if lookup.token is None and not certain_path(path) and not os.path.exists(path):
        right = name[: -len("_FILE")]
        reason = f"no such file (not shown: a token itself would go into ${right})"
        return Lookup(f"${name}", reason=reason)
    return lookup


def _look_at_condor(directory: str, wanted: Wanted) -> Iterator[Lookup]:
    """Choose from HTCondor's directory, which holds one file for each service."""
    nothing = Lookup(
        "$_CONDOR_CREDS", reason="no file there is called *.use", path=directory
    )
    try:
        names = [name for name in os.listdir(directory) if name.endswith(".use")]
    except OSError as error:
        yield nothing._replace(reason=error.strerror or type(error).__name__)
        return
    if not names:
        yield nothing
        return
    names.sort(key=lambda name: (name != "scitokens.use", name))
    lookups = [
        read_file(
            f"$_CONDOR_CREDS/{plain(name)}",
            os.path.join(directory, name),
            refused=wanted.refused,
        )
        for name in names
    ]
    ranks = [_rank(lookup, wanted) for lookup in lookups]
    best = max(ranks)
    for lookup, rank in zip(lookups, ranks):  # Python 3.9 has no strict=
        if lookup.token is None:
            yield lookup._replace(ends=lookup.ends and not best)
        elif lookup.reason or (best and lookup is lookups[ranks.index(best)]):
            yield lookup
        else:
            other = "another file there was chosen" if rank else "not for this server"
            yield lookup._replace(reason=f"it is for {lookup.token.whom}; {other}")


def _rank(lookup: Lookup, wanted: Wanted) -> tuple[bool, ...]:
    """Rank what a file holds: what may go there, what was not refused, what fits best."""
    token = lookup.token
    if token is None or lookup.reason or wanted.misfit(token):
        return ()
    stands = standing(token, wanted.origin) if wanted.origin else Standing.ANY
    if stands is Standing.ANOTHER:
        return ()
    verbs = {scope.partition(":")[0] for scope in token.scope.split()}
    needed = _READ_SCOPES if wanted.method in READS else _WRITE_SCOPES
    return (
        True,
        token not in wanted.refused,
        stands is Standing.THIS,
        not verbs.isdisjoint(needed),
    )
