"""The ways in, as functions with the signature of `requests.request`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import requests
import urllib3

import requests_scitokens

#: The version, for what Requests itself could not do before.
REQUESTS = tuple(int(part) for part in requests.__version__.split(".")[:2])

#: Whether a body that can only be read, and not iterated over, can be sent.
READS_BODIES = REQUESTS >= (2, 29) and int(urllib3.__version__.partition(".")[0]) >= 2

#: Whether the history of a redirected response leaves out the first one, as it long did.
FORGETS_THE_FIRST = "hist[1:]" in inspect.getsource(
    requests.sessions.SessionRedirectMixin.resolve_redirects
)


def with_auth(method: str, url: str, **kwargs: Any) -> requests.Response:
    """Send it with `auth=HTTPSciTokenAuth()`."""
    auth = requests_scitokens.HTTPSciTokenAuth()
    return requests.request(method, url, auth=auth, timeout=30, **kwargs)


def with_function(method: str, url: str, **kwargs: Any) -> requests.Response:
    """Send it with `requests_scitokens.request()`."""
    return requests_scitokens.request(method, url, timeout=30, **kwargs)


def with_session(method: str, url: str, **kwargs: Any) -> requests.Response:
    """Send it with `requests_scitokens.Session()`."""
    with requests_scitokens.Session() as session:
        return session.request(method, url, timeout=30, **kwargs)


CHOSEN: tuple[Callable[..., requests.Response], ...] = (
    with_auth,
    with_function,
    with_session,
)


def unchanged(method: str, url: str, **kwargs: Any) -> requests.Response:
    """Send it with Requests alone; under the autopatch."""
    return requests.request(method, url, timeout=30, **kwargs)


class Keeps(requests.Session):
    """Keeps the header wherever a redirect leads, as many session classes do."""

    def rebuild_auth(self, prepared_request, response):
        pass


class AsksAgain(requests.Session):
    """Asks for the session's credentials again where a redirect leads."""

    def rebuild_auth(self, prepared_request, response):
        prepared_request.headers.pop("Authorization", None)
        prepared_request.prepare_auth(self.auth, prepared_request.url)
