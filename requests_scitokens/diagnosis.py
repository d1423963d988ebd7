"""Finds out what would be sent where, and why; no token is in what it returns."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
from collections.abc import Iterable

import requests

from . import __version__
from .advice import Facts, advise
from .auth import HTTPSciTokenAuth
from .discovery import look_everywhere
from .files import exposed
from .look import Look
from .plan import make_plan
from .policy import NEVER
from .source import as_scitoken
from .startup_file import autopatch
from .token import BearerToken, duration, plain
from .trial import outcome, shown


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
    used, places = _places(look_everywhere(url, fresh=True))
    usable = used is not None and not used.expired()
    facts: Facts = {"version": __version__, "places": places, "autopatch": autopatch()}
    if url is not None:
        ways = _ways(url, facts["autopatch"]["hosts_problem"])
        facts["url"] = {"shown": shown(url), "ways": ways}
        usable = ways[0]["sends"]
    if url is not None and attempt:
        tries = [outcome(method, url, with_token=one) for one in (False, True)]
        facts["tries"] = tries
        usable = usable and tries[1]["status"] not in (None, 401, 403)
    if verify:
        verified, facts["signature"] = _signature(used)
        usable = usable and verified
    facts["usable"] = usable
    facts["advice"] = advise(method, url, used, facts)
    return _without_tokens(facts)


# A JSON object in base64 starts like this, and so does every JSON Web Token.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]*")


def _without_tokens(facts: Facts) -> Facts:
    """Take out tokens that stand where none belong: in a path, in a variable."""
    without: Facts = json.loads(_JWT.sub("(a token)", json.dumps(facts)))
    return without


# --- the places


def _places(looks: Iterable[Look]) -> tuple[BearerToken | None, list[Facts]]:
    """Describe each place, and say which one decides."""
    used: BearerToken | None = None
    decided = ""
    places = []
    for look in looks:
        reason, decides = look.reason, False
        if decided and (look.ends or (look.token and not reason)):
            reason = f"not used: {decided} comes first"
        elif look.ends:
            decided, decides = look.place, True
            reason += "; the search ends here"
        elif look.token and not reason:
            used, decided, decides = look.token, look.place, True
            late = look.token.expired()
            reason = f"{late}; the search ends here" if late else "used"
        place: Facts = {"place": look.place, "reason": reason, "decides": decides}
        if look.token:
            place["token"] = describe(look.token)
        if look.path and os.path.exists(look.path):
            place["file"] = _file(look)
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
        "expires": token.expires if math.isfinite(token.expires) else None,
    }


def _text(claim: object) -> str:
    return "" if claim is None else plain(str(claim))


def _validity(token: BearerToken, claims: Facts) -> str:
    now = time.time()
    begins = claims.get("nbf", claims.get("iat"))
    words = ""
    if isinstance(begins, (int, float)) and math.isfinite(begins):
        if begins > now:
            words = f"begins in {duration(begins - now)}; "
        else:
            words = f"began {duration(now - begins)} ago; "
    if not math.isfinite(token.expires):
        return f"{words}never expires"
    return words + (token.expired() or f"expires in {duration(token.expires - now)}")


def _file(look: Look) -> Facts:
    status = os.stat(look.path)
    return {
        "path": look.path,
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": _owner(status.st_uid),
        "exposed": bool(look.token and exposed(status)),
    }


def _owner(uid: int) -> str:
    try:
        import pwd  # POSIX alone has it

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return str(uid)


def _signature(token: BearerToken | None) -> tuple[bool, str]:
    """Verify the token as scitokens does; it asks the issuer for its keys."""
    if token is None:
        return False, "there is no token to verify"
    try:
        # Any keyword makes it verify.
        scitoken = as_scitoken(token, {"insecure": False})
    except Exception as error:  # noqa: BLE001, from several libraries
        text = f"{type(error).__name__}: {error}".replace(token.serialized, "...")
        return False, f"not verified: {plain(text)}"
    return True, f"verified with the keys of {_text(scitoken['iss'])}"


# --- a URL


def _ways(url: str, hosts_problem: str) -> list[Facts]:
    """Say what each way in would send to a URL, and which rule says so."""
    with requests.Session() as session:
        handlers = {
            "auth=HTTPSciTokenAuth(), get(), Session": HTTPSciTokenAuth(),
            "force=True": HTTPSciTokenAuth(force=True),
            "the autopatch": HTTPSciTokenAuth.default_for(session),
        }
        if not hosts_problem:
            return [_way(name, handler, url) for name, handler in handlers.items()]
    return [
        {
            "way": name,
            "sends": False,
            "action": NEVER if handler.is_default else "raise a ValueError",
            "why": hosts_problem,
        }
        for name, handler in handlers.items()
    ]


def _way(name: str, handler: HTTPSciTokenAuth, url: str) -> Facts:
    plan = make_plan(handler, url)
    sends = plan.token is not None
    action: str = plan.action
    why = plan.rule
    if plan.found.trouble:
        why = "there is no usable token (see above)"
        action = "raise a TokenNotFoundError" if handler.force else NEVER
    return {"way": name, "sends": sends, "action": action, "why": why}
