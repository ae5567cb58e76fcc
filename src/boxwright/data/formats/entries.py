"""Data sets whose format only says, image by image, what is on it: one reader for all of them.

A dialect (each is one file in `dialects/`) finds its files and turns one of them into `Entry` records; what is alike
for all of them (finding images, numbering classes, boxes in fractions, findings) is here. A new format of this kind
is one new file there and one line in `boxwright.data.open.FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from boxwright.data.findings import finding
from boxwright.data.formats.locate import ImageFinder
from boxwright.data.formats.notes import Note, ignore
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.paths import is_image
from boxwright.data.formats.reading import Objects, is_usual, scaled_up, size_of_file, split_in, split_names
from boxwright.data.records import Dataset, Report, Sample


@dataclass(frozen=True)
class Thing:
    """An object as a file states it.

    Attributes:
        label: the name of its class.
        box: xyxy, or None where `problem` says why there is none.
        fractions: the box is in fractions of the image, not in pixels.
        problem: why it cannot be used, as a phrase; "" if it can.
        crowd, difficult: as in `boxwright.data.records.Sample`.
        mask: polygons in pixels, as COCO has them, or None.
        attributes: whatever else the file says.
    """

    label: str
    box: tuple[float, float, float, float] | None
    fractions: bool = False
    problem: str = ""
    crowd: bool = False
    difficult: bool = False
    mask: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """An image as a file states it: its name, where that stands, its size (height, width) if said, and its objects."""

    name: str
    where: str
    size: tuple[int, int] | None
    things: Sequence[Thing]


@runtime_checkable
class Dialect(Protocol):
    """A format of this kind."""

    def files(self, source: Path) -> list[Path]:
        """The files of the data set at `source`, none if it is another format."""
        ...

    def entries(self, file: Path, report: Report) -> Iterable[Entry]:
        """What a file states; `report` takes what cannot be read."""
        ...

    def classes(self, files: Sequence[Path]) -> Sequence[str]:
        """The names in an order of the data set's own, or none: then they go by alphabet."""
        ...


@dataclass(frozen=True)
class EntryFormat:
    """A dialect as `boxwright.data.open` wants a format.

    Args:
        name: "createml", ...
        dialect: how its files are found and read.
    """

    name: str
    dialect: Dialect

    def splits(self, source: Path, _: Note = ignore) -> tuple[str, ...] | None:
        """The splits (none: an empty tuple), or None if `source` is another format."""
        files = self.dialect.files(source)
        return tuple(name for name in _by_split(files) if name) if files else None

    def read(self, source: Path, split: str, report: Report, options: ReadOptions = DEFAULT) -> Dataset:
        """Read one split; images and objects that cannot be used are reported and left out."""
        files = self.dialect.files(source)
        parts = _by_split(files)
        mine = parts[split]
        folder = options.folder(source if source.is_dir() else source.parent)
        entries = {file: list(self.dialect.entries(file, report)) for file in mine}
        others = [file for several in parts.values() for file in several if file not in mine]
        names = _names(entries.values()) | _names(self.dialect.entries(f, lambda _: None) for f in others)
        listed = list(dict.fromkeys(self.dialect.classes(files)))
        if missing := names - set(listed):
            if listed:
                shown = ", ".join(map(repr, sorted(missing)[:5]))
                report(finding("class-list", mine[0], "", f"classes are not in the list of names: {shown}"))
            listed += sorted(missing)
        index = {name: position for position, name in enumerate(listed)}
        finder = ImageFinder(folder, options, report)
        samples: dict[Path, Sample] = {}
        for file, several in entries.items():
            for entry in several:
                bases = _bases(file, folder.root, split)
                bare = not is_image(Path(entry.name))
                path = finder.find(entry.name, bases, file, entry.where, bare=bare)
                if path in samples:
                    report(
                        finding("image-duplicate", file, entry.where, f"{entry.name!r:.80} is there twice")
                    )
                elif path is not None:
                    samples[path] = _sample(path, entry, file, index, report)
        ids = tuple(range(len(listed)))
        return Dataset(tuple(samples.values()), tuple(listed), ids, folder.root, split, self.name)


def files_of(source: Path, ending: str, accepts: Callable[[Path], bool]) -> list[Path]:
    """The files of a format at a data folder: at the top, in folders of annotations, or in those of splits.

    Args:
        source: a file, or the data folder.
        ending: of its files, such as ".json".
        accepts: whether a file of that ending is one.
    """
    if source.is_file():
        return [source] if source.suffix.lower() == ending and accepts(source) else []
    if not source.is_dir():
        return []
    inner = sorted(place for place in source.iterdir() if place.is_dir() and place.name[:1] != ".")
    named = [
        place for place in inner if place.name.lower() in ("annotations", "annotation", "labels", "json")
    ]
    for level in ([source], named, [place for place in inner if is_usual(place.name)]):
        files = [file for folder in level for file in sorted(folder.iterdir())]
        right = [file for file in files if file.suffix.lower() == ending and file.name[:1] != "."]
        if found := [file for file in right if accepts(file)]:
            return found
    return []


def _by_split(files: Sequence[Path]) -> dict[str, list[Path]]:
    """The files of each split; all together where their names and folders say none."""
    said = {
        file: split_in(file.stem) or (file.parent.name if is_usual(file.parent.name) else "")
        for file in files
    }
    if not all(said.values()):
        return {"": list(files)}
    return {
        name: [file for file in files if said[file] == raw]
        for name, raw in split_names(set(said.values())).items()
    }


def _bases(file: Path, root: Path, split: str) -> list[Path]:
    folders = (file.parent, root, *(root / name for name in (split,) if name))
    return list(dict.fromkeys(place / inner for place in folders for inner in ("", "images")))


def _names(entries: Iterable[Iterable[Entry]]) -> set[str]:
    return {thing.label for several in entries for entry in several for thing in entry.things if thing.label}


def _sample(path: Path, entry: Entry, file: Path, index: Mapping[str, int], report: Report) -> Sample:
    objects = Objects(report, file, entry.size)
    for position, thing in enumerate(entry.things, start=1):
        where = f"{entry.where}, object {position}"
        box = thing.box
        if box is not None and thing.fractions:
            size = entry.size or size_of_file(path)
            box = None if size is None else scaled_up(box, size)
        if thing.problem or box is None:
            objects.lose(
                "box-shape", where, thing.problem or "has no box in pixels: the image's size is not known"
            )
        elif not thing.label:
            objects.lose("class-unknown", where, "has no class")
        else:
            objects.add(
                box,
                index[thing.label],
                where=where,
                crowd=thing.crowd,
                difficult=thing.difficult,
                mask=thing.mask,
                attributes=thing.attributes,
            )
    return objects.sample(path, path.stem)
