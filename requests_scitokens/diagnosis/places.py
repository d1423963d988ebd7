"""Where tokens were looked for, what was there, and which place decides."""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Iterable
from typing import NamedTuple

from requests_scitokens.token import BearerToken, certain_path, duration, plain, seconds
from requests_scitokens.token_file import Lookup, exposed

from .facts import File, Place, Token

#: What is later than this, in seconds from now, is hardly meant: milliseconds, perhaps.
CENTURY = 100 * 365.25 * 86400


class Search(NamedTuple):
    """What all places gave."""

    used: BearerToken | None  # the token that the search found
    places: list[Place]  # each place, described


def search(lookups: Iterable[Lookup]) -> Search:
    """Describe each place, and say which one decides."""
    used: BearerToken | None = None
    decided = ""
    places = []
    for lookup in lookups:
        reason, decides, token = lookup.reason, False, lookup.token
        expired = token is not None and bool(token.expired())
        usable = token is not None and not reason
        if decided and (lookup.ends or usable):
            reason = f"not used: {decided} comes first"
        elif lookup.ends:
            decided, decides = lookup.place, True
            reason += "; the search ends here"
        elif token is not None and usable:
            used, decided, decides = token, lookup.place, True
            reason = "used" + ("; it is not valid yet" if early(token) else "")
        elif expired:
            reason += "; passed over"
        place: Place = {
            "place": plain(lookup.name),
            "reason": plain(reason),
            "decides": decides,
            "expired": expired,
        }
        if token is not None:
            place["token"] = describe(token)
        file = _file(lookup)
        if file is not None:
            place["file"] = file
        places.append(place)
    return Search(used, places)


def describe(token: BearerToken) -> Token:
    """Describe a token by its claims, which nobody has verified."""
    claims = token.claims
    if claims is None:
        return {"opaque": True}
    return {
        "issuer": _text(claims.get("iss")),
        "subject": _text(claims.get("sub")),
        "audience": [plain(entry) or "(cannot be read)" for entry in token.audience],
        "scope": plain(token.scope),
        "valid": _validity(token),
        "expires": token.expires if math.isfinite(token.expires) else None,
    }


def early(token: BearerToken) -> float:
    """Return in how many seconds the token becomes valid; 0 if it is valid already.

    That is what `nbf` says (RFC 7519 section 4.1.5). It keeps no token back.
    """
    begins = seconds((token.claims or {}).get("nbf"))
    return 0.0 if begins is None else max(0.0, begins - time.time())


def _validity(token: BearerToken) -> str:
    claims, now = token.claims or {}, time.time()
    begins = seconds(claims.get("nbf", claims.get("iat")))
    if early(token):
        begin = f"not valid yet: begins in {_far(early(token))}; "
    elif begins is None:
        begin = ""
    elif begins > now:
        begin = f"issued {_far(begins - now)} from now; "
    else:
        begin = f"began {duration(now - begins)} ago; "
    if "exp" in claims and seconds(claims["exp"]) is None:
        return f"{begin}when it expires cannot be read"
    if "exp" not in claims:
        return f"{begin}never expires"
    return begin + (token.expired() or f"expires in {_far(token.expires - now)}")


def _far(seconds: float) -> str:
    if seconds > CENTURY:
        return "more than 100 years (is that in milliseconds?)"
    return duration(seconds)


def _text(claim: object) -> str:
    if claim is None:
        return ""
    return plain(claim) if isinstance(claim, str) else "(not a text)"


def _file(lookup: Lookup) -> File | None:
    try:
        status = os.stat(lookup.path) if lookup.path else None
    except OSError:
        return None
    if status is None:
        return None
    return {
        "path": certain_path(lookup.path),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": _owner(status.st_uid),
        "exposed": bool(lookup.token and exposed(status)),
    }


def _owner(uid: int) -> str:
    try:
        import pwd  # POSIX alone has it

        return plain(pwd.getpwuid(uid).pw_name)
    except (ImportError, KeyError):
        return str(uid)
