"""Write what was measured as a page for the docs."""

import json
import os
import platform
import re
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

import environments

RESULTS = Path(__file__).with_name("results") / "results.md"

#: Why a goal is not met, by the name of what was measured. It stands on the page only
#: where the goal is not met; `python benchmarks/report.py` writes the page again.
REASONS = {
    "handler/given": (
        "each request looks at `REQUESTS_SCITOKENS_HOSTS` and makes its own exchange; that "
        "is 50 calls"
    ),
    "handler/found": (
        "the floor, seven variables and one file read at each request, is most of it"
    ),
    "xrootd/found": "the variables and the file are read at each request",
    "xrootd/patched": (
        "the same, `.netrc` is looked for as without the autopatch, and wrapt stands "
        "around `prepare_auth`"
    ),
    "peers/0.2.1 at once": "what is left is Requests itself and TLS",
    "peers/igwn": "what is left is Requests itself and TLS",
    "moves/variable": (
        "each decision asks the handler, the table and the places in turn; 1.1.0 made 47"
    ),
    "lines/core": (
        "the sentences and the advice, which were in the diagnosis (1,218 lines then), are "
        "in the core now; and it has more rules"
    ),
    "start/on": (
        "more and smaller modules than 1.1.0 had (1.021 then), and an Enum of all reasons"
    ),
}


class Goal(NamedTuple):
    """What is measured, how much it may be, and what there is to compare with."""

    what: str
    name: str
    limit: str
    other: str = ""  # what a time is compared with; a count stands for itself
    floor: str = ""  # the least that can be done


CALLS = "calls for an https request and its response, more than a header and a hook"
HANDLER = "the handler alone: microseconds more than a header and a hook"
GET = "GET from XRootD over TLS, by the clock / a header by hand"
GOALS = (
    Goal(f"{CALLS}, token given", "calls/given", "≤ 50"),
    Goal(f"{CALLS}, token found in a file", "calls/found", "≤ 130", floor="calls/floor"),
    Goal(f"{HANDLER}, token given", "handler/given", "≤ 8", "handler/by hand"),
    Goal(
        f"{HANDLER}, token found in a file",
        "handler/found",
        "≤ 20",
        "handler/by hand",
        "handler/floor",
    ),
    Goal(f"{GET}, `auth=`", "xrootd/found", "≤ 1.05", "xrootd/header", "xrootd/floor"),
    Goal(
        f"{GET}, autopatched",
        "xrootd/patched",
        "≤ 1.07",
        "xrootd/header",
        "xrootd/patched floor",
    ),
    Goal(
        "requests-scitokens 0.2.1 / this, attached at once",
        "peers/0.2.1 at once",
        "≥ 2",
        "peers/at once",
    ),
    Goal(
        "requests-scitokens 0.2.1 / this, behind a challenge",
        "peers/0.2.1 challenged",
        "≥ 2",
        "peers/challenged",
    ),
    Goal("igwn-auth-utils {igwn} / this", "peers/igwn", "≥ 2", "peers/at once"),
    Goal(
        "moves between modules for one GET, 401, 200, token in a variable",
        "moves/variable",
        "≤ 25",
    ),
    Goal("lines of the core", "lines/core", "≤ 2,600"),
    Goal("lines of the diagnosis", "lines/diagnosis", "≤ 900"),
    Goal(
        "`import requests` and a `Session()`, on / `requests` and `wrapt`",
        "start/on",
        "≤ 1.03",
        "start/wrapt",
    ),
)

# The tables of what was measured: a title, and the rows. The first row is what the others
# are compared with.
REQUESTS = {
    "The handler alone, for one prepared request and its response": {
        "handler/by hand": "a header and a hook that do nothing else",
        "handler/given": "`HTTPSciTokenAuth(token)`",
        "handler/floor": "the floor: the variables and the file are read",
        "handler/found": "`HTTPSciTokenAuth()`, token in a file",
    },
    "A small file from XRootD over TLS, by the clock": {
        "xrootd/header": "a header by hand in `session.headers`",
        "xrootd/floor": "the floor: the variables and the file are read",
        "xrootd/found": "`HTTPSciTokenAuth()`, a token for this server",
        "xrootd/patched floor": "the floor, and a look for `.netrc`",
        "xrootd/patched": "autopatched `Session`, a token for this server",
    },
    "Other packages, a process each, from a bare server over TLS": {
        "peers/at once": "this package, `force=True`",
        "peers/challenged": "this package, behind a challenge",
        "peers/0.2.1 at once": "requests-scitokens 0.2.1, `force=True`",
        "peers/0.2.1 challenged": "requests-scitokens 0.2.1, behind a challenge",
        "peers/igwn": "igwn-auth-utils {igwn}, attached at once",
    },
}
SWITCHED = {
    "`python -c pass`": {
        "pass/none": "no start-up file",
        "pass/off": "this package, off",
        "pass/on": "this package, on",
    },
    "`import requests` and a `Session()`": {
        "start/alone": "`requests` alone",
        "start/wrapt": "`requests` and `wrapt`",
        "start/on": "this package, on",
    },
}

