"""Write what was measured as a page and a plot, for the docs."""

import json
import os
import platform
from pathlib import Path
from statistics import median

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

# How competitors are called on the page, in its order; what their time is compared with.
NAMES = {
    "session_header": ("header written by hand, `Session`", "session_header"),
    "given": ("`HTTPSciTokenAuth(token)`", "session_header"),
    "found": ("discovered, names the server: attached at once", "session_header"),
    "force": ("discovered, `force=True`", "session_header"),
    "challenged": ("discovered, names no server: behind a challenge", "session_header"),
    "patched": ("autopatched `Session`, behind a challenge", "session_header"),
    "predecessor_force": ("requests-scitokens 0.2.1, `force=True`", "session_header"),
    "predecessor_challenged": (
        "requests-scitokens 0.2.1, behind a challenge",
        "session_header",
    ),
    "igwn": ("igwn-auth-utils {igwn}, attached at once", "session_header"),
    "get_header": ("header written by hand, `requests.get`", "get_header"),
    "get_patched": ("autopatched `requests.get`, behind a challenge", "get_header"),
}

# A claim, whose time over whose, the goal, and the round trips it must take.
AT_MOST = (
    ("token given, CPU / header by hand", "given", "session_header", 1.03, 1000),
    ("token discovered, CPU / header by hand", "found", "session_header", 1.03, 1000),
    (
        "behind a challenge, CPU / header by hand",
        "challenged",
        "session_header",
        1.05,
        1001,
    ),
    ("autopatched `requests.get`, CPU / by hand", "get_patched", "get_header", 1.05, 1001),
    ("the 1,000th server / the first", "thousandth", "challenged", 1.10, 1001),
    ("1,000 tokens in `_CONDOR_CREDS` / one", "condor_1000", "condor_1", 1.10, 1000),
)
AT_LEAST = (
    ("requests-scitokens 0.2.1 / this, `force=True`", "predecessor_force", "force", 2),
    (
        "requests-scitokens 0.2.1 / this, behind a challenge",
        "predecessor_challenged",
        "challenged",
        3,
    ),
)
STARTS = (
    ("switched off, `python -c pass`", "pass_unset", "pass", 1.01),
    ("switched on, `python -c pass`", "pass_set", "pass", 1.03),
    (
        "switched on, `import requests` and a `Session()`, with wrapt {ours}",
        "ours_patched",
        "ours_plain",
        1.03,
    ),
    (
        "the same with wrapt {wrapt-1}",
        "wrapt-1_patched",
        "wrapt-1_plain",
        1.03,
    ),
)
STARTS_BESIDE = (
    (
        "the least a start-up file can do, off: look at a variable",
        "pass_least_unset",
        "pass",
    ),
    ("the same, on: import an empty module", "pass_least_set", "pass"),
    ("importing wrapt {ours} too / `requests` alone", "ours_plain", "ours_requests"),
    (
        "importing wrapt {wrapt-1} too / `requests` alone",
        "wrapt-1_plain",
        "wrapt-1_requests",
    ),
    ("pip-system-certs {pip-system-certs}", "pip-system-certs_on", "pip-system-certs_off"),
    ("autowrapt {autowrapt}, switched on", "autowrapt_on", "autowrapt_off"),
)
STARTED = {
    "pass": "`python -c pass`",
    "requests": "`import requests` and a `Session()`",
}


NOTES = """\
## How this is measured

- The server is a process of its own, on a CPU of its own where there are two: plain
  sockets, HTTP/1.1 with kept connections, on loopback. It speaks plain http, because TLS
  would cost every client the same and make the differences look smaller. It wants a
  bearer token and does not look at it.
- In each round every competitor is a new process, in its own environment. They take
  turns, 50 requests each, in another order each time, after they have warmed up; the CPU
  time is that of the client alone, user and system. A ratio is the median of the rounds'.
- The header written by hand goes with a session that has no `auth`, so Requests looks for
  a `.netrc` at each request, and finds none; where a handler was chosen it does not look.
- requests-scitokens 0.2.1 and igwn-auth-utils verify the token at each request with its
  issuer's key. The key is in the cache of the scitokens library beforehand, so that they
  need no network; that is the best case for them.
- requests-scitokens 0.2.1 answers a bare `Bearer` challenge only (it fails at one with
  parameters), so that is what the server sends. igwn-auth-utils answers no challenge: it
  attaches a token that it discovers to each request.
- The thousandth server is asked after the others have had one request each. The first look
  at a directory with 1,000 tokens reads all of them, and is part of warming up.
- The memory is looked at while copies of one request go through the handler, its response
  hook and an adapter that challenges as a server does; with sockets it would take an hour.
- A start is one run of Python until it ends. The files that Python reads at start-up are
  moved out of the way for the other half of each pair, in the same environment.
""".splitlines()


