"""SessionMixin, Session: sessions that have the user's token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import requests

from .auth import HTTPSciTokenAuth
from .hook import follow_redirect

if TYPE_CHECKING:
    from .source import Given, TokenFunction

__all__ = ["Session", "SessionMixin"]


class SessionMixin:
    """Give a `requests.Session` class an `HTTPSciTokenAuth`.

    It goes in front of the session class: `class MySession(SessionMixin, BaseUrlSession)`.

    Parameters
    ----------
    *args, **kwargs
        What the session class takes.
    auth : optional
        Other credentials, as `requests.Session.auth` takes them.
    token, audience, force, hosts : optional
        What `HTTPSciTokenAuth` takes.

    Raises
    ------
    TypeError
        If `auth` is given together with any of what `HTTPSciTokenAuth` takes.
    """

    auth: Any

    def __init__(
        self,
        *args: Any,
        auth: Any = None,
        token: Given | TokenFunction = None,
        audience: str | Iterable[str] | None = None,
        force: bool | None = None,
        hosts: str | Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        chosen = choose_auth(auth, token=token, audience=audience, force=force, hosts=hosts)
        super().__init__(*args, **kwargs)
        self.auth = chosen

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Decide about credentials after a redirect, the token among them."""
        super().rebuild_auth(prepared_request, response)  # type: ignore[misc]
        follow_redirect(prepared_request, response)


class Session(SessionMixin, requests.Session):
    """A `requests.Session` with the user's token.

    Parameters
    ----------
    auth : optional
        Other credentials, as `requests.Session.auth` takes them.
    token, audience, force, hosts : optional
        What `HTTPSciTokenAuth` takes.

    Raises
    ------
    TypeError
        If `auth` is given together with any of what `HTTPSciTokenAuth` takes.

    Examples
    --------
    >>> with Session(hosts="*.example.org") as session:
    ...     session.get("https://storage.example.org/data")  # doctest: +SKIP
    <Response [200]>
    """


def choose_auth(auth: Any, **ours: Any) -> Any:
    """Return what the caller gave as `auth`, else a handler made from the rest.

    Raises
    ------
    TypeError
        If both were given.
    """
    given = [name for name, value in ours.items() if value is not None]
    if auth is None:
        return HTTPSciTokenAuth(**ours)
    if given:
        names = ", ".join(f"{name}=" for name in given)
        raise TypeError(f"auth= was given together with {names}; give one or the other")
    return auth
