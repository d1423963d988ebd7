"""What the documentation shows is true: examples run, messages are the package's."""

from __future__ import annotations

import doctest
import inspect
import json
import logging
import os
import pkgutil
import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest
import requests

import requests_scitokens
from requests_scitokens.__main__ import main
from requests_scitokens._hosts import parse_hosts
from requests_scitokens._origin import Origin
from requests_scitokens._policy import Action, Situation, decide
from requests_scitokens._token import BearerToken
from requests_scitokens.testing import ProtectedServer, Redirect

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

# Name and port in the examples: what is served there, and how it refuses.
HELLO = {"/data/hello.txt": b"hello\n"}
HOSTS = {
    ("storage.example.org", 443): {"files": HELLO},
    ("xrootd.example.org", 1094): {"files": HELLO, "answer": "xrootd"},
    ("director.example.org", 443): {"protected": False},
    ("cache.example.org", 8443): {"files": HELLO, "answer": "xrootd"},
    ("dcache.example.org", 2880): {"files": HELLO, "answer": "dcache"},
    ("datafind.example.org", 443): {
        "files": {"/api/v1/gwf.json": b'["H", "L"]'},
        "answer": "gwdatafind",
    },
    ("gracedb.example.org", 443): {
        "files": {"/api/superevents/": b'{"numRows": 0}'},
        "protected": False,
    },
}

# For programs: the names lead to the same servers.
RESOLVE = """
import socket
resolve, served = socket.getaddrinfo, {served!r}
def getaddrinfo(host, port, *args, **kwargs):
    if (host, port) in served:
        host, port = "127.0.0.1", served[host, port]
    return resolve(host, port, *args, **kwargs)
socket.getaddrinfo = getaddrinfo
"""

SCRIPT = """
import requests
response = requests.get("https://storage.example.org/data/hello.txt")
response.raise_for_status()
print(response.text, end="")
"""


# --- the examples


def blocks(page, language):
    """Yield line and text of the page's code blocks that are to be run."""
    text = page.read_text()
    pattern = rf"(<!-- not run: [^>]+ -->\n)?^```{language}\n(.*?)^```$"
    for match in re.finditer(pattern, text, re.DOTALL | re.MULTILINE):
        if match[1] is None:
            yield text.count("\n", 0, match.start(2)), match[2]


def name_of(page):
    return str(page.relative_to(ROOT))


def with_blocks(language):
    return [page for page in PAGES if any(blocks(page, language))]


@pytest.fixture(scope="module")
def servers(issuer):
    with ExitStack() as stack:
        served = {}
        for (host, port), options in HOSTS.items():
            names = [f"https://{host}", f"https://{host}:{port}", host]
            server = ProtectedServer(issuer, host=host, audience=names, **options)
            served[host, port] = stack.enter_context(server)
        yield served


@pytest.fixture
def world(servers, issuer, trusted, token_file, tmp_path, monkeypatch):
    """Serve what the examples name, to a user who has a token."""
    for (host, port), options in HOSTS.items():
        server = servers[host, port]
        server.files = dict(options.get("files", {}))
        server.received.clear()
    director = servers["director.example.org", 443]
    director.redirects["/data/hello.txt"] = Redirect(
        "https://cache.example.org:8443/data/hello.txt", copy_token=True
    )
    served = {name: int(server.url.rpartition(":")[2]) for name, server in servers.items()}
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    exec(RESOLVE.format(served=served), {})
    (tmp_path / "sitecustomize.py").write_text(RESOLVE.format(served=served))
    (tmp_path / "script.py").write_text(SCRIPT)
    shutil.copy(trusted, tmp_path / "ca.pem")
    token_file.write_text(issuer.mint("read:/ write:/", audience="ANY"))
    monkeypatch.chdir(tmp_path)
    environment = dict(os.environ)
    yield servers
    os.environ.clear()
    os.environ.update(environment)
    logging.getLogger("requests_scitokens").setLevel(logging.NOTSET)
    if "requests_scitokens.patch" in sys.modules:
        import_module("requests_scitokens.patch").disable()