#: What else was counted.
COUNTS = {
    "moves/file": "moves between modules for one GET, 401, 200, token found in a file",
    "trips": "round trips of 1,000 requests to one server that challenges",
}

NOTES = """\
## How this is measured

- `make bench` measures it on your machine; `make bench ARGS=--quick` gives a first idea.
- A number is the median over the passes of the median over the rounds of one pass. The
  lowest and the highest of the passes follow in brackets. A ratio or a difference is
  taken in each round, between two that took turns.
- Other work on the machine makes everything slower, so the microseconds that the handler
  adds are those of the calmest pass: the one in which the header and hook were quickest.
- Time is the CPU time of the client, user and system, unless it says "by the clock".
- What the handler adds is measured in warm loops in one process: the competitors take turns
  in blocks of 3 to 25 requests, in another order in each round. Each pass is a new process.
- "A header and a hook" is a handler that sets the header and registers a response hook that
  returns the response: the least that any handler with a hook can do.
- The floor is the least that a handler can do that finds its token at each request: it
  reads seven variables and the token file, checks nothing, and sets the header and a hook.
- A header by hand goes with a session that has no `auth`, so Requests looks for a `.netrc`
  at each request, and finds none. Where a handler was chosen it does not look; under the
  autopatch it does, and so does the floor beside it.
- Calls are counted with `sys.setprofile`, for one prepared request and its response without
  a network: all functions of Python and C that are called, warm, less those for a header
  and a hook. They are the same in each run.
- Moves are counted so, too, in a GET that is answered 401, sent again with the token and
  answered 200, by a server that has not accepted the token before. Each function of the
  package that begins, or goes on as a generator, is looked at in the order of time: it is a
  move where its module is another than that of the one before. Returns are no moves.
- Lines are those of all `.py` files, comments and empty ones too. The core is the package
  without its diagnosis, its command (`__main__`) and `testing`.
- The server for comparing packages is a process of its own: HTTP/1.1 with kept connections
  on bare TLS. It wants a bearer token and does not look at it.
- requests-scitokens 0.2.1 and igwn-auth-utils verify the token at each request with its
  issuer's key. The key is in the cache of the scitokens library beforehand, so that they
  need no network; that is the best case for them. They attach a token for any server at
  once, as this package does with `force=True`. igwn-auth-utils answers no challenge.
- The memory is looked at while copies of one request go through the handler, its response
  hook and an adapter that challenges as a server does; with sockets it would take longer.
- A start is one run of Python until it ends. Environments that differ in the start-up file
  only, and share all packages, take turns.
""".splitlines()


def page(results):
    """Return the page."""
    igwn = results["versions"]["igwn"]["igwn-auth-utils"]
    measured = Measured(results["passes"])
    sections = (
        summary(measured),
        machine(results),
        goals(measured, results),
        counted(results),
        tables("What a request costs", REQUESTS, measured, "microseconds", 1e6),
        tables("What switching on costs", SWITCHED, measured, "milliseconds", 1e3),
        NOTES,
    )
    lines = [line for section in sections for line in [*section, ""]]
    return "\n".join(lines).replace("{igwn}", igwn)


class Measured:
    """The seconds of each way: for each pass, round by round."""

    def __init__(self, passes):
        self.passes = passes

    def __contains__(self, name):
        return name in self.passes[0]

    def time(self, name):
        """Return the median of the seconds, and the passes' medians."""
        return self._over_passes([median(one[name]) for one in self.passes])

    def ratio(self, name, other):
        """Return the ratio to another way, and that in each pass."""
        return self._compare(name, other, lambda one, two: one / two)

    def difference(self, name, other):
        """Return how many seconds more it takes than another, and that in each pass."""
        return self._compare(name, other, lambda one, two: one - two)

    def calmest(self, name):
        """Return the pass in which this took the least time."""
        return Measured([min(self.passes, key=lambda one: median(one[name]))])

    def _compare(self, name, other, compare):
        return self._over_passes(
            [median(map(compare, one[name], one[other])) for one in self.passes]
        )

    @staticmethod
    def _over_passes(medians):
        return median(medians), min(medians), max(medians)


def summary(measured):
    """Say what it costs, in a sentence about requests and one about starting."""
    calm = measured.calmest("handler/by hand")
    given, found = (
        calm.difference(f"handler/{how}", "handler/by hand")[0] * 1e6
        for how in ("given", "found")
    )
    off = measured.difference("pass/off", "pass/none")[0] * 1e3
    on = measured.difference("pass/on", "pass/none")[0] * 1e3
    session = measured.difference("start/on", "start/alone")[0] * 1e3
    wrapt = measured.difference("start/wrapt", "start/alone")[0] * 1e3
    requests = (
        f"**The package adds about {found:.0f} microseconds to a request** with a token "
        f"that it finds in a file, and about {given:.0f} with a token that you pass"
    )
    if "xrootd/header" in measured:
        whole = round(calm.time("xrootd/header")[0] * 1e6, -1)
        requests += (
            "; a whole request to a real XRootD over TLS takes about "
            f"{whole:,.0f} microseconds"
        )
    starting = (
        f"With the autopatch on, a program that imports Requests starts about "
        f"{session:.0f} milliseconds later, of which {wrapt:.0f} are the import of wrapt, "
        f"and any other program {on:.1f} milliseconds later; with the autopatch off, every "
        f"program {max(off, 0):.1f} milliseconds."
    )
    return [f"{requests}.", "", starting]


