"""Sphinx configuration."""

import importlib.metadata

project = "requests-scitokens"
author = "The requests-scitokens developers"
release = importlib.metadata.version("requests-scitokens")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"requests-scitokens {release}"
myst_enable_extensions = ["colon_fence"]
autodoc_typehints = "none"  # the docstrings have them
