"""What one token file holds, or held just now where it is being rewritten."""

from __future__ import annotations

import json
import os
import stat
import time
from typing import NamedTuple

from . import _state as state
from ._messages import Code, Reason, because, text
from ._shown import certain_path
from ._token import LIMIT, WHITE_SPACE, BearerToken, parse

#: How long the last token stands in for one that is missing, in seconds.
GRACE = 1.0

#: How long ago this process may have read the token that stands in, in seconds.
RECENT = 60.0


# A FIFO without a writer must not block.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class Lookup(NamedTuple):
    """What one place gave: a token, or the reason why it is not used."""

    place: str  # as a person would name it
    token: BearerToken | None = None  # used if there is no reason against it
    reason: Reason | None = None  # why there is none, or why it is not used
    ends: bool = False  # whether the search ends here
    path: str = ""  # the file, where there is one

    @property
    def name(self) -> str:
        """The place as a person can find it, with the path where that can be shown."""
        path = certain_path(self.path)
        return f"{self.place} ({path})" if path and path != self.place else self.place

    def __repr__(self) -> str:
        return f"Lookup({self})"  # a path may be a token in its place

    def __str__(self) -> str:
        return f"{self.name}: {text(self.reason) if self.reason else 'a token'}"


def read_text(place: str, content: str, path: str = "") -> Lookup:
    """Judge text from a place, or the file there, where a token is meant to be."""
    token = is_path(content) or parse(content)
    if isinstance(token, Reason):
        return Lookup(place, None, token, True, path)
    late = time.time() >= token.expires
    reason = because(Code.EXPIRED, expires=token.expires) if late else None
    return Lookup(place, token, reason, False, path)


def is_path(content: str) -> Reason | None:
    """Give the reason if a path stands where a token is meant to be.

    Base64 may begin with a slash, too, but then there is no such file or directory.
    """
    path = content.strip(WHITE_SPACE)
    if path[:1] != "/" and path[1:2] != ":":
        return None
    directory = os.path.dirname(path)
    there = os.path.exists(path) or (directory.strip("/") and os.path.isdir(directory))
    return because(Code.A_PATH, variable="BEARER_TOKEN_FILE") if there else None


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
        lookup = Lookup(place, None, _absent(error), False, path)
    there = None if lookup.reason else lookup.token
    token = _remember(key, there, time.monotonic())
    if token is there:
        return lookup
    if state.first_time("stands in", key, token):
        state.log.info("%s is being rewritten; its last token stands in", lookup.name)
    return Lookup(place, token, None, False, path)


def _remember(path: str, there: BearerToken | None, now: float) -> BearerToken | None:
    """Remember a file's token; where there is none, return the one that stands in.

    Not everybody renames a new token into place: for a moment the file may be absent or
    empty, or hold no token.
    """
    last: BearerToken | None
    # When it was read, and since when the file has given none, by a monotonic clock.
    last, read, missing = state.token_files.get(path, (None, now, None))
    if last is not None and now - read > RECENT:
        last = None
    if there is not None:
        state.token_files.put(path, (there, now, None))
    elif last is not None:
        missing = now if missing is None else missing
        state.token_files.put(path, (last, read, missing))
        if now - missing <= GRACE and not last.expired():
            return last
    return there


def read_lately(directory: str) -> list[str]:
    """Name the files there of which a token was read within the last minute."""
    absolute = directory if directory.startswith("/") else os.path.abspath(directory)
    start, now = f"{absolute}/", time.monotonic()
    kept = state.token_files.copy().items()
    return [
        path[len(start) :]
        for path, (_, read, _) in kept
        if path.startswith(start) and now - read <= RECENT
    ]


def _absent(error: OSError) -> Reason:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return because(Code.NO_FILE)
    code = Code.UNREADABLE if isinstance(error, PermissionError) else Code.FAILS
    return because(code, problem=error.strerror or type(error).__name__)


def _read(place: str, path: str, owner: int | None) -> Lookup:
    descriptor = _open(path, owner)
    if descriptor is None:
        return Lookup(place, None, because(Code.ANOTHER_LINK), False, path)
    try:
        # What is opened is what is judged: the path may be another file by now.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Lookup(place, None, because(Code.NO_REGULAR_FILE), True, path)
        if owner not in (None, status.st_uid):
            reason = because(Code.ANOTHER_OWNER, uid=status.st_uid)
            return Lookup(place, None, reason, True, path)
        content = os.read(descriptor, LIMIT + 1)
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


def _open(path: str, owner: int | None) -> int | None:
    if owner is None:
        return os.open(path, _FLAGS)
    try:
        return os.open(path, _FLAGS | os.O_NOFOLLOW)
    except OSError:
        status = os.lstat(path)
        if not stat.S_ISLNK(status.st_mode):
            raise
        # It would make one of this user's other files the token, and so give it away.
        if status.st_uid != owner:
            return None
    return os.open(path, _FLAGS)  # a link of one's own, which nobody else can replace


def exposed(status: os.stat_result) -> bool:
    """Tell whether every user can read this file; only POSIX has modes that tell."""
    return hasattr(os, "geteuid") and bool(status.st_mode & stat.S_IROTH)


def _judge(place: str, path: str, content: bytes) -> Lookup:
    if len(content) > LIMIT:
        return Lookup(place, None, because(Code.TOO_LONG, limit=LIMIT), True, path)
    found = content.decode("latin-1").strip(WHITE_SPACE)  # no byte is left unjudged
    if found.startswith("{"):  # as HTCondor's credential monitors write it
        try:
            found = json.loads(found)["access_token"].strip(WHITE_SPACE)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Lookup(place, None, because(Code.NO_ACCESS_TOKEN), True, path)
    if not found:
        return Lookup(place, None, because(Code.EMPTY), False, path)
    return read_text(place, found, path)
