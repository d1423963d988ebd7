"""What to do with which token about a request, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Protocol

from requests import PreparedRequest, Response, Session

from . import _state as state
from ._discovery import Found
from ._hosts import HostPattern
from ._messages import Code, Reason, because, full
from ._origin import NOWHERE, Origin
from ._policy import Action, Situation, barred, judge
from ._request import Proxies, by_proxy
from ._resend import is_upload
from ._token import BearerToken


class Handler(Protocol):
    """What is needed of an `HTTPSciTokenAuth`."""

    is_default: bool
    _session: Callable[[], Session | None]

    @property
    def _requested(self) -> bool: ...
    @property
    def _renews(self) -> bool: ...
    def _hosts(self) -> tuple[HostPattern, ...] | None: ...
    def _find(
        self,
        at: Situation,
        refused: Collection[BearerToken] = (),
        earlier: BearerToken | None = None,
    ) -> Found: ...
    def handle_response(self, response: Response, **kwargs: Any) -> Response: ...


class Choice(NamedTuple):
    """What to do with which token, and why."""

    action: Action
    reason: Reason
    found: Found
    at: Situation
    token: BearerToken | None  # only if it may be sent, now or in answer to a 401 or 403


def describe(
    handler: Handler,
    request: PreparedRequest,
    url: str,
    route: tuple[Origin, ...],
    proxies: Proxies,
) -> Situation:
    """Describe a request: where it began, what led it on, and where it goes now.

    Raises
    ------
    ValueError
        If `REQUESTS_SCITOKENS_HOSTS` is not understood, for a chosen handler.
    """
    start, *came_by, origin = route
    readable = origin.scheme != "https" or came_by
    return Situation(  # by position: a third of what keywords cost
        url,
        origin,
        request.method or "",
        not handler.is_default,
        handler._requested,
        handler._hosts(),
        start,
        tuple(came_by),
        getattr(request, "body", None) is not None and is_upload(request),
        by_proxy(route[1:], proxies) if readable else (),
        state.accepted,
    )


def choose(
    handler: Handler,
    request: PreparedRequest,
    route: tuple[Origin, ...],
    proxies: Proxies,
    refused: Collection[BearerToken] = (),
    earlier: BearerToken | None = None,
) -> Choice:
    """Find the token for a request, and decide what to do with it."""
    at = describe(handler, request, request.url or "", route, proxies)
    reason, found, action = barred(at), Found(), Action.NEVER
    if not at.url and at.requested and at.hosts is None:
        # A `requests.Request` that is not prepared: nothing can be sent from that.
        action, reason, found = Action.ATTACH, because(Code.NO_URL), handler._find(at)
    elif reason is None:  # else no token is looked for
        found = handler._find(at, refused, earlier)
        reason = found.reason
        if found.token is not None:
            action, reason = judge(found.token, at)
    token = None if action is Action.NEVER else found.token
    choice = Choice(action, reason or because(Code.NO_TOKEN), found, at, token)
    if state.log.isEnabledFor(logging.DEBUG):
        state.log.debug(
            "%s %s, %s: %s; reason: %s",
            at.method,
            at.origin if at.origin != NOWHERE else "a URL without a certain host",
            choice.found.name if choice.found.token else "no token",
            choice.action.value,
            full(choice.reason),
        )
    return choice
