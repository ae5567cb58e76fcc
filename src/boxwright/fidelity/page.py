"""The table as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from boxwright.fidelity.row import Row

HEAD = """# As published

What the papers say, what the released programs do, and what the recipes here have. Where ours differs, the last column
says why. This page is made from `src/boxwright/fidelity` by `python -m boxwright.fidelity > docs/fidelity.md`; a test
holds every recipe to the table, and this page to what the command prints.
"""


def page(table: Sequence[Row]) -> str:
    """Markdown, one section a subject, in the table's order."""
    parts = [HEAD]
    for subject in dict.fromkeys(row.subject for row in table):
        parts += [
            f"## {subject}",
            "",
            "| setting | paper | released | ours | why ours differs |",
            "|---|---|---|---|---|",
        ]
        for row in table:
            if row.subject == subject:
                cells = (row.setting, row.paper, row.released, _shown(row.ours), row.why)
                parts.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return ", ".join(_shown(one) for one in value)
    return str(value)
