"""get(), post(), ... request(): those of Requests, with the user's token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import requests
from requests import Response

from .auth import Given, TokenFunction
from .sessions import Session, choose_auth

__all__ = ["delete", "get", "head", "options", "patch", "post", "put", "request"]


def request(
    method: str,
    url: str | bytes,
    *,
    auth: Any = None,
    token: Given | TokenFunction = None,
    audience: str | Iterable[str] | None = None,
    force: bool | None = None,
    hosts: str | Iterable[str] | None = None,
    session: requests.Session | None = None,
    **kwargs: Any,
) -> Response:
    """Send a request with the user's token, where it belongs.

    Parameters
    ----------
    method, url : str
        The HTTP method and the URL.
    auth : optional
        Other credentials, as `requests.request` takes them.
    token, audience, force, hosts : optional
        What `HTTPSciTokenAuth` takes.
    session : requests.Session, optional
        The session to send it with. Its own `auth` is used where nothing else is given.
    **kwargs
        What `requests.request` takes.

    Raises
    ------
    TypeError
        If `auth` is given together with what `HTTPSciTokenAuth` takes.
    TokenNotFoundError
        If the token was requested with `force=True` and there is none.
    """
    ours = {"token": token, "audience": audience, "force": force, "hosts": hosts}
    if session is None:
        with Session(auth=auth, **ours) as own:  # type: ignore[arg-type]
            return own.request(method, url, **kwargs)
    # Nobody but the autopatch may have given this session credentials.
    has_none = getattr(session.auth, "is_default", session.auth is None)
    if has_none or auth is not None or any(v is not None for v in ours.values()):
        auth = choose_auth(auth, session, **ours)
    return session.request(method, url, auth=auth, **kwargs)


def get(url: str | bytes, params: Any = None, **kwargs: Any) -> Response:
    """Send a GET request; `params` go into the URL's query. See `request`."""
    return request("GET", url, params=params, **kwargs)


def options(url: str | bytes, **kwargs: Any) -> Response:
    """Send an OPTIONS request. See `request`."""
    return request("OPTIONS", url, **kwargs)


def head(url: str | bytes, **kwargs: Any) -> Response:
    """Send a HEAD request, and follow redirects, which `requests.head` does not.

    Storage servers redirect to where a file is. See `request`.
    """
    return request("HEAD", url, **kwargs)


def post(url: str | bytes, data: Any = None, json: Any = None, **kwargs: Any) -> Response:
    """Send a POST request with `data` or `json`. See `request`."""
    return request("POST", url, data=data, json=json, **kwargs)


def put(url: str | bytes, data: Any = None, **kwargs: Any) -> Response:
    """Send a PUT request with `data`. See `request`."""
    return request("PUT", url, data=data, **kwargs)


def patch(url: str | bytes, data: Any = None, **kwargs: Any) -> Response:
    """Send a PATCH request with `data`. See `request`."""
    return request("PATCH", url, data=data, **kwargs)


def delete(url: str | bytes, **kwargs: Any) -> Response:
    """Send a DELETE request. See `request`."""
    return request("DELETE", url, **kwargs)