def machine(results):
    """Say when, where and with what this was measured."""
    versions = results["versions"]["ours"]
    with open("/proc/cpuinfo") as file:
        models = {line.partition(":")[2].strip() for line in file if "model name" in line}
    used = ("requests-scitokens", "requests", "urllib3", "wrapt", "scitokens")
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    hardware = f"{os.cpu_count()} cores ({', '.join(sorted(models))})"
    load = "load {:.1f} before and {:.1f} after".format(*results["load"])
    how = f"{len(results['passes'])} passes in {results['minutes']:.0f} min"
    return [
        f"Measured on {results['date']} with `{results['command']}`: {how}.",
        "",
        f"- {hardware}, {system}, Linux {platform.release()}; {load}",
        f"- Python {platform.python_version()}, "
        + ", ".join(f"{name} {versions[name]}" for name in used),
    ]


def goals(measured, results):
    """Show each goal, and that it is met, or why not."""
    columns = ("what", "goal", "measured", "floor", "met")
    lines = ["## Goals", "", row(*columns), row(*["---"] * len(columns))]
    for goal in GOALS:
        if goal.other and goal.name not in measured:
            missing = f"not measured: {results['missing']}"
            lines.append(row(goal.what, goal.limit, missing, "", ""))
            continue
        value, text = figure(measured, results["counts"], goal.name, goal.other)
        floor = ""
        if goal.floor:
            _, floor = figure(measured, results["counts"], goal.floor, goal.other)
        met = "met" if reached(value, goal.limit) else why_not(goal)
        lines.append(row(goal.what, goal.limit, text, floor, met))
    return lines


def figure(measured, counts, name, other):
    """Return a count, or microseconds more than another way, or a ratio; and as text."""
    if not other:
        return counts[name], f"{counts[name]:,}"
    if name.startswith("handler/"):
        calm = measured.calmest(other).difference(name, other)[0]
        _, *extremes = measured.difference(name, other)
        times = [1e6 * one for one in (calm, *extremes)]
        return times[0], spread(times, ".1f")
    ratios = measured.ratio(name, other)
    return ratios[0], spread(ratios, ".3f")


def reached(value, limit):
    """Tell whether a value is in its limit, such as `≤ 1.05`."""
    sign, number = limit.replace(",", "").split()
    return value <= float(number) if sign == "≤" else value >= float(number)


def why_not(goal):
    """Return why a goal is not met, which nobody can tell but a person."""
    if goal.name not in REASONS:
        print(f"a reason is missing in REASONS: {goal.name}", file=sys.stderr)
    return f"**not met**: {REASONS.get(goal.name, 'the reason is not known yet')}"


def counted(results):
    """Show what else was counted, and the memory."""
    (early, before, blocks), (late, after, more) = results["memory"]
    counts = {what: f"{results['counts'][name]:,}" for name, what in COUNTS.items()}
    # Nothing is kept for a request: the blocks are what Python itself has in use.
    counts[f"memory after {early:,} and {late:,} requests to {early:,} origins"] = (
        f"{before:.1f} and {after:.1f} MiB, {more - blocks:+,} of {blocks:,} blocks"
    )
    lines = ["## What was counted", "", row("what", "number"), row("---", "---")]
    return lines + [row(*one) for one in counts.items()]


def tables(title, groups, measured, unit, factor):
    """Show what was measured."""
    lines = [f"## {title}", ""]
    for group, rows in groups.items():
        names = [name for name in rows if name in measured]
        if not names:
            continue
        lines += [row(group, unit, "more than the first", "ratio"), row(*["---"] * 4)]
        for name in names:
            seconds = measured.time(name)[0] * factor
            more = measured.difference(name, names[0])[0] * factor
            ratio = measured.ratio(name, names[0])
            first = name == names[0]
            more, ratio = ("", "") if first else (f"{more:+.1f}", spread(ratio, ".3f"))
            lines.append(row(rows[name], f"{seconds:,.1f}", more, ratio))
        lines.append("")
    return lines[:-1]


# --- words and numbers


def spread(three, form):
    """Return the median, and the lowest and highest of the passes."""
    middle, low, high = (f"{one:{form}}" for one in three)
    return f"{middle} ({low} to {high})"


def row(*cells):
    """Return one line of a table, in which a goal is not broken in two."""
    line = f"| {' | '.join(map(str, cells))} |"
    return re.sub("([≤≥]) ", "\\1\N{NO-BREAK SPACE}", line)


if __name__ == "__main__":  # write the page again, from what was measured last
    measured_last = environments.HOME.joinpath("results.json").read_text()
    RESULTS.write_text(page(json.loads(measured_last)))
