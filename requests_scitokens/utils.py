"""Names that requests-scitokens 0.2.1 had here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from scitokens import SciToken

__all__ = ["default_audience", "serialize_token"]


def default_audience(url: str, scheme: str = "https") -> str:
    """Return scheme and host of a URL, without the port.

    Parameters
    ----------
    url : str
        The URL; the scheme may be missing.
    scheme : str, optional
        The scheme for a URL that has none.

    Examples
    --------
    >>> default_audience("https://storage.example.org:1094/data")
    'https://storage.example.org'
    >>> default_audience("storage.example.org/data")
    'https://storage.example.org'
    """
    split = urlsplit(url if "://" in url else f"{scheme}://{url}")
    host = split.hostname or ""
    return f"{split.scheme}://{f'[{host}]' if ':' in host else host}"


def serialize_token(token: SciToken | str | bytes) -> str:
    """Return a token as text: as it was serialised, or serialised now.

    Parameters
    ----------
    token : scitokens.SciToken, str or bytes
        The token. A `SciToken` that has not been serialised needs its private key.

    Raises
    ------
    ValueError
        If it is a `SciToken` with neither text nor private key.
    """
    if isinstance(token, str):
        return token
    if isinstance(token, bytes):
        return token.decode("latin-1")
    text = getattr(token, "_serialized_token", None)
    if not text and not getattr(token, "_key", True):
        raise ValueError(
            "the SciToken has not been serialised and holds no private key to do so; "
            "give the key to SciToken(key=...), or a serialised token"
        )
    return serialize_token(text or token.serialize())
