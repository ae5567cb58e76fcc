"""Reads COCO: one JSON file for each split, with images, annotations and categories.

Boxes are [x, y, width, height] in the file. Categories keep the file's order and ids; whatever else the file
says (licences, segmentations, areas, any further key) is kept for writing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from boxwright.data.findings import finding
from boxwright.data.formats.paths import DataFolder, UnsafePathError
from boxwright.data.formats.reading import Objects, is_usual, number, read_text, size_of, split_names
from boxwright.data.records import Dataset, Report, Sample

PREFIX = "instances_"
_PREFIXES = (PREFIX, "annotations_", "coco_")
_UNSPLIT = {"instances", "annotations", "default", "all", "coco", "_annotations.coco", "dataset", "labels"}
CONTENT_KEYS = frozenset({"images", "annotations", "categories"})
IMAGE_KEYS = frozenset({"id", "file_name", "width", "height"})
OBJECT_KEYS = frozenset(
    {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "difficult", "segmentation"}
)


def splits(source: Path) -> tuple[str, ...] | None:
    """The splits of a COCO folder or file (none: an empty tuple), or None if `source` is no COCO data set."""
    found = _layout(source)
    return None if found is None else tuple(name for name in found[1] if name)


def read(source: Path, split: str, report: Report) -> Dataset:
    """Read one split: a JSON file and the images it names.

    Args:
        source: a JSON file, or a folder with `annotations/instances_SPLIT.json`,
            `SPLIT/_annotations.coco.json`, or JSON files beside the images.
        split: one of `splits(source)`, or "" where there are none.
        report: takes what is wrong; the image or the object is then left out.
    """
    layout = _layout(source)
    assert layout is not None and split in layout[1], "open_dataset has looked"
    root, files = layout
    folder, file = DataFolder(root), files[split]
    content = _content(file, report)
    if content is None:
        return Dataset((), (), (), folder.root, split, "coco")
    names, extras = _categories(content["categories"], file, report)
    info = {key: value for key, value in content.items() if key not in CONTENT_KEYS}
    if any(extras.values()):
        info["categories"] = extras
    images = _images(content["images"], file, folder, split, report)
    by_image = _annotations(content["annotations"], set(images), names, file, report)
    index = {category: position for position, category in enumerate(names)}
    samples = tuple(
        _sample(image, path, by_image.get(image["id"], []), index, file, report)
        for image, path in images.values()
        if path is not None
    )
    return Dataset(samples, tuple(names.values()), tuple(names), folder.root, split, "coco", info)


def _layout(source: Path) -> tuple[Path, dict[str, Path]] | None:
    """The data folder and the JSON file of each split; {"": file} where nothing is split."""
    if source.is_file():
        if source.suffix.lower() != ".json":
            return None
        root = source.parent.parent if source.parent.name == "annotations" else source.parent
        return root, _by_split([source])
    if not source.is_dir():
        return None
    for folder in (source / "annotations", source):
        files = sorted(folder.glob("*.json"))
        instances = [file for file in files if file.stem.startswith(PREFIX)]
        known = [file for file in files if file.stem in _UNSPLIT or is_usual(_split_name(file))]
        # A single JSON file is taken for COCO whatever its name; among many, only names that say so.
        chosen = instances or known or (files if len(files) == 1 else [])
        if chosen:
            return source, _by_split(chosen)
    inner = [file for file in sorted(source.glob("*/*.json")) if file.stem in _UNSPLIT]
    return (source, _by_split(inner)) if inner else None


def _split_name(file: Path) -> str:
    """What the file itself calls its split; "" if nothing does."""
    name = next((file.stem.removeprefix(p) for p in _PREFIXES if file.stem.startswith(p)), file.stem)
    if name in _UNSPLIT or file.stem in _UNSPLIT:
        return file.parent.name if is_usual(file.parent.name) else ""
    return name


def _by_split(files: list[Path]) -> dict[str, Path]:
    raw = {_split_name(file): file for file in files}
    if len(files) == 1 and not files[0].stem.startswith(PREFIX) and not is_usual(*raw):
        return {"": files[0]}
    return {name: raw[said] for name, said in split_names(raw).items()}


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
        report(finding("json-syntax", file, "", f"is not JSON that can be read ({error})"))
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


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


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
    for position, entry in enumerate(entries, start=1):
        where = f"category {position}"
        if not isinstance(entry, dict) or not _is_text(entry.get("name")):
            report(finding("record-shape", file, where, "has no name that is a text"))
            continue
        identity = entry.get("id")
        if isinstance(identity, bool) or not isinstance(identity, int) or abs(identity) >= 2**63:
            report(finding("record-shape", file, where, f"{entry['name']!r} has no whole number as id"))
        elif identity in names:
            message = f"{entry['name']!r} has id {identity}, as has {names[identity]!r}"
            report(finding("id-duplicate", file, where, message))
        else:
            if entry["name"] in names.values():
                report(finding("class-duplicate", file, where, f"{entry['name']!r} is listed twice"))
            names[identity] = entry["name"]
            extras[identity] = {key: value for key, value in entry.items() if key not in ("id", "name")}
    return names, extras


def _images(
    entries: list[Any], file: Path, folder: DataFolder, split: str, report: Report
) -> dict[int | str, tuple[dict[str, Any], Path | None]]:
    """By image id: the entry and its file, None where it is missing (so that its objects are not unknown)."""
    bases = _bases(file, folder.root, split)
    found: dict[int | str, tuple[dict[str, Any], Path | None]] = {}
    seen: set[Path] = set()
    for position, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not _is_id(entry.get("id")):
            report(finding("record-shape", file, f"image {position}", "has no id (a number or a text)"))
            continue
        identity, name, where = entry["id"], entry.get("file_name"), f"image {entry['id']}"
        if identity in found:
            report(finding("id-duplicate", file, where, f"two images have the id {identity!r}"))
            continue
        found[identity] = (entry, None)
        if not isinstance(name, str):
            report(finding("record-shape", file, where, "has no file_name"))
            continue
        try:
            path = folder.find(name, bases)
        except UnsafePathError as error:
            report(finding("path-escape", file, where, str(error)))
            continue
        if path is None:
            tried = ", ".join(map(str, bases))
            report(finding("image-missing", file, where, f"{name!r:.80} is in none of {tried}"))
        elif path in seen:
            report(finding("image-duplicate", file, where, f"{name!r} is listed twice"))
        else:
            seen.add(path)
            found[identity] = (entry, path)
    return found


def _bases(file: Path, root: Path, split: str) -> list[Path]:
    """Where the images of a split may be, most telling first."""
    names = dict.fromkeys(name for name in (_split_name(file), split) if name)
    said = [folder / name for name in names for folder in (root, root / "images")]
    wanted = [*said, root / "images", file.parent, root]
    return list(dict.fromkeys(base for base in wanted if base.is_dir()))


def _annotations(
    entries: list[Any], images: set[int | str], names: Mapping[int, str], file: Path, report: Report
) -> dict[int | str, list[dict[str, Any]]]:
    """Annotations by image, those that belong nowhere left out."""
    found: dict[int | str, list[dict[str, Any]]] = {}
    seen: set[int | str] = set()
    for position, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            report(finding("record-shape", file, f"annotation {position} in the list", "is not an object"))
            continue
        identity, image, category = entry.get("id"), entry.get("image_id"), entry.get("category_id")
        where = f"annotation {identity!r}" if _is_id(identity) else f"annotation {position} in the list"
        if identity is not None and not _is_id(identity):
            report(finding("record-shape", file, where, "has an id that is neither number nor text"))
        elif identity is not None and identity in seen:
            report(finding("id-duplicate", file, where, f"two annotations have the id {identity!r}"))
        elif not isinstance(image, (int, str)) or image not in images:
            report(finding("image-unknown", file, where, f"belongs to image {image!r}, which is not listed"))
        elif isinstance(category, bool) or not isinstance(category, int) or category not in names:
            report(finding("class-unknown", file, where, f"has category {category!r}, which is not listed"))
        else:
            found.setdefault(image, []).append(entry)
        if isinstance(identity, (int, str)):
            seen.add(identity)
    return found


def _sample(
    image: Mapping[str, Any],
    path: Path,
    annotations: list[dict[str, Any]],
    index: Mapping[int, int],
    file: Path,
    report: Report,
) -> Sample:
    size = size_of(image.get("width"), image.get("height"))
    if size is None and ("width" in image or "height" in image):
        message = f"says {image.get('width')!r} x {image.get('height')!r} (width x height)"
        report(finding("size-invalid", file, f"image {image['id']}", message))
    objects = Objects(report, file, size)
    for entry in annotations:
        where = f"annotation {entry.get('id')!r} of image {image['id']!r}"
        corners = _corners(entry.get("bbox"))
        if corners is None:
            report(finding("box-shape", file, where, f"has bbox {entry.get('bbox')!r:.80}, not four numbers"))
            continue
        area = number(entry.get("area"))
        objects.add(
            corners,
            index[entry["category_id"]],
            where=where,
            crowd=bool(entry.get("iscrowd")),
            difficult=bool(entry.get("difficult")),
            area=area if area is not None and math.isfinite(area) else None,
            mask=entry.get("segmentation") or None,
            object_id=entry.get("id"),
            attributes={key: value for key, value in entry.items() if key not in OBJECT_KEYS},
        )
    extra = {key: value for key, value in image.items() if key not in IMAGE_KEYS}
    return objects.sample(path, image["id"], extra)


def _corners(bbox: Any) -> tuple[float, float, float, float] | None:
    """The corners, summed as decimals, so that 236.98 + 24.7 is 261.68 and comes back as 24.7."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    values = [value for value in map(number, bbox) if value is not None]
    if len(values) != 4:
        return None
    if not all(map(math.isfinite, values)):
        return values[0], values[1], values[0] + values[2], values[1] + values[3]
    x, y, width, height = (Decimal(repr(value)) for value in values)
    return float(x), float(y), float(x + width), float(y + height)
