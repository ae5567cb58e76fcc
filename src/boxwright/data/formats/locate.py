"""The image that a name in an annotation means, wherever the tool that wrote it kept its images.

A name is looked up as it stands first. Only if no such file exists is it looked for by its last part, without
regard to case, Unicode form and ending; a single match is taken and reported, several are refused.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from boxwright.data.findings import finding
from boxwright.data.formats.options import ReadOptions
from boxwright.data.formats.paths import DataFolder, UnsafePathError, is_image
from boxwright.data.formats.reading import is_usual, split_names
from boxwright.data.records import Report
from boxwright.images import EXTENSIONS
from boxwright.regular import is_file, is_folder

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/]*/")
_LOCAL_FILES = re.compile(r"^/?data/local-files/\?d=")  # how Label Studio names files of its own disk
_FEW = 3


class ImageFinder:
    """Finds the images of one data set.

    Args:
        folder: the data folder.
        options: where a person says that the images are, and whether links are followed.
        report: takes what is missing, ambiguous, unsafe, or found under another name.
    """

    def __init__(self, folder: DataFolder, options: ReadOptions, report: Report) -> None:
        self._report, self._given = report, options.images is not None
        images = options.images
        self._folder = folder if images is None else DataFolder(images, follow_links=options.follow_links)
        self._index: dict[str, list[Path]] | None = None

    def find(
        self, name: str, bases: Sequence[Path], file: Path, where: str, *, bare: bool = False
    ) -> Path | None:
        r"""The image that `name` means, or None after reporting why there is none.

        Args:
            name: what the annotation says: a path with `/` or `\`, relative or of another machine, or an address.
            bases: the folders that it may be relative to, most telling first.
            file: the annotation file, for the report.
            where: where in it, for the report.
            bare: names of this format have no ending, so that a missing one is no difference.
        """
        bases = [self._folder.root] if self._given else [*bases]
        refused = ""
        try:
            path = self._folder.find(name, bases)
        except UnsafePathError as error:
            path, refused = None, str(error)
        if path is not None:
            return path
        matches = self._matches(name, bases)
        if len(matches) == 1:
            if difference := self._difference(name, matches[0], bare=bare):
                self._report(finding("image-inexact", file, where, difference))
            return matches[0]
        shown = repr(name if len(name) <= 80 else name[:77] + "...")
        if matches:
            several = ", ".join(self._short(path) for path in matches[:_FEW])
            more = f" and {len(matches) - _FEW} more" if len(matches) > _FEW else ""
            message = f"{shown} may be {several}{more}; say by --images DIR which folder is meant"
            self._report(finding("image-missing", file, where, message))
        elif refused:
            self._report(finding("path-escape", file, where, refused))
        else:
            tried = ", ".join(dict.fromkeys(str(base) for base in bases if is_folder(base)))
            message = f"{shown} is in none of {tried or self._folder.root}, nor below {self._folder.root}"
            self._report(finding("image-missing", file, where, message))
        return None

    def safe(self, path: Path, file: Path) -> Path | None:
        """An image that was found by looking into folders, or None after reporting that it leads out of the data."""
        try:
            return self._folder.file(os.path.relpath(path.absolute(), self._folder.root))
        except UnsafePathError as error:
            self._report(finding("path-escape", file, "", str(error)))
            return None

    def _matches(self, name: str, bases: Sequence[Path]) -> list[Path]:
        """The images whose names agree best with `name`; several if nothing tells them apart."""
        if "\0" in name:
            return []
        if self._index is None:
            self._index = _scanned(self._folder)
        for said in dict.fromkeys((name, unquote(name))):
            parts = _parts(said)
            if not parts:
                return []
            last = parts[-1]
            found = self._index.get(last) or self._index.get(_stem(last)) or []
            if found:
                return _best(found, parts, said, bases)
        return []

    def _difference(self, name: str, path: Path, *, bare: bool) -> str:
        """In what the file's name differs from the one that was said; "" if in nothing that matters."""
        said, there = name.replace("\\", "/").rpartition("/")[2], path.name
        if bare and _fold(said) != _fold(there):
            there = path.stem
        kinds = []
        if _form(said) != _form(there) and _form(said).casefold() == _form(there).casefold():
            kinds.append("case")
        elif _form(said) == _form(there) and said != there:
            kinds.append("Unicode form")
        elif _fold(said) != _fold(there):
            kinds.append("ending" if _stem(_fold(said)) == _stem(_fold(there)) else "spelling")
        if not kinds and "/" not in name.replace("\\", "/"):
            return ""
        return f"{name!r:.100} is taken to be {self._short(path)} (other {kinds[0] if kinds else 'folder'})"

    def _short(self, path: Path) -> str:
        root = self._folder.root
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def images_below(root: Path, *, follow_links: bool) -> Iterator[Path]:
    """All images in a folder and the folders in it, hidden ones apart, in alphabetical order folder by folder.

    Args:
        root: the folder.
        follow_links: linked folders are entered; none twice, so that circles end.
    """
    seen: set[str] = set()
    for place, inner, files in os.walk(root, followlinks=follow_links):
        real = os.path.realpath(place)
        inner[:] = [] if real in seen else sorted(name for name in inner if not name.startswith("."))
        if real in seen:
            continue
        seen.add(real)
        for name in sorted(files):
            path = Path(place) / name
            if is_image(path):
                yield path


def _scanned(folder: DataFolder) -> dict[str, list[Path]]:
    """All images below a folder, by name and by stem as `_fold` gives them."""
    index: dict[str, list[Path]] = {}
    for path in images_below(folder.root, follow_links=folder.follow_links):
        if path.is_symlink() and not folder.follow_links:
            continue
        key = _fold(path.name)
        for known in {key, _stem(key)}:
            index.setdefault(known, []).append(path)
    return index


def _best(found: Sequence[Path], parts: Sequence[str], said: str, bases: Sequence[Path]) -> list[Path]:
    """Those that share most: the trailing folders, then the exact spelling, then the likeliest base."""
    agreeing = [_agreement(path, parts) for path in found]
    found = [path for path, count in zip(found, agreeing, strict=True) if count == max(agreeing)]
    if not max(agreeing) and any(_holds_images(base) for base in bases):
        # Where the images are is known: one of the same name elsewhere, in another split say, is another image.
        found = [path for path in found if path.parent in bases]
    own = {next(iter(split_names([base.name]))) for base in bases if is_usual(base.name)}
    if own and not max(agreeing):
        found = [path for path in found if _splits_of(path) <= own]
    last = _form(said.replace("\\", "/").rpartition("/")[2])
    exact = [path for path in found if _form(path.name) == last]
    found = exact or found
    for base in bases:
        if len(found) > 1 and (below := [path for path in found if path.parent == base]):
            found = below
    return list(found)


def _splits_of(path: Path) -> set[str]:
    """The splits that the folders around an image are called after."""
    return {next(iter(split_names([part]))) for part in path.parts[-3:-1] if is_usual(part)}


def _holds_images(folder: Path) -> bool:
    return is_folder(folder) and any(
        is_image(Path(entry.name)) and is_file(entry.path) for entry in os.scandir(folder)
    )


def _agreement(path: Path, parts: Sequence[str]) -> int:
    """Trailing folders that the path and the name have in common."""
    count = 0
    for mine, said in zip(reversed(path.parts[:-1]), reversed(parts[:-1]), strict=False):
        if _fold(mine) != said:
            break
        count += 1
    return count


def _parts(name: str) -> list[str]:
    """The parts of a name as `_fold` gives them, without what only another machine knows."""
    plain = _SCHEME.sub("", _LOCAL_FILES.sub("", name.replace("\\", "/")))
    return [_fold(part) for part in plain.split("/") if part.strip() not in ("", ".", "..")]


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", _form(name).casefold())


def _stem(name: str) -> str:
    """Without an image's ending; other dots belong to the name."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and stem and f".{ending}" in EXTENSIONS else name
