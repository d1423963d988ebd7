"""Names that requests-scitokens 0.2.1 had here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._origin import default_audience

if TYPE_CHECKING:
    from scitokens import SciToken

__all__ = ["default_audience", "serialize_token"]


def serialize_token(token: SciToken | str | bytes) -> str:
    """Return a token as text: as it was serialised, or serialised now.

    Parameters
    ----------
    token : scitokens.SciToken, str or bytes
        The token.

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
