"""The table of the page *Tested with*."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("results.md")
COLUMNS = {
    "Server": "server",
    "Version": "version",
    "Without a token": "strangers",
    "Bad token": "bad",
    "Ways in": "ways",
    "Uploads": "uploads",
    "Renewal": "renewal",
    "Date": "date",
}


def write(results: dict[str, dict[str, Any]]) -> None:
    """Write the part of the page that a run makes."""
    TABLE.write_text(table(results))


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the table, and what there is to say beside it."""
    lines = [line(COLUMNS), line("---" for _ in COLUMNS)]
    notes = []
    for result in results.values():
        cells = {name: result[name] or "-" for name in COLUMNS.values()}
        if result["absent"]:
            cells["ways"] = f"not tried: {result['absent']}"
        lines.append(line(cells.values()))
        name = f"{result['server']} {result['version']}".strip()
        notes += [f"- {name}: {one}" for one in result["notes"]]
        notes += [
            f"- {name}: **not as expected**: {' '.join(one.split())}"
            for one in result["failures"]
        ]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def line(cells: Any) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"
