"""Finds out what would be sent where, and why; no token is in what it returns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import requests

from requests_scitokens import __version__
from requests_scitokens import _state as state
from requests_scitokens._discovery import find
from requests_scitokens._origin import NOWHERE, origin_of
from requests_scitokens._policy import Situation
from requests_scitokens._shown import hide, printable
from requests_scitokens._token import BearerToken
from requests_scitokens.auth import as_scitoken
from requests_scitokens.sessions import Session

from .places import Fact, describe, look_everywhere, steps
from .startup_file import autopatch
from .verdict import of_token, of_trials, of_ways
from .ways import ALONE, AUTOPATCH, CHOSEN, alone, ask, attempt, shown


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep the log still: the report says it all, and the program has yet to say it."""
    said, thread = state.said.copy(), get_ident()

    def is_of_others(record: Any) -> bool:
        return bool(record.thread != thread)

    state.log.addFilter(is_of_others)
    try:
        yield
    finally:
        state.log.removeFilter(is_of_others)
        for key in state.said.copy().keys() - said.keys():
            state.said.pop(key, None)


@_unheard()
def diagnose(
    url: str | None = None,
    *,
    method: str = "GET",
    timeout: float | None = None,
    verify: bool = False,
) -> Fact:
    """Collect everything that decides about tokens, for a URL or in general.

    With a `timeout`, in seconds, the request is made, without and with the token; with
    `verify`, the token's signature is checked against its issuer's keys.
    """
    origin = origin_of(url) or NOWHERE
    at = Situation(url or "", origin, method, start=origin)
    found = find(at)
    seen = look_everywhere(found, at)
    tokens = {one.lookup.token.serialized for one in seen if one.lookup.token}
    patch, why_off = autopatch()
    on = why_off is None
    places = [describe(one) for one in seen]
    facts: Fact = {"version": __version__, "places": places, "autopatch": patch}
    verdict = of_token(found, patch["hosts_problem"], on=on)
    if url is not None:
        ways = ask(method, url, found, why_off)
        facts["url"] = {"shown": shown(url), "ways": [one.fact() for one in ways]}
        verdict = of_ways(ways, url)
    if url is not None and timeout is not None and not patch["hosts_problem"]:
        name, session = (AUTOPATCH, requests.Session()) if on else (CHOSEN, Session())
        without, _ = attempt(ALONE, alone(), method, url, timeout)
        ours, sent = attempt(name, session, method, url, timeout)
        tokens |= sent  # one may have been renewed just now
        facts["tries"] = [without.fact(with_token=False), ours.fact(with_token=True)]
        verdict = of_trials(ways, without, ours, url, on=on)
    facts["usable"], facts["verdict"], facts["code"], todo = verdict
    about = steps(found, seen, todo)
    facts["advice"] = [*about, *todo] if found.token else [*todo, *about]
    if verify:
        verified, facts["signature"] = _signature(found.token)
        if facts["usable"] and not verified:
            facts["verdict"] = f"The token's signature is {facts['signature']}."
        facts["usable"] &= verified
    return {name: _hidden(fact, tokens) for name, fact in facts.items()}


def _signature(token: BearerToken | None) -> tuple[bool, str]:
    """Verify the token as scitokens does; it asks the issuer for its keys."""
    if token is None:
        return False, "there is no token to verify"
    try:
        scitoken = as_scitoken(token, {"insecure": False})  # any keyword has it verify
    except Exception as error:  # noqa: BLE001, from several libraries
        problem = hide(f"{type(error).__name__}: {error}", [token.serialized])
        return False, f"not verified: {printable(problem)}"
    return True, f"verified with the keys of {printable(str(scitoken['iss']))}"


def _hidden(facts: Any, tokens: set[str]) -> Any:
    """Return the facts with these tokens hidden: a server may have repeated one."""
    if isinstance(facts, dict):
        return {name: _hidden(value, tokens) for name, value in facts.items()}
    if isinstance(facts, list):
        return [_hidden(value, tokens) for value in facts]
    return hide(facts, tokens) if isinstance(facts, str) else facts
