"""What each way in sends to a URL: asked as a program asks it, and tried."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, cast

import requests
from requests.adapters import HTTPAdapter

from requests_scitokens._challenge import bearer_challenge, objection
from requests_scitokens._discovery import Found
from requests_scitokens._exchange import UNAUTHORIZED
from requests_scitokens._exchanges import begin
from requests_scitokens._messages import Code, Reason, because, text
from requests_scitokens._policy import Action
from requests_scitokens._shown import printable
from requests_scitokens.auth import HTTPSciTokenAuth, TokenNotFoundError
from requests_scitokens.sessions import Session

from .places import Fact

PROGRAM = "a program that only uses Requests"
CHOSEN = "auth=HTTPSciTokenAuth(), get(), Session"
AUTOPATCH = "the autopatch"
ALONE = "Requests alone"  # as it is without this package


class Way(NamedTuple):
    """What one way in does with a request to the URL, and why."""

    name: str
    action: str
    reason: Reason
    why: str
    token: str = ""  # how to speak of the token

    @property
    def sends(self) -> bool:
        """Whether the token is sent, at once or in answer to a 401 or 403."""
        return self.action in (Action.ATTACH.value, Action.WAIT.value)

    def fact(self) -> Fact:
        """Return it as `--json` has it."""
        fact = {"way": self.name, "sends": self.sends, "action": self.action}
        return {**fact, "code": self.reason.code.name.lower(), "why": self.why}


def ask(method: str, url: str, found: Found, why_off: Reason | None) -> list[Way]:
    """Ask each way in, and first what a program does now: the autopatch may be off."""
    with alone() as session, Session() as chosen, Session(force=True) as forced:
        default = HTTPSciTokenAuth()
        default.is_default, default._session = True, lambda: session
        patched = _ask(AUTOPATCH, session, default, method, url)
        return [
            _now(patched._replace(name=PROGRAM), found.reason, why_off),
            _ask(CHOSEN, chosen, chosen.auth, method, url),
            _ask("force=True", forced, forced.auth, method, url),
            patched,
        ]


def alone() -> requests.Session:
    """Return a session as Requests makes it, whether the autopatch is on or not."""
    session = requests.Session()
    session.auth = None
    return session


def others(url: str, header: object) -> Reason:
    """Say whose credentials Requests itself has put on a request: it knows two kinds."""
    with alone() as session:
        session.trust_env = False  # it looks into no .netrc then
        request = session.prepare_request(requests.Request("GET", url))
    from_url = request.headers.get("Authorization") == header
    return because(Code.URL_USER if from_url else Code.NETRC)


# What keeps the token back whether the autopatch is on or off.
_FIRST = (Code.NETRC, Code.URL_USER, Code.NOT_UNDERSTOOD, Code.NO_CERTAIN_HOST)


def _now(way: Way, no_token: Reason | None, why_off: Reason | None) -> Way:
    """Say what happens without a change to the program, from what the autopatch does."""
    if why_off is None or way.reason.code in _FIRST:
        return way
    reason = no_token or why_off
    return way._replace(action=Action.NEVER.value, reason=reason, why=text(reason))


def _ask(
    name: str, session: requests.Session, handler: HTTPSciTokenAuth, method: str, url: str
) -> Way:
    """Let the session prepare the request, and the handler decide about it."""
    action = ""
    try:
        request = session.prepare_request(requests.Request(method, url))
    except TokenNotFoundError as error:
        action, request = "raise a TokenNotFoundError", cast("Any", error.request)
    except ValueError as error:  # Requests' own are about the URL
        of_url = isinstance(error, requests.RequestException)
        reason = because(Code.NO_CERTAIN_HOST if of_url else Code.NOT_UNDERSTOOD)
        why = text(reason) if of_url else str(error)
        return Way(name, f"raise a {type(error).__name__}", reason, why)
    if session.auth is None and "Authorization" in request.headers:
        reason = others(url, request.headers["Authorization"])
        return Way(name, Action.NEVER.value, reason, text(reason))
    choice = begin(handler, request).choose(request, session)
    reason, found = choice.reason, choice.found
    if action:  # where no token may go, nobody has looked for one yet
        reason = found.reason or handler._find(choice.at).reason or reason
    return Way(name, action or choice.action.value, reason, text(reason), found.name)


class Trial(NamedTuple):
    """What came of a request."""

    way: str
    trips: list[Fact]
    status: int | None = None
    url: str = ""  # the last one
    token: str = ""  # how to speak of the token that the last request had, if any
    reason: Reason | None = None  # what is against that token, or why there was none
    error: str | None = None
    todo: str = ""  # what to do about the error

    @property
    def works(self) -> bool:
        """Whether the server did what it was asked for."""
        return self.status is not None and self.status < 400

    def fact(self, *, with_token: bool) -> Fact:
        """Return it as `--json` has it."""
        fact = {"way": self.way, "with_token": with_token, "exchanges": self.trips}
        return {**fact, "status": self.status, "error": self.error}


def attempt(
    way: str, session: requests.Session, method: str, url: str, timeout: float
) -> tuple[Trial, set[str]]:
    """Make the request; return also the tokens that were sent. No body is read."""
    recorder = _Recorder()
    trial = Trial(way, recorder.trips)
    try:
        with session:
            session.mount("https://", recorder)
            session.mount("http://", recorder)
            with session.request(method, url, timeout=timeout, stream=True) as response:
                name, reason = _why(session, response, url)
        last = shown(response.request.url or "")
        trial = Trial(way, recorder.trips, response.status_code, last, name, reason)
    except Exception as problem:  # noqa: BLE001, whatever a server makes libraries raise
        error, todo = _trouble(problem, url)
        trial = trial._replace(error=error, todo=todo)
    return trial, recorder.sent


def _why(
    session: requests.Session, response: requests.Response, url: str
) -> tuple[str, Reason | None]:
    """Name the last request's token, and say what is against it, or why there is none."""
    request, handler = response.request, session.auth
    header = request.headers.get("Authorization")
    refused = response.status_code in UNAUTHORIZED
    if isinstance(handler, HTTPSciTokenAuth):
        ours = handler._exchange_of(response)
        choice, sent = ours.choose(request, session), ours.token_on(request)
        if sent is not None:
            challenge = bearer_challenge(response.headers.get("WWW-Authenticate"))
            against = objection(sent, request.method or "", request.url or "", challenge)
            return choice.found.name, against if refused else None
        if header is None and choice.token is None:
            return "", choice.reason
        if header is None and not refused:
            return "", because(Code.NEVER_ASKED, servers=choice.at.origin.netloc)
    return "", None if header is None else others(url, header)


