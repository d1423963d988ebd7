"""Finds out what would be sent where, and why; no token is in what it returns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from requests_scitokens import __version__, state
from requests_scitokens.discovery import Target, find, look_everywhere
from requests_scitokens.origin import origin_of
from requests_scitokens.source import as_scitoken
from requests_scitokens.token import BearerToken, plain

from .advice import advise
from .facts import Facts
from .known_tokens import KnownTokens
from .places import search
from .startup_file import autopatch
from .trial import outcome, shown
from .verdict import verdict, wants_autopatch
from .ways import ways


def diagnose(
    url: str | None = None,
    *,
    method: str = "GET",
    attempt: bool = False,
    verify: bool = False,
    timeout: float = 30.0,
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
    timeout : float, optional
        How long a server may take to answer, in seconds.
    """
    with _unheard():
        return _diagnose(url, method, timeout if attempt else None, verify=verify)


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep the log still: the report says it all, and the program has yet to say it."""
    said, disabled = state.said.copy(), state.log.disabled
    state.log.disabled = True
    try:
        yield
    finally:
        state.log.disabled = disabled
        state.said.clear()
        state.said.update(said)


def _diagnose(
    url: str | None, method: str, timeout: float | None, *, verify: bool
) -> Facts:
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
        "verdict": "",
        "advice": [],
    }
    if url is not None:
        found = ways(target, facts["autopatch"]["hosts_problem"])
        facts["url"] = {"shown": shown(url), "ways": found}
    if url is not None and timeout is not None:
        program = wants_autopatch(facts)
        facts["tries"] = [
            outcome(method, url, known, timeout, with_token=one, autopatch=program)
            for one in (False, True)
        ]
    works, facts["verdict"] = verdict(facts, str(target.origin or ""), find(target).reason)
    facts["usable"] = works
    if verify:
        verified, facts["signature"] = _signature(used, known)
        facts["usable"] &= verified
        if works and not verified:
            facts["verdict"] = f"The token's signature is {facts['signature']}."
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
