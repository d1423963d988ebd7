"""What one token file holds, or held just now where it is being rewritten."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from typing import NamedTuple

from . import state
from .token import LIMIT, WHITE_SPACE, BearerToken, MalformedTokenError, certain_path

#: How long the last token stands in for one that is missing, in seconds.
GRACE = 1.0

#: How long ago this process may have read the token that stands in, in seconds.
RECENT = 60.0


class Lookup(NamedTuple):
    """What one place gave: a token, or the reason why it is not used."""

    place: str  # as a person would name it
    token: BearerToken | None = None  # used if there is no reason against it
    reason: str = ""  # why there is none, or why it is not used
    ends: bool = False  # whether the search ends here
    path: str = ""  # the file, where there is one

    @property
    def name(self) -> str:
        """The place as a person can find it, with the path where that can be shown."""
        path = certain_path(self.path)
        return f"{self.place} ({path})" if path and path != self.place else self.place

    def __str__(self) -> str:
        return f"{self.name}: {self.reason or 'a token'}"


def read_text(place: str, text: str, path: str = "") -> Lookup:
    """Judge text from a place, or the file there, where a token is meant to be."""
    try:
        token = BearerToken.parse(text)
    except MalformedTokenError as error:
        return Lookup(place, None, f"not a bearer token: {error}", True, path)
    return Lookup(place, token, token.expired(), False, path)


def read_file(place: str, path: str, *, owner: int | None = None) -> Lookup:
    """Read a token file, or give its last token while it is being rewritten.

    With an `owner`, the file must belong to that user.
    """
    key = path
    try:
        if not path.startswith("/"):  # the program may change its directory
            key = os.path.abspath(path)
        lookup = _read(place, path, owner)
    except OSError as error:
        lookup = Lookup(place, None, error.strerror or type(error).__name__, False, path)
    there = None if lookup.reason else lookup.token
    token = _remember(key, there, time.monotonic())
    if token is there:
        return lookup
    if state.first_time("stands in", key, token):
        state.log.info("%s is being rewritten; its last token stands in", lookup.name)
    return Lookup(place, token, "", False, path)


def _remember(path: str, there: BearerToken | None, now: float) -> BearerToken | None:
    """Remember a file's token; where there is none, return the one that stands in.

    Not everybody renames a new token into place: for a moment the file may be absent,
    empty, or hold the beginning of a token.
    """
    last: BearerToken | None
    # When it was read, and since when the file has given none, by a monotonic clock.
    last, read, missing = state.token_files.get(path, (None, now, None))
    if last is not None and now - read > RECENT:
        last = None
    if there is not None and (last is None or not _is_cut_short(there, last)):
        state.token_files.put(path, (there, now, None))
    elif last is not None:
        missing = now if missing is None else missing
        state.token_files.put(path, (last, read, missing))
        if now - missing <= GRACE and not last.expired():
            return last
    return there


def _is_cut_short(token: BearerToken, last: BearerToken) -> bool:
    """Tell whether a token is the beginning of one, which cannot always be seen by itself.

    The signatures of a JSON Web Token and the next, made with the same key, are of the
    same length (RFC 7518 section 3). But where the last text begins with this one, it was
    the last that had too much, from a longer token that was being overwritten.
    """
    new, old = token.serialized, last.serialized
    same_key = new.partition(".")[0] == old.partition(".")[0]
    shorter = len(new.rpartition(".")[2]) < len(old.rpartition(".")[2])
    return same_key and shorter and not old.startswith(new)


def _read(place: str, path: str, owner: int | None) -> Lookup:
    descriptor = _open(path, owner)
    try:
        # What is opened is what is judged: the path may be another file by now.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Lookup(place, None, "it is not a regular file", True, path)
        if owner not in (None, status.st_uid):
            reason = f"it belongs to another user (uid {status.st_uid})"
            return Lookup(place, None, reason, True, path)
        content = os.read(descriptor, LIMIT + 1)
        while len(content) < min(status.st_size, LIMIT + 1):
            more = os.read(descriptor, LIMIT)  # a file system may give less at a time
            if not more:
                break
            content += more
    finally:
        os.close(descriptor)
    lookup = _judge(place, path, content)
    if lookup.token is not None and exposed(status) and state.first_time("exposed", path):
        state.log.warning(
            "every user of this machine can read the token in %s; let only you read that "
            "file, with chmod 600",
            lookup.name,
        )
    return lookup


def _open(path: str, owner: int | None) -> int:
    # A FIFO without a writer must not block.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if owner is None:
        return os.open(path, flags)
    try:
        return os.open(path, flags | os.O_NOFOLLOW)
    except OSError:
        status = os.lstat(path)
        if not stat.S_ISLNK(status.st_mode):
            raise
        # It would make one of this user's other files the token, and so give it away.
        if status.st_uid != owner:
            raise OSError(errno.EPERM, "it is another user's symbolic link") from None
    return os.open(path, flags)  # a link of one's own, which nobody else can replace


def exposed(status: os.stat_result) -> bool:
    """Tell whether every user can read this file; only POSIX has modes that tell."""
    return hasattr(os, "geteuid") and bool(status.st_mode & stat.S_IROTH)


def _judge(place: str, path: str, content: bytes) -> Lookup:
    if len(content) > LIMIT:
        reason = f"it is longer than {LIMIT} bytes, and no token is"
        return Lookup(place, None, reason, True, path)
    text = content.decode("latin-1").strip(WHITE_SPACE)  # no byte is left unjudged
    if text.startswith("{"):  # as HTCondor's credential monitors write it
        try:
            text = json.loads(text)["access_token"].strip(WHITE_SPACE)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Lookup(place, None, "it is JSON without an access_token", True, path)
    if not text:
        return Lookup(place, None, "empty", False, path)
    return read_text(place, text, path)
