"""Photographs of kinds that are not read: a folder's are passed over, and a person should know."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from boxwright.cli.console import say
from boxwright.other_kinds import other_kinds

_NAMED = 3


def tell_passed_over(sources: Iterable[str | Path]) -> None:
    """Say how many such files lie in the folders among these sources, and what to do about them."""
    found = [file for source in sources if os.path.isdir(source) for file in other_kinds(Path(source))]  # noqa: PTH112
    if not found:
        return
    kinds = ", ".join(sorted({file.suffix.lower()[1:].upper() for file in found}))
    some = ", ".join(file.name for file in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    files = "1 file" if len(found) == 1 else f"{len(found)} files"
    say(
        f"boxwright: {files} of a kind that is not read ({kinds}) passed over: {some}{more}; convert to JPEG or PNG"
    )
