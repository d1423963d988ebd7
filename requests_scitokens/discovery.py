"""Where tokens are found, read and remembered."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, TypeVar

from requests import RequestException

from .memory import accepted, rejected, said
from .origin import Origin
from .policy import Standing, standing
from .token import LIMIT, WHITE_SPACE, BearerToken, MalformedTokenError, decode_claims

_log = logging.getLogger(__name__)

#: Where the last place is: anybody can put a file there.
SHARED_DIRECTORY = "/tmp"  # noqa: S108

#: A remembered token with less validity than this, in seconds, is read again.
RENEWAL_MARGIN = 10

#: A file that changed less than this long ago, in seconds, may be half written.
MOMENT = 1

#: A file may change again without its times telling, for this long, in seconds: they
#: come from a clock that ticks a hundred times a second, or less often.
TICK = 0.05

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class TokenNotFoundError(RequestException):
    """No usable token was found, and the request may not go without one.

    As every `requests.RequestException` it is an `OSError` too. The message lists
    every place looked in, and what was wrong with what was there.
    """


class Look(NamedTuple):
    """What one place gave: a token that may be used, or a reason.

    Attributes
    ----------
    place : str
        The place, as a person would name it.
    token : BearerToken or None
        The token found there.
    reason : str
        Why there is none, or why it is not used.
    ends : bool
        Whether the search ends here.
    path : str
        The file, where there is one.
    """

    place: str
    token: BearerToken | None = None
    reason: str = ""
    ends: bool = False
    path: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason or 'a token'}"


def find(
    origin: Origin | None = None,
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
    origin : Origin or None
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
    for look in look_everywhere(origin, audience, fresh=fresh):
        if look.token is not None and not look.reason:
            return look, passed
        passed.append(look)
        if look.ends:
            break
    return None, passed


def look_everywhere(
    origin: Origin | None = None,
    audience: tuple[str, ...] = (),
    *,
    fresh: bool = False,
) -> Iterator[Look]:
    """Look in every place, one after the other, whatever is found.

    Of HTCondor's directory only the file that was chosen before is looked at, where
    that still holds and the look is not to be `fresh`.
    """
    yield _look_at_value("BEARER_TOKEN")
    yield _look_at_named_file("BEARER_TOKEN_FILE", fresh)
    # What IGWN's tools document, in the same two forms.
    yield _look_at_value("SCITOKEN")
    yield _look_at_named_file("SCITOKEN_FILE", fresh)
    yield from _look_at_condor(origin, audience, fresh)
    if hasattr(os, "geteuid"):
        user = os.geteuid()
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        if runtime:
            place, path = _runtime_file(runtime, user)
            yield _look_at_file(place, path, fresh)
        else:
            yield _NOT_SET["XDG_RUNTIME_DIR"]
        path = os.path.join(SHARED_DIRECTORY, f"bt_u{user}")
        yield _look_at_file(path, path, fresh, own=True)


# --- the places


def _look_at_value(variable: str) -> Look:
    value = os.environ.get(variable)
    if value is None:
        return _NOT_SET[variable]
    if not value.strip(WHITE_SPACE):
        return Look(f"${variable}", reason="empty")
    return _parse(f"${variable}", value)


def _look_at_named_file(variable: str, fresh: bool) -> Look:
    path = os.environ.get(variable)
    if not path:
        return _NOT_SET[variable]
    if decode_claims(path) is not None:  # and the place is named in messages
        right = variable.removesuffix("_FILE")
        reason = f"it holds a token, not the name of a file; ${right} is for that"
        return Look(f"${variable}", reason=reason)
    return _look_at_file(f"${variable} ({path})", path, fresh)


# Most places are not there, for every request anew.
_NOT_SET = {
    variable: Look(f"${variable}", reason="not set")
    for variable in (
        "BEARER_TOKEN",
        "BEARER_TOKEN_FILE",
        "SCITOKEN",
        "SCITOKEN_FILE",
        "_CONDOR_CREDS",
        "XDG_RUNTIME_DIR",
    )
}


@lru_cache(maxsize=16)
def _runtime_file(directory: str, user: int) -> tuple[str, str]:
    path = os.path.join(directory, f"bt_u{user}")
    return f"$XDG_RUNTIME_DIR/bt_u{user} ({path})", path


def _look_at_condor(
    origin: Origin | None, audience: tuple[str, ...], fresh: bool
) -> Iterator[Look]:
    """Choose from HTCondor's directory, which holds one file for each service.

    The first token that names the origin is taken, else the first that is unbound.
    """
    place = "$_CONDOR_CREDS"
    directory = os.environ.get("_CONDOR_CREDS")
    if not directory:
        yield _NOT_SET["_CONDOR_CREDS"]
        return
    try:
        signature = _signature(os.stat(directory))
        known = _choices.get((directory, origin, audience))
        if known is not None and known.signature == signature and not fresh:
            look = _look_at_use_file(directory, known.name, fresh)
            if look == known.look and not expiring(look.token):
                yield look
                return
        names = [name for name in os.listdir(directory) if name.endswith(".use")]
    except OSError as error:
        yield Look(f"{place} ({directory})", reason=_trouble(error))
        return
    if not names:
        yield Look(f"{place} ({directory})", reason="no file there is called *.use")
        return
    names.sort(key=lambda name: (name != "scitokens.use", name))
    looks = [_look_at_use_file(directory, name, fresh) for name in names]
    best = max(looks, key=lambda look: _fit(look.token, origin, audience))
    found = _fit(best.token, origin, audience) > 0
    if found:
        choice = _Choice(signature, names[looks.index(best)], best)
        _remember(_choices, (directory, origin, audience), choice)
    for look in looks:
        if look.token is None:
            yield look._replace(ends=look.ends and not found)
        elif look is best and found:
            yield look
        else:
            yield look._replace(reason=_unfit(look.token, origin, audience))


def _look_at_use_file(directory: str, name: str, fresh: bool) -> Look:
    return _look_at_file(f"$_CONDOR_CREDS/{name}", os.path.join(directory, name), fresh)


class _Choice(NamedTuple):
    signature: tuple[int, ...]
    name: str
    look: Look


# (directory, origin, audience): the file chosen from it. HTCondor renames its files
# into place, which changes the directory. So while that and the chosen file are what
# they were, none of the other files, of which there may be many, is looked at.
_choices: dict[tuple[str, Origin | None, tuple[str, ...]], _Choice] = {}


def _fit(
    token: BearerToken | None, origin: Origin | None, audience: tuple[str, ...]
) -> int:
    """Rank a token that could go to this origin; 0 if it could not."""
    if token is None or token.expires <= time.time():
        return 0
    if origin is None:
        return 1
    return {Standing.NAMED: 2, Standing.UNBOUND: 1, Standing.ELSEWHERE: 0}[
        standing(token, origin, audience)
    ]


def _unfit(token: BearerToken, origin: Origin | None, audience: tuple[str, ...]) -> str:
    if _fit(token, origin, audience):
        return f"it is for {token.whom}; another file there was chosen"
    wanted = ", ".join(audience) or "this server"
    return token.expired() or f"it is for {token.whom}, not for {wanted}"


# --- files


class _Read(NamedTuple):
    signature: tuple[int, ...]
    look: Look
    changed: float  # when the file did; or was found to be gone
    settled: bool  # it did so a tick ago or longer, so its signature tells
    before: BearerToken | None = None  # what was there before


# (path, whether it must be the user's own): what the file held.
_remembered: dict[tuple[str, bool], _Read] = {}


def _look_at_file(place: str, path: str, fresh: bool, *, own: bool = False) -> Look:
    """Read a token file, unless what was read before still holds."""
    known = _remembered.get((path, own))
    try:
        signature = _signature(os.stat(path))
    except OSError as error:
        return _look_at_nothing(Look(place, reason=_trouble(error)), path, own, fresh)
    if (
        known is None
        or known.signature != signature
        or fresh
        or not known.settled
        or expiring(known.look.token)
    ):
        try:
            known = _read(place, path, own, known)
        except FileNotFoundError as error:  # gone since the look above
            return _look_at_nothing(Look(place, reason=_trouble(error)), path, own, fresh)
        except OSError as error:
            return Look(place, reason=f"it cannot be read: {_trouble(error)}", ends=True)
        _remember(_remembered, (path, own), known)
    look = known.look if known.before is None else _meanwhile(known, fresh)
    # One file may be in two places.
    return look if look.place == place else look._replace(place=place)


def _look_at_nothing(look: Look, path: str, own: bool, fresh: bool) -> Look:
    """Note since when a file is gone: just now, if its directory says so."""
    known = _remembered.get((path, own))
    if known is None:
        return look
    if known.signature:
        now, directory = time.time(), os.path.dirname(path) or os.curdir
        try:
            lately = abs(now - os.stat(directory).st_ctime) < MOMENT
        except OSError:
            lately = False
        changed = now if lately else 0.0
        known = _Read((), look, changed, settled=True, before=_last(known))
        _remember(_remembered, (path, own), known)
    return _meanwhile(known._replace(look=look), fresh)


def _last(known: _Read | None, now: BearerToken | None = None) -> BearerToken | None:
    """Return the last token that was there before this one and is known to be good."""
    if known is None:
        return None
    last = known.look.token
    return last if last != now and last in accepted else known.before


def _meanwhile(known: _Read, fresh: bool) -> Look:
    """Return what a file holds, or held before where that may be half written.

    Not everybody renames a new token into place. So for a moment after a file has
    changed, the last token that a server took stands in where there is none now, or one
    that has expired or was refused. So it does in a `fresh` look, which follows a
    refusal, if a server took it just now.
    """
    look, before = known.look, known.before
    if before is None or abs(time.time() - known.changed) > MOMENT:
        return look
    token = look.token
    doubtful = (
        token is None
        or token in rejected
        or token.expired()
        or (fresh and token not in accepted and accepted.since(before) < MOMENT)
    )
    if not doubtful or before in rejected or before.expired():
        return look
    return look._replace(token=before, reason="", ends=False)


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memory) >= 4096:  # programs that make up paths or hosts; rare
        memory.clear()
    memory[key] = value


def expiring(token: BearerToken | None) -> bool:
    """Tell whether there is no token, or one that is soon to be replaced."""
    return token is None or token.expires < time.time() + RENEWAL_MARGIN


def _read(place: str, path: str, own: bool, known: _Read | None) -> _Read:
    now, descriptor = time.time(), _open(path, own)
    try:
        # What is opened is what is judged: the path may be another file by now.
        status = os.fstat(descriptor)
        problem = _unreadable(status, own)
        content = b""
        while not problem and len(content) <= LIMIT:
            more = os.read(descriptor, LIMIT + 1 - len(content))
            if not more:
                break
            content += more
    finally:
        os.close(descriptor)
    if problem:
        look = Look(place, reason=problem, ends=True, path=path)
    else:
        look = _judge_content(place, content)._replace(path=path)
    if look.token is not None:
        _warn_if_exposed(path, status)
    changed = status.st_ctime
    settled = abs(now - changed) > TICK
    return _Read(_signature(status), look, changed, settled, _last(known, look.token))


def _open(path: str, own: bool) -> int:
    # A FIFO without a writer must not block.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if not own:
        return os.open(path, flags)
    try:
        return os.open(path, flags | os.O_NOFOLLOW)
    except OSError:
        status = os.lstat(path)
        if not stat.S_ISLNK(status.st_mode):
            raise
        # It would make one of this user's other files the token, and so give it away.
        if status.st_uid != os.geteuid():
            raise OSError(errno.EPERM, "it is another user's symbolic link") from None
    return os.open(path, flags)  # a link of one's own, which nobody else can replace


def _unreadable(status: os.stat_result, own: bool) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if status.st_size > LIMIT:
        return f"it is longer than {LIMIT} bytes, and no token is"
    if own and status.st_uid != os.geteuid():
        return f"it belongs to another user (uid {status.st_uid})"
    return ""


def _warn_if_exposed(path: str, status: os.stat_result) -> None:
    """Say once for each file that others can read it; elsewhere than POSIX all say so."""
    exposed = hasattr(os, "geteuid") and status.st_mode & stat.S_IROTH
    if exposed and ("exposed", path) not in said:
        from shlex import quote

        said.add(("exposed", path))
        advice = f"chmod 600 {quote(path)}"
        _log.warning(
            "every user of this machine can read the token in %s; run %s", path, advice
        )


def _judge_content(place: str, content: bytes) -> Look:
    text = content.decode("latin-1").strip(WHITE_SPACE)  # no byte is left unjudged
    if not text:
        return Look(place, reason="empty")
    if text.startswith("{"):
        try:
            text = json.loads(text)["access_token"].strip(WHITE_SPACE)
        except (ValueError, KeyError, AttributeError, RecursionError):
            return Look(place, reason="it is JSON without an access_token", ends=True)
    return _parse(place, text)


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _trouble(error: OSError) -> str:
    return error.strerror or type(error).__name__


# --- the text


def _parse(place: str, text: str) -> Look:
    try:
        return Look(place, BearerToken.parse(text))
    except MalformedTokenError as error:
        return Look(place, reason=f"not a bearer token: {error}", ends=True)
