"""Reads COCO: one JSON file for each split, with images, annotations and categories.

Boxes are [x, y, width, height] in the file. Categories keep the file's order and ids; whatever else the file
says (licences, segmentations, areas, any further key) is kept for writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.data.findings import finding
from boxwright.data.formats import conventions, outlines
from boxwright.data.formats.coco_layout import PREFIX, bases, layout
from boxwright.data.formats.locate import ImageFinder
from boxwright.data.formats.notes import Note, ignore
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.reading import Objects, read_text, size_of_file
from boxwright.data.formats.values import flag, identity, number, size_of, whole
from boxwright.data.records import Dataset, Report, Sample

__all__ = ["CONTENT_KEYS", "IMAGE_KEYS", "OBJECT_KEYS", "PREFIX", "read", "splits"]

CONTENT_KEYS = frozenset({"images", "annotations", "categories"})
IMAGE_KEYS = frozenset({"id", "file_name", "width", "height"})
OBJECT_KEYS = frozenset(
    {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "difficult", "segmentation"}
)
Id = int | str


@dataclass(frozen=True)
class _Image:
    """An entry of the file's list: its id, what else it says, the file (None: missing) and the stated size."""

    identity: Id
    entry: Mapping[str, Any]
    path: Path | None
    size: tuple[int, int] | None


def splits(source: Path, note: Note = ignore) -> tuple[str, ...] | None:
    """The splits of a COCO folder or file (none: an empty tuple), or None if `source` is no COCO data set."""
    found = layout(source, note)
    return None if found is None else tuple(name for name in found[1] if name)


def read(source: Path, split: str, report: Report, options: ReadOptions = DEFAULT) -> Dataset:
    """Read one split: a JSON file and the images it names.

    Args:
        source: a JSON file, or a folder with `annotations/instances_SPLIT.json`,
            `SPLIT/_annotations.coco.json`, or JSON files beside the images.
        split: one of `splits(source)`, or "" where there are none.
        report: takes what is wrong; the image or the object is then left out.
        options: where the images are.
    """
    found = layout(source, ignore)
    assert found is not None and split in found[1], "open_dataset has looked"
    root, files = found
    folder, file = options.folder(root), files[split]
    content = _content(file, report)
    if content is None:
        return Dataset((), (), (), folder.root, split, "coco")
    names, extras = _categories(content["categories"], file, report)
    info = {key: value for key, value in content.items() if key not in CONTENT_KEYS}
    if any(extras.values()):
        info["categories"] = extras
    finder = ImageFinder(folder, options, report)
    images = _images(content["images"], file, finder, bases(file, folder.root, split), report)
    by_image, lost = _annotations(content["annotations"], set(images), names, file, report)
    boxes = _Boxes(((images[i], entry) for i, several in by_image.items() for entry in several), file, report)
    index = {category: position for position, category in enumerate(names)}
    samples = tuple(
        _sample(image, image.path, by_image.get(image.identity, []), lost, boxes, index, file, report)
        for image in images.values()
        if image.path is not None
    )
    return Dataset(samples, tuple(names.values()), tuple(names), folder.root, split, "coco", info)


def _content(file: Path, report: Report) -> dict[str, Any] | None:
    """The file's object with its three lists, or None after reporting why there is none."""
    text = read_text(file, report)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        report(finding("json-syntax", file, f"line {error.lineno}", f"is not JSON ({error.msg})"))
        return None
    except (ValueError, RecursionError) as error:
        report(finding("json-syntax", file, "", f"is not JSON that can be read ({error!s:.120})"))
        return None
    if not isinstance(content, dict):
        report(finding("json-shape", file, "", f"holds a {type(content).__name__}, not a COCO object"))
        return None
    for key in sorted(CONTENT_KEYS):
        if not isinstance(content.get(key), list):
            what = "has no list" if key not in content else "has something else than a list under"
            report(finding("json-shape", file, "", f'{what} "{key}": not a COCO data set'))
            return None
    return content


def _is_text(value: Any) -> bool:
    """Whether this is a text that any file can hold: JSON can also hold halves of characters."""
    try:
        return isinstance(value, str) and bool(value.encode())
    except UnicodeEncodeError:
        return False


