"""Reads YOLO: `data.yaml`, and for each image a text file with a line for each object.

A line is a class number and either `centre-x centre-y width height` or a polygon `x1 y1 x2 y2 x3 y3 ...`, all
in fractions of the image's width and height. A polygon's box is its hull; the polygon is kept as a mask.
Class numbers are those of `names`, a list or a dict, and may have gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxwright.data.findings import finding
from boxwright.data.formats import yolo_plain
from boxwright.data.formats.locate import ImageFinder
from boxwright.data.formats.notes import Note, ignore
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.paths import DataFolder
from boxwright.data.formats.yolo_labels import LabelFiles
from boxwright.data.formats.yolo_layout import (
    content_of,
    entries_of,
    images_of,
    missing,
    names_of,
    present,
    resolved,
    yaml_file,
)
from boxwright.data.formats.yolo_lines import Keypoints, keypoints_of
from boxwright.data.records import Dataset, Report
from boxwright.regular import is_folder

_KEYS = frozenset({"path", "names", "nc", "kpt_shape", "flip_idx"})


def splits(source: Path, note: Note = ignore) -> tuple[str, ...] | None:
    """The splits that `data.yaml` names and that are there, or None if `source` is no YOLO data set with one."""
    file = yaml_file(source, note)
    if file is None:
        return None
    content = content_of(file, lambda _: None)
    return () if content is None else tuple(present(content, DataFolder(file.parent)))


def plain_splits(source: Path, note: Note = ignore) -> tuple[str, ...] | None:
    """The splits of YOLO's label files without a `data.yaml`; None if there are no such files."""
    found = yolo_plain.describe(source, note)
    return None if found is None else tuple(name for name in entries_of(found[1]) if name)


def read(source: Path, split: str, report: Report, options: ReadOptions = DEFAULT) -> Dataset:
    """Read one split of a YOLO data set; images without a label file have no objects.

    Args:
        source: `data.yaml`, or the folder that it lies in.
        split: one of `splits(source)`; "" (there are none: the file is broken) reports what is wrong with it.
        report: takes what is wrong; the image or the object is then left out.
        options: where the images are.
    """
    file = yaml_file(source)
    assert file is not None, "open_dataset has looked"
    folder = options.folder(file.parent)
    content = content_of(file, report)
    names = None if content is None else names_of(content, file, report)
    if content is None or names is None:
        return Dataset((), (), (), folder.root, split, "yolo")
    keypoints = keypoints_of(content, file, report)
    return _read(file, content, names, keypoints, split, folder, report, options)


def read_plain(source: Path, split: str, report: Report, options: ReadOptions = DEFAULT) -> Dataset:
    """Read one split of YOLO's label files without a `data.yaml`; the arguments are those of `read`."""
    found = yolo_plain.describe(source, ignore)
    assert found is not None, "open_dataset has looked"
    file, content = found
    names = dict(enumerate(content["names"]))
    if file == source:
        message = (
            "no file with the names of the classes (classes.txt, obj.names): they are called by their numbers"
        )
        report(finding("class-list", source, "", message))
    entries = {"": ["."]} if not entries_of(content) else {}
    folder = options.folder(source if source.is_dir() else source.parent)
    return _read(file, content | {"entries": entries}, names, None, split, folder, report, options)


def _read(
    file: Path,
    content: Mapping[str, Any],
    names: Mapping[int, str],
    keypoints: Keypoints | None,
    split: str,
    folder: DataFolder,
    report: Report,
    options: ReadOptions,
) -> Dataset:
    entries = content.get("entries") or entries_of(content)
    if split not in entries:
        report(finding("yaml-shape", file, "", "names no train, val or test images"))
        return Dataset((), tuple(names.values()), tuple(names), folder.root, split, "yolo")
    for other, said in entries.items():
        if other != split and not any(resolved(entry, content, folder) for entry in said):
            missing(said[0], other, content, file, folder, report)
    finder = ImageFinder(folder, options, report)
    images = images_of(entries[split], split, content, file, folder, finder, report)
    labels = LabelFiles(folder, names, keypoints, report)
    samples = labels.samples(images)
    if all(is_folder(folder.root / entry) for entry in entries[split]):
        labels.report_orphans()
    info = {k: v for k, v in content.items() if k not in _KEYS and k not in entries and k != "entries"}
    classes, ids = tuple(names.values()), tuple(names)
    return Dataset(tuple(samples), classes, ids, folder.root, split, "yolo", info)
