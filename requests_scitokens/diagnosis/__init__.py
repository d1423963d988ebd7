"""Finds out what would be sent where, and why; no token is in what it returns."""

from __future__ import annotations

from typing import cast

from requests_scitokens import __version__
from requests_scitokens.discovery import Target, look_everywhere
from requests_scitokens.origin import origin_of
from requests_scitokens.source import as_scitoken
from requests_scitokens.token import BearerToken, plain

from .advice import advise
from .facts import Facts
from .known_tokens import KnownTokens
from .places import search
from .startup_file import autopatch
from .trial import outcome, shown
from .ways import ways


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
    """
    target = Target(url or "", origin_of(url), method)
    lookups = list(look_everywhere(target))
    known = KnownTokens()
    known.add(lookup.token.serialized for lookup in lookups if lookup.token)
    used, places = search(lookups)
    facts: Facts = {
        "version": __version__,
        "places": places,
        "autopatch": autopatch(),
        "usable": used is not None,
        "advice": [],
    }
    if url is not None:
        found = ways(target, facts["autopatch"]["hosts_problem"])
        facts["url"] = {"shown": shown(url), "ways": found}
        facts["usable"] = found[0]["sends"]
    if url is not None and attempt:
        tries = [outcome(method, url, known, with_token=one) for one in (False, True)]
        facts["tries"] = tries
        facts["usable"] &= tries[1]["status"] not in (None, 401, 403)
    if verify:
        verified, facts["signature"] = _signature(used, known)
        facts["usable"] &= verified
    facts["advice"] = advise(method, url, used, facts)
    return cast("Facts", known.hide_in(facts))


def _signature(token: BearerToken | None, known: KnownTokens) -> tuple[bool, str]:
    """Verify the token as scitokens does; it asks the issuer for its keys."""
    if token is None:
        return False, "there is no token to verify"
    try:
        # Any keyword makes it verify.
        scitoken = as_scitoken(token, {"insecure": False})
    except Exception as error:  # noqa: BLE001, from several libraries
        text = known.hide(f"{type(error).__name__}: {error}")
        return False, f"not verified: {plain(text)}"
    return True, f"verified with the keys of {plain(str(scitoken['iss']))}"
