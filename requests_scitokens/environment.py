"""Environment variables, which are looked up at each request."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache

_HOSTS = "REQUESTS_SCITOKENS_HOSTS"


def variables(names: Iterable[str]) -> dict[str, str]:
    """Return those of these environment variables that are set.

    `os.environ.get` raises and catches two exceptions for each that is not set, and most
    of those that are asked for here never are. So this looks at what is behind it.
    """
    set_ones = getattr(os.environ, "_data", None)
    found = {}
    for name in names:
        if set_ones is None or _key(name) in set_ones:
            value = os.environ.get(name)
            if value is not None:
                found[name] = value
    return found


def hosts_setting() -> str:
    """Return what `REQUESTS_SCITOKENS_HOSTS` says; an empty string says nothing."""
    return variables((_HOSTS,)).get(_HOSTS, "").strip()


@lru_cache(maxsize=16)
def _key(name: str) -> object:
    return os.environ.encodekey(name)
