"""The diagnosis as text."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

from requests_scitokens.token import plain

from .facts import Autopatch, Facts, Place, Trial
from .verdict import program_way

_BOLD, _GREEN, _RED = "1", "1;32", "1;31"


def report(facts: Facts, *, verbose: bool = False, colours: bool = False) -> str:
    """Return the report: the verdict first, then what it rests on.

    Parameters
    ----------
    facts : Facts
        What `diagnose` has found out.
    verbose : bool, optional
        Whether every place and every way to use the package is shown.
    colours : bool, optional
        Whether the verdict is green or red, and headings bold.
    """
    good = _GREEN if facts["usable"] else _RED
    lines = _heading(facts["verdict"], good if colours else "")
    bold = _BOLD if colours else ""
    parts = _all_parts(facts) if verbose else _main_parts(facts)
    for title, content in parts:
        lines += ["", *_heading(title, bold), *content]
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


def use_colours() -> bool:
    """Tell whether standard output is a terminal whose user wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _main_parts(facts: Facts) -> list[tuple[str, list[str]]]:
    parts = []
    for place in facts["places"]:
        if place["decides"] and "token" in place:
            content = _table(_about_token(place, facts))
            parts.append((f"The token in {place['place']}", content))
    if "url" in facts:
        program = program_way(facts)
        content = []
        for way in facts["url"]["ways"]:
            if way["action"] != program["action"]:
                content += _wrap(f"   {way['way']}: {way['action']}", 5)
        if content:
            parts.append(("Other ways in", content))
    return parts + _last_parts(facts)


def _all_parts(facts: Facts) -> list[tuple[str, list[str]]]:
    lines = []
    for place in facts["places"]:
        mark = "->" if place["decides"] else "  "
        lines += _wrap(f"{mark} {place['place']}: {place['reason']}", 5)
        lines += _table(_about_token(place, facts))
    if "signature" in facts and not any(one["decides"] for one in facts["places"]):
        lines += _table([("signature", facts["signature"])])
    parts = [("Where tokens are looked for, in this order", lines)]
    parts.append(("The autopatch", _about_autopatch(facts["autopatch"])))
    if "url" in facts:
        lines = []
        for way in facts["url"]["ways"]:
            lines += _wrap(f"   {way['way']}", 5)
            lines += _table([("action", way["action"]), ("because", way["why"])])
        parts.append((f"What {facts['url']['shown']} would get", lines))
    return parts + _last_parts(facts)


def _last_parts(facts: Facts) -> list[tuple[str, list[str]]]:
    parts = []
    for attempt in facts.get("tries", ()):
        kind = "With the token" if attempt["with_token"] else "Without a token"
        parts.append((kind, _about_attempt(attempt)))
    if facts["advice"]:
        wrapped = [_wrap(f"   {advice}", 5) for advice in facts["advice"]]
        parts.append(("What to do", [line for lines in wrapped for line in lines]))
    return parts


def _about_token(place: Place, facts: Facts) -> list[tuple[str, str]]:
    rows = []
    token = place.get("token")
    if token and token.get("opaque"):
        rows.append(("token", "opaque: not a JSON Web Token, nothing can be read"))
    elif token:
        rows += [
            ("issuer", token["issuer"]),
            ("subject", token["subject"]),
            ("audience", ", ".join(token["audience"]) or "any server (it does not say)"),
            ("scope", token["scope"]),
            ("valid", token["valid"]),
        ]
    if "signature" in facts and place["decides"]:
        rows.append(("signature", facts["signature"]))
    if "file" in place:
        exposed = ": all on this machine can read it"
        text = f"mode {place['file']['mode']}, owner {place['file']['owner']}"
        rows.append(("file", text + exposed * place["file"]["exposed"]))
    return rows


def _about_autopatch(facts: Autopatch) -> list[str]:
    lines = _wrap(f"   {facts['state']}", 5)
    for path in facts["files"]:
        lines += _wrap(f"   start-up file: {path}", 5)
    if facts["problem"]:
        lines += _wrap(f"   problem: {facts['problem']}", 5)
    hosts = f"{facts['hosts']} (REQUESTS_SCITOKENS_HOSTS)"
    if not facts["hosts"]:
        hosts = "REQUESTS_SCITOKENS_HOSTS is not set; a token for any server is not sent"
    return [*lines, *_wrap(f"   hosts: {facts['hosts_problem'] or hosts}", 5)]


def _about_attempt(attempt: Trial) -> list[str]:
    lines = []
    for one in attempt["exchanges"]:
        token = "with the token" if one["token"] else "without a token"
        lines += _wrap(f"   {one['method']} {one['url']} {token}: {one['status']}", 5)
        if one["challenge"] is not None:
            lines += _wrap(f"     WWW-Authenticate: {one['challenge']}", 7)
    if attempt["error"]:
        lines += _wrap(f"   error: {attempt['error']}", 5)
    return lines


def _heading(text: str, style: str) -> list[str]:
    lines = _wrap(text, 2)
    return [f"\033[{style}m{line}\033[0m" for line in lines] if style else lines


def _table(rows: list[tuple[str, str]]) -> list[str]:
    wrapped = [_wrap(f"        {name:9} {text or '-'}", 18) for name, text in rows]
    return [line for lines in wrapped for line in lines]


def _wrap(text: str, indent: int) -> list[str]:
    width = min(79, shutil.get_terminal_size().columns - 1)
    return textwrap.wrap(
        plain(text, limit=2000),
        max(width, 40),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