def write(results, directory):
    """Write `results.md` and `cpu.svg`."""
    directory.mkdir(exist_ok=True)
    sections = (machine(results), goals(results), requests(results), starts(results), NOTES)
    text = "\n".join(line for section in sections for line in [*section, ""])
    directory.joinpath("results.md").write_text(text)
    plot(results, directory / "cpu.svg")


def machine(results):
    """Say when, where and with what this was measured."""
    versions = results["versions"]["ours"]
    with open("/proc/cpuinfo") as file:
        models = {line.partition(":")[2].strip() for line in file if "model name" in line}
    used = ("requests-scitokens", "requests", "urllib3", "wrapt", "scitokens")
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    hardware = f"{os.cpu_count()} cores ({', '.join(sorted(models))})"
    load = f"load at the end {results['load']:.1f}"
    number = len(results["requests"]["costs"]["given"])
    how = f"with `make bench`: {number} rounds, {results['minutes']:.0f} minutes"
    return [
        f"Measured on {results['date']} {how}.",
        "",
        f"- {hardware}, {system}, Linux {platform.release()}; {load}",
        f"- Python {platform.python_version()}, "
        + ", ".join(f"{name} {versions[name]}" for name in used),
    ]


def goals(results):
    """Show each goal, and whether it was met."""
    costs, trips = results["requests"]["costs"], results["requests"]["trips"]
    number = results["requests"]["number"]
    lines = table("Goals", "what", "median", "min to max", "goal", "met")
    for what, one, other, goal, wanted in AT_MOST:
        middle, spread = ratio(costs[one], costs[other])
        right = set(trips[one]) == {wanted - 1000 + number}
        met = middle <= goal and right
        lines.append(row(what, f"{middle:.3f}", spread, f"<= {goal:.2f}", yes(met)))
        if wanted != 1000:
            seen = " or ".join(f"{one:,}" for one in sorted(set(trips[one])))
            counted = f"round trips for {number:,} requests"
            lines.append(row(counted, seen, "", f"{wanted - 1000 + number:,}", yes(right)))
    for what, one, other, goal in AT_LEAST:
        middle, spread = ratio(costs[one], costs[other])
        met = yes(middle >= goal)
        lines.append(row(what, f"{middle:.2f}", spread, f">= {goal}", met))
    lines.append(memory(results["memory"]["memory"]))
    for what, one, other, goal in STARTS:
        middle, spread = ratio(results["starts"]["costs"][one], of(results, other))
        met = yes(middle <= goal)
        name = with_versions(f"start: {what}", results, "wrapt")
        lines.append(row(name, f"{middle:.3f}", spread, f"<= {goal:.2f}", met))
    modules = results["starts"]["modules"]
    unset, unneeded = modules["unset"], modules["unneeded"]
    what = "start: modules imported by what is switched off"
    lines.append(row(what, len(unset), "", "none", yes(not unset)))
    what = "start: scitokens, jwt, cryptography imported by a patched `Session()`"
    lines.append(row(what, len(unneeded), "", "none", yes(not unneeded)))
    return lines


def memory(marks):
    """Compare the memory at the end with that after the first 10,000 requests."""
    marks = {int(number): of_both for number, of_both in marks.items()}
    (before, blocks), (after, more) = marks[10_000], marks[max(marks)]
    # The list of these marks is the only thing that may grow.
    met = more - blocks < 1000 and after / before < 1.01
    return row(
        f"memory after {max(marks):,} requests to 10,000 servers / after 10,000",
        f"{after / before:.3f}",
        f"{before:.1f} to {after:.1f} MiB; {more - blocks:+,} of {blocks:,} blocks",
        "no growth",
        yes(met),
    )


