"""Names that requests-scitokens 0.2.1 had here."""

from .origin import default_audience
from .source import serialize_token

__all__ = ["default_audience", "serialize_token"]
