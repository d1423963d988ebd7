"""Token files: what one holds, or held just now where it is being rewritten."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import time

from .look import Look, look_at_text, trouble
from .memory import remember, said
from .token import LIMIT, WHITE_SPACE, BearerToken

_log = logging.getLogger(__name__)

#: A remembered token with less validity than this, in seconds, is read again.
RENEWAL_MARGIN = 10

#: A file that changed less than this long ago, in seconds, may be half written.
MOMENT = 1

#: A file may change again without its times telling, for this long, in seconds: they
#: come from a clock that ticks a hundred times a second, or less often.
TICK = 0.05


class _Read:
    __slots__ = ("before", "changed", "look", "settled", "signature")

    def __init__(
        self,
        signature: tuple[int, ...],
        look: Look,
        changed: float,  # when the file did; or was found to be gone
        settled: bool,  # it did so a tick ago or longer, so its signature tells
        before: BearerToken | None,  # what was there before
    ) -> None:
        self.signature = signature
        self.look = look
        self.changed = changed
        self.settled = settled
        self.before = before


# (path, whether it must be the user's own): what the file held.
_remembered: dict[tuple[str, bool], _Read] = {}


def look_at_file(place: str, path: str, fresh: bool, *, own: bool = False) -> Look:
    """Read a token file, unless what was read before still holds.

    Parameters
    ----------
    place : str
        The place, as a person would name it.
    path : str
        The file.
    fresh : bool
        Whether it is read again although nothing about it has changed.
    own : bool, optional
        Whether it must be the user's own.
    """
    known = _remembered.get((path, own))
    try:
        signature = signature_of(os.stat(path))
    except OSError as error:
        return _look_at_nothing(Look(place, reason=trouble(error)), path, own, fresh)
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
            return _look_at_nothing(Look(place, reason=trouble(error)), path, own, fresh)
        except OSError as error:
            return Look(place, reason=f"it cannot be read: {trouble(error)}", ends=True)
        remember(_remembered, (path, own), known)
    look = known.look
    if known.before is not None:
        look = _meanwhile(look, known, fresh)
    if look.place == place:
        return look
    # One file may be in two places.
    return Look(place, look.token, look.reason, look.ends, look.path)


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
        remember(_remembered, (path, own), known)
    return _meanwhile(look, known, fresh)


def _last(known: _Read | None, now: BearerToken | None = None) -> BearerToken | None:
    """Return the last token that was there before this one; a good one, if possible."""
    if known is None:
        return None
    last, before = known.look.token, known.before
    if last is None or last == now or last.rejected:
        return before
    return last if last.accepted or before is None or before.rejected else before


def _meanwhile(look: Look, known: _Read, fresh: bool) -> Look:
    """Return what a file holds now, or held before where that may be half written.

    Not everybody renames a new token into place. So for a moment after a file has
    changed, the last token stands in where there is none now, or one that has expired or
    was refused: the last that a server took, if one did. So it does in a `fresh` look,
    which follows a refusal, if a server took it just now.
    """
    before = known.before
    if before is None or abs(time.time() - known.changed) > MOMENT:
        return look
    token = look.token
    doubtful = (
        token is None
        or token.rejected
        or token.expired()
        or (fresh and not token.accepted and time.time() - before.accepted < MOMENT)
    )
    if not doubtful or before.rejected or before.expired():
        return look
    return Look(look.place, before, path=look.path)


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
        look = Look(place, reason=problem, ends=True)
    else:
        look = _judge_content(place, content)
    look.path = path
    if look.token is not None:
        _warn_if_exposed(path, status)
    changed = status.st_ctime
    settled = abs(now - changed) > TICK
    return _Read(signature_of(status), look, changed, settled, _last(known, look.token))


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


def exposed(status: os.stat_result) -> bool:
    """Tell whether every user can read this file; elsewhere than POSIX all modes say so."""
    return hasattr(os, "geteuid") and bool(status.st_mode & stat.S_IROTH)


def _warn_if_exposed(path: str, status: os.stat_result) -> None:
    """Say once for each file that others can read it."""
    if exposed(status) and ("exposed", path) not in said:
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
    return look_at_text(place, text)


def signature_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what is different when a file, or a directory, has changed."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
