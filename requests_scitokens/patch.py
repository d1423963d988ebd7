"""Every `requests.Session` defaults to `HTTPSciTokenAuth`.

Importing this module switches that on. Called, it sends an HTTP PATCH: its name is
that function's too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Lock
from types import ModuleType
from typing import Any

import requests
import wrapt
from requests.sessions import SessionRedirectMixin

from .auth import HTTPSciTokenAuth
from .hook import follow_redirect
from .memory import patching

__all__ = ["disable", "enable", "enabled"]

_switching = Lock()


def enable() -> None:
    """Give every `requests.Session` made from now on the user's token.

    Sessions that were made while this was on before have it again, too. Where the
    caller gives a session, or a request, credentials of any kind, those are used.
    """
    with _switching:
        patching.on = True
        for owner, name, wrapper in _WRAPPED:
            if _wrapper(owner, name) is None:
                wrapt.wrap_function_wrapper(owner, name, wrapper)


def disable() -> None:
    """Let every `requests.Session` be as Requests makes it again.

    Sessions that were made before are as without credentials from now on.
    """
    with _switching:
        patching.on = False
        for owner, name, _ in _WRAPPED:
            ours = vars(owner)[name]
            # What others have wrapped around ours stays; ours does nothing now.
            if _is_ours(ours):
                setattr(owner, name, ours.__wrapped__)


def enabled() -> bool:
    """Tell whether every `requests.Session` defaults to `HTTPSciTokenAuth`."""
    return patching.on


# --- what is wrapped around four methods of sessions

#: An attribute of a copied or pickled session.
_HAD_DEFAULT = "_requests_scitokens_default"


def _init(
    wrapped: Callable[..., None],
    instance: requests.Session,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    wrapped(*args, **kwargs)
    _give_default(instance)


def _getstate(
    wrapped: Callable[..., dict[str, Any]],
    _instance: requests.Session,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> dict[str, Any]:
    """Leave the default out: who unpickles the session need not have this package."""
    state = wrapped(*args, **kwargs)
    auth = state.get("auth")
    if isinstance(auth, HTTPSciTokenAuth) and auth.is_default:
        return {**state, "auth": None, _HAD_DEFAULT: True}
    return state


def _setstate(
    wrapped: Callable[..., None],
    instance: requests.Session,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Give a copied or unpickled session a default of its own, if it had one."""
    wrapped(*args, **kwargs)
    if vars(instance).pop(_HAD_DEFAULT, False):
        _give_default(instance)


def _rebuild_auth(
    wrapped: Callable[..., None],
    _instance: requests.Session,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    wrapped(*args, **kwargs)
    _follow(*args, **kwargs)


def _follow(
    prepared_request: requests.PreparedRequest, response: requests.Response
) -> None:
    follow_redirect(prepared_request, response)


def _give_default(session: requests.Session) -> None:
    # A subclass that has a class attribute or a property keeps it.
    if patching.on and vars(session).get("auth", session) is None:
        session.auth = HTTPSciTokenAuth.default_for(session)


_WRAPPED: tuple[tuple[type, str, Callable[..., Any]], ...] = (
    (requests.Session, "__init__", _init),
    (requests.Session, "__getstate__", _getstate),
    (requests.Session, "__setstate__", _setstate),
    (SessionRedirectMixin, "rebuild_auth", _rebuild_auth),
)


def _is_ours(method: Any) -> bool:
    wrappers = [wrapper for *_, wrapper in _WRAPPED]
    return getattr(method, "_self_wrapper", None) in wrappers


def _wrapper(owner: type, name: str) -> Any:
    """Return our wrapper around a method, under whatever others put around it."""
    method = vars(owner)[name]
    while method is not None and not _is_ours(method):
        method = getattr(method, "__wrapped__", None)
    return method


class _CallableModule(ModuleType):
    """A module that can be called as the function of the same name."""

    def __call__(self, url: str | bytes, data: Any = None, **kwargs: Any) -> Any:
        """Send a PATCH request with the user's token, where that belongs."""
        from .api import patch

        return patch(url, data, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
enable()
