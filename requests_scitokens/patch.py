"""Every `requests.Session` defaults to `HTTPSciTokenAuth`.

Importing this module switches that on. Called, it sends an HTTP PATCH: its name is that
function's too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from threading import Lock
from types import ModuleType
from typing import Any
from weakref import ref

import wrapt

from . import state

# Requests, and what of this package needs it, is imported in functions: importing that
# first may be what has Requests imported, and so this module, by this thread or while
# another one waits for Requests.

__all__ = ["disable", "enable", "enabled"]

_switching = Lock()


def enable() -> None:
    """Give every `requests.Session` made from now on the user's token.

    Sessions that were made while this was on before have it again, too. Where the caller
    gives a session, or a request, credentials of any kind, those are used.
    """
    wrapped = _wrapped()  # the other thread may call this while this one imports Requests
    with _switching:
        state.patching.on = True
        for owner, name, wrapper in wrapped:
            if _wrapper(owner, name) is None:
                wrapt.wrap_function_wrapper(owner, name, wrapper)


def disable() -> None:
    """Let every `requests.Session` be as Requests makes it again.

    Sessions that were made before are as without credentials from now on.
    """
    wrapped = _wrapped()
    with _switching:
        state.patching.on = False
        for owner, name, _ in wrapped:
            ours = vars(owner)[name]
            # What others have wrapped around ours stays; ours does nothing now.
            if _is_ours(ours):
                setattr(owner, name, ours.__wrapped__)


def enabled() -> bool:
    """Tell whether every `requests.Session` defaults to `HTTPSciTokenAuth`."""
    return bool(state.patching.on)


def _give_default(wrapped: Any, session: Any, args: Any, kwargs: Any) -> None:
    """Give a session a default of its own: a new one, a copied or an unpickled one."""
    wrapped(*args, **kwargs)
    auth, exchange = _late()
    try:
        # A subclass that has a class attribute or a property keeps it.
        own = vars(session).get("auth", ...)
        if isinstance(own, auth.HTTPSciTokenAuth) and own.is_default:
            own = session.auth = None  # that of the session that was copied
        if state.patching.on and own is None:
            own = auth.HTTPSciTokenAuth()
            own.is_default, own._session = True, ref(session)
            session.auth = own
    except Exception as error:  # noqa: BLE001, the session may refuse it
        exchange.say_that_it_failed(error)


def _rebuild_auth(wrapped: Any, session: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    if state.patching.on and not hasattr(session, "_decides_after_redirects"):
        _follow(session, *args, **kwargs)


def _follow(session: Any, prepared_request: Any, response: Any) -> None:
    """Decide about the token for a request that a redirect led to."""
    auth, exchange = _late()
    ours = exchange.exchange_of(response, prepared_request)
    if ours is None and not exchange.had_credentials(response):
        default = getattr(session, "auth", None)
        if isinstance(default, auth.HTTPSciTokenAuth) and default.is_default:
            start = exchange.start_of(response)
            ours = exchange.Exchange(default, response.url, start)
    if ours is not None:
        exchange.attempt(ours.handler, ours.follow, prepared_request, response, session)


@cache  # the same ones when a test framework has the package imported a second time
def _late() -> tuple[ModuleType, ModuleType]:
    # Waits where another thread is still importing them.
    import requests_scitokens.auth
    import requests_scitokens.exchange

    return requests_scitokens.auth, requests_scitokens.exchange


@cache
def _wrapped() -> tuple[tuple[type, str, Callable[..., Any]], ...]:
    import requests

    return (
        (requests.Session, "__init__", _give_default),
        (requests.Session, "__setstate__", _give_default),
        (requests.sessions.SessionRedirectMixin, "rebuild_auth", _rebuild_auth),
    )


def _is_ours(method: Any) -> bool:
    return getattr(method, "_self_wrapper", None) in (_give_default, _rebuild_auth)


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
try:
    # Not later, in a forked child or in another root. But a thread that is importing one
    # of these may be waiting for Requests: it must not be waited for here.
    if sys.modules.keys().isdisjoint(
        f"{__package__}.{name}" for name in ("auth", "exchange", "resend")
    ):
        _late()
except BaseException:
    disable()  # broken, or interrupted
    raise