def requests(results):
    """Show the CPU time of each request."""
    costs, trips = results["requests"]["costs"], results["requests"]["trips"]
    number = results["requests"]["number"]
    lines = ["![CPU time of each request](cpu.svg)", ""]
    lines += table(
        f"CPU time of each request in microseconds, {len(costs['given'])} rounds",
        "how",
        "min",
        "median",
        "max",
        "/ by hand",
        f"round trips for {number:,} requests",
    )
    for name, (_, other) in NAMES.items():
        three = (min(costs[name]), median(costs[name]), max(costs[name]))
        cells = [f"{one:,.0f}" for one in three]
        middle, _ = ratio(costs[name], costs[other])
        seen = " or ".join(f"{one:,}" for one in sorted(set(trips[name])))
        lines.append(row(called(name, results), *cells, f"{middle:.3f}", seen))
    return lines


def starts(results):
    """Show what starting Python costs."""
    costs, walls = results["starts"]["costs"], results["starts"]["walls"]
    lines = table(
        "Starting Python, with over without the start-up file",
        "what",
        "rounds",
        "CPU in ms",
        "CPU ratio",
        "ratio by the clock",
    )
    pairs = [(what, one, other) for what, one, other, _ in STARTS]
    for what, one, other in STARTS_BESIDE:
        if one in costs:
            pairs.append((what, one, other))
            continue
        pairs += [(f"{what}: {STARTED[k]}", f"{one}_{k}", f"{other}_{k}") for k in STARTED]
    for what, one, other in pairs:
        middle, _ = ratio(costs[one], costs[other])
        clock, _ = ratio(walls[one], walls[other])
        of_one, of_other = (f"{median(costs[name]) * 1000:.1f}" for name in (one, other))
        name = with_versions(what, results, "wrapt")
        cells = (len(costs[one]), f"{of_one} / {of_other}", f"{middle:.3f}", f"{clock:.3f}")
        lines.append(row(name, *cells))
    return lines


def plot(results, path):
    """Draw the CPU time of each request."""
    costs = results["requests"]["costs"]
    names = list(NAMES)[::-1]
    middles = [median(costs[name]) for name in names]
    errors = [
        [middle - min(costs[name]) for name, middle in zip(names, middles, strict=True)],
        [max(costs[name]) - middle for name, middle in zip(names, middles, strict=True)],
    ]
    ours = ("given", "found", "force", "challenged", "patched", "get_patched")
    colors = ["#2a6f97" if name in ours else "#a9a9a9" for name in names]
    mpl.rcParams.update({"svg.hashsalt": "", "svg.fonttype": "none", "font.size": 10})
    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    labels = [called(name, results).replace("`", "") for name in names]
    bars = axes.barh(labels, middles, xerr=errors, color=colors, ecolor="#555555")
    axes.bar_label(bars, [f"{middle:,.0f}" for middle in middles], padding=4)
    axes.set_xlabel("CPU time of each request in microseconds: median, least and most")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


# --- words and numbers


def ratio(ones, others):
    """Return the median of the rounds' ratios, and their spread in words."""
    ratios = [one / other for one, other in zip(ones, others, strict=True)]
    return median(ratios), f"{min(ratios):.2f} to {max(ratios):.2f}"


def of(results, name):
    """Return the CPU times of a start."""
    return results["starts"]["costs"][name]


def called(name, results):
    """Return how a competitor is called on the page."""
    return NAMES[name][0].format(igwn=results["versions"]["igwn"]["igwn-auth-utils"])


def with_versions(what, results, package):
    """Fill in versions: of this package where the environment has another purpose."""
    versions = {
        name: found.get(name, found.get(package, ""))
        for name, found in results["versions"].items()
    }
    return what.format(**versions)


def yes(met):
    """Say whether a goal was met."""
    return "yes" if met else "**no**"


def table(title, *heads):
    """Return the first lines of a table."""
    return [f"## {title}", "", row(*heads), row(*["---"] * len(heads))]


def row(*cells):
    """Return one line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":  # write the page again, from what was measured last
    HERE = Path(__file__).parent
    write(
        json.loads((HERE.parent / ".bench" / "results.json").read_text()), HERE / "results"
    )