def _categories(
    entries: list[Any], file: Path, report: Report
) -> tuple[dict[int, str], dict[int, Mapping[str, Any]]]:
    """Names by id, in the file's order, and what else each category says."""
    names: dict[int, str] = {}
    extras: dict[int, Mapping[str, Any]] = {}
    known: set[str] = set()
    for position, entry in enumerate(entries, start=1):
        where = f"category {position}"
        if not isinstance(entry, dict) or not _is_text(entry.get("name")):
            report(finding("record-shape", file, where, "has no name that is a text"))
            continue
        category = identity(entry.get("id"))
        if not isinstance(category, int) or abs(category) >= 2**63:
            report(finding("record-shape", file, where, f"{entry['name']!r:.80} has no whole number as id"))
        elif category in names:
            message = f"{entry['name']!r} has id {category}, as has {names[category]!r}"
            report(finding("id-duplicate", file, where, message))
        else:
            if entry["name"] in known:
                report(finding("class-duplicate", file, where, f"{entry['name']!r} is listed twice"))
            known.add(entry["name"])
            names[category] = entry["name"]
            extras[category] = {key: value for key, value in entry.items() if key not in ("id", "name")}
    return names, extras


def _images(
    entries: list[Any], file: Path, finder: ImageFinder, places: list[Path], report: Report
) -> dict[Id, _Image]:
    """The images by id; one that is missing too, so that its objects are not unknown."""
    found: dict[Id, _Image] = {}
    seen: set[Path] = set()
    for position, entry in enumerate(entries, start=1):
        said = identity(entry.get("id")) if isinstance(entry, dict) else None
        if said is None:
            report(finding("record-shape", file, f"image {position}", "has no id (a number or a text)"))
            continue
        name, where = entry.get("file_name"), _where("image", said)
        if said in found:
            report(finding("id-duplicate", file, where, f"two images have the id {said!r:.40}"))
            continue
        size = size_of(entry.get("width"), entry.get("height"))
        if size is None and ("width" in entry or "height" in entry):
            sides = f"{entry.get('width')!r:.40} x {entry.get('height')!r:.40}"
            report(finding("size-invalid", file, where, f"says {sides} (width x height)"))
        path = None
        if not isinstance(name, str):
            report(finding("record-shape", file, where, "has no file_name"))
        else:
            path = finder.find(name, places, file, where)
        if path in seen:
            report(finding("image-duplicate", file, where, f"{name!r:.80} is listed twice"))
            path = None
        if path is not None:
            seen.add(path)
        found[said] = _Image(said, entry, path, size)
    return found


def _annotations(
    entries: list[Any], images: set[Id], names: Mapping[int, str], file: Path, report: Report
) -> tuple[dict[Id, list[dict[str, Any]]], dict[Id, int]]:
    """Annotations by image, and by image how many belong to it and cannot be used."""
    found: dict[Id, list[dict[str, Any]]] = {}
    lost: dict[Id, int] = {}
    seen: set[Id] = set()
    for position, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            report(finding("record-shape", file, f"annotation {position} in the list", "is not an object"))
            continue
        said, image, category = (identity(entry.get(key)) for key in ("id", "image_id", "category_id"))
        where = _where("annotation", said) if said is not None else f"annotation {position} in the list"
        problem: tuple[str, str] | None = None
        if "id" in entry and entry["id"] is not None and said is None:
            problem = "record-shape", "has an id that is neither number nor text"
        elif image is None or image not in images:
            shown = f"{entry.get('image_id')!r:.40}"
            problem = "image-unknown", f"belongs to image {shown}, which is not listed"
        elif not isinstance(category, int) or category not in names:
            shown = f"{entry.get('category_id')!r:.40}"
            problem = "class-unknown", f"has category {shown}, which is not listed"
        if said is not None and said in seen:
            report(finding("id-duplicate", file, where, f"two annotations have the id {said!r:.40}"))
            entry = {**entry, "id": None}
        if said is not None:
            seen.add(said)
        if problem is not None:
            report(finding(problem[0], file, where, problem[1]))
            if image in images:
                lost[image] = lost.get(image, 0) + 1  # type: ignore[index]
        else:
            found.setdefault(image, []).append(entry)  # type: ignore[arg-type]
    return found, lost


