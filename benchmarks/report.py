"""Write what was measured as a page for the docs."""

import json
import os
import platform
import re
from pathlib import Path
from statistics import median

import environments

RESULTS = Path(__file__).with_name("results") / "results.md"

# A claim, what is compared with what, and the goal.
MICROSECONDS = (
    ("the handler, token given", "handler/given", "handler/by hand", 8),
    ("the handler, token found in a file", "handler/found", "handler/by hand", 20),
)
RATIOS = (
    (
        "a request on loopback, token given / with a header and a hook",
        "session/given",
        "session/by hand",
        "≤ 1.06",
    ),
    (
        "the same, token found in a file / with a header and a hook",
        "session/found",
        "session/by hand",
        "≤ 1.06",
    ),
    (
        "`requests.get` on loopback, autopatched / with a header by hand",
        "get/patched",
        "get/header",
        "≤ 1.08",
    ),
    (
        "GETs from XRootD over TLS, kept connection, by the clock / with a header by hand",
        "xrootd/found",
        "xrootd/header",
        "≤ 1.01",
    ),
    ("requests-scitokens 0.2.1 / this", "peers/0.2.1 at once", "peers/at once", "≥ 2"),
    (
        "requests-scitokens 0.2.1 / this, behind a challenge",
        "peers/0.2.1 challenged",
        "peers/challenged",
        "≥ 2",
    ),
    ("igwn-auth-utils {igwn} / this", "peers/igwn", "peers/at once", "≥ 2"),
    (
        "`python -c pass`, off / the least a `.pth` can do",
        "pass/off",
        "pass/least off",
        "≤ 1.01",
    ),
    (
        "`python -c pass`, on / the least a `.pth` can do",
        "pass/on",
        "pass/least on",
        "≤ 1.04",
    ),
    (
        "`import requests` and a `Session()`, on / with `requests` and `wrapt` alone",
        "start/on",
        "start/wrapt",
        "≤ 1.03",
    ),
)

