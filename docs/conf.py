"""Sphinx configuration."""

import importlib.metadata
from pathlib import Path

project = "requests-scitokens"
project_copyright = author = "The requests-scitokens developers"
release = importlib.metadata.version("requests-scitokens")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_parts"]  # parts are included in pages
html_theme = "furo"
html_title = f"requests-scitokens {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
default_role = "code"  # in docstrings, `like this`
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # the docstrings have them
autodoc_member_order = "bysource"

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"


def setup(app):
    app.connect("source-read", add_results)


def add_results(_app, page, source):
    """Put the results of the last benchmarks on their page, if there are any."""
    if page == "benchmarks":
        for name in ("results.md", "cluster.md"):
            if (RESULTS / name).exists():
                include = f"{{include}} ../benchmarks/results/{name}\n:relative-images:"
                source[0] += f"\n```{include}\n```\n"
