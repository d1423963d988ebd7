"""What may be shown of text that others wrote: no token, one line, not long."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

#: A part of a token that is this long, in letters and digits, is not shown.
LONG = 12

#: What stands in its place.
HIDDEN = "..."

#: Of longer texts no more is shown: a server may send what takes long to search.
LIMIT = 4000

#: How many times over text may be percent-encoded and still be searched.
ENCODED = 5

# A JSON object in base64 starts like this, and so does every JSON Web Token.
_JWT = r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_.-]*)?"

# A JSON Web Token's first part; or a long run of what opaque tokens consist of, shorter
# where it has capitals, small letters and digits.
_SUSPICIOUS = (
    r"eyJ[A-Za-z0-9_-]{8}|[A-Za-z0-9+=_-]{40}"
    r"|(?=[a-z0-9+=]*[A-Z])(?=[A-Z0-9+=]*[a-z])(?=[A-Za-z+=]*[0-9])[A-Za-z0-9+=]{20}"
)

# Absolute on POSIX or Windows, or in the user's home directory as a shell has it.
_PATH = r"/|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\"


def printable(text: str, limit: int = 300) -> str:
    """Return a stranger's text as it can be shown: one line, not long, no controls."""
    if len(text) > limit:
        text = f"{text[:limit]}... ({len(text)} characters)"
    return "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text
    )


def may_be_shown(text: str) -> bool:
    """Tell whether text that a person set in a variable certainly holds no token."""
    return text.isprintable() and len(text) <= 200 and not re.search(_SUSPICIOUS, text)


def certain_path(text: str) -> str:
    """Return text that was set in place of a path if it certainly is one, else ""."""
    return text if re.match(_PATH, text) and may_be_shown(text) else ""


def duration(length: float) -> str:
    """Put a length of time, in seconds, into words, such as "1 h 20 min"."""
    minutes = int(length // 60)
    if minutes < 1:
        return f"{int(length)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 2 * 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min".replace(" 0 min", "")
    return f"{minutes // (24 * 60)} days"


def hide(text: str, tokens: Iterable[str]) -> str:
    """Return a stranger's text without these tokens, and without what looks like one.

    A server may repeat a token in part, in capitals, percent-encoded or with other
    characters in between: only letters and digits are compared.
    """
    text = text[:LIMIT]
    parts: set[str] = set()
    for token in sorted(filter(None, tokens), key=len, reverse=True):
        text = text.replace(token, HIDDEN)
        letters = "".join(re.findall("[A-Za-z0-9]", token)).lower()
        parts.update(letters[i : i + LONG] for i in range(len(letters) - LONG + 1))
    shown = decoded = text
    for _ in range(ENCODED):
        hidden = re.sub(_JWT, "(a token)", _hide_parts(decoded, parts))
        if hidden != decoded:
            shown = printable(hidden, limit=LIMIT)  # it may have been decoded
        decoded = unquote(hidden)
    return shown


def _hide_parts(text: str, parts: set[str]) -> str:
    found = list(re.finditer("[A-Za-z0-9]", text)) if parts else []
    letters = "".join(match[0] for match in found).lower()
    pieces, end = [], 0
    for i in range(len(letters) - LONG + 1):
        if letters[i : i + LONG] not in parts:
            continue
        begin = found[i].start()
        if begin >= end:
            pieces += [text[end:begin], HIDDEN]
        end = found[i + LONG - 1].end()
    return "".join([*pieces, text[end:]])
