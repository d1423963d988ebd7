"""What to do about a token that is missing, not sent, or answered with 401 or 403."""

from __future__ import annotations

import os
import shlex
from urllib.parse import urlsplit

from requests_scitokens._startup import VARIABLE
from requests_scitokens.challenge import bearer_challenge
from requests_scitokens.discovery import READS
from requests_scitokens.hosts import parse_hosts
from requests_scitokens.origin import NOWHERE, carries_credential, is_loopback, origin_of
from requests_scitokens.policy import Standing, standing
from requests_scitokens.token import BearerToken, plain

from .facts import Exchange, Facts, Place, Trial
from .places import early
from .startup_file import HOSTS
from .verdict import program_way, wants_autopatch


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
    advice = _about_url(url) + advice
    if "tries" in facts:
        return (advice + _about_answer(method, url, token, facts)) or _about_off(facts)
    advice += _about_sending(url, token, facts)
    return advice or ["add --try to ask the server", *_about_off(facts)]


def _about_token(token: BearerToken | None, places: list[Place]) -> list[str]:
    deciding = [place for place in places if place["decides"]]
    expired = [place["place"] for place in places if place["expired"]]
    if not deciding:
        if expired:
            return [f"renew the token in {expired[0]}, for example with htgettoken"]
        if any("$_CONDOR_CREDS/" in place["place"] for place in places):
            text = (
                "HTCondor has put a file here without a token in it: ask your pool whether "
                "you may use this service, for example whether you are in its group"
            )
            return [text]
        return ["get a token, for example with htgettoken"]
    (place,) = deciding
    if token is None:
        return [f"correct or remove what is in {place['place']}"]
    advice = [
        f"unset {name[1:]}: the token in it has expired, so a later place is used"
        for name in expired
        if name in ("$BEARER_TOKEN", "$SCITOKEN")
    ]
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
    if token is None or facts["autopatch"]["hosts"] or not wants_autopatch(facts):
        return []
    if standing(token, NOWHERE) is not Standing.ANY:
        return []
    text = (
        f"set {HOSTS} to the servers that may get the token: it is for any server, and "
        "the autopatch sends it only to those"
    )
    return [text]


def _about_url(url: str) -> list[str]:
    origin = origin_of(url)
    if origin is None or origin.scheme == "https" or is_loopback(origin.host):
        return []
    return ["write https:// in the URL: over plain http everybody on the way can read all"]


def _about_sending(url: str, token: BearerToken | None, facts: Facts) -> list[str]:
    """Say what keeps the token from this server, or the autopatch from sending it."""
    ways = facts["url"]["ways"]
    if token is None or carries_credential(url) or _about_url(url):
        return []
    if not program_way(facts)["sends"]:
        return _about_unsent(url, url, token)
    if ways[0]["sends"] and not ways[-1]["sends"]:
        return [f"for the autopatch, set {_listing(url)}"]
    return []


def _about_unsent(first: str, last: str, token: BearerToken) -> list[str]:
    """Say how the token comes to a server that did not get it, perhaps by a redirect."""
    origin = origin_of(last)
    if origin is None or standing(token, origin) is not Standing.ANOTHER:
        return [f"if the token may go there, set {_listing(first, last)}"]
    text = (
        f"get a token for {origin}; set {_listing(first, last)} only if this server "
        "accepts the one that you have (XRootD checks the audience, too)"
    )
    return [text]


def _about_off(facts: Facts) -> list[str]:
    """Say that the autopatch is off in this shell, where all else is well."""
    off = facts["usable"] and not wants_autopatch(facts)
    return [f"for programs that do not use this package, set {VARIABLE}=1"] if off else []


def _about_answer(
    method: str, url: str, token: BearerToken | None, facts: Facts
) -> list[str]:
    without, with_token = facts["tries"]
    status = with_token["status"]
    if status is None:
        return [_about_error(with_token["error"] or "")]
    if token is None or carries_credential(url):
        return [_about_strangers(without)] if _serves(without) else []
    last = with_token["exchanges"][-1]
    sent = any(exchange["token"] for exchange in with_token["exchanges"])
    if status in (401, 403) and last["token"]:
        return [_about_refused(method, token, last)]
    if status in (401, 403):
        return _about_unsent(url, last["url"], token)
    if not sent:
        listed = f"if it should have your token at once, set {_listing(url)}"
        return [f"{_about_strangers(without)}; {listed}"]
    if status >= 400:
        other = f"the server got the token, and answered {status}"
        return [_ABOUT_STATUS.get(status, other)]
    strangers = [_about_strangers(without)] if _serves(without) else []
    return strangers + _about_sending(url, token, facts)


def _serves(trial: Trial) -> bool:
    return trial["status"] in range(200, 300)


def _about_strangers(without: Trial) -> str:
    """Say what the server answers without a token."""
    if not _serves(without):
        return f"the server answers {without['status']} and never asks for a token"
    if without["exchanges"][-1]["html"] and len(without["exchanges"]) > 1:
        return "the server shows strangers a page in HTML, perhaps a login page"
    return "the server answers without a token too, perhaps with less"


_ABOUT_STATUS = {
    400: "the server got the token, and makes no sense of the request: check the URL",
    404: "the server got the token, and has no such path: check the URL",
}


def _about_error(error: str) -> str:
    meaning = error.partition(": ")[2] or error
    unknown = "the server cannot be reached; check host, port, network and proxy"
    return _ABOUT_ERROR.get(meaning, unknown)


_ABOUT_ERROR = {
    "the certificate is for another name": (
        "use the server's own name in the URL, the one in its certificate"
    ),
    "this port speaks plain http": (
        "look for the server's https port: this one speaks plain http"
    ),
    "the certificate is not trusted": (
        "the server's certificate is not trusted here; set REQUESTS_CA_BUNDLE to the file "
        "with its authority's certificate"
    ),
    "it took too long": "try again, with a longer --timeout if the server is slow",
    "the name is not known": "check the host's name, and this machine's network",
    # Requests' own word for it:
    "OSError": "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file; correct it",
}


def _about_refused(method: str, token: BearerToken, last: Exchange) -> str:
    """Say what a server may have against the token that it got."""
    origin = origin_of(last["url"])
    if token.expired():
        return f"renew the token: it {token.expired()}"
    if origin is not None and standing(token, origin) is Standing.ANOTHER:
        return f"get a token for {origin}: this one is for {token.whom}"
    has = plain(token.scope) or "no scope that can be read"
    wants = (bearer_challenge(last["challenge"]) or {}).get("scope")
    if wants is not None:
        return f"the token has {has}, the server wants {plain(wants)}: get one with that"
    path = plain(urlsplit(last["url"]).path) or "/"
    names = ("read", "storage.read") if method in READS else ("write", "storage.modify")
    if any(_covers(entry, names, path) for entry in token.scope.split()):
        issuer = plain(str((token.claims or {}).get("iss")))
        return (
            f"the token's scope covers this path, so ask the site whether it accepts "
            f"{issuer} as issuer and {token.whom} as audience, and where that issuer's "
            "paths begin"
        )
    wlcg = "wlcg.ver" in (token.claims or {}) or token.scope.startswith("storage.")
    return (
        f"the token has {has}; the server may want {names[wlcg]}:{path}, or a scope that "
        "contains it; or the token is for another audience, or from an issuer that the "
        "server does not know"
    )


def _covers(entry: str, names: tuple[str, ...], path: str) -> bool:
    """Tell whether this entry of a scope lets one do that with the path."""
    name, _, below = entry.partition(":")
    below = below.rstrip("/")
    return name in names and (path == below or path.startswith(f"{below}/"))


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
