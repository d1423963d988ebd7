"""Feed `WWW-Authenticate` fields to `bearer_challenge`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["requests_scitokens"]):
    from requests_scitokens._challenge import bearer_challenge

# What a field is made of; libFuzzer's own mutations seldom write whole words.
WORDS = (
    "Bearer",
    "Basic",
    "bearer ",
    " realm=",
    'scope="',
    '\\"',
    '", ',
    "error=invalid_token",
    "a" * 64,
    " " * 64,
    ",",
    "==",
    "\\",
    '"',
)


def check(field: str) -> None:
    """Read a field; the result must be what the function promises."""
    found = bearer_challenge(field)
    if found is None:
        return
    assert "bearer" in field.lower()
    for name, value in found.items():
        assert name
        assert name == name.lower()
        assert isinstance(value, str)


def fuzz(data: bytes) -> None:
    """Read the bytes as urllib3 does, and as a list of words."""
    check(data.decode("latin-1"))
    check(
        "".join(
            WORDS[byte % len(WORDS)] if byte < 128 else chr(byte) for byte in data[:4096]
        )
    )


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
