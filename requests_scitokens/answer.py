"""Answers a refusal: with the token, or with a renewed one."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from requests import Response

from .hook import SERVED, home_of, hook_of
from .memory import said, taken
from .origin import Origin, origin_of
from .plan import make_plan
from .policy import UNASKED
from .resend import rewound, send_again
from .token import BearerToken, plain

if TYPE_CHECKING:
    from .auth import HTTPSciTokenAuth

_log = logging.getLogger(__name__)

#: How a server refuses for want of a token that it likes.
REFUSED = (401, 403)

_HINT = "`python -m requests_scitokens --try URL` shows what the server wants"


def answer_refusal(
    auth: HTTPSciTokenAuth, response: Response, kwargs: dict[str, Any]
) -> Response:
    """Answer a 401 or 403, as far as the decision table allows.

    At most two requests are sent: one with the token, where it had none, and one
    with a renewed token. Where there is nothing to answer with, the refusal itself is
    returned, and the log says why.

    Parameters
    ----------
    auth : HTTPSciTokenAuth
        Whose request it was.
    response : requests.Response
        The refusal.
    kwargs : dict
        What the request was sent with.
    """
    request = getattr(response, "request", None)
    if request is None or getattr(response, "connection", None) is None:
        return response  # mock adapters make such responses
    home = home_of(response)
    sent: BearerToken | None
    if "Authorization" not in request.headers:
        response, sent = _answer(auth, response, home, kwargs)
    else:
        hook = hook_of(response)
        sent = hook.sent if hook else None
        if sent is not None and sent.header != request.headers["Authorization"]:
            sent = None  # somebody else's credentials, and theirs to renew
    if sent is None or response.status_code not in REFUSED:
        return response
    return _renew(auth, response, home, sent, kwargs)


def send(
    auth: HTTPSciTokenAuth,
    response: Response,
    token: BearerToken,
    kwargs: dict[str, Any],
) -> Response:
    """Send the request again with this token, if its body can be sent again."""
    if rewound(response.request):
        answer = send_again(response, token, kwargs)
        if answer.status_code in SERVED:
            token.accepted = time.time()
        return answer
    _say(
        auth,
        response,
        "the token was not sent: this body cannot be sent twice; force=True or hosts= "
        "sends the token at once",
    )
    return response


def _answer(
    auth: HTTPSciTokenAuth,
    response: Response,
    home: Origin | None,
    kwargs: dict[str, Any],
) -> tuple[Response, BearerToken | None]:
    """Answer the refusal of a request that had no credentials.

    Returns the next response, or this one, and the token if it was sent.
    """
    plan = make_plan(auth, response.request.url, home, proxies=kwargs.get("proxies"))
    origin = plan.origin
    if plan.token is None or origin is None:
        about = f"{plan.rule}, {bool(plan.found.trouble)}"
        _say(auth, response, f"no token was sent: {plan.why}", about)
        return response, None
    if plan.action not in UNASKED and not _asks(response):
        _say(
            auth,
            response,
            "no token was sent: it names no server, and this one does not ask for a "
            f"bearer token; to send it, set REQUESTS_SCITOKENS_HOSTS={origin.netloc}",
        )
        return response, None
    answer = send(auth, response, plan.token, kwargs)
    if answer is response:
        return response, None
    if answer.status_code not in REFUSED:
        taken.add((origin, plan.token.holder))
    return answer, plan.token


def _renew(
    auth: HTTPSciTokenAuth,
    response: Response,
    home: Origin | None,
    sent: BearerToken,
    kwargs: dict[str, Any],
) -> Response:
    """Answer the refusal of the token itself, with a different one."""
    sent.rejected = True
    request = response.request
    challenge = _challenge(response) or {}
    if challenge.get("error") != "insufficient_scope":
        taken.discard((origin_of(request.url), sent.holder))
    proxies = kwargs.get("proxies")
    plan = make_plan(auth, request.url, home, fresh=True, proxies=proxies)
    given = auth.token is not None and not callable(auth.token)  # there is only this one
    if plan.token is not None and plan.token != sent and not given:
        answer = send(auth, response, plan.token, kwargs)
        if answer is not response and answer.status_code in REFUSED:
            text = f"{plan.found.name} was refused, and so was the one before; {_HINT}"
            _say(auth, answer, text, about="refused")
        return answer
    if plan.token is None:
        text = f"the token was refused, and now: {plan.why}"
    else:
        guess = _guess(sent, challenge)
        text = f"{plan.found.name} was refused, and there is no other; {guess}"
    _say(auth, response, text, about="refused")
    return response


def _guess(token: BearerToken, challenge: dict[str, str]) -> str:
    """Say what a server may have against this token, by its challenge or in general."""
    if token.expired():
        return f"it {token.expired()}"
    if "scope" in challenge:
        has = plain(token.scope) or "no scope"
        return f"it has {has}, the server wants {plain(challenge['scope'])}"
    return _HINT


def _asks(response: Response) -> bool:
    """Tell whether this is a Bearer challenge (RFC 6750 section 3)."""
    return response.status_code == 401 and _challenge(response) is not None


def _challenge(response: Response) -> dict[str, str] | None:
    from .challenge import bearer_challenge  # most programs are never refused anything

    return bearer_challenge(response.headers.get("WWW-Authenticate"))


def _say(auth: HTTPSciTokenAuth, response: Response, text: str, about: str = "") -> None:
    """Log why the caller gets the refusal; once for each origin and reason."""
    origin = origin_of(response.request.url)
    level = logging.INFO if auth.is_default else logging.WARNING
    if (origin, level, about or text) not in said:
        said.add((origin, level, about or text))
        where = origin or "a server"
        _log.log(level, "%s answered %d; %s", where, response.status_code, text)