class _Boxes:
    """Turns each annotation's box into corners in pixels, once all boxes of the file have shown how they are meant."""

    def __init__(self, entries: Iterable[tuple[_Image, dict[str, Any]]], file: Path, report: Report) -> None:
        said = [(image.size, values) for image, entry in entries if (values := _four(entry.get("bbox")))]
        boxes = np.array([values for _, values in said], np.float64).reshape(-1, 4)
        sizes = [size for size, _ in said]
        self._fractions = conventions.are_fractions(boxes, sizes)
        self._corners = not self._fractions and conventions.are_corners(boxes, sizes)
        count = f"{'all ' if len(said) > 1 else ''}{len(said)} box{'es' * (len(said) > 1)}"
        if self._fractions:
            message = f"{count} in [0, 1]: fractions of the image, where COCO has pixels"
            report(finding("box-fractions", file, "bbox", message))
        if self._corners:
            message = f"{count} fit their images as xmin, ymin, xmax, ymax, and not as x, y, width, height"
            report(finding("box-corners", file, "bbox", message))

    def corners(self, entry: Mapping[str, Any], image: _Image) -> outlines.Corners | None:
        """The box xyxy in pixels; None if there is none that can be read."""
        values = _four(entry.get("bbox"))
        if values is None:
            empty = entry.get("bbox") in (None, [], "")
            return outlines.hull(entry.get("segmentation")) if empty else None
        if self._fractions:
            size = image.size or (None if image.path is None else size_of_file(image.path))
            if size is None:
                return None
            values = [value * side for value, side in zip(values, (size[1], size[0]) * 2, strict=True)]
        if self._corners:
            return values[0], values[1], values[2], values[3]
        return _summed(values)


def _sample(
    image: _Image,
    path: Path,
    annotations: list[dict[str, Any]],
    lost: Mapping[Id, int],
    boxes: _Boxes,
    index: Mapping[int, int],
    file: Path,
    report: Report,
) -> Sample:
    objects = Objects(report, file, image.size, lost=lost.get(image.identity, 0))
    for entry in annotations:
        where = f"{_where('annotation', entry.get('id'))} of image {image.identity!r:.40}"
        corners = boxes.corners(entry, image)
        crowd, difficult = flag(entry.get("iscrowd")), flag(entry.get("difficult"))
        if corners is None:
            objects.lose("box-shape", where, f"has bbox {entry.get('bbox')!r:.80}, not four numbers")
            continue
        if crowd is None or difficult is None:
            key = "iscrowd" if crowd is None else "difficult"
            objects.lose("record-shape", where, f"says {key}: {entry[key]!r:.40}, neither 0 nor 1")
            continue
        outline = entry.get("segmentation") or None
        if outline is not None and (wrong := outlines.fault(outline, image.size)):
            report(finding("outline-unreadable", file, where, wrong))
        area = number(entry.get("area"))
        objects.add(
            corners,
            index[whole(entry["category_id"]) or 0],
            where=where,
            crowd=crowd,
            difficult=difficult,
            area=area if area is not None and isfinite(area) else None,
            mask=[outline]
            if outline and isinstance(outline, list) and not isinstance(outline[0], list)
            else outline,
            object_id=identity(entry.get("id")),
            attributes={key: value for key, value in entry.items() if key not in OBJECT_KEYS},
        )
    extra = {key: value for key, value in image.entry.items() if key not in IMAGE_KEYS}
    return objects.sample(path, image.identity, extra)


def _four(bbox: Any) -> list[float] | None:
    """The four numbers of a box as they stand in the file, or None if it is something else."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    values = [value for value in map(number, bbox) if value is not None]
    return values if len(values) == 4 else None


def _summed(values: list[float]) -> outlines.Corners:
    """The corners, summed as decimals, so that 236.98 + 24.7 is 261.68 and comes back as 24.7."""
    if not all(map(isfinite, values)):
        return values[0], values[1], values[0] + values[2], values[1] + values[3]
    x, y, width, height = (Decimal(repr(value)) for value in values)
    return float(x), float(y), float(x + width), float(y + height)


def _where(kind: str, said: Any) -> str:
    return f"{kind} {said!r:.40}"
