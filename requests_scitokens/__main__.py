"""python -m requests_scitokens: what would be sent where, and why."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from . import __version__
from ._diagnosis import diagnose
from ._diagnosis.report import report
from ._diagnosis.ways import shown
from ._origin import origin_of
from ._shown import may_be_shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the diagnosis.

    Returns
    -------
    int
        0 if it works for a program that only uses Requests, else 1.
    """
    options = _parse(arguments)
    if options.attempt and not options.json and sys.stderr.isatty():
        sys.stderr.write(f"asking the server, up to {options.timeout:g} s each time ...\n")
    facts = diagnose(
        options.url,
        method=options.method,
        timeout=options.timeout if options.attempt else None,
        verify=options.verify,
    )
    if options.json:
        text = json.dumps(facts, indent=2)
    else:
        colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        text = report(facts, verbose=options.verbose, colours=colours)
    encoding = sys.stdout.encoding or "utf-8"
    # What a narrow encoding does not have is not worth a traceback.
    text = text.encode(encoding, "replace").decode(encoding)
    try:
        print(text, flush=True)  # noqa: T201, its purpose
    except BrokenPipeError:  # `| head` has seen enough; Python flushes again as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if facts["usable"] else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m requests_scitokens",
        description="Says which token is found, what would be sent where, and why. "
        "Never prints a token.",
        epilog="Exit status: 0 if it works for a program that only uses Requests: a token "
        "can be used; with a URL, it is sent there; with --try, the answer is below 400. 1 "
        "if it does not, as with a URL while the autopatch is off. 2 for bad usage.",
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
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for the server (default: 30)",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="check the token's signature against its issuer's keys",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show every place and every way in"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--version", action="version", version=f"requests-scitokens {__version__}"
    )
    options = parser.parse_args(arguments)
    if options.url is None and options.attempt:
        parser.error("--try needs a URL")
    if options.url is not None and origin_of(options.url) is None:
        full = f"https://{options.url}"
        meant = shown(full) if origin_of(full) else ""
        hint = f"; did you mean {meant}?" if meant and may_be_shown(meant) else ""
        parser.error(f"URL: give an https:// or http:// address with a plain host{hint}")
    if not options.timeout > 0:
        parser.error("--timeout: give a number of seconds that is more than 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
