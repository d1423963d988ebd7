"""Feed token files and the claims inside tokens to `parse`."""

from __future__ import annotations

import base64
import sys

import atheris

with atheris.instrument_imports(include=["requests_scitokens"]):
    from requests_scitokens._messages import Reason, full
    from requests_scitokens._origin import Origin
    from requests_scitokens._policy import Standing, standing
    from requests_scitokens._token import UNREADABLE, BearerToken, parse
    from requests_scitokens._token_file import _judge

ORIGIN = Origin("https", "storage.example.org", 443)
HEADER = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")


def check(text: bytes) -> None:
    """Parse a token; nothing it says may do more than make it malformed."""
    token = parse(text)
    if isinstance(token, Reason):
        assert len(full(token)) < 120  # it does not quote the token
        return
    assert token.header.isascii()
    assert token.header.isprintable()
    assert all(isinstance(entry, str) for entry in token.audience)
    assert token.expires >= 0
    assert isinstance(token.expired(), bool)
    hash(token.holder)
    standing(token, ORIGIN)


def check_claims(payload: bytes) -> None:
    """Put a payload into a JSON Web Token: what cannot be read is no licence."""
    text = HEADER + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=") + b"."
    check(text)
    token = parse(text)
    assert isinstance(token, BearerToken)
    if token.claims is UNREADABLE:
        assert standing(token, ORIGIN) is Standing.ANOTHER


def fuzz(data: bytes) -> None:
    """Take the bytes as a token, a file's content, a token's claims and its audience."""
    check(data)
    for content in (data, b'{"access_token":"%s"}' % data):
        lookup = _judge("a file", "", content)
        assert lookup.token or lookup.reason
    claims = (data, b'{"aud":["%s"],"exp":%s}' % (data[1:], data[:1] * 309))
    for payload in claims:
        check_claims(payload)


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
