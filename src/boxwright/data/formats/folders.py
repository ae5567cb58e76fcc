"""Reads a folder of labelled images: `daisy/*.jpg`, `rose/*.jpg`, or the same inside `train/` and `val/`.

A label is an object as large as its image, so that all that works on boxes works on these too. Classes are the
names of the folders, by alphabet, over all splits.
"""

from __future__ import annotations

from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.notes import Note, ignore
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.paths import is_image
from boxwright.data.formats.reading import Objects, is_usual, split_names
from boxwright.data.records import Dataset, Report
from boxwright.errors import InputError
from boxwright.images import image_size

_ANNOTATIONS = frozenset({".txt", ".xml", ".json", ".csv"})
_BESIDE = "lies beside images as their annotation, so that the folder is no class of labelled images"
LEAST = 2
"""Classes that make a folder of images a data set: one alone is only a folder of images."""


def splits(source: Path, note: Note = ignore) -> tuple[str, ...] | None:
    """The splits of a folder of labelled images (none: an empty tuple), or None if `source` is no such folder."""
    if not source.is_dir():
        return None
    found = _class_folders(source)
    if len(found) >= LEAST and not all(is_usual(place.name) for place in found):
        annotated = [file for place in found if (file := _annotation_in(place)) is not None]
        for file in annotated:
            note(file, _BESIDE)
        return None if annotated else ()
    named = _splits(source)
    if any(len(_class_folders(folder)) >= LEAST for folder in named.values()):
        return tuple(named)
    for place in found:
        note(place, "has images, and neither annotations nor a folder for each class")
    return None


def read(source: Path, split: str, report: Report, options: ReadOptions = DEFAULT) -> Dataset:
    """Read one split.

    Args:
        source: the folder.
        split: one of `splits(source)`, or "" where there are none.
        report: takes what is wrong; the image is then left out.
        options: whether links are followed.
    """
    folder = options.folder(source)
    index = {name: position for position, name in enumerate(_class_names(source, split))}
    place_of = (_splits(source) if split else {"": source})[split]
    samples = []
    for place in _class_folders(place_of):
        for file in sorted(file for file in place.iterdir() if is_image(file)):
            path = folder.file(file.relative_to(source).as_posix())
            try:
                height, width = image_size(path)
            except InputError as error:
                report(finding("image-unreadable", path, "", error.message))
                continue
            objects = Objects(report, path, (height, width))
            objects.add((0.0, 0.0, float(width), float(height)), index[place.name], where="")
            samples.append(objects.sample(path, f"{place.name}/{file.stem}"))
    return Dataset(
        samples=tuple(samples),
        classes=tuple(index),
        ids=tuple(range(len(index))),
        root=folder.root,
        split=split,
        format="folders",
    )


def _class_names(source: Path, split: str) -> list[str]:
    """The names of the class folders of all splits, by alphabet."""
    parts = _splits(source).values() if split else [source]
    return sorted({place.name for part in parts for place in _class_folders(part)})


def _annotation_in(folder: Path) -> Path | None:
    """A file among a folder's images that annotates them: then the folder's name is no label."""
    files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    stems = {file.stem for file in files if is_image(file)}
    return next(
        (
            f
            for f in sorted(files)
            if f.suffix.lower() in _ANNOTATIONS and (f.stem in stems or "annotation" in f.stem.lower())
        ),
        None,
    )


def _splits(source: Path) -> dict[str, Path]:
    names = [place.name for place in source.iterdir() if place.is_dir() and is_usual(place.name)]
    return {name: source / raw for name, raw in split_names(names).items()}


def _class_folders(source: Path) -> list[Path]:
    """The folders in `source` that hold images, by alphabet."""
    places = sorted(place for place in source.iterdir() if place.is_dir() and not place.name.startswith("."))
    return [place for place in places if any(is_image(file) for file in place.iterdir())]