@pytest.mark.parametrize("page", with_blocks("python"), ids=name_of)
def test_the_python_examples_of_a_page_run(page, world, request, token_file):
    for module in ("pooch", "webdav3"):
        if f"import {module}" in page.read_text() or f"from {module}" in page.read_text():
            pytest.importorskip(module)
    if page.name == "tutorial.md":
        token_file.unlink()  # it brings its own tokens
    namespace = {"__name__": "__main__"}
    for line, text in blocks(page, "python"):
        if "import requests_scitokens.patch" in text:  # which other tests did before
            import_module("requests_scitokens.patch").enable()
        if text.startswith(">>>"):
            check_session(text, namespace, page, line)
        else:
            exec(compile("\n" * line + text, page, "exec"), namespace)
    for name, value in list(namespace.items()):
        if name.startswith("test_"):
            names = inspect.signature(value).parameters
            value(**{one: request.getfixturevalue(one) for one in names})


def check_session(text, namespace, page, line):
    """Check that what is typed after `>>>` gives what is shown."""
    test = doctest.DocTestParser().get_doctest(text, namespace, page.name, str(page), line)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    written = []
    # As Python shows warnings where nobody has set up logging; doctest reads stdout.
    handler = logging.StreamHandler(runner._fakeout)
    handler.setLevel(logging.WARNING)
    logger = logging.getLogger("requests_scitokens")
    logger.addHandler(handler)
    runner.run(test, out=written.append, clear_globs=False)
    logger.removeHandler(handler)
    namespace.update(test.globs)
    assert not written, "".join(written)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("page", with_blocks("shell"), ids=name_of)
def test_the_commands_of_a_page_run(page, world, tmp_path):
    for line, text in blocks(page, "shell"):
        done = run_shell(text, tmp_path)
        # It ends with 1 where a program would not get the token.
        good = (0, 1) if "python -m requests_scitokens " in text else (0,)
        assert done.returncode in good, f"{page}:{line}: {done.stdout}{done.stderr}"


