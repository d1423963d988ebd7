"""Hides the tokens that this process knows in text that others wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from requests_scitokens.token import plain

#: A part of a token that is this long, in letters and digits, is not shown.
LONG = 12

#: What stands in its place.
HIDDEN = "..."

#: Of longer texts no more is shown: a server may send what takes long to search.
LIMIT = 4000

#: How many times over text may be percent-encoded and still be searched.
ENCODED = 5

# A JSON object in base64 starts like this, and so does every JSON Web Token, whether or
# not it is known here.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_.-]*)?")

# A character that is neither letter nor digit may stand between those of a token.
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]")


class KnownTokens:
    """The tokens that are known, and that no text may show.

    A server may repeat a token in part, in capitals, percent-encoded or with other
    characters in between: only letters and digits are compared.
    """

    def __init__(self) -> None:
        self._whole: set[str] = set()
        self._parts: set[str] = set()

    def add(self, tokens: Iterable[str]) -> None:
        """Remember tokens."""
        for token in tokens:
            if not token or token in self._whole:
                continue
            self._whole.add(token)
            letters = "".join(_ALPHANUMERIC.findall(token)).lower()
            last = len(letters) - LONG
            self._parts.update(letters[i : i + LONG] for i in range(last + 1))

    def hide(self, text: str) -> str:
        """Return a stranger's text without the tokens, however short they are."""
        text = text[:LIMIT]
        for token in sorted(self._whole, key=len, reverse=True):
            text = text.replace(token, HIDDEN)
        return self.hide_long(text)

    def hide_long(self, text: str) -> str:
        """Return text without the long parts of tokens, and without JSON Web Tokens."""
        shown = decoded = text[:LIMIT]
        for _ in range(ENCODED):
            hidden = _JWT.sub("(a token)", self._hide_parts(decoded))
            if hidden != decoded:
                shown = plain(hidden, limit=LIMIT)  # it may have been decoded
            decoded = unquote(hidden)
        return shown

    def hide_in(self, value: Any) -> Any:
        """Return facts of any shape with each text in them as `hide_long` returns it."""
        if isinstance(value, str):
            return self.hide_long(value)
        if isinstance(value, list):
            return [self.hide_in(one) for one in value]
        if isinstance(value, dict):
            return {name: self.hide_in(one) for name, one in value.items()}
        return value

    def _hide_parts(self, text: str) -> str:
        found = list(_ALPHANUMERIC.finditer(text))
        letters = "".join(match[0] for match in found).lower()
        pieces, end = [], 0
        for i in range(len(letters) - LONG + 1):
            if letters[i : i + LONG] not in self._parts:
                continue
            begin = found[i].start()
            if begin >= end:
                pieces += [text[end:begin], HIDDEN]
            end = found[i + LONG - 1].end()
        return "".join([*pieces, text[end:]])
