"""One request, from attaching the token to the 401 or 403, a renewed token, a redirect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from weakref import ref

from requests import PreparedRequest, Response, Session
from requests.hooks import dispatch_hook
from requests.sessions import SessionRedirectMixin
from requests.utils import get_environ_proxies

from . import resend, state
from .challenge import bearer_challenge
from .discovery import Target
from .origin import NOWHERE, Origin, is_loopback, origin_of
from .source import Decision
from .token import BearerToken, plain

#: How a server answers that wants a token, or another one.
UNAUTHORIZED = (401, 403)

# What shows, in answer to the very request that got 401 or 403 without it, that a server
# has accepted a token: it says something about the file.
_ACCEPTS = frozenset({*range(200, 400), 404, 409, 412, 416})

_HINT = "`python -m requests_scitokens --try URL` shows what the server wants"

# An attribute of responses that were not simply served: wrapped hooks hide the exchange.
_ATTRIBUTE = "_requests_scitokens_exchange"


def attempt(handler: Any, do: Callable[..., Any], *args: Any) -> Any:
    """Do what Requests asks a handler for; `None` if a default does not, or fails.

    It does nothing while the autopatch is off, and what it fails in is only logged: the
    program did not ask for it.
    """
    if not handler.is_default:
        return do(*args)
    try:
        return do(*args) if state.patching.on else None
    except Exception as error:  # noqa: BLE001, whatever it is
        say_that_it_failed(error)
        return None


def say_that_it_failed(error: Exception) -> None:
    """Log what a default fails in."""
    state.log.debug("no token was sent: unexpected %s", type(error).__name__)


class Exchange:
    """One request, and its response hook. A redirect copies the hook with the request."""

    def __init__(
        self,
        handler: Any,  # an `HTTPSciTokenAuth`
        url: str | None,
        start: Origin | None = None,
        passed: tuple[Origin, ...] = (),
    ) -> None:
        self.handler = handler
        self.url = url
        self.origin: Origin | None = origin_of(url)
        # Where the caller sent the request.
        self.start: Origin = start or self.origin or NOWHERE
        self.passed = passed  # the origins whose redirects led here
        self.token: BearerToken | None = None  # the token for the caller's own URL
        self.sent: BearerToken | None = None  # the token that was attached at once
        self._led_on: list[Origin] = []  # the origins whose redirects led on
        self._request: Callable[[], PreparedRequest | None] = type(None)  # a dead reference

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Leave the default out: who unpickles its request need not have this package."""
        if self.handler.is_default:
            return partial, (dispatch_hook, "response", {})  # does nothing
        return super().__reduce__()

    def __getstate__(self) -> dict[str, Any]:
        # A weak reference means nothing elsewhere.
        return {**self.__dict__, "_request": type(None)}

    def at(self, request: PreparedRequest) -> Exchange:
        """Return the exchange of this request: a redirect copies the hook."""
        if request.url == self.url and (not self._led_on or request is self._request()):
            return self
        passed = dict.fromkeys([*self.passed, *self._led_on] or [NOWHERE])
        there = Exchange(self.handler, request.url, self.start, tuple(passed))
        there.token = self.token
        return there

    def decide(
        self,
        request: PreparedRequest,
        proxies: dict[str, str] | None = None,
        refused: tuple[BearerToken, ...] = (),
    ) -> Decision:
        """Find the token for the request as it is now, and decide what to do with it."""
        here = self.at(request)
        to = Target(  # by position: a third of what keywords cost
            request.url or "",
            here.origin,
            (request.method or "").upper(),
            self.start,
            here.passed,
            resend.is_sent_once(request),
            proxies,
            refused,
            self.token,
        )
        return self.handler._decide(to)  # type: ignore[no-any-return]

    def prepare(self, request: PreparedRequest, decision: Decision) -> None:
        """Attach the token, and see to it that the response comes back here.

        A request that the autopatch has no token for stays exactly as it was.
        """
        self.sent = decision.attached
        if self.token is None and self.start == self.origin:
            self.token = decision.token
        hooks = _hooks(request)
        others = [hook for hook in hooks if not isinstance(hook, Exchange)]
        if self.sent is not None:
            request.headers["Authorization"] = self.sent.header
        elif self.handler.is_default:
            if len(others) < len(hooks):  # of a copy, after a redirect
                request.hooks = {**request.hooks, "response": others}
            return
        request.hooks = {**(request.hooks or {}), "response": [self, *others]}
        with suppress(TypeError):  # of a class that does not support it
            self._request = ref(request)
        resend.never_shorten(request)

    def take_off(self, request: PreparedRequest) -> None:
        """Take the token off that was attached, if it is still there."""
        if self._has(request):
            del request.headers["Authorization"]

    def __call__(self, response: Response, **kwargs: Any) -> Response:
        """Pass the response on, or retry it with the token. This is the response hook."""
        answer = attempt(self.handler, self._handle, response, kwargs)
        return response if answer is None else answer

    def _handle(self, response: Response, kwargs: dict[str, Any]) -> Response | None:
        served = response.status_code in range(200, 300)
        if not served:
            with suppress(TypeError):  # of a class that does not support it
                vars(response)[_ATTRIBUTE] = self
        elif self.sent is not None:
            key = (self.origin, self.sent.holder)
            request: Any = getattr(response, "request", None)
            new = key not in state.accepted and self._has(request)
            if new and origin_of(request.url) == self.origin:
                state.accepted.put(key, True)
        answer: Response | None = self.handler.handle_response(response, **kwargs)
        if not served:
            # A handler may return nothing, which Requests takes for the response itself.
            self._before_redirect(response, response if answer is None else answer)
        return answer

    def answer(self, response: Response, kwargs: dict[str, Any]) -> Response:
        """Retry a 401 or 403, as far as the decision table allows.

        At most two requests are sent: one with the token, where there was none, and one
        with another token. Where there is nothing to send, the response itself is
        returned, and the log says why.
        """
        request: Any = getattr(response, "request", None)
        if not hasattr(request, "copy") or getattr(response, "connection", None) is None:
            return response  # mock adapters make such responses
        sent = self.sent
        if sent is None or not self._has(request):
            if self.handler.is_default or "Authorization" in headers_of(request):
                return response  # other credentials, or none: a default only renews its own
            decision = self.decide(request, kwargs.get("proxies"))
            sent = decision.token
            if sent is None:
                reason = f"no token was sent: {decision.reason}"
                return response if decision.said else self._say(response, reason)
            answer = self.send(response, sent, kwargs)
            if answer is response or answer.status_code not in UNAUTHORIZED:
                return answer
            response = answer
        return self._other_token(response, sent, kwargs)

    def send(
        self, response: Response, token: BearerToken, kwargs: dict[str, Any]
    ) -> Response:
        """Send the request again with this token, if its body can be sent again."""
        if not resend.rewound(response.request):
            return self._say(
                response,
                "the token was not sent: this body cannot be sent twice; force=True or "
                "hosts= sends the token at once",
            )
        if self.start == origin_of(response.request.url):
            self.token = token
        answer = resend.send_again(response, token, kwargs)
        if answer.status_code in _ACCEPTS:
            state.accepted.put((origin_of(answer.request.url), token.holder), True)
        return answer

    def _other_token(
        self, response: Response, sent: BearerToken, kwargs: dict[str, Any]
    ) -> Response:
        """Answer the 401 or 403 to the token itself, with a different one."""
        origin = origin_of(response.request.url)
        challenge = bearer_challenge(headers_of(response).get("WWW-Authenticate")) or {}
        if response.status_code == 401 or challenge.get("error") != "insufficient_scope":
            state.accepted.pop((origin, sent.holder), None)
        if not self.handler._renews:
            return self._say(response, "the token was sent", _guess(sent, challenge))
        decision = self.decide(response.request, kwargs.get("proxies"), refused=(sent,))
        name = decision.found.name
        if decision.token is None:
            reason = f"the token was sent, and now there is none: {decision.reason}"
            return self._say(response, reason)
        if decision.token == sent:
            reason = f"{name} was sent, and there is no other"
            return self._say(response, reason, _guess(sent, challenge))
        state.log.info("%s: %s is a new one, and is sent", origin, name)
        answer = self.send(response, decision.token, kwargs)
        if answer is not response and answer.status_code in UNAUTHORIZED:
            self._say(answer, f"{name} was sent, and so was the one before", _HINT)
        return answer

    def follow(
        self, request: PreparedRequest, response: Response, session: Session | None
    ) -> None:
        """Attach the token to the request that a redirect led to, where it may go.

        To be called after `requests.Session.rebuild_auth`, with what that gets.
        """
        for one in (self, hook_of(request) or self):
            one.take_off(request)  # it is decided about anew
        if "Authorization" not in headers_of(request):  # from .netrc, or the caller's own
            self._leave(response)
            there = self.at(request)
            proxies = session_proxies(session, request.url)
            there.prepare(request, there.decide(request, proxies))

    def _leave(self, response: Response) -> None:
        """Note which origins lead on, with this response."""
        before = [*(response.history or ()), response]
        origins = [origin_of(getattr(one, "url", None)) or NOWHERE for one in before]
        # Threads may be sending the same request: none takes out what another puts in.
        self._led_on += [one for one in origins if one not in self._led_on]

    def _before_redirect(self, response: Response, answer: Response) -> None:
        """Take the token off a request that is redirected to where it may not go.

        Requests follows with the request that got the `response`, whatever got the
        `answer`. It keeps the header where only the path changes, and many sessions
        override `rebuild_auth` and keep it always.
        """
        url = _redirect_target(answer)
        if url is None:
            return
        self._leave(answer)
        answered: Any = getattr(response, "request", None)
        requests = [answered]
        if response.url == self.url or origin_of(response.url) is None:
            ours = self._request()  # an adapter may have answered with its own
            requests = [answered] if ours is answered else [answered, ours]
        requests = [one for one in requests if self._has(one)]
        retried = answer is not response
        if requests or retried:
            _warn_of_plain_http(answer, url)
        passed = (*self.passed, *self._led_on)
        for request in requests:
            to = Target(url, origin_of(url), request.method or "", self.start, passed)
            # A retry shows that the token is of no more use; and where an adapter answers
            # with requests of its own, the next ones would not be known.
            known = self._has(answered) and hook_of(answered) is not None
            if (
                retried
                or not (known or request is answered)
                or to.origin != origin_of(request.url)
                or self.handler._bars(to)
            ):
                if request is answered:
                    response.request = request.copy()  # the record of what was sent
                headers = request.headers.copy()  # threads may be sending the same request
                headers.pop("Authorization", None)
                request.headers = headers

    def _has(self, request: object) -> bool:
        """Tell whether a request has the token that was attached."""
        sent = self.sent
        return sent is not None and headers_of(request).get("Authorization") == sent.header

    def _say(self, response: Response, reason: str, hint: str = "") -> Response:
        """Log why the caller gets this response; once for each origin and reason."""
        origin = origin_of(response.request.url) or "a server"
        level = logging.DEBUG if self.handler.is_default else logging.WARNING
        if level < logging.WARNING or state.first_time(origin, reason):
            text = f"{reason}; {hint}" if hint else reason
            state.log.log(level, "%s answered %d; %s", origin, response.status_code, text)
        return response