def run_shell(text, folder):
    environment = {
        **os.environ,
        "TMPDIR": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "PIP_NO_INDEX": "1",  # it is installed
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("page", with_blocks("console"), ids=name_of)
def test_what_commands_print_is_what_a_page_shows(page, world, issuer, tmp_path):
    runtime = os.environ["XDG_RUNTIME_DIR"]
    user, owner = os.geteuid(), Path(runtime).owner()
    same = doctest.OutputChecker().check_output
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for line, text in blocks(page, "console"):
        command, _, shown = text.removeprefix("$ ").partition("\n")
        done = run_shell(command, tmp_path)
        out = (done.stdout + done.stderr).replace(issuer.url, "https://issuer.example.org")
        out = out.replace(runtime, "/run/user/1000").replace(f"bt_u{user}", "bt_u1000")
        out = out.replace(f"owner {owner}", "owner alice")
        assert same(shown, out, flags), f"{page}:{line}: {out}"


def keys(facts):
    """Yield every key in what a JSON document holds."""
    for value in facts.values() if isinstance(facts, dict) else facts:
        if isinstance(value, (dict, list)):
            yield from keys(value)
    yield from facts if isinstance(facts, dict) else ()


@pytest.mark.usefixtures("world")
def test_every_key_of_the_diagnosis_is_explained(capsys):
    main(["https://storage.example.org/data/hello.txt", "--try", "--verify", "--json"])
    facts = json.loads(capsys.readouterr().out)
    page = (DOCS / "reference" / "diagnosis.md").read_text().partition("## JSON")[2]
    assert {*re.findall(r"`(?:\w+(?:\[\])?\.)?(\w+)`", page)} == {*keys(facts), "opaque"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_has_the_targets_that_a_page_names(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:^|`)make ([a-z-]+)(?=$|`)", page.read_text(), re.MULTILINE)
    assert set(named) <= set(targets)


def test_every_command_of_the_readme_is_run():
    text, run = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    # The tests above run these ...
    assert set(re.findall(r"^```(.+)$", text, re.MULTILINE)) == {"shell", "python"}
    assert "<!-- not run" not in text
    # ... and CI the others.
    for command in re.findall(r"`(make [a-z-]+)`", text):
        assert re.search(rf"^{command}$", run, re.MULTILINE), command


# --- where the autopatch is switched on, tokens are told where they may go

SWITCHES_ON = re.compile(
    r"""REQUESTS_SCITOKENS_AUTOPATCH\W{1,6}(?:1|true|yes|on)\b
    |\bimport[ ]requests_scitokens\.patch|\bfrom[ ]requests_scitokens\.patch[ ]import""",
    re.MULTILINE | re.VERBOSE,
)
# What shows on purpose what is without it, or is about something else: page, and text.
WITHOUT_HOSTS = [
    ("docs/explanation/patch.md", "assert enabled()"),  # on and off again, no request
    ("docs/tutorial.md", "$ REQUESTS_SCITOKENS_AUTOPATCH=1 python fetch.py"),  # as the demo
    (
        "docs/reference/startup-files.md",
        "import requests_scitokens.patch\n",
    ),  # what patches
]


def test_whatever_switches_the_autopatch_on_says_where_tokens_may_go():
    seen = set()
    for page in PAGES:
        fences = r"^ *(```+)[^`\n]*\n(.*?)^ *\1$"
        for _, text in re.findall(fences, page.read_text(), re.DOTALL | re.MULTILINE):
            if not SWITCHES_ON.search(text) or "REQUESTS_SCITOKENS_HOSTS" in text:
                continue
            exceptions = [
                (name, part)
                for name, part in WITHOUT_HOSTS
                if name == name_of(page) and part in text
            ]
            assert exceptions, f"{name_of(page)}:\n{text}"
            seen.update(exceptions)
    # An exception that nothing needs any more would hide the next mistake.
    assert seen == {*WITHOUT_HOSTS}


def test_the_demo_shows_the_autopatch_with_hosts_and_without():
    script = (ROOT / "demo" / "demo.py").read_text()
    assert SWITCHES_ON.search(script)
    assert "REQUESTS_SCITOKENS_HOSTS=listed" in script
    for path in (ROOT / "demo").glob("*.py"):
        assert path.name == "demo.py" or not SWITCHES_ON.search(path.read_text())


@pytest.mark.parametrize(
    "text",
    [
        "export REQUESTS_SCITOKENS_AUTOPATCH=1",
        "REQUESTS_SCITOKENS_AUTOPATCH: 1",
        '"REQUESTS_SCITOKENS_AUTOPATCH": "1"',
        'os.environ["REQUESTS_SCITOKENS_AUTOPATCH"] = "on"',
        ">>> import requests_scitokens.patch",
        "python -c 'import requests_scitokens.patch, runpy'",
        "from requests_scitokens.patch import enable",
    ],
)
def test_each_way_to_switch_it_on_is_recognised(text):
    assert SWITCHES_ON.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "REQUESTS_SCITOKENS_AUTOPATCH=0 python script.py",
        "off: REQUESTS_SCITOKENS_AUTOPATCH is not set; 1 turns it on",
        "requests_scitokens.patch(url)",
    ],
)
def test_what_does_not_switch_it_on_is_not(text):
    assert not SWITCHES_ON.search(text)


# --- the decision table

HERE = Origin("https", "storage.example.org", 443)
THERE = Origin("https", "other.example.org", 443)


def token_for(audience):
    return BearerToken("abc", {"aud": audience})


# The heads of the page's columns, and what they stand for.
COLUMNS = {
    "requested": [(token_for(str(THERE)), {"requested": True})],
    "for this server": [
        (token_for(str(HERE)), {}),
        (token_for(str(HERE)), {"chosen": False}),
    ],
    "for any server, chosen": [(token_for("ANY"), {})],
    "for any server, default": [(token_for("ANY"), {"chosen": False})],
    "for another server": [
        (token_for(str(THERE)), {}),
        (token_for(str(THERE)), {"chosen": False}),
    ],
}

