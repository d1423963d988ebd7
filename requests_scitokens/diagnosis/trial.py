"""Makes a request, and writes down each exchange."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from requests_scitokens.sessions import Session
from requests_scitokens.token import plain

from .facts import Exchange, Trial
from .known_tokens import KnownTokens


def outcome(method: str, url: str, known: KnownTokens, *, with_token: bool) -> Trial:
    """Make the request; the answer's body is not read."""
    recorder = _Recorder(known)
    status, error = None, None
    try:
        with Session(token=None if with_token else False) as session:
            session.mount("https://", recorder)
            session.mount("http://", recorder)
            with session.request(method, url, timeout=30, stream=True) as response:
                status = response.status_code
    except Exception as problem:  # noqa: BLE001, whatever a server makes libraries raise
        # Its text may contain a URL, and that a token.
        cause = getattr(problem.args[0], "reason", "") if problem.args else ""
        error = type(problem).__name__ + (f" ({type(cause).__name__})" if cause else "")
    return {
        "with_token": with_token,
        "exchanges": recorder.exchanges,
        "status": status,
        "error": error,
    }


def shown(url: str) -> str:
    """Return a URL without what may be secret: user, password, query."""
    split = urlsplit(url)
    return plain(f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}")


class _Recorder(HTTPAdapter):
    """Writes down each exchange."""

    def __init__(self, known: KnownTokens) -> None:
        super().__init__()
        self.known = known
        self.exchanges: list[Exchange] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().send(request, *args, **kwargs)
        scheme, _, sent = str(request.headers.get("Authorization")).partition(" ")
        self.known.add([sent])  # it may be one that was renewed just now
        hide = self.known.hide
        challenge = response.headers.get("WWW-Authenticate")
        self.exchanges.append(
            {
                "method": request.method or "",
                "url": hide(shown(request.url or "")),
                "token": scheme == "Bearer",
                "status": response.status_code,
                "challenge": None if challenge is None else plain(hide(challenge)),
            }
        )
        return response
