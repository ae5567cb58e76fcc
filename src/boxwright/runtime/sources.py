"""Where images to detect on come from: files, folders, patterns, videos and lists. Torch-free, and lazy."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from boxwright.addresses import refuse_address
from boxwright.errors import InputError
from boxwright.images import EXTENSIONS
from boxwright.regular import real_path

VIDEO_EXTENSIONS = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"})


@dataclass(frozen=True)
class Item:
    """One image to detect on.

    Attributes:
        image: what the predictor takes: a file or a video's frame; an error where there is no further frame.
        path: the file, a video's too.
        output: where its picture goes, relative to the output folder, and unlike any other's.
        frame: number in the video, from 0, or None.
        rate: of the video, in frames per second.
    """

    image: Path | UInt8[np.ndarray, "height width 3"] | InputError
    path: Path
    output: Path
    frame: int | None = None
    rate: float = 0.0


@dataclass
class Sources:
    """The images behind a command line's arguments, in their order; folders and patterns are sorted.

    Args:
        arguments: files, folders (searched to any depth), patterns with `*`, `?` or `**`, and "-" for a list.
        listed: the lines that "-" stands for: one file, folder or pattern each.
        without: a folder that is never searched: the one results are written to.

    Raises:
        InputError: a folder without images or a pattern without files, before anything is detected.
    """

    arguments: Sequence[str]
    listed: Iterable[str] = ()
    without: Path | None = None
    total: int | None = field(init=False, default=None)
    """How many images there are, where that is known beforehand."""

    def __post_init__(self) -> None:
        self._found: list[Iterable[tuple[Path, Path]]] = []
        known: int | None = 0
        for argument in self.arguments:
            if argument == "-":
                lines = (line.rstrip("\r\n") for line in self.listed)
                self._found.append(chain.from_iterable(self._expand(line) for line in lines if line.strip()))
                known = None
                continue
            files = self._expand(argument)
            self._found.append(files)
            video = any(path.suffix.lower() in VIDEO_EXTENSIONS for path, _ in files)
            known = None if known is None or video else known + len(files)
        self.total = known

    def __iter__(self) -> Iterator[Item]:
        taken: dict[str, int] = {}
        for path, name in chain.from_iterable(self._found):
            output = _unlike(name, taken)
            if path.suffix.lower() in VIDEO_EXTENSIONS and path.is_file():
                yield from _frames(path, output)
            else:
                yield Item(path, path, output)

    def files(self) -> Iterator[Path]:
        """The files themselves, videos unopened."""
        return (path for path, _ in chain.from_iterable(self._found))

    def _expand(self, argument: str) -> list[tuple[Path, Path]]:
        """The files of one argument, each with the name of its output."""
        refuse_address(argument)
        path = Path(argument)
        try:
            folder, exists = path.is_dir(), path.exists()
        except ValueError:  # a NUL in the name
            folder = exists = False
        if folder:
            files = list(_walk(path, self.without))
            if not files:
                raise InputError(
                    "no images in this folder", path=path, hint="name a folder with images or videos"
                )
            return [(file, file.relative_to(path)) for file in files]
        if not exists and glob.has_magic(argument):
            files = [Path(name) for name in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207
            files = [file for file in files if file.is_file()]
            if not files:
                raise InputError(
                    "no files match this pattern", path=argument, hint="check it, and its quotes"
                )
            return [(file, Path(file.name)) for file in files]
        # A missing file is reported in its turn, beside the unreadable ones.
        return [(path, Path(path.name or "image"))]


def _walk(folder: Path, without: Path | None) -> Iterator[Path]:
    """Images and videos at any depth, sorted by folder and name; links to folders are not followed."""
    skipped = None if without is None else real_path(without)
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if real_path(Path(root, name)) != skipped)
        for name in sorted(files):
            # macOS leaves "._name.jpg" beside each file on foreign disks: hidden, and no image.
            if Path(name).suffix.lower() in EXTENSIONS | VIDEO_EXTENSIONS and not name.startswith("."):
                yield Path(root, name)


def _unlike(name: Path, taken: dict[str, int]) -> Path:
    """The name, with a number where another source has it already (without regard to case, for all disks)."""
    unique = name
    while (key := str(unique).lower()) in taken:
        # The count is kept with the plain name: ten thousand "frame.jpg" are not tried from 2 on each.
        number = taken[str(name).lower()] = taken[str(name).lower()] + 1
        unique = name.with_name(f"{name.stem}-{number}{name.suffix}")
    taken[key] = 1
    return unique


def _frames(path: Path, output: Path) -> Iterator[Item]:
    from boxwright.runtime.video import read_video

    try:
        for number, (frame, rate) in enumerate(read_video(path)):
            yield Item(frame, path, output, number, rate)
    except InputError as error:
        yield Item(error, path, output)
