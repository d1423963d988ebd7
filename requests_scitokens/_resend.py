"""Sends a request again: its body, cookies, history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from requests import PreparedRequest, RequestException, Response
from requests import exceptions as errors
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body
from urllib3.exceptions import HTTPError, ProtocolError

from ._token import BearerToken

#: Methods that may be repeated (RFC 9110 section 9.2.2; RFC 4918 section 9 for WebDAV's).
IDEMPOTENT = frozenset(
    {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PROPFIND", "MKCOL"}
)


class UsedUp:
    """Stands for a body that has been read: to read it again is an error.

    Requests would follow a 307 or 308 with what is left of it, often nothing, and the
    server would store an empty file.
    """

    def __iter__(self) -> Iterator[bytes]:
        raise UnrewindableBodyError(
            "a redirect asks for the body again, which can be read only once: give a file, "
            "or bytes"
        )

    @property
    def tell(self) -> None:
        """Fail, since urllib3 looks for this before it makes a connection."""
        iter(self)


def use_up(request: PreparedRequest) -> None:
    """Mark a body that has been read, and cannot be read again."""
    if not can_be_sent_again(request):
        request.body = UsedUp()


def is_upload(request: PreparedRequest) -> bool:
    """Tell whether this is an upload that cannot wait for a 401 or 403.

    Servers hang up on an upload that they do not accept, and not every body can be sent
    a second time.
    """
    body = getattr(request, "body", None)
    if body is None or (isinstance(body, (str, bytes)) and not body):
        return False
    return request.method in ("PUT", "PATCH") or not can_be_sent_again(request)


def can_be_sent_again(request: PreparedRequest) -> bool:
    """Tell whether a body can be read a second time, perhaps after a `seek`."""
    body: Any = getattr(request, "body", None)
    if body is None or isinstance(body, (str, bytes, bytearray)):
        return True
    if hasattr(body, "read"):
        return isinstance(request._body_position, int) and hasattr(body, "seek")
    try:
        return iter(body) is not body
    except Exception:  # noqa: BLE001, whatever it raises
        return False


def rewound(request: PreparedRequest) -> bool:
    """Put the body back to where it was; tell whether that is sure to have worked.

    An iterator, or a `seek` that does nothing, would leave a shortened file on the server.
    """
    body: Any = request.body
    if not can_be_sent_again(request):
        return False
    if not hasattr(body, "read"):
        return True
    try:
        rewind_body(request)
        return bool(body.tell() == request._body_position)
    except (RequestException, OSError, ValueError, AttributeError):  # no position; closed
        return False


def send_again(
    response: Response, token: BearerToken | None, kwargs: dict[str, Any]
) -> Response:
    """Send the request that got this response again, with this token or without one.

    Its body is where it was before. The `kwargs` are what it was sent with: `timeout`,
    `verify`, `cert`, `proxies`, `stream`. (Not the token's text: tracebacks may show that.)
    """
    request = response.request.copy()
    _finish(response, stream=bool(kwargs.get("stream")))
    _carry_cookies(request, response)
    request.headers.pop("Authorization", None)
    if token is not None:
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
