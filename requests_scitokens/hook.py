"""What belongs to one request, and what becomes of it when it is redirected."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

from requests import PreparedRequest, Response
from requests.sessions import SessionRedirectMixin

from .memory import patching
from .origin import Origin, origin_of
from .plan import Plan, hosts_now, make_plan
from .policy import NEVER, barred
from .resend import never_shorten
from .token import BearerToken

if TYPE_CHECKING:
    from .auth import HTTPSciTokenAuth


#: The server did what it was asked for; so it took the token.
SERVED = range(200, 300)


class Hook:
    """The response hook of one request. A redirected request starts with the same.

    Attributes
    ----------
    auth : HTTPSciTokenAuth
        Whose request it is.
    home : Origin
        Where the caller sent the request.
    sent : BearerToken or None
        The token, if it was attached at once.
    """

    __slots__ = ("auth", "home", "sent")

    def __init__(
        self, auth: HTTPSciTokenAuth, home: Origin, sent: BearerToken | None
    ) -> None:
        self.auth = auth
        self.home = home
        self.sent = sent

    def __call__(self, response: Response, **kwargs: Any) -> Response:
        """Return the response, or the answer to what came instead."""
        if self.auth.is_default and not patching.on:
            return response  # switched off since
        if self.sent is not None:
            if response.status_code in SERVED:
                self.sent.accepted = time.time()
            elif response.is_redirect:
                _let_go(self.auth, self.sent, response)
        return self.auth.handle_response(response, **kwargs)


#: The hooks of requests that the autopatch left as they were, for their redirects.
_unhooked: WeakKeyDictionary[PreparedRequest, Hook] = WeakKeyDictionary()


def hook_of(request: PreparedRequest) -> Hook | None:
    """Return this package's hook on a request, if there is one."""
    return next((hook for hook in _hooks(request) if isinstance(hook, Hook)), None)


def home_of(request: PreparedRequest) -> Origin | None:
    """Return where the caller sent a request, before any redirect."""
    hook = hook_of(request)
    return hook.home if hook else None


def prepare(
    request: PreparedRequest, auth: HTTPSciTokenAuth, plan: Plan, home: Origin
) -> None:
    """Attach the token, and see to it that the server's answer comes back.

    A request that the autopatch has no token for stays exactly as it was.
    """
    hook = Hook(auth, home, plan.attached)
    if hook.sent is not None:
        request.headers["Authorization"] = hook.sent.header
    if auth.is_default and plan.action == NEVER:
        _unhooked[request] = hook
        return
    others = _hooks(request)
    if others:  # a redirected request has this package's already
        others = [other for other in others if not isinstance(other, Hook)]
    request.hooks = {**request.hooks, "response": [hook, *others]}
    if hook.sent is not None or not auth.is_default:
        never_shorten(request)


def _hooks(request: PreparedRequest) -> list[Any]:
    hooks = request.hooks.get("response") or []
    return [hooks] if callable(hooks) else hooks


def _let_go(auth: HTTPSciTokenAuth, sent: BearerToken, response: Response) -> None:
    """Take the token off a request that is redirected to where it may not go.

    Requests keeps the header where only the path changes, or http becomes https; the
    new URL may carry a token of its own, or be barred in other ways.
    """
    request = getattr(response, "request", None)
    if request is None or request.headers.get("Authorization") != sent.header:
        return
    # Requests will read where to in the same way.
    target = urljoin(response.url, SessionRedirectMixin().get_redirect_target(response))
    origin = origin_of(target)
    if origin != origin_of(request.url) or barred(
        target, origin, hosts=hosts_now(auth), asked=auth.asked
    ):
        response.request = request.copy()  # the record of what was sent
        del request.headers["Authorization"]


def follow_redirect(request: PreparedRequest, response: Response) -> None:
    """Attach the token to a request that a redirect led to, where it may go.

    To be called after `requests.Session.rebuild_auth`, with what that gets.
    """
    before = getattr(response, "request", None)  # mock adapters may leave it out
    hook = hook_of(request) or (None if before is None else _unhooked.get(before))
    if hook is None or (hook.auth.is_default and not patching.on):
        return
    if "Authorization" not in request.headers:  # else kept, or from .netrc
        plan = make_plan(hook.auth, request.url, hook.home)
        prepare(request, hook.auth, plan, hook.home)