# The first words of the page's rows, and the situations that they stand for.
AWAY = {"start": Origin("https", "start.example.org", 443)}
LISTS, LISTS_ANOTHER = parse_hosts(str(HERE)), parse_hosts("a.example.org")
LOOPBACK = Origin("http", "localhost", 80)
ROWS = {
    "the request as you made it": [{}],
    "the same, and this origin has accepted": [{"accepted": True}],
    "a 401 or 403 to a request": [{}],
    "a redirect led to another origin": [
        {**AWAY, "came_by": (THERE,)},
        {**AWAY, "came_by": (THERE,), "accepted": True},
    ],
    "`hosts` is set and lists": [
        {"hosts": LISTS},
        {"hosts": LISTS, **AWAY, "came_by": (THERE,)},
    ],
    "`hosts` is set and does not list": [{"hosts": LISTS_ANOTHER}],
    "a redirected write": [{"method": "PUT", "came_by": (THERE,), "hosts": LISTS}],
    "plain http": [
        {"origin": Origin("http", "storage.example.org", 80)},
        {"origin": LOOPBACK, "by_proxy": (LOOPBACK,)},
    ],
    "the URL carries a credential": [
        {"url": f"{HERE}/?authz=x"},
        {"url": f"{HERE}/?authz=x", "hosts": LISTS},
    ],
}


def check_cell(cell, token, situation):
    """Check that what is decided is what the page says."""

    def decided(token=token, **more):
        at = {"url": f"{HERE}/", "origin": HERE, **situation, **more}
        at.setdefault("start", at["origin"])
        if at.pop("accepted", False):
            at["accepted"] = {(at["origin"], token.holder)}
        return decide(token, Situation(**at)).action

    if cell == "never, unless the token is for that one":
        assert decided() is Action.NEVER
        assert decided(token_for(str(HERE))) is Action.ATTACH
    elif cell == "as the rows above say; after a redirect never":
        assert decided() is Action.ATTACH
        assert decided(came_by=(HERE,)) is Action.NEVER
    elif cell == "an upload: at once; all others: wait":
        assert decided(upload=True) is Action.ATTACH
        assert decided() is Action.WAIT
    elif cell.startswith("sent"):
        assert decided() in (Action.ATTACH, Action.WAIT)
    else:
        word = cell.partition(";")[0]
        assert decided() is {"at once": Action.ATTACH, "never": Action.NEVER}[word]


def test_the_decision_table_is_what_is_decided():
    lines = (DOCS / "_parts" / "table.md").read_text().splitlines()
    heads, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines
    ]
    assert heads[1:] == [*COLUMNS]
    seen = []
    for row, *cells in rows:
        if row == "a 401 or 403 to the token itself":  # tests/test_exchange.py
            assert all(cell.startswith("a different token, once") for cell in cells)
            continue
        (name,) = [name for name in ROWS if row.startswith(name)]
        seen.append(name)
        assert len(cells) == len(COLUMNS)
        for cell, column in zip(cells, COLUMNS.values()):
            for token, flags in column:
                for situation in ROWS[name]:
                    check_cell(cell, token, {**flags, **situation})
    assert seen == [*ROWS]


# --- the diagram of classes


def qualified(one):
    """Name a class as users do."""
    module = one.__module__.partition(".")[0]
    top = import_module(module)
    if getattr(top, one.__name__, None) is one:
        return f"{module}.{one.__name__}"
    return f"{one.__module__}.{one.__qualname__}"


