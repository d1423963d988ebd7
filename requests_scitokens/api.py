"""get(), post(), ... request(): those of Requests, with the user's token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import requests
from requests import Response

from .auth import HTTPSciTokenAuth
from .sessions import Session, choose_auth

if TYPE_CHECKING:
    from .source import Given, TokenFunction

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
    """Send a request with the user's token, where that belongs.

    Parameters
    ----------
    method : str
        The HTTP method.
    url : str
        The URL.
    auth : optional
        Other credentials, as `requests.request` takes them.
    token, audience, force, hosts : optional
        What `HTTPSciTokenAuth` takes.
    session : requests.Session, optional
        The session to send it with. The session's own `auth` is used where nothing
        else is given here.
    **kwargs
        What `requests.request` takes.

    Returns
    -------
    requests.Response
        The server's response.

    Raises
    ------
    TypeError
        If `auth` is given together with what `HTTPSciTokenAuth` takes.
    TokenNotFoundError
        If the token was asked for with `force=True` and there is none.
    """
    ours: dict[str, Any] = {
        "token": token,
        "audience": audience,
        "force": force,
        "hosts": hosts,
    }
    if session is None:
        with Session(auth=auth, **ours) as own:
            return own.request(method, url, **kwargs)
    if auth is not None or _has_none(session) or any(v is not None for v in ours.values()):
        auth = choose_auth(auth, **ours)
    return session.request(method, url, auth=auth, **kwargs)


def _has_none(session: requests.Session) -> bool:
    """Tell whether nobody but the autopatch gave this session credentials."""
    auth = session.auth
    return auth is None or (isinstance(auth, HTTPSciTokenAuth) and auth.is_default)


def get(url: str | bytes, params: Any = None, **kwargs: Any) -> Response:
    """Send a GET request with the user's token, where that belongs.

    Parameters
    ----------
    url : str
        The URL.
    params : optional
        What goes into the URL's query.
    **kwargs
        What `request` takes.
    """
    return request("GET", url, params=params, **kwargs)


def options(url: str | bytes, **kwargs: Any) -> Response:
    """Send an OPTIONS request with the user's token, where that belongs.

    Parameters
    ----------
    url : str
        The URL.
    **kwargs
        What `request` takes.
    """
    return request("OPTIONS", url, **kwargs)


def head(url: str | bytes, **kwargs: Any) -> Response:
    """Send a HEAD request with the user's token, where that belongs.

    Redirects are followed, as requests-scitokens 0.2.1 did and `requests.head` does
    not: storage servers redirect to where a file is.

    Parameters
    ----------
    url : str
        The URL.
    **kwargs
        What `request` takes.
    """
    return request("HEAD", url, **kwargs)


def post(url: str | bytes, data: Any = None, json: Any = None, **kwargs: Any) -> Response:
    """Send a POST request with the user's token, where that belongs.

    Parameters
    ----------
    url : str
        The URL.
    data, json : optional
        What to send.
    **kwargs
        What `request` takes.
    """
    return request("POST", url, data=data, json=json, **kwargs)


def put(url: str | bytes, data: Any = None, **kwargs: Any) -> Response:
    """Send a PUT request with the user's token, where that belongs.

    Parameters
    ----------
    url : str
        The URL.
    data : optional
        What to send.
    **kwargs
        What `request` takes.
    """
    return request("PUT", url, data=data, **kwargs)


def patch(url: str | bytes, data: Any = None, **kwargs: Any) -> Response:
    """Send a PATCH request with the user's token, where that belongs.

    Parameters
    ----------
    url : str
        The URL.
    data : optional
        What to send.
    **kwargs
        What `request` takes.
    """
    return request("PATCH", url, data=data, **kwargs)


def delete(url: str | bytes, **kwargs: Any) -> Response:
    """Send a DELETE request with the user's token, where that belongs.

    Parameters
    ----------
    url : str
        The URL.
    **kwargs
        What `request` takes.
    """
    return request("DELETE", url, **kwargs)
