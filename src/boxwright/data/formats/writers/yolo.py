"""Writes YOLO: `data.yaml`, `images/SPLIT` and `labels/SPLIT`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from boxwright.data.formats.writers.placing import (
    Images,
    Watch,
    as_splits,
    image_names,
    place,
    quietly,
    real_size,
    safe,
)
from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError
from boxwright.files import write_text

# Digits after the point: a billionth of a pixel in an image a thousand pixels wide.
_DIGITS = 12


def write(
    data: Dataset | Sequence[Dataset], folder: Path, *, images: Images = "copy", watch: Watch = quietly
) -> None:
    """Write a data set, or its splits, with the images.

    Class numbers are the ids (0 to C-1 if one is negative). Objects are written as polygons if each
    of them has a mask that is one polygon with the box as its hull, and as boxes otherwise: programs that
    read YOLO files misread a file that has both.

    Args:
        data: the data set, or one for each split, all with the same classes; without a split it is "train".
        folder: where to write.
        images: "copy" or "link" them.
        watch: passes the images on as they are written, and shows it.

    Raises:
        InputError: an image cannot be decoded, so that fractions of its size are unknown.
    """
    splits = as_splits(data)
    names, numbers, polygons = image_names(splits), class_numbers(splits[0].ids), has_polygons(splits)
    layout: dict[str, Any] = {}
    for split in splits:
        inner = safe(split.split or "train")
        layout[inner] = f"images/{inner}"
        (folder / "images" / inner).mkdir(parents=True, exist_ok=True)
        labels = folder / "labels" / inner
        labels.mkdir(parents=True, exist_ok=True)
        for sample in watch(split, "writing"):
            name = names[sample.path]
            place(sample.path, folder / "images" / inner / name, images)
            text = "".join(f"{line}\n" for line in _lines(sample, numbers, polygons))
            (labels / f"{Path(name).stem}.txt").write_text(text, "utf-8", newline="\n")
    layout["names"] = dict(zip(numbers, splits[0].classes, strict=True))
    if splits[0].format == "yolo":
        layout |= {key: value for key, value in splits[0].info.items() if key not in layout}
    write_text(folder / "data.yaml", yaml.safe_dump(layout, allow_unicode=True, sort_keys=False))


def class_numbers(ids: Sequence[int]) -> tuple[int, ...]:
    """The ids as YOLO's class numbers, which cannot be negative."""
    return tuple(ids) if all(identity >= 0 for identity in ids) else tuple(range(len(ids)))


def has_polygons(splits: Sequence[Dataset]) -> bool:
    """Whether each object of a data set is one polygon with its box as the hull."""
    samples = [sample for split in splits for sample in split if len(sample.labels)]
    return bool(samples) and all(
        sample.masks and all(map(_is_hull, sample.masks, sample.boxes.tolist())) for sample in samples
    )


def _is_hull(mask: Any, box: Sequence[float]) -> bool:
    if not (isinstance(mask, list) and len(mask) == 1 and isinstance(mask[0], list)):
        return False
    points = mask[0]
    if len(points) < 6 or len(points) % 2 or not all(isinstance(value, (int, float)) for value in points):
        return False
    hull = (min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2]))
    return all(abs(a - b) <= 1e-6 for a, b in zip(hull, box, strict=True))


def _lines(sample: Sample, numbers: Sequence[int], polygons: bool) -> list[str]:
    """A line for each object, in fractions of the image's real size."""
    if not len(sample.labels):
        return []
    size = real_size(sample)
    if size is None:
        raise InputError("cannot be decoded, so boxes cannot be given in fractions of it", path=sample.path)
    height, width = size
    lines = []
    for position, label in enumerate(sample.labels.tolist()):
        left, top, right, bottom = sample.boxes[position].tolist()
        if polygons:
            values = [v / (height if i % 2 else width) for i, v in enumerate(sample.masks[position][0])]
        else:
            values = [(left + right) / 2 / width, (top + bottom) / 2 / height]
            values += [(right - left) / width, (bottom - top) / height]
        lines.append(" ".join([str(numbers[label]), *map(_fraction, values)]))
    return lines


def _fraction(value: float) -> str:
    return f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")
