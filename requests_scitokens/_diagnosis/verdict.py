"""Says in a sentence or two whether what the program would do works, and what to do."""

from __future__ import annotations

from typing import NamedTuple

from requests_scitokens._discovery import Found
from requests_scitokens._messages import Code, Reason, advice, because, text
from requests_scitokens._origin import origin_of
from requests_scitokens._policy import Action, Situation, judge
from requests_scitokens.auth import HTTPSciTokenAuth

from .ways import Trial, Way

_WHEN = {
    Action.ATTACH.value: "with each request",
    Action.WAIT.value: "when it answers 401 or 403",
}
_OFF = (Code.AUTOPATCH_OFF, Code.AUTOPATCH_FAILS)
_WITH_AUTH = "With auth=HTTPSciTokenAuth(), get() or Session,"


class Verdict(NamedTuple):
    """Whether it works, the sentence, the code of the reason, and what to do."""

    works: bool
    sentence: str
    code: str | None
    steps: list[str]


def of_token(found: Found, hosts_problem: str, *, on: bool) -> Verdict:
    """Judge without a URL, by whether there is a token that can be used."""
    if hosts_problem or found.token is None:
        reason = found.reason or because(Code.NO_TOKEN)
        sentence = f"No token can be used: {hosts_problem or text(reason)}."
        reason = because(Code.NOT_UNDERSTOOD) if hosts_problem else reason
        return Verdict(False, sentence, _code(reason), _advice(reason))
    at = Situation(chosen=False, hosts=HTTPSciTokenAuth()._hosts())
    lists = judge(found.token, at).reason
    todo = [text(lists)] if on and lists.code is Code.AUTOPATCH_LISTS else []
    sentence = f"T{found.name[1:]} can be used."
    return Verdict(True, sentence, None, [*todo, "add a URL to learn more"])


def of_ways(ways: list[Way], url: str) -> Verdict:
    """Judge by what each way in would send to a URL."""
    (now, chosen, *_), server = ways, origin_of(url) or "this URL"
    code = _code(now.reason)
    if now.sends:
        sentence = f"T{now.token[1:]} is sent to {server} {_WHEN[now.action]}."
        return Verdict(True, sentence, code, ["add --try to ask the server"])
    if now.reason.code not in _OFF:
        # What is wrong with the list of hosts, that way says in full.
        why = chosen.why if now.reason.code is Code.NOT_UNDERSTOOD else now.why
        sentence = f"No token is sent to {server}: {why}."
        return Verdict(False, sentence, code, _advice(now.reason))
    sentence = f"A program that only uses Requests sends no token to {server}: {now.why}."
    other = f"none is sent either: {chosen.why}."
    if chosen.sends:
        other = f"{chosen.token} is sent {_WHEN[chosen.action]}."
    steps = _to_switch_it_on(ways)
    return Verdict(False, f"{sentence} {_WITH_AUTH} {other}", code, steps)


def of_trials(ways: list[Way], alone: Trial, ours: Trial, url: str, *, on: bool) -> Verdict:
    """Judge by what the server answered, to Requests alone and with the token."""
    steps = [*_about_strangers(alone), *_about(ours)]
    if on:  # that is what the program does, else the other
        return Verdict(ours.works, _answer(ours, url), _code_of(ours), steps)
    alone = alone._replace(reason=alone.reason or ways[0].reason)
    off = alone.reason is not None and alone.reason.code in _OFF and not alone.error
    sentence = _answer(alone, url)
    if off and not alone.works:
        sentence = f"To a program that only uses Requests, {sentence}"
    fails_otherwise = not ours.works and not ours.error and ours.reason != alone.reason
    if ours.token or ours.status != alone.status or fails_otherwise:
        sentence += f" {_WITH_AUTH} {_answer(ours, url, works='it works: ')}"
    # It need not be listed where a redirect led to the server that wants the token.
    asked = [origin_of(one["url"]) for one in ours.trips if one["token"]]
    listed = origin_of(url) in asked
    steps += _to_switch_it_on(ways, listed=listed) if off else _about(alone)
    return Verdict(alone.works, sentence, _code_of(alone), list(dict.fromkeys(steps)))


def _answer(trial: Trial, url: str, works: str = "It works: ") -> str:
    """Say what the server answered, to which token, or why there was none."""
    server = origin_of(url) or "this URL"
    if trial.status is None:
        return f"{server} gave no answer: {trial.error}."
    led_away = origin_of(trial.url) != origin_of(url)
    answered = f"{trial.url if led_away else server} answered {trial.status}"
    why = f": {text(trial.reason)}" if trial.reason else ""
    if trial.token:
        return f"{works if trial.works else ''}{answered} to {trial.token}{why}."
    if trial.works:
        if any(one["token"] for one in trial.trips):
            return f"{works}{answered}, and the token was sent before."
        why = why if trial.trips[-1]["password"] else ""
        return f"{answered} without a token{why}."
    return f"{answered}, and no token was sent{why}."


def _about(trial: Trial) -> list[str]:
    """Say what to do about an answer."""
    if trial.todo:
        return [trial.todo]
    if trial.works and any(one["token"] or one["password"] for one in trial.trips):
        return []
    if trial.reason is None:
        hint = ": check the URL" if trial.status in range(400, 500) else ""
        todo = f"the server got the token, and answered {trial.status}{hint}"
        return [todo] if trial.token else []
    if trial.reason.code in (Code.SCOPE_LACKS, Code.OPAQUE):  # this was tried just now
        return ["ask the site which scope, audience and issuer it accepts"]
    return _advice(trial.reason)


def _about_strangers(alone: Trial) -> list[str]:
    """Say that the server answers without a token, too."""
    if alone.status not in range(200, 300) or alone.trips[-1]["password"]:
        return []
    if alone.trips[-1]["html"] and len(alone.trips) > 1:
        return ["the server shows strangers a page in HTML, perhaps a login page"]
    return ["the server answers without a token too, perhaps with less"]


def _to_switch_it_on(ways: list[Way], *, listed: bool = True) -> list[str]:
    """Say how the autopatch comes to send the token; nothing, if it cannot."""
    now, *_, patched = ways
    more = [] if patched.sends else _advice(patched.reason)
    switch = _advice(now.reason) if patched.sends or more else []
    return [*switch, *(more if listed else ())]


def _advice(reason: Reason) -> list[str]:
    place, todo = dict(reason.about).get("place"), advice(reason)
    return [f"{place}: {todo}" if place else todo] if todo else []


def _code(reason: Reason) -> str:
    return reason.code.name.lower()


def _code_of(trial: Trial) -> str | None:
    reason = _code(trial.reason) if trial.reason else None
    return "no_answer" if trial.error else reason
