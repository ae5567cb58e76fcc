"""Files that hold photographs or drawings of kinds that nothing here decodes; a person should know of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

OTHER_KINDS = frozenset(
    {
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".psd",
        ".svg",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".orf",
        ".rw2",
        ".raf",
    }
    | {".pef", ".srw"}
)
"""Endings (lower case) of files that hold photographs or drawings, and that nothing here decodes."""


def other_kinds(folder: Path) -> Iterator[Path]:
    """Such files at any depth, sorted by folder and name."""
    for root, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(files) if Path(name).suffix.lower() in OTHER_KINDS)
