"""Why a file that was looked at is not taken for a data set: collected while formats are tried, shown to the person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Note = Callable[[Path, str], None]
"""Takes a file that was passed over and the reason."""


def ignore(_: Path, __: str) -> None:
    """For those who only ask whether a format fits."""
