"""What the process remembers: which origin took which token, what was logged."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Memory:
    """A set of bounded size that forgets what is oldest.

    Threads share it without a lock, so `fork` cannot leave one locked: each step is
    a single operation on a dictionary, and forgetting too early or too late by a few
    entries does no harm.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[Hashable, None] = {}

    def __contains__(self, entry: Hashable) -> bool:
        return entry in self._entries

    def add(self, entry: Hashable) -> None:
        """Remember this."""
        self._entries[entry] = None
        if len(self._entries) > self._size:
            for oldest in list(self._entries)[: self._size // 10]:
                self.discard(oldest)

    def discard(self, entry: Hashable) -> None:
        """Forget this."""
        self._entries.pop(entry, None)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


class Switch:
    """What is on or off for the whole process."""

    on = False


def remember(entries: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Keep a value in a dictionary that is not to grow for ever."""
    if len(entries) >= 4096:  # programs that make up paths or hosts; rare
        entries.clear()
    entries[key] = value


#: (origin, holder): which origin has taken whose token, and so gets it at
#: once (the protection spaces of RFC 9110 section 11.5, one for each origin).
taken = Memory(10_000)

#: (origin, level, reason): what has been logged, and is not logged again.
said = Memory(10_000)

#: Whether the handlers that the autopatch made do anything; `patch` switches it.
patching = Switch()
