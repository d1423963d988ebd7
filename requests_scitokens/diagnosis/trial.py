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

# What an error means, and what its text has then, in lower case; the first that fits.
_SIGNS = {
    "the certificate is for another name": ("mismatch", "doesn't match", "not valid for"),
    "this port speaks plain http": ("wrong version number", "record layer failure"),
    "the certificate is not trusted": ("certificate verify failed",),
    "it took too long": ("timed out",),
    "the name is not known": ("name or service not known", "getaddrinfo", "nodename"),
}


def _cause(problem: Exception) -> str:
    """Name an error. Its text may contain a URL, and that a token, so it is not shown."""
    cause = getattr(problem.args[0], "reason", "") if problem.args else ""
    name = type(problem).__name__ + (f" ({type(cause).__name__})" if cause else "")
    text = str(problem).lower().rpartition("caused by")[2]  # before that stands the URL
    meanings = [m for m, signs in _SIGNS.items() if any(sign in text for sign in signs)]
    return f"{name}: {meanings[0]}" if meanings else name


def outcome(
    method: str,
    url: str,
    known: KnownTokens,
    timeout: float,
    *,
    with_token: bool,
    autopatch: bool,
) -> Trial:
    """Make the request as the program would; the answer's body is not read."""
    recorder = _Recorder(known)
    status, error = None, None
    try:
        # Where the patch is on, Requests' own session has its handler.
        patched = with_token and autopatch
        token = None if with_token else False
        with requests.Session() if patched else Session(token=token) as session:
            session.mount("https://", recorder)
            session.mount("http://", recorder)
            with session.request(method, url, timeout=timeout, stream=True) as response:
                status = response.status_code
    except Exception as problem:  # noqa: BLE001, whatever a server makes libraries raise
        error = _cause(problem)
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
                "html": "html" in str(response.headers.get("Content-Type")).lower(),
            }
        )
        return response
