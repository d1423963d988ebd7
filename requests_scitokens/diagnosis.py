"""Finds out what would be sent where, and why; no token is in what it returns."""

from __future__ import annotations

import os
import site
import stat
import sys
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from . import __version__, discovery, memory
from .auth import HTTPSciTokenAuth
from .challenge import bearer_challenge
from .discovery import Look
from .origin import Origin, origin_of
from .plan import hosts_now, make_plan
from .policy import Action
from .sessions import Session
from .source import as_scitoken
from .token import BearerToken, duration, plain

Facts = dict[str, Any]


def diagnose(
    url: str | None, *, method: str = "GET", attempt: bool = False, verify: bool = False
) -> Facts:
    """Collect everything that decides about tokens, for a URL or in general.

    Parameters
    ----------
    url : str or None
        Where a request would go.
    method : str, optional
        The HTTP method of the request that is made.
    attempt : bool, optional
        Whether the request is made, without and with the token.
    verify : bool, optional
        Whether the token's signature is checked against its issuer's keys.

    Returns
    -------
    dict
        What `--json` prints.
    """
    origin = origin_of(url)
    looks = list(discovery.look_everywhere(origin, fresh=True))
    used, places = _places(looks)
    facts: Facts = {"version": __version__, "places": places}
    facts["usable"] = used is not None and not used.expired()
    if verify:
        facts["signature"] = _signature(used)
    facts["autopatch"] = _autopatch()
    if url is None:
        return facts
    facts["url"] = {"shown": shown(url), "ways": _ways(url)}
    facts["usable"] = facts["url"]["ways"][0]["sends"]
    if attempt:
        facts["tries"] = [_try(method, url, with_token=False)]
        facts["tries"].append(_try(method, url, with_token=True))
        facts["advice"] = _advice(method, url, origin, used, facts)
        facts["usable"] = facts["tries"][1]["status"] in range(200, 400)
    return facts


def shown(url: str) -> str:
    """Return a URL without what may be secret: user, password, query."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"


# --- the places


def _places(looks: Iterable[Look]) -> tuple[BearerToken | None, list[Facts]]:
    """Describe each place, and say which one decides."""
    used: BearerToken | None = None
    decided = ""
    places = []
    for look in looks:
        reason = look.reason
        if decided and (look.token or look.ends):
            reason = f"not used: {decided} comes first"
        elif look.token and not reason:
            used, decided = look.token, look.place
            reason = look.token.expired() or "used"
        elif look.ends:
            decided = look.place
        place = {"place": look.place, "reason": reason, "used": look.token is used}
        if look.token:
            place["token"] = describe(look.token)
        else:
            place["used"] = False
        if look.path and os.path.exists(look.path):
            place["file"] = _file(look.path)
        places.append(place)
    return used, places


def describe(token: BearerToken) -> Facts:
    """Describe a token by its claims, which nobody has verified."""
    claims = token.claims
    if claims is None:
        return {"opaque": True}
    return {
        "issuer": _text(claims.get("iss")),
        "subject": _text(claims.get("sub")),
        "audience": [_text(entry) for entry in token.audience],
        "scope": _text(token.scope),
        "valid": _validity(token, claims),
    }


def _text(claim: object) -> str:
    """Return a claim as text that does no harm to a terminal."""
    return "" if claim is None else plain(str(claim))


def _validity(token: BearerToken, claims: Facts) -> str:
    now = time.time()
    begins = claims.get("nbf", claims.get("iat"))
    words = ""
    if isinstance(begins, (int, float)):
        late = begins > now
        words = f"{'not before' if late else 'since'} {duration(abs(now - begins))}"
        words += " from now; " if late else " ago; "
    if token.expires == float("inf"):
        return f"{words}never expires"
    left = token.expires - now
    return f"{words}{token.expired() or f'expires in {duration(left)}'}"


def _file(path: str) -> Facts:
    status = os.stat(path)
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    return {"path": path, "mode": mode, "owner": _owner(status.st_uid)}


def _owner(uid: int) -> str:
    try:
        import pwd  # POSIX alone has it

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return str(uid)


def _signature(token: BearerToken | None) -> str:
    if token is None:
        return "there is no token to verify"
    try:
        # Any keyword makes it verify.
        scitoken = as_scitoken(token, {"insecure": False})
    except Exception as error:  # noqa: BLE001, from several libraries
        text = f"{type(error).__name__}: {error}".replace(token.serialized, "...")
        return f"not verified: {_text(text)}"
    return f"verified with the keys of {_text(scitoken['iss'])}"


# --- the autopatch


def _autopatch() -> Facts:
    """Tell whether it is on in this process, by which file, for which hosts."""
    folders = [*site.getsitepackages(), site.getusersitepackages()]
    name = f"requests_scitokens.{'start' if sys.version_info >= (3, 15) else 'pth'}"
    paths = [os.path.join(folder, name) for folder in dict.fromkeys(sys.path)]
    files = [path for path in paths if os.path.exists(path)]
    processed = [path for path in files if os.path.dirname(path) in folders]
    return {
        "variable": os.environ.get("REQUESTS_SCITOKENS_AUTOPATCH"),
        "on": memory.autopatched,
        "files": processed,
        "problem": _start_up_problem(name, processed),
        "hosts": os.environ.get("REQUESTS_SCITOKENS_HOSTS", ""),
    }


def _start_up_problem(name: str, paths: list[str]) -> str:
    """Tell what keeps Python from processing the start-up file, if anything does."""
    instead = "write `import requests_scitokens.patch` instead"
    if sys.flags.no_site:
        return f"Python was started with -S and processes no start-up files: {instead}"
    if not paths:
        # Python does not look for it in PYTHONPATH, or where `pip --target` put it.
        return f"no site directory of sys.path has {name}: {instead}"
    # macOS gives this flag to all that is below a directory with a dot.
    if all(getattr(os.stat(path), "st_flags", 0) & stat.UF_HIDDEN for path in paths):
        return f"{paths[0]} is hidden, so Python skips it: chflags nohidden {paths[0]}"
    return ""


# --- a URL


def _ways(url: str) -> list[Facts]:
    """Say what each way in would send to a URL, and which rule says so."""
    with requests.Session() as session:
        handlers = {
            "auth=HTTPSciTokenAuth(), get(), Session": HTTPSciTokenAuth(),
            "force=True": HTTPSciTokenAuth(force=True),
            "the autopatch": HTTPSciTokenAuth.default_for(session),
        }
        return [_way(name, handler, url) for name, handler in handlers.items()]


def _way(name: str, handler: HTTPSciTokenAuth, url: str) -> Facts:
    try:
        plan = make_plan(handler, url)
    except ValueError as error:  # REQUESTS_SCITOKENS_HOSTS
        return {"way": name, "sends": False, "action": "raises", "why": str(error)}
    sends = plan.token is not None
    action = plan.verdict.action if sends else Action.NEVER
    why = plan.verdict.why
    if plan.found.trouble:
        why = "there is no usable token (see above)"
    return {"way": name, "sends": sends, "action": action.value, "why": why}


class _Recorder(HTTPAdapter):
    """Writes down each exchange."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[Facts] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().send(request, *args, **kwargs)
        challenge = response.headers.get("WWW-Authenticate")
        sent = str(request.headers.get("Authorization"))
        self.exchanges.append(
            {
                "method": request.method,
                "url": shown(request.url or ""),
                "token": sent.startswith("Bearer "),
                "status": response.status_code,
                "challenge": None if challenge is None else _text(challenge),
            }
        )
        return response


