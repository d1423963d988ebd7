"""Every place where a token is looked for, what is there, and which one decides."""

from __future__ import annotations

import math
import os
import shlex
import stat
import time
from typing import Any, NamedTuple

from requests_scitokens import _environment as environment
from requests_scitokens._discovery import NO_FAULT, Found, look
from requests_scitokens._messages import Code, Reason, advice, because, full, text
from requests_scitokens._policy import Situation
from requests_scitokens._shown import certain_path, duration, printable
from requests_scitokens._token import BearerToken, seconds
from requests_scitokens._token_file import Lookup, exposed

#: What `--json` prints: docs/reference/diagnosis.md has the keys.
Fact = dict[str, Any]


class Seen(NamedTuple):
    """What was in one place, and whether the search ended there."""

    lookup: Lookup
    reason: Reason
    decides: bool


def look_everywhere(found: Found, at: Situation) -> list[Seen]:
    """Look in every place, also in those after the one that decides."""
    last = found.looked[-1] if found.place is not None else None
    seen: list[Seen] = []
    first = ""
    for place in environment.PLACES:
        value = os.environ.get(place.variable) if place.variable else place.path
        nothing = [Lookup(place.name, None, because(Code.NOT_SET))]
        for lookup in nothing if value is None else look(place, value, at):
            reason = lookup.reason or because(Code.USED)
            if first and (lookup.ends or not lookup.reason):
                reason = because(Code.COMES_LATER, first=first)
            decides = not first and lookup == last
            first = lookup.place if decides else first
            seen.append(Seen(lookup, reason, decides))
    return seen


def describe(seen: Seen) -> Fact:
    """Describe a place, and what is there."""
    (lookup, reason, decides), token, remark = seen, seen.lookup.token, ""
    expired = reason.code is Code.EXPIRED
    if expired or (decides and token is None):
        remark = "; passed over" if expired else "; the search ends here"
    elif decides and token is not None and early(token):
        remark = "; it is not valid yet"
    place = {
        "place": printable(lookup.name),
        "code": reason.code.name.lower(),
        "reason": printable(text(reason) + remark),
        "decides": decides,
        "expired": expired,
    }
    parts = {"token": token and describe_token(token), "file": _file(lookup)}
    return {**place, **{name: part for name, part in parts.items() if part}}


def steps(found: Found, seen: list[Seen], said: list[str]) -> list[str]:
    """Say what to do about the places, beside what is said already."""
    todo: list[str] = []
    for lookup, reason, decides in seen:
        why = reason.with_(place=lookup.name)
        if decides and lookup.token and early(lookup.token):
            todo.append("wait until it is valid; if it should be, check the clock here")
        if decides and (file := _file(lookup)) and file["exposed"]:
            path = file["path"] and shlex.quote(file["path"])
            todo.append(f"run chmod 600 {path or f'on the file in {lookup.name}'}")
        if decides:
            break
        if found.token and reason.code in NO_FAULT:
            continue
        if reason.code is Code.EMPTY and lookup.path.endswith(".use"):
            todo.append(
                "HTCondor has put a file here without a token in it: ask your pool whether "
                "you may use this service, for example whether you are in its group"
            )
        elif advice(why) and f"{lookup.name}: {advice(why)}" not in said:
            todo.append(full(why))
    return todo


def describe_token(token: BearerToken) -> Fact:
    """Describe a token by its claims, which nobody has verified."""
    claims = token.claims
    if claims is None:
        return {"opaque": True}
    return {
        "issuer": _text(claims.get("iss")),
        "subject": _text(claims.get("sub")),
        "audience": [printable(one) or "(cannot be read)" for one in token.audience],
        "scope": printable(token.scope),
        "valid": _validity(token, claims),
        "expires": token.expires if math.isfinite(token.expires) else None,
    }


def early(token: BearerToken) -> float:
    """Return in how many seconds the token becomes valid, by `nbf`; 0 if it is already."""
    begins = seconds((token.claims or {}).get("nbf"))
    return 0.0 if begins is None else max(0.0, begins - time.time())


def _validity(token: BearerToken, claims: dict[str, Any]) -> str:
    begins, now = seconds(claims.get("nbf", claims.get("iat"))), time.time()
    words = ""
    if early(token):
        words = f"not valid yet: begins in {_far(early(token))}; "
    elif begins is not None:
        late = begins > now
        words = f"issued {_far(begins - now)} from now; " if late else words
        words = words or f"began {duration(now - begins)} ago; "
    if "exp" not in claims:
        return f"{words}never expires"
    if seconds(claims["exp"]) is None:
        return f"{words}when it expires cannot be read"
    if token.expired():
        return f"{words}expired {duration(now - token.expires)} ago"
    return f"{words}expires in {_far(token.expires - now)}"


def _far(length: float) -> str:
    far = "more than 100 years (is that in milliseconds?)"
    return far if length > 100 * 365.25 * 86400 else duration(length)


def _text(claim: object) -> str:
    return printable(claim) if isinstance(claim, str) else "(not a text)" if claim else ""


def _file(lookup: Lookup) -> Fact:
    try:
        status = os.stat(lookup.path)
    except OSError:  # there is none
        return {}
    return {
        "path": certain_path(lookup.path),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": _owner(status.st_uid),
        "exposed": bool(lookup.token and exposed(status)),
    }


def _owner(uid: int) -> str:
    try:
        import pwd  # POSIX alone has it

        return printable(pwd.getpwuid(uid).pw_name)
    except (ImportError, KeyError):
        return str(uid)
