"""Says in one sentence whether what the program would do works."""

from __future__ import annotations

from requests_scitokens._startup import ON, VARIABLE
from requests_scitokens.origin import origin_of
from requests_scitokens.policy import Action

from .facts import Facts, Trial, Way

_WHEN = {
    Action.ATTACH.value: "with each request",
    Action.WAIT.value: "when it answers 401 or 403",
}


def wants_autopatch(facts: Facts) -> bool:
    """Tell whether programs that start here are meant to have the autopatch."""
    variable = facts["autopatch"]["variable"] or ""
    return facts["autopatch"]["on"] or variable.strip().lower() in ON


def program_way(facts: Facts) -> Way:
    """Return what the program would do: the last way is the autopatch."""
    return facts["url"]["ways"][-1 if wants_autopatch(facts) else 0]


def verdict(facts: Facts, server: str, problem: str) -> tuple[bool, str]:
    """Judge by all that was found out.

    Parameters
    ----------
    facts : Facts
        What `diagnose` has found out.
    server : str
        The URL's origin; empty without a URL.
    problem : str
        Why there is no usable token; empty if there is one.

    Returns
    -------
    tuple of bool and str
        Whether it works, and the sentence.
    """
    deciding = [place["place"] for place in facts["places"] if place["decides"]]
    token = f"the token in {deciding[0]}" if deciding and not problem else "a token"
    if "url" not in facts:
        if problem:
            return False, f"No token can be used: {problem}."
        return True, f"{_capital(token)} can be used."
    way = program_way(facts)
    if "tries" in facts:
        return _of_trial(facts["tries"][1], server, token, problem or way["why"])
    if wants_autopatch(facts) and not facts["autopatch"]["on"]:
        off = facts["autopatch"]["problem"] or "it is off in this process"
        return False, f"No token is sent to {server}, although {VARIABLE} is set: {off}."
    if not way["sends"]:
        return False, f"No token is sent to {server}: {problem or way['why']}."
    return True, f"{_capital(token)} is sent to {server} {_WHEN[way['action']]}."


def _of_trial(trial: Trial, server: str, token: str, reason: str) -> tuple[bool, str]:
    if trial["status"] is None:
        return False, f"{server} gave no answer: {trial['error']}."
    works = trial["status"] < 400
    last = trial["exchanges"][-1]["url"]
    if str(origin_of(last)) != server:
        server, reason = last, "a redirect led there"
    text = f"{server} answered {trial['status']}"
    if any(one["token"] for one in trial["exchanges"]):
        return works, f"{'It works: ' if works else ''}{text} to {token}."
    if works:
        return works, f"{text} without a token."
    return works, f"{text}, and no token was sent: {reason}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
