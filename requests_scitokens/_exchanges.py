"""Which exchange a request or a response belongs to."""

from __future__ import annotations

from weakref import ref

from requests import PreparedRequest, Response

from . import _request as requests
from ._choice import Handler
from ._exchange import ATTRIBUTE, Exchange
from ._origin import NOWHERE, Origin, origin_of


def exchange_of(
    response: Response | None, request: PreparedRequest | None = None
) -> Exchange | None:
    """Return the exchange of this response: adapters may have replaced its request."""
    known = getattr(response, ATTRIBUTE, None)
    if isinstance(known, Exchange):
        return known
    return hook_of(request) or hook_of(getattr(response, "request", None))


def hook_of(request: object) -> Exchange | None:
    """Return the exchange that is among the hooks of a request."""
    for hook in requests.hooks_of(request):
        if isinstance(hook, Exchange):
            return hook
    return None


def begin(handler: Handler, request: PreparedRequest) -> Exchange:
    """Begin the exchange of a request, or go on with the one that it has.

    Somebody's own way to follow a redirect may ask for credentials again.
    """
    hooks = requests.hooks_of(request)
    for hook in hooks:
        if isinstance(hook, Exchange):
            hook.handler = handler
            hook.take_off(request)
            return hook
    ours = Exchange(handler, request.url)
    if hooks and requests.lost_its_hook(request):
        ours.led_on.append(NOWHERE)  # nobody knows what led there
    else:
        try:  # noqa: SIM105, each request comes here
            ours.callers = ref(request)
        except TypeError:  # of a class that does not support it
            pass
    return ours


def begin_after_redirect(
    handler: Handler, request: PreparedRequest, response: Response
) -> Exchange | None:
    """Begin a default's exchange where a redirect led; `None` where others' began it.

    A request that led there may have had credentials that are not from here. Older versions
    of Requests leave the first one out, and have the last one there.
    """
    history = list(response.history or ())
    if requests.lost_its_hook(request) or any(one is response for one in history):
        return None
    for one in (*history, response):
        before, ours = getattr(one, "request", None), exchange_of(one)
        others = ours is None or ours.token_on(before) is None
        if others and "Authorization" in requests.headers_of(before):
            return None
    return Exchange(handler, response.url, start_of(response))


def start_of(response: Response) -> Origin | None:
    """Return where the caller sent what redirects led here; `None` if none did."""
    history = response.history
    return (origin_of(history[0].url) or NOWHERE) if history else None
