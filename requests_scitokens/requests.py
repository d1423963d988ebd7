"""Names that requests-scitokens 0.2.1 had here; `requests_scitokens` has them too."""

from .api import delete, get, head, options, patch, post, put, request

__all__ = ["delete", "get", "head", "options", "patch", "post", "put", "request"]
