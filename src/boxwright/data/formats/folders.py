"""Reads a folder of labelled pictures: `daisy/*.jpg`, `rose/*.jpg`, or the same inside `train/` and `val/`.

A label is an object as large as its picture, so that all that works on boxes works on these too. Classes are the
names of the folders, by alphabet, over all splits.
"""

from __future__ import annotations

from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.paths import DataFolder, is_image
from boxwright.data.formats.reading import Objects, is_usual, split_names
from boxwright.data.records import Dataset, Report
from boxwright.errors import InputError
from boxwright.images import image_size

LEAST = 2
"""Classes that make a folder of pictures a data set: one alone is only a folder of pictures."""


def splits(source: Path) -> tuple[str, ...] | None:
    """The splits of a folder of labelled pictures (none: an empty tuple), or None if `source` is no such folder."""
    if not source.is_dir():
        return None
    if len(_class_folders(source)) >= LEAST:
        return ()
    named = _splits(source)
    return tuple(named) if any(len(_class_folders(folder)) >= LEAST for folder in named.values()) else None


def read(source: Path, split: str, report: Report) -> Dataset:
    """Read one split.

    Args:
        source: the folder.
        split: one of `splits(source)`, or "" where there are none.
        report: takes what is wrong; the picture is then left out.
    """
    folder = DataFolder(source)
    named = _splits(source) if split else {"": source}
    classes = sorted({place.name for part in named.values() for place in _class_folders(part)})
    samples = []
    for place in _class_folders(named[split]):
        for file in sorted(file for file in place.iterdir() if is_image(file)):
            path = folder.file(file.relative_to(source).as_posix())
            try:
                height, width = image_size(path)
            except InputError as error:
                report(finding("image-unreadable", path, "", error.message))
                continue
            objects = Objects(report, path, (height, width))
            objects.add((0.0, 0.0, float(width), float(height)), classes.index(place.name), where="")
            samples.append(objects.sample(path, f"{place.name}/{file.stem}"))
    return Dataset(
        samples=tuple(samples),
        classes=tuple(classes),
        ids=tuple(range(len(classes))),
        root=folder.root,
        split=split,
        format="folders",
    )


def _splits(source: Path) -> dict[str, Path]:
    names = [place.name for place in source.iterdir() if place.is_dir() and is_usual(place.name)]
    return {name: source / raw for name, raw in split_names(names).items()}


def _class_folders(source: Path) -> list[Path]:
    """The folders in `source` that hold pictures, by alphabet."""
    places = sorted(place for place in source.iterdir() if place.is_dir() and not place.name.startswith("."))
    return [place for place in places if any(is_image(file) for file in place.iterdir())]
