"""YOLO's label files without a `data.yaml`: as LabelImg, Label Studio, CVAT and Darknet leave them.

The names of the classes stand in `classes.txt`, `obj.names` or `_darknet.labels`, one a line; the splits are the
lists that `obj.data` names, lists called `train.txt`, or folders called `train`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boxwright.data.formats.locate import images_below
from boxwright.data.formats.notes import Note
from boxwright.data.formats.paths import DataFolder, inner_folder
from boxwright.data.formats.reading import is_usual, read_text, split_names
from boxwright.data.formats.yolo_labels import NO_LABELS, LabelFiles
from boxwright.data.formats.yolo_lines import Line, read_line
from boxwright.regular import is_file, is_folder

_NAMES = ("classes.txt", "obj.names", "_darknet.labels", "names.txt", "labels.txt", "predefined_classes.txt")
_DATA_KEYS = {"train": "train", "valid": "val", "val": "val", "test": "test"}
_LOOKED_AT = 50
"""Images whose label files are looked for before a folder counts as without any."""


def describe(source: Path, note: Note) -> tuple[Path, dict[str, Any]] | None:
    """The file of names (the folder itself, where there is none) and what a `data.yaml` would say.

    Args:
        source: the data folder, or Darknet's `obj.data`.
        note: takes what was looked at and passed over.

    Returns:
        None if there are no images with label files.
    """
    data = source if source.is_file() and source.suffix.lower() == ".data" else None
    root = (source if data is None else source.parent).absolute()
    if not is_folder(root):
        return None
    data = data or next(iter(sorted(root.glob("*.data"))), None)
    content: dict[str, Any] = _data(data) if data is not None else {}
    entries = {k: v for k, v in content.items() if k in ("train", "val", "test")} or _entries(root)
    folders = [root / entry for entry in entries.values() if is_folder(root / entry)] or [root]
    labels = LabelFiles(DataFolder(root), {}, None, lambda _: None)
    files = [file for folder in folders for file in _label_files(folder, labels)]
    if not any(_is_label(file) for file in files):
        if files:
            note(
                files[0],
                "is no YOLO label file: its first line is not a class number and fractions of the image",
            )
        return None
    said = content.get("names", "")
    names_file = _names_file(root, [root / Path(said).name] if said else [], folders)
    names = [] if names_file is None else _names(names_file)
    if not names:
        names_file, names = None, [f"class {number}" for number in range(1 + _largest(root, folders, labels))]
    return names_file or source, {"names": names, **entries}


def _data(file: Path) -> dict[str, str]:
    """The pairs of Darknet's `obj.data`."""
    lines = (read_text(file, lambda _: None) or "").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    said = {key.strip(): value.strip() for key, _, value in pairs}
    for key in _DATA_KEYS:
        # CVAT writes data/train.txt for the list that lies beside obj.data.
        if (
            key in said
            and not _is_there(file.parent / said[key])
            and _is_there(file.parent / Path(said[key]).name)
        ):
            said[key] = Path(said[key]).name
    return {_DATA_KEYS.get(key, key): value for key, value in said.items() if value}


def _entries(root: Path) -> dict[str, str]:
    """The list or folder of each split; none where nothing is split."""
    lists = {file.stem: file.name for file in sorted(root.glob("*.txt")) if is_usual(file.stem)}
    if lists:
        return {split: lists[raw] for split, raw in split_names(lists).items()}
    images = inner_folder(root, "images", "image", "imgs", "img")
    for place in (root, *(() if images is None else (images,))):
        inner = {
            folder.name: folder
            for folder in sorted(place.iterdir())
            if folder.is_dir() and is_usual(folder.name)
        }
        if inner:
            return {
                split: inner[raw].relative_to(root).as_posix() for split, raw in split_names(inner).items()
            }
    return {}


def _label_files(folder: Path, labels: LabelFiles) -> Iterator[Path]:
    """The label files of the first images of a folder."""
    for count, image in enumerate(images_below(folder, follow_links=True)):
        if count >= _LOOKED_AT:
            return
        if (file := labels.label_file(image)) is not None and file.name not in NO_LABELS:
            yield file


def _is_label(file: Path) -> bool:
    lines = (read_text(file, lambda _: None) or "").split("\n")
    first = next((line for line in lines if line.strip()), "")
    return bool(first) and isinstance(read_line(first, (1, 1), None), Line)


def _names_file(root: Path, said: list[Path], folders: list[Path]) -> Path | None:
    places = dict.fromkeys([root, *folders, *(f for f in (inner_folder(root, "labels"),) if f is not None)])
    usual = [place / name for place in places for name in _NAMES]
    others = [file for place in places for file in sorted(place.glob("*.names"))]
    return next((file for file in (*said, *usual, *others) if is_file(file)), None)


def _names(file: Path) -> list[str]:
    lines = [line.strip() for line in (read_text(file, lambda _: None) or "").splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _largest(root: Path, folders: list[Path], labels: LabelFiles) -> int:
    """The largest number of a class in any label file."""
    found = 0
    for image in (image for folder in folders for image in images_below(folder, follow_links=True)):
        file = labels.label_file(image)
        for line in "" if file is None else (read_text(file, lambda _: None) or "").split("\n"):
            held = read_line(line, (1, 1), None) if line.strip() else None
            if isinstance(held, Line):
                found = max(found, min(held.number, 9999))
    return found


def _is_there(path: Path) -> bool:
    return is_file(path) or is_folder(path)
