"""Reads YOLO: `data.yaml`, and for each image a text file with a line for each object.

A line is a class number and either `centre-x centre-y width height` or a polygon `x1 y1 x2 y2 x3 y3 ...`, all
in fractions of the image's width and height. A polygon's box is its hull; the polygon is kept as a mask.
Class numbers are those of `names`, a list or a dict, and may have gaps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.paths import DataFolder, UnsafePathError
from boxwright.data.formats.reading import Objects, read_text
from boxwright.data.formats.yolo_layout import content_of, entries_of, images_of, names_of, yaml_file
from boxwright.data.records import Dataset, Report, Sample
from boxwright.errors import InputError
from boxwright.images import image_size

_KEYS = frozenset({"path", "names", "nc"})
_NO_LABELS = frozenset({"classes.txt", "train.txt", "val.txt", "test.txt", "labels.txt"})
# A box may reach beyond its image, but hardly by more than its whole size: greater numbers are pixels.
_FRACTION = 2.0
_DIGITS = 8


def splits(source: Path) -> tuple[str, ...] | None:
    """The splits that `data.yaml` names, or None if `source` is no YOLO data set."""
    file = yaml_file(source)
    if file is None:
        return None
    content = content_of(file, lambda _: None)
    return () if content is None else tuple(entries_of(content))


def read(source: Path, split: str, report: Report) -> Dataset:
    """Read one split of a YOLO data set; images without a label file have no objects.

    Args:
        source: `data.yaml`, or the folder that it lies in.
        split: one of `splits(source)`; "" (there are none: the file is broken) reports what is wrong with it.
        report: takes what is wrong; the image or the object is then left out.
    """
    file = yaml_file(source)
    assert file is not None, "open_dataset has looked"
    folder = DataFolder(file.parent)
    content = content_of(file, report)
    names = None if content is None else names_of(content, file, report)
    if content is None or names is None:
        return Dataset((), (), (), folder.root, split, "yolo")
    entries = entries_of(content)
    if split not in entries:
        report(finding("yaml-shape", file, "", "names no train, val or test images"))
        return Dataset((), tuple(names.values()), tuple(names), folder.root, split, "yolo")
    labels = _Labels(folder, names, report)
    images = images_of(entries[split], split, content, file, folder, report)
    samples = tuple(sample for image in images if (sample := labels.sample(image)) is not None)
    if all((folder.root / entry).is_dir() for entry in entries[split]):
        labels.report_orphans()
    info = {key: value for key, value in content.items() if key not in _KEYS and key not in entries}
    return Dataset(samples, tuple(names.values()), tuple(names), folder.root, split, "yolo", info)


class _Labels:
    """Reads the label files of images, and remembers which ones it has read."""

    def __init__(self, folder: DataFolder, names: Mapping[int, str], report: Report) -> None:
        self._folder, self._report = folder, report
        self._index = {number: position for position, number in enumerate(names)}
        self._wanted: set[Path] = set()

    def sample(self, image: Path) -> Sample | None:
        """The image with its objects; None if it cannot be decoded, for then fractions mean nothing."""
        file = self._label_file(image)
        try:
            size = image_size(image)
        except InputError as error:
            self._report(finding("image-unreadable", image, "", error.message))
            return None
        if file is None:
            self._report(
                finding("label-missing", image, "", "has no label file; it counts as without objects")
            )
            return Objects(self._report, image, size).sample(image, image.stem)
        objects = Objects(self._report, file, size)
        for row, line in enumerate((read_text(file, self._report) or "").split("\n"), start=1):
            if line.strip():
                self._add(line, f"line {row}", objects, file, size)
        return objects.sample(image, image.stem)

    def report_orphans(self) -> None:
        """Report label files, in the folders that were read from, that belong to no image."""
        folders = {file.relative_to(self._folder.root).parent for file in self._wanted}
        for folder in sorted(self._folder.root / part for part in folders if "labels" in part.parts):
            for file in sorted(folder.glob("*.txt")):
                if file not in self._wanted and file.name not in _NO_LABELS:
                    self._report(finding("label-without-image", file, "", "belongs to no image"))

    def _label_file(self, image: Path) -> Path | None:
        """`labels/x.txt` for `images/x.jpg`; failing that, the text file beside the image."""
        parts = list(image.relative_to(self._folder.root).with_suffix(".txt").parts)
        options = [parts]
        if "images" in parts:
            last = len(parts) - 1 - parts[::-1].index("images")
            options.insert(0, [*parts[:last], "labels", *parts[last + 1 :]])
        for option in options:
            try:
                file = self._folder.file("/".join(option))
            except UnsafePathError as error:
                self._report(finding("path-escape", image, "", str(error)))
                continue
            self._wanted.add(file)
            if file.is_file():
                return file
        return None

    def _add(self, line: str, where: str, objects: Objects, file: Path, size: tuple[int, int]) -> None:
        try:
            number, *values = map(float, line.split())
        except ValueError:
            self._report(
                finding("label-line", file, where, f"{line!r:.80} holds something else than numbers")
            )
            return
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            message = (
                f"{len(values) + 1} numbers: neither class and box (5) nor class and polygon (7, 9, ...)"
            )
            self._report(finding("label-line", file, where, message))
        elif number not in self._index:
            self._report(
                finding("class-unknown", file, where, f"class {number:.10g} is not in the YAML file")
            )
        elif not all(map(math.isfinite, values)):
            self._report(finding("box-nan", file, where, f"{line!r:.80} holds a number that is not finite"))
        elif any(abs(value) > _FRACTION for value in values):
            message = f"{line!r:.80} is not in fractions of the image's width and height"
            self._report(finding("box-not-normalised", file, where, message))
        else:
            box, polygon = _pixels(values, size)
            mask = None if polygon is None else [polygon]
            objects.add(box, self._index[int(number)], where=where, mask=mask)


def _pixels(
    values: list[float], size: tuple[int, int]
) -> tuple[tuple[float, float, float, float], list[float] | None]:
    """The xyxy box, and the polygon if there is one, in pixels, without the last digits' rounding noise."""
    height, width = size
    if len(values) > 4:
        xs, ys = (
            [round(x * width, _DIGITS) for x in values[::2]],
            [round(y * height, _DIGITS) for y in values[1::2]],
        )
        polygon = [coordinate for point in zip(xs, ys, strict=True) for coordinate in point]
        return (min(xs), min(ys), max(xs), max(ys)), polygon
    x, y, w, h = values
    left, top, right, bottom = (
        (x - w / 2) * width,
        (y - h / 2) * height,
        (x + w / 2) * width,
        (y + h / 2) * height,
    )
    return (round(left, _DIGITS), round(top, _DIGITS), round(right, _DIGITS), round(bottom, _DIGITS)), None
