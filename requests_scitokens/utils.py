"""Names that requests-scitokens 0.2.1 had here."""

from ._origin import default_audience
from .auth import serialize_token

__all__ = ["default_audience", "serialize_token"]
