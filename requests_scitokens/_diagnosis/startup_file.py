"""Tells whether the autopatch is on here, what keeps it off, and where it may send."""

from __future__ import annotations

import os
import re
import site
import stat
import sys

from requests_scitokens import _state as state
from requests_scitokens._environment import AUTOPATCH, HOSTS, OFF, ON
from requests_scitokens._messages import Code, Reason, because
from requests_scitokens._shown import may_be_shown, printable
from requests_scitokens.auth import HTTPSciTokenAuth

from .places import Fact

NAME = "requests_scitokens.pth"
NOT_SHOWN = "(not shown: it may hold a token)"
INSTEAD = "write `import requests_scitokens.patch` in the program instead"


def autopatch() -> tuple[Fact, Reason | None]:
    """Tell whether the autopatch is on here; if it is not, the reason too."""
    files, processed = _files()
    on, setting = bool(state.patching.on), os.environ.get(AUTOPATCH)
    word, hosts = (setting or "").strip().lower(), os.environ.get(HOSTS, "").strip()
    # Nobody names a host like a token.
    plain = may_be_shown(hosts) and not re.search("[A-Za-z0-9_]{24}", hosts)
    problem, todo = ("", "") if on else _problem(files, processed)
    facts = {
        "variable": setting if setting is None or word in (*ON, *OFF) else NOT_SHOWN,
        "on": on,
        "state": "on in this process" if on else f"off{_about(setting, word)}",
        "files": [printable(path) for path in processed],
        "problem": printable(f"{problem}; {todo}" if problem else "", limit=1000),
        "hosts": hosts if plain else NOT_SHOWN,
        "hosts_problem": _hosts_problem(),
    }
    if not problem and word in ON:
        problem = f"{AUTOPATCH} was set after this process began, or it was switched off"
        todo = "start the program again"
    problem = printable(problem, limit=1000)
    off = because(Code.AUTOPATCH_FAILS, problem=problem, todo=todo)
    return facts, None if on else off if problem else because(Code.AUTOPATCH_OFF)


def _hosts_problem() -> str:
    """Tell what is wrong with `REQUESTS_SCITOKENS_HOSTS`, if anything is."""
    try:
        HTTPSciTokenAuth()._hosts()
    except ValueError as error:
        return str(error)
    return ""


def _about(setting: str | None, word: str) -> str:
    if word in OFF:
        is_what = "not set" if setting is None else setting.strip() or "empty"
        return f": {AUTOPATCH} is {is_what}; 1 turns it on"
    if word in ON:
        return f", although {AUTOPATCH} is {word}"
    return f": {AUTOPATCH} is neither 1 (true, yes, on) nor 0 (false, no, off)"


def _files() -> tuple[list[str], list[str]]:
    """Return the start-up files there are, and those of them that Python looks for."""
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    places = dict.fromkeys(os.path.abspath(one) for one in (*sys.path, ours))
    paths = {one: os.path.join(one, NAME) for one in places}
    zipped = [] if os.path.isdir(ours) else [ours]  # a zipapp: it is in there
    files = [path for one, path in paths.items() if one in zipped or os.path.exists(path)]
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders = [*folders, site.getusersitepackages()]
    real = {os.path.realpath(folder) for folder in folders}
    return files, [one for one in files if os.path.realpath(os.path.dirname(one)) in real]


def _problem(files: list[str], processed: list[str]) -> tuple[str, str]:
    """Tell what keeps Python from processing the start-up file, and what to do."""
    if sys.flags.no_site:
        return "Python was started with -S and processes no start-up files", INSTEAD
    # macOS gives this flag to all that is below a directory with a dot.
    hidden = [
        path for path in processed if getattr(os.stat(path), "st_flags", 0) & stat.UF_HIDDEN
    ]
    if processed and hidden == processed:
        path = hidden[0]
        return f"{path} is hidden, so Python skips it", f"run chflags nohidden {path}"
    if processed:
        return "", ""
    if not files:
        return f"{NAME} is missing", f"install requests-scitokens again, or {INSTEAD}"
    folder = os.path.dirname(files[0])
    why = f"{folder} is not one of Python's site-packages"  # PYTHONPATH, `pip --target`
    if os.path.realpath(folder) == os.path.realpath(site.getusersitepackages()):
        why = "the user's site-packages are switched off (-s, -I or PYTHONNOUSERSITE)"
    return f"{files[0]} is not processed: {why}", INSTEAD