def exchange_of(
    response: Response | None, request: PreparedRequest | None = None
) -> Exchange | None:
    """Return the exchange of this response: adapters may have replaced its request."""
    ours = hook_of(request) or hook_of(getattr(response, "request", None))
    known = getattr(response, _ATTRIBUTE, None)
    return ours or (known if isinstance(known, Exchange) else None)


def hook_of(request: PreparedRequest | None) -> Exchange | None:
    """Return the exchange that is among the hooks of a request."""
    return next((hook for hook in _hooks(request) if isinstance(hook, Exchange)), None)


def had_credentials(response: Response) -> bool:
    """Tell whether a request that led here had credentials that are not from here."""
    history = list(response.history or ())
    for one in (*history, response):
        request, ours = getattr(one, "request", None), exchange_of(one)
        if "Authorization" in headers_of(request) and not (ours and ours._has(request)):
            return True
    # Older versions of Requests leave out the first response, and have the last one there.
    return any(one is response for one in history)


def start_of(response: Response) -> Origin | None:
    """Return where the caller sent what redirects led here; `None` if none did."""
    history = response.history
    return (origin_of(history[0].url) or NOWHERE) if history else None


def headers_of(message: object) -> Mapping[str, Any]:
    """Return the headers of a request or response, whatever a mock adapter made of it."""
    headers = getattr(message, "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def session_proxies(session: Session | None, url: str | None) -> dict[str, str] | None:
    """Return the proxies of a session's request; `None` for those of the environment."""
    if session is None or (session.trust_env and not session.proxies):
        return None
    environment = get_environ_proxies(url or "") if session.trust_env else {}
    return {**session.proxies, **environment}  # as Requests merges them


def _hooks(request: PreparedRequest | None) -> list[Any]:
    """Return the response hooks of a request, in whatever form it has them."""
    hooks = getattr(request, "hooks", None)
    hooks = hooks.get("response") if isinstance(hooks, dict) else None
    return [hooks] if callable(hooks) else list(hooks or ())


def _redirect_target(response: Response) -> str | None:
    """Return where Requests will follow this response to; "" if that cannot be read."""
    try:
        location = SessionRedirectMixin().get_redirect_target(response)
        return None if location is None else urljoin(response.url, location)
    except Exception:  # noqa: BLE001, a server or an adapter may say anything
        return ""


def _warn_of_plain_http(response: Response, target: str) -> None:
    """Say that the token just sent stands in a URL that everybody on the way can read."""
    headers = headers_of(getattr(response, "request", None))
    _, _, token = str(headers.get("Authorization", "")).partition(" ")
    origin = origin_of(target)
    if origin is None or origin.scheme == "https" or is_loopback(origin.host):
        return
    shown = token and token in unquote(urlsplit(target).query)
    if shown and state.first_time("plain http", origin):
        state.log.warning(
            "%s redirects to plain http on %s with your token in the URL, where everybody "
            "on the way can read it; ask the site to redirect to https "
            "(XRootD: http.desthttps yes)",
            origin_of(response.url),
            origin.netloc,
        )


def _guess(token: BearerToken, challenge: dict[str, str]) -> str:
    """Say what a server may have against this token, by its challenge or in general."""
    if token.expired():
        return f"it {token.expired()}"
    if "scope" in challenge:
        has = plain(token.scope) or "no scope"
        return f"it has {has}, the server wants {plain(challenge['scope'])}"
    return _HINT
