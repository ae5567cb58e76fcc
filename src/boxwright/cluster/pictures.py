"""Which images there are: a folder's or a data set's, sorted by path, before any of them is opened."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from boxwright.errors import InputError
from boxwright.runtime.sources import VIDEO_EXTENSIONS, Sources

ALL = "all"
"""The split that means all splits."""


@dataclass(frozen=True)
class Picture:
    """An image file.

    Attributes:
        path: relative to the root, with forward slashes.
        length: bytes; -1 where there is no such file.
        modified: time of change, in milliseconds since 1970; with `length`, what tells that a file is as it was.
    """

    path: str
    length: int
    modified: int


@dataclass(frozen=True)
class Pictures:
    """Image files under one folder.

    Attributes:
        root: the folder, absolute.
        files: sorted by path, each once.
    """

    root: Path
    files: tuple[Picture, ...]

    def file(self, picture: Picture) -> Path:
        """Where the image is."""
        return self.root / picture.path


def list_pictures(source: Path, split: str | None = None, without: Path | None = None) -> Pictures:
    """The images behind a command line's argument.

    Args:
        source: a folder (searched to any depth), a pattern or an image; with `split`, a data set.
        split: of a data set, or "all"; None takes every image that lies in the folder.
        without: a folder that is not searched: the one results are written to.

    Raises:
        InputError: there are none.
    """
    if split is not None:
        from boxwright.data import open_dataset

        dataset = open_dataset(source, None if split == ALL else split, policy="skip")
        return _listed(dataset.root, (sample.path for sample in dataset))
    if not source.exists() and not glob.has_magic(str(source)):
        raise InputError("does not exist", path=source, hint="name a folder with images, or a pattern")
    files = Sources([str(source)], without=without).files()
    return _listed(_root(source), (path for path in files if path.suffix.lower() not in VIDEO_EXTENSIONS))


def _listed(root: Path, files: Iterable[Path]) -> Pictures:
    root = Path(os.path.abspath(root))  # noqa: PTH100 (links stay as they are)
    found = {}
    for file in files:
        path = Path(os.path.relpath(file, root)).as_posix()
        try:
            about = file.stat()
            found[path] = Picture(path, about.st_size, about.st_mtime_ns // 1_000_000)
        except OSError:
            found[path] = Picture(path, -1, -1)
    if not found:
        raise InputError("no images here", path=root, hint="name a folder with images")
    return Pictures(root, tuple(found[path] for path in sorted(found)))


def _root(source: Path) -> Path:
    """The folder, a file's folder, or a pattern's part before what is a pattern: names in it are all different."""
    if source.exists():
        return source if source.is_dir() else source.parent
    return Path(*takewhile(lambda part: not glob.has_magic(part), source.parts))