def _nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send no credentials, not even those of `.netrc`; say nothing in the log either."""
    return request


def _try(method: str, url: str, *, with_token: bool) -> Facts:
    """Make the request; the answer's body is not read."""
    recorder, status, error = _Recorder(), None, None
    try:
        with Session(auth=None if with_token else _nothing) as session:
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


def _advice(
    method: str,
    url: str,
    origin: Origin | None,
    token: BearerToken | None,
    facts: Facts,
) -> list[str]:
    """Say what to do about what the server answered."""
    without, with_token = facts["tries"]
    if with_token["status"] is None:
        return ["the server cannot be reached like this; see the error above"]
    sent = any(exchange["token"] for exchange in with_token["exchanges"])
    refused = with_token["status"] in (401, 403)
    advice = []
    if without["status"] in range(200, 300):
        advice.append("it answers strangers too, perhaps with less")
    if refused and sent and token is not None:
        advice.append(_scope_advice(method, url, token, with_token["exchanges"][-1]))
    elif refused and origin is not None and hosts_now(HTTPSciTokenAuth()) is not None:
        advice.append(f"add {origin.netloc} to REQUESTS_SCITOKENS_HOSTS if it may have it")
    elif refused:
        advice.append("no token was sent; the reason is above")
    patched = facts["url"]["ways"][-1]["action"]
    asked = any(
        bearer_challenge(one["challenge"]) is not None for one in without["exchanges"]
    )
    if sent and not refused and patched == Action.ANSWER_CHALLENGE.value and not asked:
        netloc = origin.netloc if origin else ""
        advice.append(f"for the autopatch, set REQUESTS_SCITOKENS_HOSTS={netloc}")
    return advice


def _scope_advice(method: str, url: str, token: BearerToken, last: Facts) -> str:
    has = describe(token).get("scope") or "no scope that can be read"
    wants = (bearer_challenge(last["challenge"]) or {}).get("scope")
    if wants is None:
        verb = "read" if method in ("GET", "HEAD", "OPTIONS") else "write"
        wants = f"{verb}:{urlsplit(url).path or '/'}, or what contains it"
    return (
        f"the token was refused: it has {has}, the server wants {_text(wants)}; it may "
        "also be for another audience, or from an issuer that the server does not know"
    )
