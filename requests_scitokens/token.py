"""A bearer token: the serialised string and the claims inside, unverified."""

from __future__ import annotations

import base64
import json
import math
import re
import time
from functools import lru_cache
from typing import Any

#: No token is longer than this, in bytes. HTTP servers accept headers of 8 to
#: 64 KiB, so whatever is longer could not be sent anyway.
LIMIT = 64 * 1024

# RFC 6750 section 2.1: b64token.
_B64TOKEN = r"[A-Za-z0-9\-._~+/]+=*"

# C99's isspace(), which WLCG Bearer Token Discovery names; str.strip() alone
# would also remove Unicode white space.
WHITE_SPACE = " \t\n\v\f\r"


class MalformedTokenError(ValueError):
    """The text cannot be a bearer token. The message never contains it."""


class BearerToken:
    """A token as it goes into a header, and what it says about itself.

    Attributes
    ----------
    serialized : str
        The token, in the form RFC 6750 section 2.1 gives.
    claims : dict or None
        The claims, *not* verified: the server decides. `None` for an opaque
        token, that is one that is not a JSON Web Token (RFC 7519).
    audience : tuple of str
        The `aud` claim (RFC 7519 section 4.1.3), always as a tuple.
    expires : float
        When it expires, in seconds since the epoch; infinity if it never says.
    header : str
        The `Authorization` field's value (RFC 6750 section 2.1).
    holder : tuple
        What stays the same when the token is renewed: who issued it, for whom.
    accepted : float
        When a server last took it, in seconds since the epoch; 0 if none has.
    rejected : bool
        Whether a server has refused it.
    """

    def __init__(self, serialized: str, claims: dict[str, Any] | None = None) -> None:
        self.serialized = serialized
        self.claims = claims
        # Every request looks at these, and a token is parsed once.
        self.audience = _audience(claims or {})
        self.expires = _expires(claims or {})
        self.header = f"Bearer {serialized}"
        self.holder = _holder(self)
        self.accepted = 0.0
        self.rejected = False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BearerToken):
            return NotImplemented
        return self.serialized == other.serialized

    def __hash__(self) -> int:
        return hash(self.serialized)

    def __repr__(self) -> str:
        return "BearerToken()"

    @staticmethod
    def parse(text: str | bytes) -> BearerToken:
        """Read a token from text, with white space around it removed.

        The same text, soon after, is the same object as a rule, with what servers made
        of it.

        Raises
        ------
        MalformedTokenError
            If the text is empty or not a token by RFC 6750 section 2.1.
        """
        return _parse(text)

    @property
    def whom(self) -> str:
        """The audience in words."""
        return plain(", ".join(self.audience)) or "no server in particular"

    @property
    def scope(self) -> str:
        """The `scope` claim (RFC 8693 section 4.2), or its older form, `scp`."""
        claims = self.claims or {}
        scope = claims.get("scope", claims.get("scp", ""))
        return " ".join(map(str, scope)) if isinstance(scope, list) else str(scope)

    def expired(self) -> str:
        """Say how long ago it expired; empty if it did not."""
        late = time.time() - self.expires
        return f"expired {duration(late)} ago" if late >= 0 else ""


def _audience(claims: dict[str, Any]) -> tuple[str, ...]:
    aud = claims.get("aud")
    entries = aud if isinstance(aud, list) else [aud]
    return tuple(entry for entry in entries if isinstance(entry, str))


def _expires(claims: dict[str, Any]) -> float:
    exp = claims.get("exp")
    if isinstance(exp, bool) or not isinstance(exp, (int, float)):
        return math.inf
    try:
        seconds = float(exp)
    except OverflowError:  # an integer beyond what a float can hold
        return math.inf if exp > 0 else 0.0
    return math.inf if math.isnan(seconds) else max(0.0, seconds)


def _holder(token: BearerToken) -> tuple[str | None, ...]:
    claims = token.claims or {}
    issuer, subject = claims.get("iss"), claims.get("sub")
    # RFC 7519 section 4.1 has strings there, if any; whatever else names nobody.
    if not isinstance(issuer, str) or not isinstance(subject, (str, type(None))):
        return (token.serialized,)
    return (issuer, subject, *token.audience)


@lru_cache(maxsize=256)
def _parse(text: str | bytes) -> BearerToken:
    if isinstance(text, bytes):
        text = text.decode("latin-1")  # every byte is a character to judge
    text = text.strip(WHITE_SPACE)
    problem = _problem(text)
    if problem:
        raise MalformedTokenError(problem)
    return BearerToken(text, decode_claims(text))


def duration(seconds: float) -> str:
    """Put a length of time, in seconds, into words.

    Examples
    --------
    >>> duration(4800)
    '1 h 20 min'
    """
    minutes, days = int(seconds // 60), int(seconds // 86400)
    if minutes < 1:
        return f"{int(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if days < 2:
        return f"{minutes // 60} h {minutes % 60} min".removesuffix(" 0 min")
    return f"{days} days"


def plain(text: str, limit: int = 300) -> str:
    """Return a stranger's text as it can be shown: one line, not long, no controls."""
    if len(text) > limit:
        text = f"{text[:limit]}... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text
    )


def _problem(text: str) -> str | None:
    """Say what keeps this text from being a token, without quoting it."""
    if not text:
        return "it is empty"
    if len(text) > LIMIT:
        return f"it is longer than {LIMIT} bytes"
    if re.fullmatch(_B64TOKEN, text):
        return None
    if any(character in WHITE_SPACE for character in text):
        return "it has white space inside"
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        return "it has a control character inside"
    return "it has a character that no token has (RFC 6750 section 2.1)"


def decode_claims(serialized: str) -> dict[str, Any] | None:
    """Return the claims of a JWT (RFC 7515 section 3.1: three parts), else None."""
    parts = serialized.split(".")
    if len(parts) != 3:
        return None
    header, payload = _decode_json(parts[0]), _decode_json(parts[1])
    return payload if isinstance(header, dict) and isinstance(payload, dict) else None


def _decode_json(part: str) -> object:
    padded = part + "=" * (-len(part) % 4)
    try:
        return json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, RecursionError):  # not base64, UTF-8 or JSON; nested too deep
        return None
