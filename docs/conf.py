"""Sphinx configuration."""

import importlib.metadata
import re
import zlib
from pathlib import Path

from docutils import nodes
from sphinx.domains.python import PyXRefRole

from requests_scitokens._messages import Code

project = "requests-scitokens"
project_copyright = author = "The requests-scitokens developers"
release = importlib.metadata.version("requests-scitokens")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_parts"]  # parts are included in pages
html_theme = "furo"
pygments_dark_style = "github-dark"  # the default underlines names as if they were links
html_title = f"requests-scitokens {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
default_role = "code_or_link"  # in docstrings, `like this`
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_preprocess_types = True
napoleon_type_aliases = {"callable": ":term:`callable`", "mapping": ":term:`mapping`"}

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results"


def inventory(project):
    """Compile a list of names that others have documented: this needs no network."""
    lines = (HERE / "inventories" / f"{project}.txt").read_text().splitlines()
    names = "".join(f"{line}\n" for line in lines if not line.startswith("#"))
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n# zlib\n"
    path = HERE / "_build" / "inventories" / f"{project}.inv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.encode() + zlib.compress(names.encode()))
    return str(path)


PROJECTS = {
    "python": "https://docs.python.org/3",
    "requests": "https://requests.readthedocs.io/en/latest",
    "scitokens": "https://scitokens.readthedocs.io/en/latest",
}
intersphinx_mapping = {name: (url, inventory(name)) for name, url in PROJECTS.items()}
# A name that leads nowhere is an error: add it to docs/inventories, or here.
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", ".*"),  # most code in docstrings is no name
    ("py:class", r"(_pytest|trustme)\..+|CA"),
    # py:type: Sphinx 8.0 does not find the first two.
    ("py:class", r"Given|TokenFunction|.*\.Serializable|collections\.abc\.Iterable"),
]


copybutton_exclude = ".linenos, .gp, .go"  # neither prompts nor output
# What a cell of the decision table begins with, and its colour in pages.css.
ANSWERS = {"at once": "sent", "sent": "sent", "a different": "sent", "never": "never"}


class CodeOrLink(PyXRefRole):
    """Code in a docstring: a link if it is a name that we or others have documented."""

    def __call__(self, _name, rawtext, text, *args, **kwargs):
        if re.fullmatch(r"[A-Za-z][\w.]*", text):
            return super().__call__("py:obj", rawtext, text, *args, **kwargs)
        return [nodes.literal(rawtext, text, classes=["code"])], []


def setup(app):
    app.add_role("code_or_link", CodeOrLink())
    app.connect("source-read", add_results)
    app.connect("source-read", add_reasons)
    app.connect("doctree-resolved", colour_the_table)
    app.connect("doctree-resolved", keep_together)
    app.connect("viewcode-follow-imported", find_patch)


def find_patch(_app, module, name):
    """Tell the function from the module of the same name."""
    if (module, name) == ("requests_scitokens", "patch"):
        return "requests_scitokens.api"
    return None


def above(node):
    """Yield what a node stands in."""
    while node := node.parent:
        yield node


def colour_the_table(_app, doctree, _page):
    """Give the cells of the decision table a class, by what they say."""
    for table in doctree.findall(nodes.table):
        if not any("wide" in node.get("classes", ()) for node in above(table)):
            continue
        for cell in table.findall(nodes.entry):
            text = cell.astext()
            found = [ANSWERS[words] for words in ANSWERS if text.startswith(words)]
            waits = "wait" in text and not text.startswith("the")
            cell["classes"] += ["waits"] if waits else found


def keep_together(_app, doctree, _page):
    """Give code a class that breaks at spaces only, where it fits a phone so."""
    for code in doctree.findall(nodes.literal):
        if "-" in code.astext() and max(map(len, code.astext().split())) <= 30:
            code["classes"].append("whole")


def add_results(_app, page, source):
    """Put the results of the last benchmarks on their page, if there are any."""
    if page == "benchmarks":
        for name in ("results.md", "cluster.md"):
            if (RESULTS / name).exists():
                include = f"{{include}} ../benchmarks/results/{name}\n:relative-images:"
                source[0] += f"\n```{include}\n```\n"


# What stands in the tables of reasons for what varies.
VARIES = {
    "ago": "3 h",
    "by": "https://director.example.org",
    "first": "$BEARER_TOKEN",
    "host": "localhost",
    "issuer": "https://issuer.example.org",
    "limit": "65536",
    "listed": "\\*.example.org",
    "name": "the token",
    "origin": "https://storage.example.org",
    "path": "/frames",
    "problem": "the system's own words",
    "reason": "a reason",
    "scope": "read:/frames",
    "seen": "$SCITOKEN: empty",
    "servers": "storage.example.org",
    "sudo": "1001",
    "todo": "",
    "uid": "1001",
    "user": "0",
    "variable": "BEARER_TOKEN_FILE",
    "verb": "write",
    "wanted": "write:/frames",
    "whom": "https://other.example.org",
}


def add_reasons(_app, page, source):
    """Put the reasons on their page, as the package tells them."""
    if page == "reference/messages":
        marker = r"^<!-- reasons (\w+) (\w+) -->$"
        source[0] = re.sub(marker, reasons, source[0], flags=re.MULTILINE)


def reasons(marker):
    """Make a table of the reasons from one code to another."""
    codes = list(Code)
    first, last = (codes.index(Code[name]) for name in marker.groups())
    rows = ["| it says | what to do | its code |", "|---|---|---|"]
    for code in codes[first : last + 1]:
        says, todo = (
            re.sub(r"{(\w+)}", vary, part.replace("*", r"\*")) for part in code.value
        )
        rows.append(f"| {says} | {todo} | `{code.name}` |")
    return "\n".join([":::{container} even", *rows, ":::"])


def vary(field):
    """Write an example of what varies in italics."""
    example = VARIES[field[1]]
    return f"*{example}*" if example else ""
