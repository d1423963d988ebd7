"""The examples of the documentation's pages."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

PAGES = Path(__file__).parent.parent / "docs" / "how-to"


def example(page: str, text: str) -> str:
    """Return the first example on a page that has a text in it."""
    content = PAGES.joinpath(page).read_text()
    pattern = r"^( *)```\w+\n(.*?)^\1```$"  # indented, where it is in a list
    for _, code in re.findall(pattern, content, re.DOTALL | re.MULTILINE):
        if text in code:
            return textwrap.dedent(code)
    raise LookupError(text)
