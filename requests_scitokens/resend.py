"""Sends a refused request once more: its body, cookies, history."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from requests import PreparedRequest, RequestException, Response
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from requests.utils import rewind_body
from urllib3.exceptions import HTTPError

from .token import BearerToken


def never_shorten(request: PreparedRequest) -> None:
    """See to it that a redirect does not send what is left of a body, often nothing.

    Requests follows a 307 or 308 with a generator that is used up, and the server
    stores an empty file. A body whose position it could not tell it refuses to send
    again (`requests.exceptions.UnrewindableBodyError`); so that is what this says.
    """
    if _is_stream(request) and request._body_position is None:
        request._body_position = object()
        if "Content-Length" not in request.headers:
            # As it goes out anyway; Requests looks at this before it refuses.
            request.headers["Transfer-Encoding"] = "chunked"


def rewound(request: PreparedRequest) -> bool:
    """Put the body back to where it was; tell whether that worked.

    Only what is sure to give the same bytes again counts: an iterator, or an object
    with nothing but `read`, would leave a shortened file on the server.
    """
    if not _is_stream(request):
        return True
    try:
        rewind_body(request)
    except (RequestException, OSError, ValueError):  # no position, or closed
        return False
    return True


def _is_stream(request: PreparedRequest) -> bool:
    return not (request.body is None or isinstance(request.body, (str, bytes, bytearray)))


def send_again(response: Response, token: BearerToken, kwargs: dict[str, Any]) -> Response:
    """Send the request that got this response again, with this token.

    Parameters
    ----------
    response : requests.Response
        The refusal; its request's body is where it was before.
    token : BearerToken
        The token; not its text, which a traceback might show.
    kwargs : dict
        What the request was sent with: `timeout`, `verify`, `cert`, `proxies`,
        `stream`.
    """
    _drain(response)
    request = response.request.copy()
    _carry_cookies(request, response)
    request.headers["Authorization"] = token.header
    started = time.perf_counter()
    answer: Response = response.connection.send(request, **kwargs)
    answer.elapsed = timedelta(seconds=time.perf_counter() - started)
    answer.history = [*response.history, response]
    answer.request = request
    return answer


def _drain(response: Response) -> None:
    """Read what is left of the response, so that its connection can be used again."""
    # It may be broken off, or read already; it was a refusal anyway.
    with suppress(RequestException, HTTPError, OSError, RuntimeError):
        response.content  # noqa: B018
    response.close()


def _carry_cookies(request: PreparedRequest, response: Response) -> None:
    """Send the cookies that the refusal set, but no others than the caller would."""
    jar = request._cookies
    if jar is None:  # a request prepared by hand
        return
    field = request.headers.pop("Cookie", None)
    from_jar = get_cookie_header(jar, request)
    extract_cookies_to_jar(jar, response.request, response.raw)
    if field is None or field == from_jar:
        request.prepare_cookies(jar)
    else:
        request.headers["Cookie"] = field  # the caller's own
