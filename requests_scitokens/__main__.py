"""python -m requests_scitokens: what would be sent where, and why."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from .diagnosis import diagnose
from .origin import origin_of

WIDTH = 79


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
        parser.error("URL: an https:// or http:// address with a plain host is meant")
    facts = diagnose(
        options.url,
        method=options.method,
        attempt=options.attempt,
        verify=options.verify,
    )
    if options.json:
        print(json.dumps(facts, indent=2))  # noqa: T201, its purpose
    else:
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print("\n".join(_report(facts, colours=colours)))  # noqa: T201, its purpose
    return 0 if facts["usable"] else 1


def _report(facts: dict[str, Any], *, colours: bool) -> list[str]:
    """Return the lines of the report."""
    lines = [_heading("Where tokens are looked for, in this order", colours)]
    for place in facts["places"]:
        mark = "->" if place["used"] else "  "
        lines += _wrap(f"{mark} {place['place']}: {place['reason']}", "     ")
        lines += _token(place)
    if "signature" in facts:
        lines += ["", *_wrap(f"   signature: {facts['signature']}", "     ")]
    lines += ["", _heading("The autopatch", colours), *_autopatch(facts["autopatch"])]
    if "url" in facts:
        shown = facts["url"]["shown"]
        lines += ["", _heading(f"What {shown} would get", colours)]
        for way in facts["url"]["ways"]:
            lines += _wrap(f"   {way['way']}: {way['action']}; {way['why']}", "     ")
    for attempt in facts.get("tries", ()):
        kind = "With the token" if attempt["with_token"] else "Without a token"
        lines += ["", _heading(kind, colours), *_attempt(attempt)]
    if facts.get("advice"):
        lines += ["", _heading("What to do", colours)]
        for advice in facts["advice"]:
            lines += _wrap(f"   {advice}", "   ")
    return lines


def _token(place: dict[str, Any]) -> list[str]:
    facts = []
    token = place.get("token", {})
    if token.get("opaque"):
        facts.append(("token", "opaque: not a JSON Web Token, nothing can be read"))
    elif token:
        audience = ", ".join(token["audience"]) or "not said: any server"
        facts += [
            ("issuer", token["issuer"]),
            ("subject", token["subject"]),
            ("audience", audience),
            ("scope", token["scope"]),
            ("valid", token["valid"]),
        ]
    if "file" in place:
        facts.append(("file", "mode {mode}, owner {owner}".format(**place["file"])))
    lines = []
    for name, value in facts:
        lines += _wrap(f"        {name:9} {value or '-'}", " " * 18)
    return lines


def _autopatch(facts: dict[str, Any]) -> list[str]:
    variable = "not set" if facts["variable"] is None else facts["variable"] or "empty"
    state = "on" if facts["on"] else "off"
    lines = [f"   {state} in this process; REQUESTS_SCITOKENS_AUTOPATCH: {variable}"]
    for path in facts["files"]:
        lines += _wrap(f"   start-up file: {path}", "     ")
    if facts["problem"]:
        lines += _wrap(f"   problem: {facts['problem']}", "     ")
    hosts = facts["hosts"] or "not set: by audience, and in answer to refusals"
    return [*lines, *_wrap(f"   REQUESTS_SCITOKENS_HOSTS: {hosts}", "     ")]


def _attempt(attempt: dict[str, Any]) -> list[str]:
    lines = []
    for one in attempt["exchanges"]:
        token = "with the token" if one["token"] else "without a token"
        lines += _wrap(f"   {one['method']} {one['url']} {token}: {one['status']}", "     ")
        if one["challenge"] is not None:
            lines += _wrap(f"     WWW-Authenticate: {one['challenge']}", "       ")
    if attempt["error"]:
        lines.append(f"   error: {attempt['error']}")
    return lines


def _heading(text: str, colours: bool) -> str:
    return f"\033[1m{text}\033[0m" if colours else text


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


if __name__ == "__main__":
    sys.exit(main())
