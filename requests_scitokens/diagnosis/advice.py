"""What to do about a token that is missing, not sent, or answered with 401 or 403."""

from __future__ import annotations

import os
import shlex
from urllib.parse import urlsplit

from requests_scitokens.challenge import bearer_challenge
from requests_scitokens.discovery import READS
from requests_scitokens.hosts import parse_hosts
from requests_scitokens.origin import NOWHERE, carries_credential, is_loopback, origin_of
from requests_scitokens.policy import Standing, standing
from requests_scitokens.token import BearerToken, plain

from .facts import Exchange, Facts, Place
from .places import early
from .startup_file import HOSTS


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
    facts : Facts
        What `diagnose` has found out.
    """
    advice = _about_token(token, facts["places"])
    if facts["autopatch"]["hosts_problem"]:
        return [*advice, f"correct {HOSTS}"]
    if url is None:
        advice += _about_hosts(token, facts)
        return advice or ["add a URL to learn more"]
    if "tries" in facts:
        return advice + _about_answer(method, url, token, facts)
    if _only_chosen(facts):
        advice.append(_for_the_autopatch(url))
    return advice or ["add --try to ask the server"]


def _about_token(token: BearerToken | None, places: list[Place]) -> list[str]:
    deciding = [place for place in places if place["decides"]]
    if not deciding:
        expired = [place["place"] for place in places if place["expired"]]
        if expired:
            return [f"renew the token in {expired[0]}, for example with htgettoken"]
        return ["get a token, for example with htgettoken"]
    (place,) = deciding
    if token is None:
        return [f"correct or remove what is in {place['place']}"]
    advice = []
    if early(token):
        advice.append(
            "wait until the token is valid; if it should be valid now, check this "
            "machine's clock"
        )
    file = place.get("file")
    if file and file["exposed"]:
        path = shlex.quote(file["path"])
        advice.append(
            f"run chmod 600 {path}"
            if file["path"]
            else f"let nobody else read the file in {place['place']} (chmod 600)"
        )
    return advice


def _about_hosts(token: BearerToken | None, facts: Facts) -> list[str]:
    """Say that the autopatch, where it is wanted, has nowhere to send the token."""
    wanted = facts["autopatch"]["variable"] or facts["autopatch"]["on"]
    if token is None or facts["autopatch"]["hosts"] or not wanted:
        return []
    if standing(token, NOWHERE) is not Standing.ANY:
        return []
    text = (
        f"set {HOSTS} to the servers that may get the token: it is for any server, and "
        "the autopatch sends it only to those"
    )
    return [text]


def _only_chosen(facts: Facts) -> bool:
    """Tell whether the token would go there, but not under the autopatch."""
    ways = facts["url"]["ways"]
    return ways[0]["sends"] and not ways[-1]["sends"]


def _about_answer(
    method: str, url: str, token: BearerToken | None, facts: Facts
) -> list[str]:
    without, with_token = facts["tries"]
    if with_token["status"] is None:
        return [_about_error(with_token["error"] or "")]
    advice = []
    if without["status"] in range(200, 300):
        advice.append("the server answers without a token too, perhaps with less")
    sent = any(exchange["token"] for exchange in with_token["exchanges"])
    last = with_token["exchanges"][-1]
    if token is None:
        return advice
    if with_token["status"] in (401, 403):
        if last["token"]:
            advice.append(_about_refused(method, token, last))
        elif not carries_credential(url):
            advice.append(f"if the token may go there, set {_listing(url, last['url'])}")
    elif sent and _only_chosen(facts):
        advice.append(_for_the_autopatch(url))
    return advice


def _about_error(error: str) -> str:
    if error.startswith("SSLError"):
        return (
            "the server's certificate is not trusted here; set REQUESTS_CA_BUNDLE to the "
            "file with its authority's certificate"
        )
    if error == "OSError":  # Requests' own word for it
        return "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file; correct it"
    return "the server cannot be reached; check host, port, network and proxy"


def _about_refused(method: str, token: BearerToken, last: Exchange) -> str:
    has = plain(token.scope) or "no scope that can be read"
    wants = (bearer_challenge(last["challenge"]) or {}).get("scope")
    if wants is not None:
        return f"the token has {has}, the server wants {plain(wants)}: get one with that"
    path = plain(urlsplit(last["url"]).path) or "/"
    verb = "read" if method in READS else "write"
    return (
        f"the token has {has}; the server may want {verb}:{path}, or a scope that "
        "contains it; or the token is for another audience, or from an issuer that the "
        "server does not know"
    )


def _for_the_autopatch(url: str) -> str:
    return f"for the autopatch, set {_listing(url)}"


def _listing(*urls: str) -> str:
    """Return the setting that lets the token go to these URLs too.

    What is set already stands there by its variable's name: it is not ours to show.
    """
    text = os.environ.get(HOSTS, "").strip()
    listed = parse_hosts(text) if text else ()
    hosts = []
    for origin in dict.fromkeys(map(origin_of, urls)):
        if origin is None or any(entry.matches(origin) for entry in listed):
            continue
        # Plain http to another machine goes only where it is asked for.
        plainly = origin.scheme == "https" or is_loopback(origin.host)
        hosts.append(origin.netloc if plainly else str(origin))
    if text:
        return f'{HOSTS}="{",".join([f"${HOSTS}", *hosts])}"'
    return f"{HOSTS}={shlex.quote(','.join(hosts))}"
