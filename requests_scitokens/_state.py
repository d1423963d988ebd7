"""What the process remembers, all of it; and the log."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Hashable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from ._environment import LOG


class Memory(dict[Any, Any]):
    """A dictionary of bounded size, which forgets its oldest entries.

    Threads share it without a lock: each step is a single operation, and to forget a few
    entries too early does no harm.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def put(self, key: Hashable, value: object) -> None:
        """Remember a value."""
        self[key] = value
        if len(self) > self._size:
            # Without the GIL, copying is one operation, and a walk through this is not.
            for oldest in list(self.copy())[: self._size // 10]:
                self.pop(oldest, None)


#: Whether the handlers that the autopatch made do anything: `patching.on`.
patching: SimpleNamespace = SimpleNamespace(on=False)

#: (origin, holder): which origin has accepted whose token, and so gets it at once (the
#: protection spaces of RFC 9110 section 11.5, one for each origin).
accepted: Memory = Memory(10_000)

#: path: what `token_file` keeps of the file's last token.
token_files: Memory = Memory(1_000)

#: What has been logged, and is not logged again.
said: Memory = Memory(10_000)


def first_time(*key: Hashable) -> bool:
    """Tell whether this is said for the first time, and remember that it was."""
    mark = object()
    first = said.setdefault(key, mark) is mark
    if first:
        said.put(key, mark)
    return first


log: logging.Logger = logging.getLogger("requests_scitokens")


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at the time, and says who speaks."""

    asked = False  #: whether the user asked for it, with the variable

    def emit(self, record: logging.LogRecord) -> None:
        if not self.asked and (record.levelno < logging.WARNING or _is_shown_otherwise()):
            return
        with suppress(OSError, ValueError, AttributeError):  # full, closed, none
            stderr, line = sys.stderr, f"requests-scitokens: {self.format(record)}\n"
            if stderr is sys.__stderr__ and stderr is not None:
                # Past its buffer: what a full disk does not take would be tried again at
                # the program's end, and change the program's status.
                os.write(stderr.fileno(), line.encode(stderr.encoding, "backslashreplace"))
            else:
                stderr.write(line)


def _is_shown_otherwise() -> bool:
    others = any(handler is not stderr for handler in log.handlers)
    return others or (log.propagate and bool(logging.root.handlers))


#: Where nobody has set up logging, Python would show the bare text of a WARNING.
stderr: _Stderr = _Stderr()
log.addHandler(stderr)


def show_log(setting: str) -> None:
    """Show the log on stderr, as `REQUESTS_SCITOKENS_LOG` says."""
    setting = setting.strip().lower()
    if setting == "off":
        log.setLevel(logging.CRITICAL + 1)
    elif setting in ("1", "debug", "info", "warning"):
        log.setLevel("INFO" if setting == "1" else setting.upper())
        stderr.asked = True
    elif setting:
        log.warning("%s is none of debug, info, warning and off; it is ignored", LOG)


show_log(os.environ.get(LOG, ""))
