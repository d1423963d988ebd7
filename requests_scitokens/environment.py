"""What a process gets from its environment, which is looked up at each request."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache

from requests import utils

_HOSTS = "REQUESTS_SCITOKENS_HOSTS"


def variables(names: Iterable[str]) -> dict[str, str]:
    """Return those of these environment variables that are set.

    `os.environ.get` raises and catches two exceptions for each that is not set, and most
    of those that are asked for here never are. So this looks at what is behind it.
    """
    environ = os.environ
    behind = getattr(environ, "_data", None)
    if behind is None:  # somebody's replacement
        all_of_them = ((name, environ.get(name)) for name in names)
        return {name: value for name, value in all_of_them if value is not None}
    found = {}
    for name in names:
        value = behind.get(_key(name))
        if value is not None:
            found[name] = environ.decodevalue(value)
    return found


def hosts_setting() -> str:
    """Return what `REQUESTS_SCITOKENS_HOSTS` says; an empty string says nothing."""
    return variables((_HOSTS,)).get(_HOSTS, "").strip()


def may_have_netrc() -> bool:
    """Tell whether it is worth asking Requests what the user's `.netrc` says.

    Most users have none, and to find that out takes Requests twice as long.
    """
    found = variables(("NETRC", "HOME"))
    home = found.get("HOME")
    if "NETRC" in found or home is None or os.name != "posix":
        return True
    return any(os.path.exists(f"{home}/{name}") for name in utils.NETRC_FILES)


@lru_cache(maxsize=16)
def _key(name: str) -> object:
    return os.environ.encodekey(name)
