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

from . import _state as state

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
    methods = _methods()  # the other thread may call this while this one imports Requests
    with _switching:
        try:
            for owner, name, wrapper in methods:
                if not _is_wrapped(owner, name):
                    wrapt.wrap_function_wrapper(owner, name, wrapper)
        except BaseException:
            _take_back()
            raise
        state.patching.on = True


def disable() -> None:
    """Let every `requests.Session` be as Requests makes it again.

    Sessions that were made before are as without credentials from now on. What `enable`
    put around Requests' methods stays there, and does nothing.
    """
    state.patching.on = False


def enabled() -> bool:
    """Tell whether every `requests.Session` defaults to `HTTPSciTokenAuth`."""
    return bool(state.patching.on)


def _give_default(wrapped: Any, session: Any, args: Any, kwargs: Any) -> None:
    """Give a session a default of its own: a new one, a copied or an unpickled one."""
    wrapped(*args, **kwargs)
    auth, exchange, _ = _late()
    try:
        # A subclass that has a class attribute or a property keeps it.
        own = vars(session).get("auth", ...)
        if _is_default(own):
            own = session.auth = None  # that of the session that was copied
        if state.patching.on and own is None:
            own = auth.HTTPSciTokenAuth()
            own.is_default, own._session = True, ref(session)
            session.auth = own
    except Exception as error:  # noqa: BLE001, the session may refuse it
        exchange.said.failure(error)


def _prepare_auth(wrapped: Any, request: Any, args: Any, kwargs: Any) -> Any:
    """Have Requests do what it does without credentials; else the default decides."""
    default = args[0] if args else kwargs.get("auth")
    if not _is_default(default):
        return wrapped(*args, **kwargs)
    args, kwargs = ((None, *args[1:]), kwargs) if args else ((), {**kwargs, "auth": None})
    ours = _late()[2].hook_of(request)
    if ours is not None:  # somebody asks again, after a redirect
        ours.take_off(request)
    result = wrapped(*args, **kwargs)
    if state.patching.on and "Authorization" not in request.headers:
        default(request)
    return result


def _rebuild_auth(wrapped: Any, session: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    if state.patching.on and not hasattr(session, "_decides_after_redirects"):
        _follow(session, *args, **kwargs)


def _follow(session: Any, prepared_request: Any, response: Any) -> None:
    """Decide about the token for a request that a redirect led to."""
    _, exchange, exchanges = _late()
    ours = exchanges.exchange_of(response, prepared_request)
    default = getattr(session, "auth", None)  # others use only a part of a session
    if ours is None and _is_default(default):
        ours = exchanges.begin_after_redirect(default, prepared_request, response)
    if ours is not None:
        exchange.attempt(ours.handler, ours.follow, prepared_request, response, session)


def _is_default(auth: object) -> bool:
    return isinstance(auth, _late()[0].HTTPSciTokenAuth) and auth.is_default


@cache  # the same ones when a test framework has the package imported a second time
def _late() -> tuple[ModuleType, ModuleType, ModuleType]:
    # Waits where another thread is still importing them.
    import requests_scitokens._exchange
    import requests_scitokens._exchanges
    import requests_scitokens.auth

    package = requests_scitokens
    return package.auth, package._exchange, package._exchanges


def _methods() -> list[tuple[type, str, Callable[..., Any]]]:
    """Find the methods to wrap, on the classes that define them.

    Others put subclasses of their own in the places of `requests.Session` and the like.
    """
    from requests import models, sessions

    found = []
    for base, name, wrapper in (
        (sessions.Session, "__init__", _give_default),
        (sessions.Session, "__setstate__", _give_default),
        (sessions.Session, "rebuild_auth", _rebuild_auth),
        (models.PreparedRequest, "prepare_auth", _prepare_auth),
    ):
        theirs = [
            one
            for one in base.__mro__
            if one.__module__ in ("requests.sessions", "requests.models")
            and name in vars(one)
        ]
        if not theirs:
            raise RuntimeError(f"{base.__name__}.{name} is not Requests' own")
        found.append((theirs[-1], name, wrapper))
    return found


def _is_wrapped(owner: type, name: str) -> bool:
    """Tell whether our wrapper is there, under whatever others put around it."""
    method = vars(owner)[name]
    while method is not None and not _is_ours(method):
        method = getattr(method, "__wrapped__", None)
    return method is not None


def _is_ours(method: object) -> bool:
    ours = (_give_default, _rebuild_auth, _prepare_auth)
    return getattr(method, "_self_wrapper", None) in ours


def _take_back() -> None:
    """Leave Requests as it was, since something of this package cannot be imported."""
    state.patching.on = False
    for owner, name, _ in _methods():
        method: Any = vars(owner)[name]
        if _is_ours(method):
            setattr(owner, name, method.__wrapped__)


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
        f"{__package__}.{name}"
        for name in ("auth", "_exchange", "_choice", "_request", "_resend")
    ):
        _late()
except BaseException:
    _take_back()  # broken, or interrupted
    raise
