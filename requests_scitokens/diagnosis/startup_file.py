"""Tells whether Python processes the start-up file, and where the autopatch may send."""

from __future__ import annotations

import os
import re
import site
import stat
import sys

from requests_scitokens import state
from requests_scitokens._startup import OFF, ON, VARIABLE
from requests_scitokens.hosts import parse_hosts
from requests_scitokens.token import may_be_shown, plain

from .facts import Autopatch

NAME = "requests_scitokens.pth"

HOSTS = "REQUESTS_SCITOKENS_HOSTS"

NOT_SHOWN = "(not shown: it may hold a token)"


def autopatch() -> Autopatch:
    """Tell whether the autopatch is on here, by which file, and for which hosts."""
    files, processed = _files()
    on = state.patching.on
    return {
        "variable": _variable(),
        "on": on,
        "state": _state(),
        "files": [plain(path) for path in processed],
        "problem": "" if on else plain(_problem(files, processed), limit=1000),
        "hosts": _hosts(),
        "hosts_problem": hosts_problem(),
    }


def hosts_problem() -> str:
    """Tell what is wrong with `REQUESTS_SCITOKENS_HOSTS`, if anything is."""
    try:
        parse_hosts(os.environ.get(HOSTS, "").strip() or "localhost")
    except ValueError as error:
        return f"{HOSTS}: {error}"
    return ""


def _hosts() -> str:
    """Return the hosts as they are set; nobody names one like a token."""
    hosts = os.environ.get(HOSTS, "").strip()
    if not hosts or (may_be_shown(hosts) and not re.search("[A-Za-z0-9_]{24}", hosts)):
        return hosts
    return NOT_SHOWN


def _variable() -> str | None:
    setting = os.environ.get(VARIABLE)
    if setting is None or setting.strip().lower() in (*ON, *OFF):
        return setting
    return NOT_SHOWN


def _files() -> tuple[list[str], list[str]]:
    """Return the start-up files there are, and those of them that Python looks for."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = [*sys.path, os.path.dirname(package)]
    paths = dict.fromkeys(os.path.join(os.path.abspath(one), NAME) for one in places)
    files = [path for path in paths if os.path.exists(path)]
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders = [*folders, site.getusersitepackages()]
    real = {os.path.realpath(folder) for folder in folders}
    return files, [one for one in files if os.path.realpath(os.path.dirname(one)) in real]


def _state() -> str:
    setting = os.environ.get(VARIABLE)
    if state.patching.on:
        return "on in this process"
    if setting is None:
        return f"off: {VARIABLE} is not set; 1 turns it on"
    if setting.strip().lower() in OFF:
        return f"off: {VARIABLE} is {setting.strip() or 'empty'}; 1 turns it on"
    if setting.strip().lower() in ON:
        return f"off, although {VARIABLE} is {setting.strip()}"
    return f"off: {VARIABLE} is neither 1 (true, yes, on) nor 0 (false, no, off)"


def _problem(files: list[str], processed: list[str]) -> str:
    """Tell what keeps Python from processing the start-up file, if anything does."""
    instead = "write `import requests_scitokens.patch` in the program instead"
    if sys.flags.no_site:
        return f"Python was started with -S and processes no start-up files; {instead}"
    # macOS gives this flag to all that is below a directory with a dot.
    hidden = [
        path for path in processed if getattr(os.stat(path), "st_flags", 0) & stat.UF_HIDDEN
    ]
    if processed and hidden == processed:
        return (
            f"{hidden[0]} is hidden, so Python skips it; run chflags nohidden {hidden[0]}"
        )
    if processed:
        return ""
    if not files:
        return f"{NAME} is missing; install requests-scitokens again, or {instead}"
    folder = os.path.dirname(files[0])
    if os.path.realpath(folder) == os.path.realpath(site.getusersitepackages()):
        why = "the user's site-packages are switched off (-s, -I or PYTHONNOUSERSITE)"
    else:  # PYTHONPATH, or where `pip --target` put it
        why = f"{folder} is not one of Python's site-packages"
    return f"{files[0]} is not processed: {why}; {instead}"
