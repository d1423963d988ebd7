"""Where tokens are looked for, and in which order."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from . import _environment as environment
from ._environment import DIRECTORY, FILE, TOKEN, Place
from ._messages import Code, Reason, because, full, text
from ._origin import NOWHERE
from ._policy import (
    ANY_AUDIENCE,
    READ_SCOPES,
    READS,
    WRITE_SCOPES,
    Situation,
    Standing,
    standing,
)
from ._shown import certain_path, printable
from ._token import WHITE_SPACE, BearerToken
from ._token_file import Lookup, read_file, read_lately, read_text

ANYTHING = Situation()


class Found(NamedTuple):
    """The token that was found, or the reason why there is none."""

    token: BearerToken | None = None
    reason: Reason | None = None
    where: Lookup | str = "the token"  # where it came from
    place: Place | None = None  # which of the places that is
    looked: tuple[Lookup, ...] = ()  # what every place gave up to there
    silent: bool = False  # whether that needs no message: the caller said "no token"

    @property
    def name(self) -> str:
        """How to speak of the token."""
        where = self.where
        return where if isinstance(where, str) else f"the token in {where.name}"

    def everything(self) -> str:
        """Say why there is none, and what was in every place looked in."""
        why = full(self.reason) if self.reason else ""
        looked = []
        for place in environment.PLACES:
            name = place.name
            here = [o for o in self.looked if f"{o.place}/".startswith(f"{name}/")]
            looked += [str(one) for one in here if str(one) not in why]
            if place.variable and place.variable not in os.environ:
                looked.append(f"{name}: {text(because(Code.NOT_SET))}")
            if place is self.place:
                break  # the search ended here
        shown = f"; looked in: {'; '.join(looked)}" if self.looked else ""
        return f"no usable token: {why}{shown}"


def find(
    at: Situation = ANYTHING,
    audience: tuple[str, ...] = (),
    refused: Collection[BearerToken] = (),
) -> Found:
    """Search all places in order, up to the one that decides.

    If `audience` has entries, the token's `aud` claim must have one of them. What was
    `refused` comes last among HTCondor's files.

    WLCG Bearer Token Discovery 1.0: a token ends the search, and so does something
    malformed; an empty value continues it. An expired token is passed over. Nothing is
    verified and no network is touched.
    """
    looked: list[Lookup] = []
    for place in environment.PLACES:
        value = os.environ.get(place.variable) if place.variable else place.path
        if value is None:
            continue
        for lookup in look(place, value, at, audience, refused):
            looked.append(lookup)
            reason = lookup.reason
            if reason is None and lookup.token is not None:
                reason = _misfit(lookup.token, audience) if audience else None
                if reason is None:
                    return Found(lookup.token, None, lookup, place, tuple(looked))
            elif not lookup.ends:
                continue
            reason = reason.with_(place=lookup.name) if reason else None
            return Found(None, reason, place=place, looked=tuple(looked))
    return Found(None, _why_none(looked), looked=tuple(looked))


def look(
    place: Place,
    value: str,
    at: Situation = ANYTHING,
    audience: tuple[str, ...] = (),
    refused: Collection[BearerToken] = (),
) -> Iterable[Lookup]:
    """Look in one place; the `value` is that of its variable, or its path."""
    if not value.strip(WHITE_SPACE):
        return (Lookup(place.name, None, because(Code.EMPTY)),)
    if place.kind == TOKEN:
        lookup = read_text(place.name, value)
        if lookup.reason is not None and lookup.reason.code is Code.A_PATH:
            reason = lookup.reason.with_(variable=f"{place.variable}_FILE")
            lookup = lookup._replace(reason=reason)
        return (lookup,)
    if place.kind == FILE:
        return (_look_at_named_file(place, value),)
    if place.kind == DIRECTORY:
        return list(_look_at_services(place, value, at, audience, refused))
    if not hasattr(os, "geteuid"):
        return ()
    user = os.geteuid()
    lookup = read_file(f"{place.name}/bt_u{user}", f"{value}/bt_u{user}", owner=user)
    if lookup.reason is not None and lookup.reason.code is Code.NO_FILE:
        lookup = lookup._replace(reason=because(Code.NOT_THERE))
    return (lookup,)


# What is no fault: nobody set it, nothing is in it, or it is somebody else's.
NO_FAULT = (Code.NOT_THERE, Code.EMPTY, Code.NO_USE_FILES, Code.NOT_FOR_HERE, Code.NO_JWT)


def _why_none(looked: list[Lookup]) -> Reason:
    """Say why there is no token: first what is wrong with what a person set."""
    for lookup in looked:
        if lookup.reason is not None and lookup.reason.code not in NO_FAULT:
            return lookup.reason.with_(place=lookup.name)
    seen = [one for one in looked if one.reason and one.reason.code is not Code.NOT_THERE]
    if seen:
        return because(Code.NO_TOKEN_BUT, seen="; ".join(map(str, seen)))
    user, sudo = getattr(os, "geteuid", int)(), os.environ.get("SUDO_UID", "")
    if sudo.isdecimal() and int(sudo) != user:
        return because(Code.NO_TOKEN_UNDER_SUDO, user=user, sudo=int(sudo))
    return because(Code.NO_TOKEN)


def _look_at_named_file(place: Place, path: str) -> Lookup:
    lookup = read_file(place.name, path)
    code = lookup.reason.code if lookup.reason is not None else None
    if code is Code.NO_FILE and path.startswith("~"):
        return lookup._replace(reason=because(Code.TILDE))
    # Also where the name is longer than one can be.
    if code in (Code.NO_FILE, Code.FAILS) and not certain_path(path):
        variable = place.variable.removesuffix("_FILE")
        return Lookup(place.name, None, because(Code.NO_PATH, variable=variable))
    return lookup


def _look_at_services(
    place: Place,
    directory: str,
    at: Situation,
    audience: tuple[str, ...],
    refused: Collection[BearerToken],
) -> Iterator[Lookup]:
    """Choose from HTCondor's directory, which holds one file for each service.

    All OAuth services of the job are there, so only a JSON Web Token may be a SciToken:
    what Box or Google gave is not for anybody else.
    """
    names, nothing = set(), because(Code.NO_USE_FILES)
    try:
        names = {name for name in os.listdir(directory) if name.endswith(".use")}
    except OSError as error:
        problem = error.strerror or type(error).__name__
        nothing = because(Code.FAILS, problem=problem)
    # A file that is being replaced is not listed for a moment.
    lately = {name for name in read_lately(directory) if name.endswith(".use")} - names
    ranked = []
    for name in sorted(names | lately, key=lambda name: (name != "scitokens.use", name)):
        lookup = read_file(f"{place.name}/{printable(name)}", f"{directory}/{name}")
        if lookup.token is None and name in lately:
            continue
        if lookup.token is not None and lookup.token.claims is None:
            lookup = lookup._replace(token=None, reason=because(Code.NO_JWT))
        ranked.append((_rank(lookup, at, audience, refused), lookup))
    if not ranked:
        yield Lookup(place.name, None, nothing, path=directory)
    ranked.sort(key=lambda one: one[0], reverse=True)  # keeps the order by name
    for rank, lookup in ranked:
        if rank or lookup.token is None or lookup.reason:
            yield lookup
        else:
            reason = because(Code.NOT_FOR_HERE, whom=lookup.token.whom)
            yield lookup._replace(reason=reason)


def _rank(
    lookup: Lookup,
    at: Situation,
    audience: tuple[str, ...],
    refused: Collection[BearerToken],
) -> tuple[bool, ...]:
    """Rank what a file holds: what may go there, what was not refused, what fits best."""
    token = lookup.token
    if token is None or lookup.reason or _misfit(token, audience):
        return ()
    stands = standing(token, at.origin) if at.origin != NOWHERE else Standing.ANY
    if stands is Standing.ANOTHER:
        return ()
    verbs = {scope.partition(":")[0] for scope in token.scope.split()}
    fits = not verbs.isdisjoint(READ_SCOPES if at.method in READS else WRITE_SCOPES)
    return (token not in refused, stands is Standing.THIS, fits)


def _misfit(token: BearerToken, audience: tuple[str, ...]) -> Reason | None:
    """Say why the token's audience is none of those wanted, if it is not."""
    if not audience or not ANY_AUDIENCE.union(audience).isdisjoint(token.audience):
        return None
    wanted = printable(", ".join(audience))
    return because(Code.NO_AUDIENCE, whom=token.whom, wanted=wanted)
