"""Environment variables, which are looked up at each request."""

from __future__ import annotations

import os
from functools import lru_cache


def variable(name: str) -> str | None:
    """Return an environment variable; as `os.environ.get`, but quick where it is not set.

    That one raises and catches two exceptions for each variable that is not set, and
    most of those that are asked for here never are.
    """
    set_ones = getattr(os.environ, "_data", None)
    if set_ones is not None and _key(name) not in set_ones:
        return None
    return os.environ.get(name)


def hosts_setting() -> str:
    """Return what `REQUESTS_SCITOKENS_HOSTS` says; an empty string says nothing."""
    return (variable("REQUESTS_SCITOKENS_HOSTS") or "").strip()


@lru_cache(maxsize=16)
def _key(name: str) -> object:
    return os.environ.encodekey(name)
