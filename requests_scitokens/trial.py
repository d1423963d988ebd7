"""Makes a request for the diagnosis, and writes down each exchange."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from .sessions import Session
from .token import plain


def outcome(method: str, url: str, *, with_token: bool) -> dict[str, Any]:
    """Make the request; the answer's body is not read."""
    recorder, status, error = _Recorder(), None, None
    try:
        with Session(token=None if with_token else False) as session:
            session.mount("https://", recorder)
            session.mount("http://", recorder)
            with session.request(method, url, timeout=30, stream=True) as response:
                status = response.status_code
    except (requests.RequestException, ValueError) as problem:
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
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"


class _Recorder(HTTPAdapter):
    """Writes down each exchange."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[dict[str, Any]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().send(request, *args, **kwargs)
        challenge = response.headers.get("WWW-Authenticate")
        scheme, _, sent = str(request.headers.get("Authorization")).partition(" ")
        if challenge is not None:  # a server may quote the token
            challenge = plain(challenge.replace(sent, "...") if sent else challenge)
        self.exchanges.append(
            {
                "method": request.method,
                "url": shown(request.url or ""),
                "token": scheme == "Bearer",
                "status": response.status_code,
                "challenge": challenge,
            }
        )
        return response