# The tables of what was measured: a title, and the rows. The first row is what the others
# are compared with.
REQUESTS = {
    "The handler alone, for one prepared request and its response": {
        "handler/by hand": "a header and a hook that do nothing else",
        "handler/given": "`HTTPSciTokenAuth(token)`",
        "handler/found": "`HTTPSciTokenAuth()`, token in a file",
    },
    "A request on bare loopback, with a `Session`": {
        "session/by hand": "a header and a hook that do nothing else",
        "session/header": "a header by hand in `session.headers`",
        "session/given": "`HTTPSciTokenAuth(token)`",
        "session/found": "`HTTPSciTokenAuth()`, a token for this server",
        "session/accepted": "`HTTPSciTokenAuth()`, a token for any server, accepted before",
        "session/patched": "autopatched `Session`, a token for this server",
    },
    "The same with `requests.get`, which makes a connection each time": {
        "get/header": "a header by hand",
        "get/patched": "autopatched, a token for this server",
    },
    "A small file from XRootD over TLS, by the clock": {
        "xrootd/header": "a header by hand in `session.headers`",
        "xrootd/found": "`HTTPSciTokenAuth()`, a token for this server",
    },
    "Other packages, a process each": {
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
        "pass/least off": "the least a `.pth` can do, off: look at a variable",
        "pass/off": "this package, off",
        "pass/least on": "the least a `.pth` can do, on: import an empty module",
        "pass/on": "this package, on",
    },
    "`import requests` and a `Session()`": {
        "start/alone": "`requests` alone",
        "start/wrapt": "`requests` and `wrapt`",
        "start/on": "this package, on",
    },
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
- A header by hand goes with a session that has no `auth`, so Requests looks for a `.netrc`
  at each request, and finds none. Where there is a handler it does not look; under the
  autopatch it does.
- The server on loopback is a process of its own: plain sockets, HTTP/1.1 with kept
  connections, no TLS, which would cost every client the same and make the differences look
  smaller. It wants a bearer token and does not look at it.
- requests-scitokens 0.2.1 and igwn-auth-utils verify the token at each request with its
  issuer's key. The key is in the cache of the scitokens library beforehand, so that they
  need no network; that is the best case for them. They attach a token for any server at
  once, as this package does with `force=True`. igwn-auth-utils answers no challenge.
- The memory is looked at while copies of one request go through the handler, its response
  hook and an adapter that challenges as a server does; with sockets it would take an hour.
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
    where, name = "a bare server on loopback", "session/header"
    if "xrootd/header" in measured:
        where, name = "a real XRootD over TLS", "xrootd/header"
    whole = calm.time(name)[0] * 1e6
    off = measured.difference("pass/off", "pass/none")[0] * 1e3
    on = measured.difference("pass/on", "pass/none")[0] * 1e3
    session = measured.difference("start/on", "start/alone")[0] * 1e3
    wrapt = measured.difference("start/wrapt", "start/alone")[0] * 1e3
    requests = (
        f"**The package adds about {found:.0f} microseconds to a request** with a token "
        f"that it finds in a file, and about {given:.0f} with a token that you pass; a "
        f"whole request to {where} takes about {round(whole, -1):,.0f} microseconds."
    )
    starting = (
        f"With the autopatch on, a program that imports Requests starts about "
        f"{session:.0f} milliseconds later, of which {wrapt:.0f} are the import of wrapt, "
        f"and any other program {on:.1f} milliseconds later; with the autopatch off, every "
        f"program {max(off, 0):.1f} milliseconds."
    )
    return [requests, "", starting]


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
    """Show each goal, and whether it was met."""
    lines = ["## Goals", "", row("what", "measured", "goal", "met"), row(*["---"] * 4)]
    for what, name, other, goal in MICROSECONDS:
        calm = measured.calmest(other).difference(name, other)[0]
        _, *extremes = measured.difference(name, other)
        times = [1e6 * one for one in (calm, *extremes)]
        claim = f"{what}: microseconds more than a header and a hook"
        lines.append(row(claim, spread(times, ".1f"), f"≤ {goal}", yes(calm * 1e6 <= goal)))
    for what, name, other, goal in RATIOS:
        if name not in measured:
            lines.append(row(what, f"not measured: {results['missing']}", goal, ""))
            continue
        ratios = measured.ratio(name, other)
        sign, limit = goal.split()
        met = ratios[0] <= float(limit) if sign == "≤" else ratios[0] >= float(limit)
        lines.append(row(what, spread(ratios, ".3f"), goal, yes(met)))
    trips = results["trips"]
    what = "1,000 requests behind a challenge: round trips"
    lines.append(row(what, f"{trips:,}", "1,001", yes(trips == 1001)))
    lines.append(memory(results["memory"]))
    return lines


def memory(moments):
    """Compare the memory at the end with that after the first 10,000 requests."""
    (early, before, blocks), (late, after, more) = moments
    # Nothing is kept for a request: the blocks are what Python itself has in use.
    met = more - blocks < 1000 and after / before < 1.01
    return row(
        f"memory after {late:,} requests to {early:,} origins / after {early:,}",
        f"{before:.1f} to {after:.1f} MiB, {more - blocks:+,} of {blocks:,} blocks",
        "no growth",
        yes(met),
    )


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


def yes(met):
    """Say whether a goal was met."""
    return "yes" if met else "**no**"


def row(*cells):
    """Return one line of a table, in which a goal is not broken in two."""
    line = f"| {' | '.join(map(str, cells))} |"
    return re.sub("([≤≥]) ", "\\1\N{NO-BREAK SPACE}", line)


if __name__ == "__main__":  # write the page again, from what was measured last
    measured_last = environments.HOME.joinpath("results.json").read_text()
    RESULTS.write_text(page(json.loads(measured_last)))
