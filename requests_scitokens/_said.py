"""What the log says of a request besides each decision: everything once."""

from __future__ import annotations

import sys
from urllib.parse import unquote, urlsplit

from requests import Response

from . import _state as state
from ._choice import Handler
from ._environment import HOSTS
from ._messages import Code, Reason, full
from ._origin import Origin, is_loopback, origin_of
from ._policy import listed
from ._token import BearerToken


def failure(error: Exception) -> None:
    """Say what a default handler failed in."""
    state.log.debug("no token was sent: unexpected %s", type(error).__name__)


def unanswered(response: Response, why: Reason, handler: Handler) -> None:
    """Say why the caller gets this 401 or 403; once for each origin and reason."""
    origin = origin_of(response.request.url) or "a server"
    inner = dict(why.about).get("reason", why)  # without what differs from path to path
    if state.first_time(origin, why.code, inner.code):
        listing = "" if inner.code is Code.NOT_LISTED else _listing(handler)
        quoted = (
            f"; {HOSTS} lists {listing}" if listing and "lists" not in full(why) else ""
        )
        status = response.status_code
        state.log.warning("%s answered %d; %s%s", origin, status, full(why), quoted)


def _listing(handler: Handler) -> str:
    return listed(handler._hosts()) if handler.is_default else ""


def missing(origin: Origin | None, why: Reason) -> None:
    """Say that a listed server got no token, since there is none."""
    if state.first_time("missing", why):
        state.log.warning("no token was sent to %s: %s", origin or "a server", full(why))


def unverified(origin: Origin | None) -> None:
    """Say that the autopatch's token went to somebody whose certificate is not checked."""
    if state.first_time("unverified", origin):
        state.log.warning(
            "the token was sent to %s without a check of its certificate (the program "
            "passes verify=False), so anybody on the way may have it",
            origin,
        )


def in_plain_url(token: BearerToken, response: Response, target: str) -> None:
    """Say that the token just sent stands in a URL that everybody on the way can read."""
    origin = origin_of(target)
    if origin is None or origin.scheme == "https" or is_loopback(origin.host):
        return
    shown = token.serialized in unquote(urlsplit(target).query)
    if shown and state.first_time("plain http", origin):
        state.log.warning(
            "%s redirects to plain http on %s with your token in the URL, where everybody "
            "on the way can read it; ask the site to redirect to https "
            "(XRootD: http.desthttps yes)",
            origin_of(response.url),
            origin.netloc,
        )


def hosts_is_not_set() -> None:
    """Say it once, in the program's own process: its workers would repeat it."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return
    if state.first_time("hosts is not set"):
        state.log.warning(
            "your token is for any server, so the autopatch sends it only to servers that "
            "%s lists, and that is not set; `python -m requests_scitokens URL` tells more",
            HOSTS,
        )
