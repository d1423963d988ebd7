"""What a process gets from its environment, which is looked up at each request."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from urllib.parse import urlsplit

from requests import utils

from .origin import is_loopback

_HOSTS = "REQUESTS_SCITOKENS_HOSTS"

# What Requests looks for a `.netrc` with, as long as nobody replaces one of them.
_LOOKS_WITH = (os.path.exists, os.path.expanduser, os.stat)


def variables(names: tuple[str, ...]) -> dict[str, str]:
    """Return those of these environment variables that are set.

    `os.environ.get` raises and catches two exceptions for each that is not set, and most
    of those that are asked for here never are. So this looks at what is behind it.
    """
    environ = os.environ
    behind = getattr(environ, "_data", None)
    if behind is None:  # somebody's replacement
        return {one: value for one in names if (value := environ.get(one)) is not None}
    found = {}
    for name, key in _keys(names):
        value = behind.get(key)
        if value is not None:
            found[name] = environ.decodevalue(value)
    return found


def hosts_setting() -> str:
    """Return what `REQUESTS_SCITOKENS_HOSTS` says; an empty string says nothing."""
    return variables((_HOSTS,)).get(_HOSTS, "").strip()


def leaves_by_proxy(url: str, proxies: dict[str, str] | None = None) -> bool:
    """Tell whether the proxy for a plain http URL is another machine.

    Requests does not except loopback: `NO_PROXY` has to.

    Parameters
    ----------
    url : str
        The URL.
    proxies : dict, optional
        What the request was sent with; by default what the environment says.
    """
    try:
        if proxies is None:
            if not _may_have_proxies():
                return False
            proxies = utils.get_environ_proxies(url)
        proxy = utils.select_proxy(url, proxies)
        if not proxy:
            return False
        host = urlsplit(utils.prepend_scheme_if_needed(proxy, "http")).hostname
    except ValueError:  # urllib3's errors about URLs are that, too
        return True  # Requests will say so, if it is used at all
    return not is_loopback(host or "")


def may_have_netrc(look: Callable[..., object]) -> bool:
    """Tell whether it is worth asking what the user's `.netrc` says.

    Most users have none, and to find that out takes Requests several times as long.

    Parameters
    ----------
    look : callable
        What would be asked: `get_netrc_auth` of Requests, or what somebody put in its
        place, which is always worth asking.
    """
    if (
        os.name != "posix"
        or type(look) is not FunctionType
        or look.__globals__ is not vars(utils)
        or (os.path.exists, os.path.expanduser, os.stat) != _LOOKS_WITH
        # What looks below asks for the real user, and group.
        or (os.getuid(), os.getgid()) != (os.geteuid(), os.getegid())
    ):
        return True
    found = variables(("NETRC", "HOME"))
    home = found.get("HOME")
    if "NETRC" in found or home is None:
        return True
    for name in utils.NETRC_FILES:  # noqa: SIM110, a generator for each request costs more
        # `os.path.exists` takes four times as long to raise and catch an exception.
        if os.access(f"{home}/{name}", os.F_OK):
            return True
    return False


def _may_have_proxies() -> bool:
    """Tell whether it is worth asking for proxies, which takes several times as long."""
    behind = getattr(os.environ, "_data", None)
    if behind is None or sys.platform in ("darwin", "win32"):
        return True  # those have settings of the system, too
    return b"_proxy" in b" ".join(behind).lower()


@lru_cache(maxsize=16)
def _keys(names: tuple[str, ...]) -> list[tuple[str, object]]:
    return [(name, os.environ.encodekey(name)) for name in names]
