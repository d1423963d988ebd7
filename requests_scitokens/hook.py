"""What belongs to one request, and what becomes of it when it is redirected."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

from requests import PreparedRequest, Response
from requests.hooks import dispatch_hook
from requests.sessions import SessionRedirectMixin

from .memory import patching
from .origin import NOWHERE, Origin, origin_of
from .plan import Plan, hosts_now, make_plan, why_barred
from .policy import NEVER
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
        The token, if it was attached at once; a redirect may have taken it off since.
    """

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
        served = response.status_code in SERVED
        if served and self.sent is not None:
            self.sent.accepted = time.time()
        if not served:
            _remember(response, self)
        answer = self.auth.handle_response(response, **kwargs)
        final = response if answer is None else answer  # as Requests reads it
        if not served and self.sent is not None and final.is_redirect:
            _let_go(self.auth, self.sent, response, final)
        return answer

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Leave the default out: who unpickles its request need not have this package."""
        if self.auth.is_default:
            return partial, (dispatch_hook, "response", {})  # does nothing
        return super().__reduce__()

    def __deepcopy__(self, _memo: dict[int, Any]) -> Hook:
        return self  # in this process the copy of a request is as good as the request


# The hooks of requests that the autopatch left as they were; and of responses, whose
# request may be an adapter's own, or have had its hooks wrapped.
_beside: WeakKeyDictionary[object, Hook] = WeakKeyDictionary()
_ATTRIBUTE = "_requests_scitokens_hook"


def hook_of(response: Response) -> Hook | None:
    """Return this package's hook on the request that got this response, if there is one."""
    request = getattr(response, "request", None)  # mock adapters may leave it out
    return _recall(response) or shown_hook(request) or _recall(request)


def shown_hook(request: PreparedRequest | None) -> Hook | None:
    """Return this package's hook, if it is among those that a request has."""
    return next((hook for hook in _hooks(request) if isinstance(hook, Hook)), None)


def earlier_home(request: PreparedRequest, auth: HTTPSciTokenAuth) -> Origin | None:
    """Return where the caller sent a request that this handler has had before, if it has.

    Somebody's own way to follow a redirect may ask for credentials again. Where the
    request goes elsewhere now, it cannot be told who wants that.
    """
    if not (_beside or _hooks(request)):
        return None  # as a rule, for each request
    hook = shown_hook(request) or _recall(request)
    if hook is None or hook.auth is not auth:
        return None
    return hook.home if hook.home == origin_of(request.url) else NOWHERE


def home_of(response: Response) -> Origin | None:
    """Return where the caller sent the request; `None` if that is where it went."""
    hook = hook_of(response)
    if hook is not None:
        return hook.home
    if response.history:  # the caller answers by hand
        return origin_of(response.history[0].url) or NOWHERE
    return None


def prepare(
    request: PreparedRequest, auth: HTTPSciTokenAuth, plan: Plan, home: Origin
) -> None:
    """Attach the token, and see to it that the server's answer comes back.

    A request that the autopatch has no token for stays exactly as it was.
    """
    hook = Hook(auth, home, plan.attached)
    if hook.sent is not None:
        request.headers["Authorization"] = hook.sent.header
    others = all_others = _hooks(request)
    if others:  # a redirected request has this package's already
        others = [other for other in others if not isinstance(other, Hook)]
    if auth.is_default and plan.action == NEVER:
        _remember(request, hook)
        if len(others) < len(all_others):
            request.hooks = {**request.hooks, "response": others}
        return
    request.hooks = {**request.hooks, "response": [hook, *others]}
    if hook.sent is not None or not auth.is_default:
        never_shorten(request)


def _hooks(request: PreparedRequest | None) -> list[Any]:
    hooks = getattr(request, "hooks", {}).get("response") or []
    return [hooks] if callable(hooks) else hooks


def _remember(thing: object, hook: Hook) -> None:
    with suppress(TypeError):  # of a class that does not support it
        if hook.auth.is_default:
            _beside[thing] = hook
        else:
            # The caller's handler may keep the response: beside it, both would be kept.
            vars(thing)[_ATTRIBUTE] = hook


def _recall(thing: object) -> Hook | None:
    with suppress(TypeError):
        return _beside.get(thing) or vars(thing).get(_ATTRIBUTE)
    return None


def _let_go(
    auth: HTTPSciTokenAuth, sent: BearerToken, response: Response, answer: Response
) -> None:
    """Take the token off a request that is redirected to where it may not go.

    Requests follows with the request that got the `response`, whatever got the `answer`.
    It keeps the header where only the path changes, or http becomes https; the new URL
    may carry a token of its own, or be barred in other ways; and a token that was refused
    is of no more use.
    """
    request = getattr(response, "request", None)
    if request is None or request.headers.get("Authorization") != sent.header:
        return
    # Requests will read where to in the same way.
    target = urljoin(answer.url, SessionRedirectMixin().get_redirect_target(answer))
    origin = origin_of(target)
    if (
        answer is not response
        or origin != origin_of(request.url)
        or why_barred(target, origin, hosts_now(auth), auth.asked)
    ):
        response.request = request.copy()  # the record of what was sent
        headers = request.headers.copy()  # threads may be sending the same request
        headers.pop("Authorization", None)
        request.headers = headers


def follow_redirect(request: PreparedRequest, response: Response) -> None:
    """Attach the token to a request that a redirect led to, where it may go.

    To be called after `requests.Session.rebuild_auth`, with what that gets.
    """
    hook = shown_hook(request) or hook_of(response)
    if hook is None or (hook.auth.is_default and not patching.on):
        return
    if hook.sent and request.headers.get("Authorization") == hook.sent.header:
        del request.headers["Authorization"]  # kept; it is decided about anew
    if "Authorization" not in request.headers:  # else from .netrc, or the caller's own
        plan = make_plan(hook.auth, request.url, hook.home)
        prepare(request, hook.auth, plan, hook.home)
