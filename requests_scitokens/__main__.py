"""python -m requests_scitokens: what would be sent where, and why."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from .diagnosis import diagnose
from .diagnosis.facts import Autopatch, Facts, Place, Trial
from .origin import origin_of
from .token import plain


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the diagnosis.

    Returns
    -------
    int
        0 if there is a usable token (for the URL, if one is given), else 1.
    """
    parser = argparse.ArgumentParser(
        prog="python -m requests_scitokens",
        description="Says which token is found, what would be sent where, and why. "
        "Never prints a token.",
        epilog="Exit status: 0 if there is a usable token (for the URL, if one is "
        "given), 1 if there is not, 2 for bad usage.",
    )
    parser.add_argument("url", nargs="?", metavar="URL", help="where a request would go")
    parser.add_argument(
        "--try",
        action="store_true",
        dest="attempt",
        help="make the request, without and with the token",
    )
    parser.add_argument(
        "--method",
        choices=["GET", "HEAD", "OPTIONS"],
        default="GET",
        help="the request's method (default: GET)",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="check the token's signature against its issuer's keys",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    if options.url is None and options.attempt:
        parser.error("--try needs a URL")
    if options.url is not None and origin_of(options.url) is None:
        parser.error("URL: give an https:// or http:// address with a plain host")
    log = logging.getLogger(__package__)
    level = log.level
    log.setLevel(logging.CRITICAL)  # the report says it all
    try:
        facts = diagnose(
            options.url,
            method=options.method,
            attempt=options.attempt,
            verify=options.verify,
        )
    finally:
        log.setLevel(level)
    text = json.dumps(facts, indent=2) if options.json else "\n".join(_report(facts))
    encoding = sys.stdout.encoding or "utf-8"
    # What a narrow encoding does not have is not worth a traceback.
    text = text.encode(encoding, "replace").decode(encoding)
    try:
        print(text, flush=True)  # noqa: T201, its purpose
    except BrokenPipeError:  # `| head` has seen enough; Python flushes again as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if facts["usable"] else 1


def _report(facts: Facts) -> list[str]:
    """Return the lines of the report."""
    lines = [_heading("Where tokens are looked for, in this order")]
    for place in facts["places"]:
        mark = "->" if place["decides"] else "  "
        lines += _wrap(f"{mark} {place['place']}: {place['reason']}", 5)
        lines += _table(_about_token(place, facts))
    if "signature" in facts and not any(one["decides"] for one in facts["places"]):
        lines += _table([("signature", facts["signature"])])
    lines += ["", _heading("The autopatch"), *_about_autopatch(facts["autopatch"])]
    if "url" in facts:
        lines += ["", _heading(f"What {facts['url']['shown']} would get")]
        for way in facts["url"]["ways"]:
            lines += _wrap(f"   {way['way']}", 5)
            lines += _table([("action", way["action"]), ("because", way["why"])])
    for attempt in facts.get("tries", ()):
        kind = "With the token" if attempt["with_token"] else "Without a token"
        lines += ["", _heading(kind), *_about_attempt(attempt)]
    if facts["advice"]:
        lines += ["", _heading("What to do")]
        for advice in facts["advice"]:
            lines += _wrap(f"   {advice}", 5)
    return lines


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


def _heading(text: str) -> str:
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    lines = "\n".join(_wrap(text, 2))
    return f"\033[1m{lines}\033[0m" if colours else lines


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


if __name__ == "__main__":
    sys.exit(main())
