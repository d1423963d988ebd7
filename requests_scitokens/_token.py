"""A bearer token: its text and the claims inside, unverified. Immutable."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time
from functools import lru_cache
from typing import Any

from ._messages import Code, Reason, because
from ._shown import printable

#: No token is longer than this, in bytes. HTTP servers accept headers of 8 to 64 KiB, so
#: a longer one could not be sent anyway.
LIMIT = 64 * 1024

# C99's isspace(), which WLCG Bearer Token Discovery names: no Unicode white space.
WHITE_SPACE = " \t\n\v\f\r"


# What is no token, by the first sign of it.
_FAULTS = {
    "^(?i:bearer)[ \t]": Code.WORD_BEARER,
    "^[\"']": Code.QUOTES,
    "^(\ufeff|\xef\xbb\xbf)": Code.BYTE_ORDER_MARK,
    "^(\xff\xfe|\xfe\xff)": Code.UTF_16,
    "[\r\n]": Code.LINES,
    f"[{WHITE_SPACE}]": Code.WHITE_SPACE,
    "[\0-\x1f\x7f]": Code.CONTROLS,
    "": Code.CHARACTERS,
}


class MalformedTokenError(ValueError):
    """The text cannot be a bearer token. The message never contains it."""


class BearerToken:
    """A token, and what it says about itself. Nothing of it changes."""

    def __init__(self, serialized: str, claims: dict[str, Any] | None = None) -> None:
        self.serialized = serialized
        #: Not verified: the server decides. `None` if it is no JSON Web Token (RFC 7519).
        self.claims = claims
        #: The `Authorization` field's value (RFC 6750 section 2.1).
        self.header: str = f"Bearer {serialized}"
        claims = claims or {}
        aud = claims.get("aud", [])
        entries = aud if isinstance(aud, list) else [aud]
        #: The `aud` claim (RFC 7519 section 4.1.3); "" for an entry that cannot be read.
        self.audience: tuple[str, ...] = tuple(
            one if isinstance(one, str) else "" for one in entries
        )
        expires = seconds(claims.get("exp"))
        #: In seconds since the epoch; infinity if it never says.
        self.expires: float = math.inf if expires is None else expires
        issuer, subject = claims.get("iss"), claims.get("sub")
        # RFC 7519 section 4.1 has strings there, if any; whatever else names nobody.
        named = isinstance(issuer, str) and isinstance(subject, (str, type(None)))
        #: What stays the same when it is renewed: issuer, subject and audience; or itself.
        self.holder: tuple[object, ...] = (
            (issuer, subject, *self.audience) if named else (serialized,)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BearerToken) and self.serialized == other.serialized

    def __hash__(self) -> int:
        return hash(self.serialized)

    def __repr__(self) -> str:
        return "BearerToken()"

    @property
    def whom(self) -> str:
        """The audience in words."""
        entries = [entry or "an audience that cannot be read" for entry in self.audience]
        return printable(", ".join(entries)) or "any server"

    @property
    def scope(self) -> str:
        """The `scope` claim (RFC 8693 section 4.2), or its older form, `scp`."""
        claims = self.claims or {}
        scope = claims.get("scope", claims.get("scp", ""))
        entries = scope if isinstance(scope, list) else [scope]
        return " ".join(entry for entry in entries if isinstance(entry, str))

    def expired(self) -> bool:
        """Tell whether it has expired, by this machine's clock."""
        return time.time() >= self.expires


@lru_cache(maxsize=64)
def parse(text: str | bytes) -> BearerToken | Reason:
    """Read a token from text, with white space around it removed.

    What is none by RFC 6750 section 2.1 gives the reason, and no exception: a traceback
    would hold the text.
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")  # every byte is a character to judge
    text = text.strip(WHITE_SPACE)
    if not text:
        return because(Code.NOTHING)
    if len(text) > LIMIT:
        return because(Code.TOO_LONG, limit=LIMIT)
    if not re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", text):  # b64token
        faults = [fault for sign, fault in _FAULTS.items() if re.search(sign, text)]
        return because(faults[0])
    # RFC 7515 section 3.1: three parts, of which the first is a JSON object, so that it
    # begins with eyJ. An opaque token may be JSON in base64, too, but is all there.
    if text.startswith("eyJ") and text.count(".") < 2 and _decode_json(text) is None:
        return because(Code.CUT_SHORT)
    return BearerToken(text, decode_claims(text))


def seconds(claim: object) -> float | None:
    """Return a time as RFC 7519 section 2 has it (NumericDate); `None` for what is none."""
    if isinstance(claim, bool) or not isinstance(claim, (int, float)):
        return None
    try:
        value = float(claim)
    except OverflowError:  # an integer beyond what a float can hold
        return math.inf if claim > 0 else 0.0
    return None if math.isnan(value) else max(0.0, value)


#: Claims that cannot be read are no licence: it is for another server.
UNREADABLE: dict[str, Any] = {"aud": None}


def decode_claims(serialized: str) -> dict[str, Any] | None:
    """Return the claims of a JSON Web Token; `None` if it is none.

    That has three parts, the first of them a JSON object (RFC 7515 section 3.1).
    """
    first, *others = serialized.split(".")
    if len(others) != 2:
        return None
    header = _decode_json(first)
    if not isinstance(header, dict) and header is not ...:
        return None
    payload = _decode_json(others[0])
    return payload if isinstance(payload, dict) else UNREADABLE


def _decode_json(part: str) -> object:
    """Decode a part; `None` if it is no JSON, and `...` if it is more than Python reads."""
    # Python's own decoder leaves out what is not base64, and Python 3.15 warns of the
    # characters of plain base64, which some issuers use.
    if not re.fullmatch("[A-Za-z0-9_+/-]*", part):
        return None
    standard = part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4)
    try:
        return json.loads(base64.b64decode(standard))
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError):
        return None
    except (ValueError, RecursionError):  # an integer that is too long; nested too deep
        return ...