def _trouble(problem: Exception, url: str) -> tuple[str, str]:
    """Name an error, and what to do. Its text may hold a URL with a token: not shown."""
    cause = getattr(problem.args[0], "reason", "") if problem.args else ""
    name = type(problem).__name__ + (f" ({type(cause).__name__})" if cause else "")
    last = getattr(getattr(problem, "request", None), "url", None) or url
    # What stands before "caused by" has the URL.
    words = f"{last.partition(':')[0]}: {str(problem).rpartition('aused by')[2]}".lower()
    meaning = next(means for signs, means in _SIGNS.items() if re.search(signs, words))
    return f"{name}: {meaning}" if meaning else name, _ABOUT_SIGNS[meaning]


# What the signs of an error mean, of which the first counts; and what to do.
_SIGNS = {
    "mismatch|doesn't match|not valid for": "the certificate is for another name",
    "wrong version number|record layer failure": "this port speaks plain http",
    "certificate verify failed": "the certificate is not trusted",
    "timed out": "it took too long",
    "name or service not known|getaddrinfo|nodename": "the name is not known",
    "http: .*connection aborted": "this port may want https",
    "tls ca certificate bundle": "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file",
    "": "",
}
_ABOUT_SIGNS = {
    "the certificate is for another name": "use the name that is in the certificate",
    "this port speaks plain http": "look for the server's https port",
    "the certificate is not trusted": "set REQUESTS_CA_BUNDLE to its authority's file",
    "it took too long": "try again, with a longer --timeout if the server is slow",
    "the name is not known": "check the host's name, and this machine's network",
    "this port may want https": "write https:// in the URL",
    "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file": "correct it",
    "": "the server cannot be reached; check host, port, network and proxy",
}


def shown(url: str) -> str:
    """Return a URL without what may be secret: user, password, query."""
    return printable(re.sub(r"(?s)(?<=//)[^/?#]*@|[?#].*", "", url))


class _Recorder(HTTPAdapter):
    """Writes down each request that is sent, and its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.trips: list[Fact] = []
        self.sent: set[str] = set()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().send(request, *args, **kwargs)
        scheme, _, sent = str(request.headers.get("Authorization", "")).partition(" ")
        self.sent.add(sent)
        challenge = response.headers.get("WWW-Authenticate")
        self.trips.append(
            {
                "method": request.method or "",
                "url": shown(request.url or ""),
                "token": scheme == "Bearer",
                "password": scheme not in ("", "Bearer"),
                "status": response.status_code,
                "challenge": None if challenge is None else printable(challenge),
                "html": "html" in str(response.headers.get("Content-Type")).lower(),
            }
        )
        return response
