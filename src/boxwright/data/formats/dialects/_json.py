"""What the dialects in JSON share: a file's content, or a report of why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from boxwright.data.findings import finding
from boxwright.data.formats.reading import read_text
from boxwright.data.formats.values import number
from boxwright.data.records import Report


def content(file: Path, report: Report) -> Any:
    """The file's content, or None after reporting why it cannot be read."""
    text = read_text(file, report)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        report(finding("json-syntax", file, "", f"is not JSON ({error!s:.120})"))
        return None


def numbers(held: Any, *keys: str) -> tuple[float, ...] | None:
    """The numbers under some keys, or None if one is missing or is none."""
    if not isinstance(held, dict):
        return None
    found = [value for key in keys if (value := number(held.get(key))) is not None]
    return tuple(found) if len(found) == len(keys) else None


def mapping(held: Any) -> dict[str, Any]:
    """`held` if it is an object, else an empty one."""
    return held if isinstance(held, dict) else {}


def listed(held: Any) -> list[Any]:
    """`held` if it is a list; the values, if it is an object; else nothing."""
    return held if isinstance(held, list) else [*held.values()] if isinstance(held, dict) else []
