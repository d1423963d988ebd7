"""Feed token files and the claims inside tokens to `BearerToken`."""

from __future__ import annotations

import base64
import sys

import atheris

with atheris.instrument_imports(include=["requests_scitokens"]):
    from requests_scitokens._origin import Origin
    from requests_scitokens._policy import standing
    from requests_scitokens._token import BearerToken, MalformedTokenError
    from requests_scitokens._token_file import _judge

ORIGIN = Origin("https", "storage.example.org", 443)
HEADER = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")


def check(text: bytes) -> None:
    """Parse a token; nothing it says may do more than make it malformed."""
    try:
        token = BearerToken.parse(text)
    except MalformedTokenError as error:
        assert len(str(error)) < 80  # it does not quote the token
        return
    assert token.header.isascii()
    assert token.header.isprintable()
    assert all(isinstance(entry, str) for entry in token.audience)
    assert token.expires >= 0
    assert isinstance(token.expired(), str)
    hash(token.holder)
    standing(token, ORIGIN)


def fuzz(data: bytes) -> None:
    """Take the bytes as a token, a file's content, a token's claims and its audience."""
    check(data)
    for content in (data, b'{"access_token":"%s"}' % data):
        lookup = _judge("a file", "", content)
        assert lookup.token or lookup.reason
    claims = (data, b'{"aud":["%s"],"exp":%s}' % (data[1:], data[:1] * 309))
    for payload in claims:
        check(HEADER + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=") + b".")


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
