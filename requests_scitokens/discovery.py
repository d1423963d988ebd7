"""Where tokens are looked for, and in which order."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import lru_cache

from requests import RequestException

from .environment import variables
from .files import expiring, look_at_file, signature_of
from .look import Look, look_at_text, trouble
from .memory import remember
from .origin import Origin, origin_of
from .policy import ELSEWHERE, NAMED, UNBOUND, standing
from .token import WHITE_SPACE, BearerToken, decode_claims

#: Where the last place is: anybody can put a file there.
SHARED_DIRECTORY = "/tmp"  # noqa: S108


class TokenNotFoundError(RequestException):
    """No usable token was found, and the request may not go without one.

    As every `requests.RequestException` it is an `OSError` too. The message lists
    every place looked in, and what was wrong with what was there.
    """


def find(
    url: str | None = None,
    audience: tuple[str, ...] = (),
    *,
    fresh: bool = False,
) -> tuple[Look | None, list[Look]]:
    """Search all places in order, up to the one that decides.

    WLCG Bearer Token Discovery 1.0: a token ends the search, and so does something
    malformed; an empty value continues it. Nothing is verified and no network is
    touched.

    Parameters
    ----------
    url : str or None
        Where the token is to go: HTCondor's directory may hold one for each server.
    audience : tuple of str, optional
        What the caller wants the token's audience to be.
    fresh : bool, optional
        Whether files are read again although nothing about them has changed.

    Returns
    -------
    found : Look or None
        The place that gave a token, which may have expired.
    passed : list of Look
        The places before it that gave none, with the reasons.
    """
    passed: list[Look] = []
    for look in look_everywhere(url, audience, fresh=fresh):
        if look.token is not None and not look.reason:
            return look, passed
        passed.append(look)
        if look.ends:
            break
    return None, passed


def look_everywhere(
    url: str | None = None,
    audience: tuple[str, ...] = (),
    *,
    fresh: bool = False,
) -> Iterator[Look]:
    """Look in every place, one after the other, whatever is found.

    Of HTCondor's directory only the file that was chosen before is looked at, where
    that still holds and the look is not to be `fresh`.
    """
    values = variables(_NAMES)
    # The last two are what IGWN's tools document, in the same two forms.
    for name in ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "SCITOKEN", "SCITOKEN_FILE"):
        if name not in values:
            yield _NOT_SET[name]
        elif name.endswith("_FILE"):
            yield _look_at_named_file(name, values[name], fresh)
        else:
            yield _look_at_value(name, values[name])
    creds = values.get("_CONDOR_CREDS")
    if creds:
        yield from _look_at_condor(creds, origin_of(url), audience, fresh)
    else:
        yield _NOT_SET["_CONDOR_CREDS"]
    if hasattr(os, "geteuid"):
        user = os.geteuid()
        runtime = values.get("XDG_RUNTIME_DIR")
        if runtime:
            place, path = _runtime_file(runtime, user)
            yield look_at_file(place, path, fresh)
        else:
            yield _NOT_SET["XDG_RUNTIME_DIR"]
        path = os.path.join(SHARED_DIRECTORY, f"bt_u{user}")
        yield look_at_file(path, path, fresh, own=True)


# --- the places


def _look_at_value(name: str, value: str) -> Look:
    if not value.strip(WHITE_SPACE):
        return Look(f"${name}", reason="empty")
    return look_at_text(f"${name}", value)


def _look_at_named_file(name: str, path: str, fresh: bool) -> Look:
    if not path:
        return _NOT_SET[name]
    if decode_claims(path) is not None:  # and the place is named in messages
        right = name.removesuffix("_FILE")
        reason = f"it holds a token, not the name of a file; ${right} is for that"
        return Look(f"${name}", reason=reason)
    return look_at_file(f"${name} ({path})", path, fresh)


_NAMES = (
    "BEARER_TOKEN",
    "BEARER_TOKEN_FILE",
    "SCITOKEN",
    "SCITOKEN_FILE",
    "_CONDOR_CREDS",
    "XDG_RUNTIME_DIR",
)

# Most places are not there, for every request anew.
_NOT_SET = {name: Look(f"${name}", reason="not set") for name in _NAMES}


@lru_cache(maxsize=16)
def _runtime_file(directory: str, user: int) -> tuple[str, str]:
    path = os.path.join(directory, f"bt_u{user}")
    return f"$XDG_RUNTIME_DIR/bt_u{user} ({path})", path


def _look_at_condor(
    directory: str, origin: Origin | None, audience: tuple[str, ...], fresh: bool
) -> Iterator[Look]:
    """Choose from HTCondor's directory, which holds one file for each service.

    The first token that names the origin is taken, else the first that is unbound.
    """
    place = "$_CONDOR_CREDS"
    try:
        signature = signature_of(os.stat(directory))
        then, name, chosen = _choices.get((directory, origin, audience), _NO_CHOICE)
        if then == signature and not fresh:
            look = _look_at_use_file(directory, name, fresh)
            if look is chosen and not expiring(look.token):
                yield look
                return
        names = [name for name in os.listdir(directory) if name.endswith(".use")]
    except OSError as error:
        yield Look(f"{place} ({directory})", reason=trouble(error))
        return
    if not names:
        yield Look(f"{place} ({directory})", reason="no file there is called *.use")
        return
    names.sort(key=lambda name: (name != "scitokens.use", name))
    looks = [_look_at_use_file(directory, name, fresh) for name in names]
    best = max(looks, key=lambda look: _fit(look.token, origin, audience))
    found = _fit(best.token, origin, audience) > 0
    if found:
        choice = (signature, names[looks.index(best)], best)
        remember(_choices, (directory, origin, audience), choice)
    for look in looks:
        if look.token is None:
            ends = look.ends and not found
            yield Look(look.place, None, look.reason, ends, look.path)
        elif look is best and found:
            yield look
        else:
            reason = _unfit(look.token, origin, audience)
            yield Look(look.place, look.token, reason, path=look.path)


def _look_at_use_file(directory: str, name: str, fresh: bool) -> Look:
    return look_at_file(f"$_CONDOR_CREDS/{name}", os.path.join(directory, name), fresh)


# (directory, origin, audience): the directory's signature, the file chosen from it, and
# what that held. HTCondor renames its files into place, which changes the directory. So
# while that and the chosen file are what they were, none of the other files, of which
# there may be many, is looked at.
_choices: dict[
    tuple[str, Origin | None, tuple[str, ...]],
    tuple[tuple[int, ...], str, Look | None],
] = {}
_NO_CHOICE = ((), "", None)


def _fit(
    token: BearerToken | None, origin: Origin | None, audience: tuple[str, ...]
) -> int:
    """Rank a token that could go to this origin; 0 if it could not."""
    if token is None or token.expires <= time.time():
        return 0
    if origin is None:
        return 1
    return {NAMED: 2, UNBOUND: 1, ELSEWHERE: 0}[standing(token, origin, audience)]


def _unfit(token: BearerToken, origin: Origin | None, audience: tuple[str, ...]) -> str:
    if _fit(token, origin, audience):
        return f"it is for {token.whom}; another file there was chosen"
    wanted = ", ".join(audience) or "this server"
    return token.expired() or f"it is for {token.whom}, not for {wanted}"
