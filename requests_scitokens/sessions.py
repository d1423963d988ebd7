"""SessionMixin, Session: sessions that have the user's token."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any
from weakref import ref

import requests

from ._exchange import attempt
from ._exchanges import exchange_of
from .auth import Given, HTTPSciTokenAuth, TokenFunction

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
    _decides_after_redirects = True  #: the autopatch leaves that to these sessions

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
        ours = {"token": token, "audience": audience, "force": force, "hosts": hosts}
        auth = choose_auth(auth, self, **ours)
        super().__init__(*args, **kwargs)
        self.auth = auth

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Give a copied or unpickled session a handler of its own: it knows the session."""
        super().__setstate__(state)  # type: ignore[misc]
        if isinstance(self.auth, HTTPSciTokenAuth) and not self.auth.is_default:
            self.auth = copy(self.auth)
            self.auth._session = ref(self)

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Decide about credentials after a redirect, the token among them."""
        # A class behind this one may ask the handler again, as for a request of its own.
        ours = exchange_of(response, prepared_request)
        super().rebuild_auth(prepared_request, response)  # type: ignore[misc]
        if ours is not None:
            attempt(ours.handler, ours.follow, prepared_request, response, self)


class Session(SessionMixin, requests.Session):
    """A `requests.Session` with the user's token. It takes what `SessionMixin` does.

    Examples
    --------
    >>> with Session(hosts="*.example.org") as session:
    ...     session.get("https://storage.example.org/data")  # doctest: +SKIP
    <Response [200]>
    """


def choose_auth(auth: Any, session: Any, **ours: Any) -> Any:
    """Return what the caller gave as `auth`, else a handler made from the rest."""
    if auth is None:
        auth = HTTPSciTokenAuth(**ours)
        auth._session = ref(session)
        return auth
    names = ", ".join(f"{name}=" for name, value in ours.items() if value is not None)
    if names:
        raise TypeError(f"auth= was given together with {names}; give one or the other")
    return auth
