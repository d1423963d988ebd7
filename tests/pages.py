"""The examples of the documentation's pages."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parent.parent / "docs" / "how-to"


def example(page: str, text: str) -> str:
    """Return the first example on a page that has a text in it."""
    content = PAGES.joinpath(page).read_text()
    for code in re.findall(r"^```\w+\n(.*?)^```$", content, re.DOTALL | re.MULTILINE):
        if text in code:
            return str(code)
    raise LookupError(text)
