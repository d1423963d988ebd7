"""Sphinx configuration."""

import importlib.metadata
from pathlib import Path

from docutils import nodes

project = "requests-scitokens"
project_copyright = author = "The requests-scitokens developers"
release = importlib.metadata.version("requests-scitokens")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_parts"]  # parts are included in pages
html_theme = "furo"
html_title = f"requests-scitokens {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
default_role = "code"  # in docstrings, `like this`
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"


copybutton_exclude = ".linenos, .gp, .go"  # neither prompts nor output
# What a cell of the decision table begins with, and its colour in pages.css.
ANSWERS = {"at once": "sent", "sent": "sent", "a different": "sent", "never": "never"}


def setup(app):
    app.connect("source-read", add_results)
    app.connect("doctree-resolved", colour_the_table)
    app.connect("viewcode-follow-imported", find_patch)


def find_patch(_app, module, name):
    """Tell the function from the module of the same name."""
    if (module, name) == ("requests_scitokens", "patch"):
        return "requests_scitokens.api"
    return None


def colour_the_table(_app, doctree, _page):
    """Give the cells of the decision table a class, by what they say."""
    for table in doctree.findall(nodes.table):
        if not table.astext().strip().startswith("situation"):
            continue
        for cell in table.findall(nodes.entry):
            text = cell.astext()
            found = [ANSWERS[words] for words in ANSWERS if text.startswith(words)]
            waits = "wait" in text and not text.startswith("the")
            cell["classes"] += ["waits"] if waits else found


def add_results(_app, page, source):
    """Put the results of the last benchmarks on their page, if there are any."""
    if page == "benchmarks":
        for name in ("results.md", "cluster.md"):
            if (RESULTS / name).exists():
                include = f"{{include}} ../benchmarks/results/{name}\n:relative-images:"
                source[0] += f"\n```{include}\n```\n"
