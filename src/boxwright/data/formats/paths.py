"""No file name in an annotation leads out of the data folder; links that a person made are followed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from boxwright.images import EXTENSIONS
from boxwright.regular import is_file, is_folder

_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST, _LONGEST_PART = 4096, 255


class UnsafePathError(ValueError):
    """A name that leaves the data folder, or that no file can have."""


class DataFolder:
    """A folder that no name leads out of.

    Args:
        root: the data folder.
        follow_links: symbolic links may lead out of it: they are not the file's doing, but a person's.

    >>> DataFolder(Path("/data")).file("images/a.jpg").as_posix()
    '/data/images/a.jpg'
    >>> DataFolder(Path("/data")).file("../../etc/passwd")
    Traceback (most recent call last):
    boxwright.data.formats.paths.UnsafePathError: file name '../../etc/passwd' leads out of the data folder
    """

    def __init__(self, root: Path, *, follow_links: bool = True) -> None:
        self.root, self.follow_links = Path(os.path.normpath(root.absolute())), follow_links
        self._real_root = os.path.realpath(self.root)
        self._real_folders: dict[str, str] = {}

    def file(self, name: str, base: Path | None = None) -> Path:
        r"""The file that `name` means; it lies in the folder, but need not exist.

        Args:
            name: what the annotation says, with `/` or `\` between folders.
            base: the folder that `name` is relative to; the data folder by default.

        Raises:
            UnsafePathError: the name is absolute, has a drive letter, climbs out with `..` (or by a symbolic
                link, where links are not followed), holds a NUL, or is longer than a file name can be.
        """
        shown = repr(name if len(name) <= 80 else name[:77] + "...")
        if not name.strip() or "\0" in name:
            raise UnsafePathError(f"file name {shown} is empty or holds a NUL")
        plain = name.replace("\\", "/")
        try:
            encoded = os.fsencode(plain)
        except UnicodeEncodeError:
            raise UnsafePathError(f"file name {shown} is not valid Unicode") from None
        if len(encoded) >= _LONGEST or max(map(len, encoded.split(b"/"))) > _LONGEST_PART:
            raise UnsafePathError(f"file name {shown} is longer than a file name can be")
        if plain.startswith("/") or _DRIVE.match(plain):
            raise UnsafePathError(f"file name {shown} is absolute; names must be relative to the data folder")
        joined = os.path.normpath((self.root if base is None else base.absolute()) / plain)
        if not _within(str(self.root), joined):
            raise UnsafePathError(f"file name {shown} leads out of the data folder")
        if not self.follow_links and not _within(self._real_root, self._real(joined)):
            raise UnsafePathError(f"file name {shown} leads out of the data folder by a symbolic link")
        return Path(joined)

    def find(self, name: str, bases: Sequence[Path], *, folders: bool = False) -> Path | None:
        """The first file of that name under one of several folders, or None if it is under none of them.

        Args:
            name: what the annotation says.
            bases: the folders that `name` may be relative to.
            folders: a folder will do as well as a file.

        Raises:
            UnsafePathError: there is no such file, and under one of `bases` the name is unsafe.
        """
        refused: UnsafePathError | None = None
        for base in bases:
            try:
                path = self.file(name, base)
            except UnsafePathError as error:
                refused = error
                continue
            if is_file(path) or (folders and is_folder(path)):
                return path
        if refused is not None:
            raise refused
        return None

    def _real(self, file: str) -> str:
        """Where the file really lies; a folder is resolved once, as there are few folders and many files."""
        if Path(file).is_symlink():
            return os.path.realpath(file)
        folder, name = os.path.split(file)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        return os.path.join(self._real_folders[folder], name)  # noqa: PTH118 (a Path is slow here)


def inner_folder(folder: Path, *names: str) -> Path | None:
    """The folder in `folder` that has one of some names, without regard to case; the first name that is there.

    Args:
        folder: where to look; it need not exist.
        names: in lower case.
    """
    if not is_folder(folder):
        return None
    there = {place.name.lower(): place for place in sorted(folder.iterdir(), reverse=True) if place.is_dir()}
    return next((there[name] for name in names if name in there), None)


def is_image(path: Path) -> bool:
    """Whether the name is an image's; hidden files (macOS leaves `._a.jpg`) are none."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _within(root: str, path: str) -> bool:
    root = os.path.normpath(root)
    return path == root or path.startswith(root if root.endswith(os.sep) else root + os.sep)
