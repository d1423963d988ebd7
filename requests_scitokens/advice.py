"""What to do about a token that is not used, or is refused. For the diagnosis."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import urlsplit

from .challenge import bearer_challenge
from .environment import hosts_setting
from .origin import carries_token, is_loopback, origin_of
from .policy import ANSWER_CHALLENGE, parse_hosts
from .token import BearerToken, plain

Facts = dict[str, Any]


def advise(
    method: str, url: str | None, token: BearerToken | None, facts: Facts
) -> list[str]:
    """Say what to do next, the first thing first.

    Parameters
    ----------
    method : str
        The request's method.
    url : str or None
        Where it goes.
    token : BearerToken or None
        The token that was found.
    facts : dict
        What `diagnose` has found out.
    """
    advice = [*_about_token(token, facts)]
    if facts["autopatch"]["hosts_problem"]:
        advice.append("correct REQUESTS_SCITOKENS_HOSTS")
    elif url is not None and "tries" in facts:
        advice += _about_answer(method, url, token, facts)
    elif not advice:
        advice.append("add --try to ask the server" if url else "add a URL to learn more")
    return advice


def _about_token(token: BearerToken | None, facts: Facts) -> list[str]:
    deciding = [place for place in facts["places"] if place["decides"]]
    if not deciding:
        return ["get a token, for example with htgettoken"]
    (place,) = deciding
    if token is None:
        return [f"correct or remove what is in {place['place']}"]
    advice = []
    if token.expired():
        advice.append(f"renew the token in {place['place']}, for example with htgettoken")
    if place.get("file", {}).get("exposed"):
        advice.append(f"run chmod 600 {shlex.quote(place['file']['path'])}")
    return advice


def _about_answer(
    method: str, url: str, token: BearerToken | None, facts: Facts
) -> list[str]:
    without, with_token = facts["tries"]
    if with_token["status"] is None:
        return [_about_error(with_token["error"])]
    advice = []
    if without["status"] in range(200, 300):
        advice.append("the server answers strangers too, perhaps with less")
    sent = any(exchange["token"] for exchange in with_token["exchanges"])
    last = with_token["exchanges"][-1]
    if token is None or token.expired():
        return advice
    if with_token["status"] in (401, 403):
        if last["token"]:
            advice.append(_about_refusal(method, token, last))
        elif not carries_token(url):
            advice.append(f"if the token may go there, set {_listing(url, last['url'])}")
    elif sent and facts["url"]["ways"][-1]["action"] == ANSWER_CHALLENGE:
        challenges = [one["challenge"] for one in without["exchanges"]]
        if not any(bearer_challenge(one) is not None for one in challenges):
            advice.append(f"for the autopatch, set {_listing(url)}")
    return advice


def _about_error(error: str) -> str:
    if error.startswith("SSLError"):
        return (
            "the server's certificate is not trusted here; set REQUESTS_CA_BUNDLE to the "
            "file with its authority's certificate"
        )
    return "the server cannot be reached; check host, port, network and proxy"


def _about_refusal(method: str, token: BearerToken, last: Facts) -> str:
    has = plain(token.scope) or "no scope that can be read"
    wants = (bearer_challenge(last["challenge"]) or {}).get("scope")
    if wants is not None:
        return f"the token has {has}, the server wants {plain(wants)}: get one with that"
    path = urlsplit(last["url"]).path or "/"
    verb = "read" if method in ("GET", "HEAD", "OPTIONS") else "write"
    return (
        f"the token was refused: it has {has}, and needs {verb}:{path} or what contains "
        "it; else it is for another audience, or from an issuer that the server does not "
        "know"
    )


def _listing(*urls: str) -> str:
    """Return the setting that lets the token go to these URLs too."""
    text = hosts_setting()
    hosts = [text] if text else []
    for origin in dict.fromkeys(map(origin_of, urls)):
        listed = parse_hosts(text) if text else ()
        if origin is None or any(entry.matches(origin) for entry in listed):
            continue
        # Plain http to another machine goes only where it is asked for.
        plainly = origin.scheme == "https" or is_loopback(origin.host)
        hosts.append(origin.netloc if plainly else str(origin))
    return f"REQUESTS_SCITOKENS_HOSTS={shlex.quote(','.join(hosts))}"
