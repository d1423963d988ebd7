"""Sends a request again: its body, cookies, history."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from requests import PreparedRequest, RequestException, Response
from requests import exceptions as errors
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from requests.utils import rewind_body
from urllib3.exceptions import HTTPError, ProtocolError

from .token import BearerToken

#: Methods that may be repeated (RFC 9110 section 9.2.2; RFC 4918 section 9 for WebDAV's).
IDEMPOTENT = frozenset(
    {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PROPFIND", "MKCOL"}
)


def is_sent_once(request: PreparedRequest) -> bool:
    """Tell whether this is an upload that cannot wait for a 401 or 403.

    Servers hang up on an upload that they do not accept, and not every body can be sent
    a second time.
    """
    body = getattr(request, "body", None)
    if body is None or (isinstance(body, (str, bytes)) and not body):
        return False
    if request.method in ("PUT", "PATCH"):
        return True
    seekable = isinstance(request._body_position, int) and hasattr(body, "seek")
    return _is_stream(request) and not seekable


def never_shorten(request: PreparedRequest) -> None:
    """See to it that a redirect does not send what is left of a body, often nothing.

    Requests follows a 307 or 308 with a used-up generator, and the server stores an empty
    file. If it could not tell a body's position, it raises `UnrewindableBodyError`.
    """
    if _is_stream(request) and request._body_position is None:
        request._body_position = object()
        if "Content-Length" not in request.headers:
            # As it goes out anyway; Requests looks at this before it refuses.
            request.headers["Transfer-Encoding"] = "chunked"


def rewound(request: PreparedRequest) -> bool:
    """Put the body back to where it was; tell whether that is sure to have worked.

    An iterator, or a `seek` that does nothing, would leave a shortened file on the server.
    """
    body: Any = request.body
    if not _is_stream(request):
        return True
    try:
        rewind_body(request)
        return bool(body.tell() == request._body_position)
    except (RequestException, OSError, ValueError, AttributeError):  # no position; closed
        return False


def _is_stream(request: PreparedRequest) -> bool:
    body = getattr(request, "body", None)
    return not (body is None or isinstance(body, (str, bytes, bytearray)))


def send_again(response: Response, token: BearerToken, kwargs: dict[str, Any]) -> Response:
    """Send the request that got this response again, with this token.

    Its body is where it was before. The `kwargs` are what it was sent with: `timeout`,
    `verify`, `cert`, `proxies`, `stream`. (Not the token's text: tracebacks may show that.)
    """
    request = response.request.copy()
    _finish(response, stream=bool(kwargs.get("stream")))
    _carry_cookies(request, response)
    request.headers["Authorization"] = token.header
    kwargs = {name: kwargs[name] for name in _SEND if name in kwargs}
    started = time.perf_counter()
    answer = _send(response, request, kwargs)
    answer.elapsed = timedelta(seconds=time.perf_counter() - started)
    answer.history = [*(response.history or ()), response]
    answer.request = request
    return answer


# What an adapter's `send` takes; a handler of 0.2.1 may be called with more.
_SEND = ("timeout", "verify", "cert", "proxies", "stream")


def _send(response: Response, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
    send = response.connection.send
    try:
        return send(request, **kwargs)
    except errors.ConnectionError as error:
        # A server may say that it keeps the connection, and then close it.
        closed = bool(error.args) and isinstance(error.args[0], ProtocolError)
        if not (closed and request.method in IDEMPOTENT and rewound(request)):
            raise
    return send(request, **kwargs)


def _finish(response: Response, *, stream: bool) -> None:
    """Read the response as far as Requests would have, and give up its connection.

    With a body in the request, the connection is closed: the server may have answered
    without reading it, and would take the rest of it for the next request.
    """
    request = response.request
    reuse = request.body is None and request.method in IDEMPOTENT
    connection = None if reuse else getattr(response.raw, "connection", None)
    if not stream:
        if connection is not None:
            # Nobody else may get the connection before it is closed.
            response.raw.release_conn = lambda: None
        # It may be broken off, or read already; it was a 401 or 403 anyway.
        with suppress(RequestException, HTTPError, OSError, RuntimeError, TypeError):
            response.content  # noqa: B018
        if connection is not None:
            del response.raw.release_conn
            connection.close()
    response.close()


def _carry_cookies(request: PreparedRequest, response: Response) -> None:
    """Send the cookies that the response set, but no others than the caller would."""
    jar = request._cookies
    if jar is None:  # a request prepared by hand
        return
    field = request.headers.pop("Cookie", None)
    from_jar = get_cookie_header(jar, request)
    with suppress(AttributeError, TypeError):  # a mock adapter's `raw`
        extract_cookies_to_jar(jar, response.request, response.raw)
    if field is None or field == from_jar:
        request.prepare_cookies(jar)
    else:
        request.headers["Cookie"] = field  # the caller's own
