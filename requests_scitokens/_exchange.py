"""One request of the caller's with all its redirects: attach, answer, follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from requests import PreparedRequest, Response, Session

from . import _request as requests
from . import _resend as resend
from . import _said as said
from . import _state as state
from ._challenge import bearer_challenge, objection
from ._choice import Choice, Handler, choose, describe
from ._environment import DIRECTORY
from ._messages import Code, Reason, because
from ._origin import NOWHERE, Origin, origin_of
from ._policy import Action, Situation, barred, decide
from ._request import Proxies
from ._token import BearerToken

Tokens = Sequence[BearerToken]

#: How a server answers that wants a token, or another one.
UNAUTHORIZED = (401, 403)

# What shows, in answer to the very request that got 401 or 403 without it, that a server
# has accepted a token: it says something about the file.
_ACCEPTS = frozenset({*range(200, 400), 404, 409, 412, 416})

# An attribute of responses that were not simply served: wrapped hooks hide the exchange.
ATTRIBUTE = "_requests_scitokens_exchange"


def attempt(handler: Handler, do: Callable[..., Any], *args: Any) -> Any:
    """Do what Requests asks a handler for; `None` if a default does not, or fails.

    It does nothing while the autopatch is off, and what it fails in is only logged: the
    program did not ask for it.
    """
    if not handler.is_default:
        return do(*args)
    try:
        return do(*args) if state.patching.on else None
    except Exception as error:  # noqa: BLE001, whatever it is
        said.failure(error)
        return None


class Exchange:
    """A request of the caller's, and the response hook that its redirects share."""

    def __init__(
        self, handler: Handler, url: str | None, start: Origin | None = None
    ) -> None:
        self.handler = handler
        self.url = url
        self.origin: Origin = origin_of(url) or NOWHERE
        self.start: Origin = start or self.origin  # where the caller sent the request
        self.callers: Callable[[], PreparedRequest | None] = type(None)  # that request
        self.led_on: list[Origin] = []  # the origins that redirected
        self.sent: dict[str, BearerToken] = {}  # what was attached, by its header
        self.earlier: BearerToken | None = None  # the token for the caller's own URL
        self.missing: Reason | None = None  # why a listed server got no token
        self.kept_back: Reason | None = None  # why an unlisted one did not

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave it out: what is pickled holds no token that the server did not get."""
        return requests.NO_HOOK

    def __deepcopy__(self, memo: object) -> Exchange:
        """Stay with a copied request, which may be redirected, too."""
        return self

    # --- attach

    def attach(
        self, request: PreparedRequest, choice: Choice, session: Session | None
    ) -> None:
        """Put the token on a request, where it goes at once, and wait for the response.

        A request that the autopatch has no token for stays exactly as it was, unless there
        is something to say about its answer, or somebody may ask for the token again.
        """
        found, default = choice.found, self.handler.is_default
        token = choice.token if choice.action is Action.ATTACH else None
        if token is not None:
            request.headers["Authorization"] = token.header
            self.sent[token.header] = token
        if self.earlier is None and self.start == choice.at.origin:
            self.earlier = choice.token
        self.missing = self.kept_back = None
        if choice.at.hosts and not found.silent:
            self.missing = found.reason
        if default and choice.reason.code is Code.AUTOPATCH_LISTS:
            said.hosts_is_not_set()
        # What is asked over plain http, on this machine, is hardly a mistake in the list.
        https = choice.at.origin.scheme == "https"
        if default and https and choice.reason.code is Code.NOT_LISTED:
            self.kept_back = choice.reason if self.handler._find(choice.at).token else None
        waits = token or self.missing or self.kept_back or not default
        if waits or not requests.decides_in_rebuild_auth(session):
            requests.put_first(request, self)
        else:
            requests.take_out(request, self)

    def choose(
        self, request: PreparedRequest, proxies: Proxies, refused: Tokens = ()
    ) -> Choice:
        """Find the token for a request as it is now, and decide what to do with it."""
        route = self.route(request, request.url)
        return choose(self.handler, request, route, proxies, refused, self.earlier)

    def situation(self, request: PreparedRequest, url: str, proxies: Proxies) -> Situation:
        """Describe a request, as it is now or as it will go to another URL."""
        return describe(self.handler, request, url, self.route(request, url), proxies)

    def route(self, request: PreparedRequest, url: str | None) -> tuple[Origin, ...]:
        """Return where it began, the origins that led it on, and where the URL is."""
        came_by: tuple[Origin, ...] = ()
        origin = self.origin if url == self.url else origin_of(url) or NOWHERE
        if url != self.url or (self.led_on and request is not self.callers()):
            came_by = tuple(self.led_on) or (NOWHERE,)  # what is not known is nowhere
        return (self.start, *came_by, origin)

    def token_on(self, request: object) -> BearerToken | None:
        """Return the token that was attached to a request, if it is still there."""
        if not self.sent:
            return None
        return self.sent.get(requests.headers_of(request).get("Authorization", ""))

    def take_off(self, request: PreparedRequest) -> None:
        """Take the token off that was attached, if it is still there."""
        if self.token_on(request) is not None:
            del request.headers["Authorization"]

    # --- answer

    def __call__(self, response: Response, **kwargs: Any) -> Response:
        """Pass the response on, or retry it with the token. This is the response hook."""
        if self.handler.is_default:
            answer = attempt(self.handler, self._handle, response, kwargs)
        else:
            answer = self._handle(response, kwargs)
        return response if answer is None else answer

    def _handle(self, response: Response, kwargs: dict[str, Any]) -> Response | None:
        served = response.status_code in range(200, 300)
        if not served:
            with suppress(TypeError):  # of a class that does not support it
                vars(response)[ATTRIBUTE] = self
        if self.missing is not None:
            url = getattr(getattr(response, "request", None), "url", None)
            said.missing(origin_of(url), self.missing)
        if self.handler.is_default:
            self._speak(response, kwargs)
        answer: Response | None = self.handler.handle_response(response, **kwargs)
        if not served:
            # A handler may return nothing, which Requests takes for the response itself.
            self._before_redirect(response, response if answer is None else answer)
        return answer

    def _speak(self, response: Response, kwargs: dict[str, Any]) -> None:
        """Say what nobody chose who only switched the autopatch on."""
        request: Any = getattr(response, "request", None)
        if self.kept_back is not None and response.status_code in UNAUTHORIZED:
            why = because(Code.NONE_SENT, reason=self.kept_back)
            said.unanswered(response, why, self.handler)
        if kwargs.get("verify") is False and self.token_on(request) is not None:
            said.unverified(origin_of(request.url))

    def answer(self, response: Response, kwargs: dict[str, Any]) -> Response:
        """Retry a 401 or 403, as far as the decision table allows.

        Where there is nothing to send, the response itself is returned, and the log says
        why.
        """
        request: Any = getattr(response, "request", None)
        if not hasattr(request, "copy") or getattr(response, "connection", None) is None:
            return response  # mock adapters make such responses
        first = self.token_on(request)
        others = first is None and "Authorization" in request.headers
        if others or (first is None and self.handler.is_default):
            return response  # other credentials, or none: a default only renews its own
        proxies, habit = kwargs.get("proxies"), False
        if first is not None:
            # Whether it went at once only because it was accepted there before.
            at = self.situation(request, request.url or "", proxies)
            habit = decide(first, at).reason.code in (Code.ACCEPTED, Code.WAITS)
        tried: list[BearerToken] = [first] if first is not None else []
        last: Choice | None = None
        while response.status_code in UNAUTHORIZED:
            step = self._next(response, tried, last, proxies)
            if isinstance(step, Reason):
                break
            last, token = step
            response = self.send(response, token, kwargs)
            tried.append(token)
        else:
            return response
        if habit and resend.rewound(request):
            # What everybody may read stays readable, also to those who have a token.
            public = resend.send_again(response, None, kwargs)
            if public.status_code not in UNAUTHORIZED:
                return public
        if tried or self.missing is None:
            said.unanswered(response, step, self.handler)
        return response

    def _next(
        self, response: Response, tried: Tokens, last: Choice | None, proxies: Proxies
    ) -> tuple[Choice, BearerToken] | Reason:
        """Return what to send next to a 401 or 403, or the reason why nothing is sent."""
        request = response.request
        if tried:
            self._forget(response, tried[-1])
            if len(tried) >= self._most(last):
                return _no_other(response, tried, last.found.name if last else "the token")
        choice = self.choose(request, proxies, tried)
        token = choice.token
        if token is None:
            code = Code.NOW_NONE if tried else Code.NONE_SENT
            return because(code, reason=choice.reason)
        if token in tried:
            return _no_other(response, tried, choice.found.name)
        if request.body is not None and not resend.rewound(request):
            code = Code.NOT_TWICE if tried else Code.NOT_TWICE_UNSENT
            return because(code, name=choice.found.name)
        if tried:
            name = choice.found.name
            state.log.info("%s: %s is a new one, and is sent", choice.at.origin, name)
        return choice, token

    def _most(self, last: Choice | None) -> int:
        """Return how many tokens one server gets to see."""
        if not self.handler._renews:
            return 1
        place = last.found.place if last is not None else None
        return 8 if place is not None and place.kind == DIRECTORY else 2

    def send(
        self, response: Response, token: BearerToken, kwargs: dict[str, Any]
    ) -> Response:
        """Send the request again with this token; its body is where it was."""
        url = response.request.url
        origin = self.origin if url == self.url else origin_of(url)
        if self.start == origin:
            self.earlier = token
        self.sent[token.header] = token
        answer = resend.send_again(response, token, kwargs)
        if answer.status_code in _ACCEPTS:
            state.accepted.put((origin, token.holder), True)
        return answer

    def _forget(self, response: Response, token: BearerToken) -> None:
        error = (_challenge_of(response) or {}).get("error")
        if response.status_code == 401 or error != "insufficient_scope":
            state.accepted.pop((origin_of(response.request.url), token.holder), None)

    # --- follow

    def follow(
        self, request: PreparedRequest, response: Response, session: Session | None
    ) -> None:
        """Attach the token to the request that a redirect led to, where it may go.

        To be called after `requests.Session.rebuild_auth`, with what that gets.
        """
        self.take_off(request)  # it is decided about anew
        if "Authorization" not in requests.headers_of(request):  # .netrc's, or the caller's
            self._note(response)
            self.attach(request, self.choose(request, session), session)

    def _note(self, response: Response) -> None:
        """Note which origins led on, with this response."""
        origins = [one or NOWHERE for one in requests.origins_before(response)]
        # Threads may be sending the same request: none takes out what another puts in.
        self.led_on += [one for one in origins if one not in self.led_on]

    def _before_redirect(self, response: Response, answer: Response) -> None:
        """Prepare for whoever follows a redirect, in whatever way.

        Requests follows with the request that got the `response`, whatever got the
        `answer`. Where it will not ask `rebuild_auth`, or another than its own and ours,
        the token is taken off that request, unless it certainly stays at its origin.
        """
        location = requests.location_of(answer)
        if location is None:
            return
        self._note(answer)
        answered: Any = getattr(response, "request", None)
        involved = [answered]
        if response.url == self.url or origin_of(response.url) is None:
            own = self.callers()  # an adapter may have answered with its own
            involved += [own] if own is not None and own is not answered else []
        target = requests.target_of(answer, location)
        if answer.status_code in (307, 308):
            for request in involved:
                # Without a token the autopatch leaves to Requests what that makes of it.
                if not self.handler.is_default or self.token_on(request):
                    resend.use_up(request)
        token = self.token_on(getattr(answer, "request", None))
        if token is not None:
            said.in_plain_url(token, answer, target)
        session = self.handler._session()
        if requests.decides_about(session, response):
            return
        # Where an adapter answers with requests of its own, the next ones are not known;
        # and a retry shows that the token of the first request is of no more use.
        known = self in requests.hooks_of(answered) and answer is response
        for request in involved:
            if self.token_on(request) is None:
                continue
            stays = known and requests.stays_at(origin_of(request.url), answer, location)
            if stays and barred(self.situation(request, target, session)) is None:
                continue
            if request is answered:
                response.request = request.copy()  # the record of what was sent
            requests.take_authorization_off(request)


def _challenge_of(response: Response) -> dict[str, str] | None:
    return bearer_challenge(requests.headers_of(response).get("WWW-Authenticate"))


def _no_other(response: Response, tried: Tokens, name: str) -> Reason:
    request, challenge = response.request, _challenge_of(response)
    reason = objection(tried[-1], request.method or "", request.url or "", challenge)
    code = Code.TWO_SENT if len(tried) > 1 else Code.NO_OTHER
    return because(code, name=name, reason=reason)
