"""The diagnosis as text."""

from __future__ import annotations

import shutil
import textwrap

from requests_scitokens._environment import HOSTS
from requests_scitokens._shown import printable

from .places import Fact
from .ways import CHOSEN

_OTHER_LIBRARIES = "   another HTTP library (aiohttp, httpx, urllib): do not send it"


def report(facts: Fact, *, verbose: bool = False, colours: bool = False) -> str:
    """Return the report: the verdict first, then what it rests on."""
    good = "1;32" if facts["usable"] else "1;31"  # bold, and green or red
    lines = _heading(facts["verdict"], good if colours else "")
    tried = [(f"Tried: {one['way']}", _about_trial(one)) for one in facts.get("tries", ())]
    todo = [line for one in facts["advice"] for line in _wrap(f"   {one}", 5)]
    parts = _all_parts(facts) if verbose else _main_parts(facts)
    for title, content in [*parts, *tried, ("What to do", todo)]:
        if content:
            lines += ["", *_heading(title, "1" if colours else ""), *content]
    return "\n".join(lines)


def explain(url: str | None = None) -> str:
    """Say which token is found here, and what would be sent to a URL, and why.

    The same as `python -m requests_scitokens URL`, for where the program's environment is
    not that of a shell, as in a notebook. Nothing is sent, and no token is shown.

    Parameters
    ----------
    url : str, optional
        Where a request would go.

    Returns
    -------
    str
        Lines to print: `print(requests_scitokens.explain(url))`.
    """
    from . import diagnose

    return report(diagnose(url))


def _main_parts(facts: Fact) -> list[tuple[str, list[str]]]:
    parts = [
        (f"The token in {one['place']}", _about_token(one, facts))
        for one in facts["places"]
        if one["decides"] and "token" in one
    ]
    theirs = [one for one in facts["places"] if parts and one["code"] == "no_jwt"]
    lines = [x for one in theirs for x in _wrap(f"   {one['place']}: {one['reason']}", 5)]
    parts.append(("Passed over", lines))
    if "url" in facts:
        now, *ways = facts["url"]["ways"]
        lines, said = [], CHOSEN if "With auth=" in facts["verdict"] else ""
        for way in ways:
            if way["action"] != now["action"] and way["way"] != said:
                lines += _wrap(f"   {way['way']}: {way['action']}", 5)
        parts.append(("Other ways in", [*lines, _OTHER_LIBRARIES]))
    return parts


def _all_parts(facts: Fact) -> list[tuple[str, list[str]]]:
    lines = []
    for place in facts["places"]:
        mark = "->" if place["decides"] else "  "
        lines += _wrap(f"{mark} {place['place']}: {place['reason']}", 5)
        lines += _about_token(place, facts)
    if "signature" in facts and not any(one["decides"] for one in facts["places"]):
        lines += _row("signature", facts["signature"])
    autopatch = ("The autopatch", _about_autopatch(facts["autopatch"]))
    parts = [("Where tokens are looked for, in this order", lines), autopatch]
    if "url" in facts:
        lines = []
        for way in facts["url"]["ways"]:
            lines += _wrap(f"   {way['way']}", 5)
            lines += _row("action", way["action"]) + _row("because", way["why"])
        what = f"What {facts['url']['shown']} would get"
        parts.append((what, [*lines, _OTHER_LIBRARIES]))
    return parts


def _about_token(place: Fact, facts: Fact) -> list[str]:
    rows = {**place.get("token", {})}
    rows.pop("expires", None)
    if rows.pop("opaque", False):
        rows = {"token": "opaque: not a JSON Web Token, nothing can be read"}
    elif rows:
        rows["audience"] = ", ".join(rows["audience"]) or "any server (it does not say)"
    if "signature" in facts and place["decides"]:
        rows["signature"] = facts["signature"]
    if file := place.get("file"):
        exposed = ": all on this machine can read it" if file["exposed"] else ""
        rows["file"] = f"mode {file['mode']}, owner {file['owner']}{exposed}"
    return [line for row in rows.items() for line in _row(*row)]


def _about_autopatch(facts: Fact) -> list[str]:
    lines = [facts["state"], *(f"start-up file: {path}" for path in facts["files"])]
    lines += [f"problem: {facts['problem']}"] if facts["problem"] else []
    hosts = f"{facts['hosts']} ({HOSTS})"
    if not facts["hosts"]:
        hosts = f"{HOSTS} is not set; a token for any server is not sent"
    lines.append(f"hosts: {facts['hosts_problem'] or hosts}")
    return [line for one in lines for line in _wrap(f"   {one}", 5)]


def _about_trial(trial: Fact) -> list[str]:
    lines = []
    for one in trial["exchanges"]:
        with_it = "with the token" if one["token"] else "without a token"
        with_it = "with a password" if one["password"] else with_it
        lines += _wrap(f"   {one['method']} {one['url']} {with_it}: {one['status']}", 5)
        if one["challenge"] is not None:
            lines += _wrap(f"     WWW-Authenticate: {one['challenge']}", 7)
    return lines + (_wrap(f"   error: {trial['error']}", 5) if trial["error"] else [])


def _heading(text: str, style: str) -> list[str]:
    lines = _wrap(text, 2)
    return [f"\033[{style}m{line}\033[0m" for line in lines] if style else lines


def _row(name: str, text: str) -> list[str]:
    return _wrap(f"        {name:9} {text or '-'}", 18)


def _wrap(text: str, indent: int) -> list[str]:
    width = min(79, shutil.get_terminal_size().columns - 1)
    return textwrap.wrap(
        printable(text, limit=2000),
        max(width, 40),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