def test_the_diagram_shows_what_each_class_inherits_from():
    svg = (DOCS / "_parts" / "classes.svg").read_text()
    shown = {}
    for one, base in re.findall(r'data-class="(.+?)" data-base="(.+?)"', svg):
        shown.setdefault(one, []).append(base)
    ours = [getattr(requests_scitokens, name) for name in requests_scitokens.__all__]
    # On Python 3.9 `Callable[[str], int]` is a type, too.
    classes = [
        one for one in ours if isinstance(one, type) and not hasattr(one, "__origin__")
    ]
    inherited = {
        qualified(one): [qualified(base) for base in one.__bases__ if base is not object]
        for one in [*classes, requests.RequestException]
    }
    assert shown == {one: bases for one, bases in inherited.items() if bases}
    for name in {*inherited, *(base for bases in shown.values() for base in bases)}:
        short = re.sub(r"^(requests_scitokens|builtins)\.", "", name)
        assert f">{short}</text>" in svg


# --- the page of faults


def test_each_fault_is_pinned_by_a_test_that_exists():
    page = (DOCS / "explanation" / "faults.md").read_text()
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", page)
    assert len(named) > 25
    for file, test in named:
        assert f"\ndef {test}(" in Path(__file__).with_name(file).read_text(), test


# --- links


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=name_of)
def test_links_from_outside_the_documentation_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert "://" in link or (ROOT / link).is_file(), link


def test_links_of_the_readme_lead_somewhere_on_pypi_too():
    project = (ROOT / "pyproject.toml").read_text()
    table = project.partition("[project.urls]\n")[2].partition("\n\n")[0]
    urls = dict(re.findall(r'^(\w+) = "(.+)"$', table, re.MULTILINE))
    text = (ROOT / "README.md").read_text()
    defined = dict(re.findall(r"^\[(.+)\]: (\S+)$", text, re.MULTILINE))
    assert {*re.findall(r"\]\[(.+?)\]", text)} == {*defined}
    name = re.search('^name = "(.+)"$', project, re.MULTILINE)[1]
    badge = rf"https://(img\.shields\.io/pypi|readthedocs\.org)/.+/{name}(\.svg|/badge/.+)"
    known = {*urls.values(), f"https://pypi.org/project/{name}/"}
    for url in defined.values():
        page = re.fullmatch(f"{urls['Documentation']}/en/latest/(.+)\\.html", url)
        file = re.fullmatch(f"{urls['Source']}/-/blob/main/(.+)", url)
        if page:
            assert (DOCS / f"{page[1]}.md").is_file(), url
        elif file:
            assert (ROOT / file[1]).is_file(), url
        else:
            assert url in known or re.fullmatch(badge, url)


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="https://example.org/x">1</a> <a href="b/c.html#here">2</a> <i id="x"/>'
        '<a href="#x">3</a> <a href="#y">4</a> <img src="no.png">'
        '<a href="b/c.html#no">5</a>'
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.html").write_text('<p id="here"><a href="../a.html">6</a></p>')
    program = [sys.executable, DOCS / "check_links.py", tmp_path]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "a.html: #y: there is no such anchor",
        "a.html: b/c.html#no: there is no such anchor",
        "a.html: no.png: there is no such file",
        "2 pages, 7 links, 3 broken",
    ]


def test_names_of_other_projects_are_names_of_theirs():
    for path in (DOCS / "inventories").glob("*.txt"):
        for line in path.read_text().splitlines()[1:]:
            name, kind, _, place, _ = line.split()
            if kind in ("std:term", "py:attribute"):  # no objects, objects of an instance
                continue
            anchor = place.partition("#")[2].replace("$", name)
            assert anchor.rpartition(".")[2] == name.rpartition(".")[2], line
            pkgutil.resolve_name(anchor if "." in anchor else f"builtins:{anchor}")


# --- what the pages must not have


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_no_place_of_the_machine_they_were_written_on(page):
    assert not re.search(r"/(?:work|root)/|localhost:\d{5}", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_have_one_word_for_one_idea(page):
    old = r"\b(?:refusals?|unbound|asked-for|(?:has|have) taken the token)\b"
    assert not re.findall(old, page.read_text(), re.IGNORECASE)
