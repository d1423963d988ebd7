"""A bearer token: its text and the claims inside, unverified. Immutable."""

from __future__ import annotations

import base64
import json
import math
import re
import time
from functools import lru_cache
from typing import Any

#: No token is longer than this, in bytes. HTTP servers accept headers of 8 to 64 KiB, so
#: a longer one could not be sent anyway.
LIMIT = 64 * 1024

# C99's isspace(), which WLCG Bearer Token Discovery names: no Unicode white space.
WHITE_SPACE = " \t\n\v\f\r"


# What is no token, by the first sign of it.
_FAULTS = {
    "^(?i:bearer)[ \t]": "the word Bearer is no part of the token",
    "^[\"']": "it has quotes around it",
    "^(\ufeff|\xef\xbb\xbf)": "it begins with a byte order mark (BOM)",
    "^(\xff\xfe|\xfe\xff)": "it is in UTF-16",
    "[\r\n]": "it has more than one line",
    f"[{WHITE_SPACE}]": "it has white space inside",
    "[\0-\x1f\x7f]": "it has a control character inside",
    "": "it has a character that no token has (RFC 6750 section 2.1)",
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

    @staticmethod
    @lru_cache(maxsize=256)
    def parse(text: str | bytes) -> BearerToken:
        """Read a token from text, with white space around it removed.

        Raises `MalformedTokenError` if it is not one by RFC 6750 section 2.1.
        """
        if isinstance(text, bytes):
            text = text.decode("latin-1")  # every byte is a character to judge
        text = text.strip(WHITE_SPACE)
        if not text:
            raise MalformedTokenError("it is empty")
        if len(text) > LIMIT:
            raise MalformedTokenError(f"it is longer than {LIMIT} bytes")
        if not re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", text):  # b64token
            faults = [fault for sign, fault in _FAULTS.items() if re.search(sign, text)]
            raise MalformedTokenError(faults[0])
        # RFC 7515 section 3.1: three parts, of which the first is a JSON object, so that it
        # begins with eyJ. An opaque token may be JSON in base64, too, but is all there.
        if text.startswith("eyJ") and text.count(".") < 2 and _decode_json(text) is None:
            raise MalformedTokenError("it is cut short")
        return BearerToken(text, decode_claims(text))

    @property
    def whom(self) -> str:
        """The audience in words."""
        entries = [entry or "an audience that cannot be read" for entry in self.audience]
        return plain(", ".join(entries)) or "any server"

    @property
    def scope(self) -> str:
        """The `scope` claim (RFC 8693 section 4.2), or its older form, `scp`."""
        claims = self.claims or {}
        scope = claims.get("scope", claims.get("scp", ""))
        entries = scope if isinstance(scope, list) else [scope]
        return " ".join(entry for entry in entries if isinstance(entry, str))

    def expired(self) -> str:
        """Say how long ago it expired; an empty string if it did not."""
        late = time.time() - self.expires
        return f"expired {duration(late)} ago" if late >= 0 else ""


def seconds(claim: object) -> float | None:
    """Return a time as RFC 7519 section 2 has it (NumericDate); `None` for what is none."""
    if isinstance(claim, bool) or not isinstance(claim, (int, float)):
        return None
    try:
        value = float(claim)
    except OverflowError:  # an integer beyond what a float can hold
        return math.inf if claim > 0 else 0.0
    return None if math.isnan(value) else max(0.0, value)


def decode_claims(serialized: str) -> dict[str, Any] | None:
    """Return the claims of a JWT (RFC 7515 section 3.1: three parts), else `None`."""
    parts = serialized.split(".")
    if len(parts) != 3:
        return None
    header, payload = map(_decode_json, parts[:2])
    return payload if isinstance(header, dict) and isinstance(payload, dict) else None


def _decode_json(part: str) -> object:
    # Python's own decoder leaves out what is not base64, and Python 3.15 warns of the
    # characters of plain base64, which some issuers use.
    if not re.fullmatch("[A-Za-z0-9_+/-]*", part):
        return None
    standard = part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4)
    try:
        return json.loads(base64.b64decode(standard))
    except (ValueError, RecursionError):  # not base64, UTF-8 or JSON; nested too deep
        return None


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


def plain(text: str, limit: int = 300) -> str:
    """Return a stranger's text as it can be shown: one line, not long, no controls."""
    if len(text) > limit:
        text = f"{text[:limit]}... ({len(text)} characters)"
    return "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text
    )


# A JSON Web Token's first part; or a long run of what opaque tokens consist of, shorter
# where it has capitals, small letters and digits.
_SUSPICIOUS = (
    r"eyJ[A-Za-z0-9_-]{8}|[A-Za-z0-9+=_-]{40}"
    r"|(?=[a-z0-9+=]*[A-Z])(?=[A-Z0-9+=]*[a-z])(?=[A-Za-z+=]*[0-9])[A-Za-z0-9+=]{20}"
)


def may_be_shown(text: str) -> bool:
    """Tell whether text that a person set in a variable certainly holds no token."""
    return text.isprintable() and len(text) <= 200 and not re.search(_SUSPICIOUS, text)


def certain_path(text: str) -> str:
    """Return text that was set in place of a path if it certainly is one, else ""."""
    return text if text.startswith("/") and may_be_shown(text) else ""
