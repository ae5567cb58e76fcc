"""One line of a YOLO label file: what its numbers are.

The same numbers can be read in several ways: beyond class and box, a line may hold a polygon, the corners of a
turned rectangle, or the keypoints of a pose. `kpt_shape` in `data.yaml` says that they are keypoints; without it
they are a polygon (a turned rectangle is one), unless they cannot be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright.data.findings import finding
from boxwright.data.formats.values import whole
from boxwright.data.records import Report

Corners = tuple[float, float, float, float]

# A box may reach beyond its image, but hardly by more than its whole size: greater numbers are pixels.
_FRACTION = 2.0
_DIGITS = 8
_SLACK = 0.02


@dataclass(frozen=True)
class Keypoints:
    """What `kpt_shape` says: how many keypoints an object has, and numbers each (2, or 3 with visibility)."""

    count: int
    numbers: int


@dataclass(frozen=True)
class Line:
    """What a line holds, in pixels of its image.

    Attributes:
        number: of the class.
        box: xyxy.
        polygon: x, y, x, y, ..., or None.
        keypoints: x, y, visibility for each (COCO's order: 0 not there, 1 hidden, 2 visible), or None.
    """

    number: int
    box: Corners
    polygon: list[float] | None = None
    keypoints: list[float] | None = None


@dataclass(frozen=True)
class Fault:
    """Why a line cannot be read: the check that it fails and the words for it."""

    check: str
    message: str


def keypoints_of(content: Mapping[str, Any], file: Path, report: Report) -> Keypoints | None:
    """What `kpt_shape` says, or None where it is not there, or cannot be read (which is reported)."""
    if "kpt_shape" not in content:
        return None
    said = content["kpt_shape"]
    shape = [whole(part) for part in said] if isinstance(said, list) and len(said) == 2 else [None]
    if len(shape) == 2 and shape[0] is not None and shape[0] > 0 and shape[1] in (2, 3):
        return Keypoints(shape[0], shape[1])
    report(finding("yaml-shape", file, "kpt_shape", f"is {said!r:.40}, not [keypoints, 2 or 3]"))
    return None


def read_line(text: str, size: tuple[int, int], keypoints: Keypoints | None) -> Line | Fault:
    """What a line holds.

    Args:
        text: the line.
        size: (height, width) of the image.
        keypoints: what `kpt_shape` says, if it is there.

    >>> read_line("0 0.5 0.5 0.2 0.4", (100, 200), None)
    Line(number=0, box=(80.0, 30.0, 120.0, 70.0), polygon=None, keypoints=None)
    >>> read_line("0 0.5 0.5 0.2 0.4 0.5 0.5 2", (100, 200), Keypoints(1, 3)).keypoints
    [100.0, 50.0, 2.0]
    """
    try:
        said, *values = map(float, text.split())
    except ValueError:
        return Fault("label-line", f"{text!r:.80} holds something else than numbers")
    if not math.isfinite(said) or said != int(said):
        return Fault("class-unknown", f"class {said:.10g} is no whole number")
    points = values[4:]
    wrong = _count_fault(len(values), keypoints)
    if wrong:
        return Fault("label-line", wrong)
    if not all(map(math.isfinite, values)):
        return Fault("box-nan", f"{text!r:.80} holds a number that is not finite")
    step = keypoints.numbers if keypoints is not None else 2
    coordinates = values[:4] + [v for i, v in enumerate(points) if i % step != 2]
    if any(abs(value) > _FRACTION for value in coordinates):
        return Fault(
            "box-not-normalised", f"{text!r:.80} is not in fractions of the image's width and height"
        )
    if points and keypoints is None:
        return _polygon(int(said), values, size)
    kept = None if not points or keypoints is None else _keypoints(points, keypoints, size)
    return Line(int(said), _box(values[:4], size), keypoints=kept)


def may_be_pose(values: Sequence[float]) -> bool:
    """Whether the numbers after the class are hardly a polygon, but a box and keypoints in it.

    So it is when all points from the third on lie in the box that the first four numbers are, the first point lies
    amid them, and the second (the box's size, taken for a point) lies far away from them.

    >>> may_be_pose([0.5, 0.5, 0.3, 0.4, 0.45, 0.5, 0.5, 0.55, 0.55, 0.6])
    True
    >>> may_be_pose([0.3, 0.3, 0.5, 0.3, 0.5, 0.5, 0.3, 0.5])
    False
    """
    if len(values) < 8:
        return False
    x, y, w, h, *rest = values
    flags = {0.0, 1.0, 2.0}
    if len(rest) % 3 == 0 and len(rest) % 2 and all(v in flags for v in rest[2::3]):
        return True
    if len(rest) % 3 == 0 and all(v in flags for v in rest[2::3]) and any(v == 2 for v in rest[2::3]):
        return True
    if len(rest) % 2:
        return False
    points = [point for point in zip(rest[::2], rest[1::2], strict=True) if point != (0.0, 0.0)]
    if not points:
        return True
    inside = all(abs(px - x) <= w / 2 + _SLACK and abs(py - y) <= h / 2 + _SLACK for px, py in points)
    left, right = min(p[0] for p in points), max(p[0] for p in points)
    top, bottom = min(p[1] for p in points), max(p[1] for p in points)
    amid = left - _SLACK <= x <= right + _SLACK and top - _SLACK <= y <= bottom + _SLACK
    far = not (left - (right - left) / 2 <= w <= right + (right - left) / 2) or not (
        top - (bottom - top) / 2 <= h <= bottom + (bottom - top) / 2
    )
    return inside and amid and far


def _count_fault(count: int, keypoints: Keypoints | None) -> str:
    if keypoints is not None:
        wanted = 4 + keypoints.count * keypoints.numbers
        if count in (4, wanted):
            return ""
        shape = f"[{keypoints.count}, {keypoints.numbers}]"
        return f"{count + 1} numbers, where kpt_shape {shape} asks for {wanted + 1}: class, box and keypoints"
    if count == 4 or (count >= 6 and count % 2 == 0):
        return ""
    message = f"{count + 1} numbers: neither class and box (5) nor class and polygon (7, 9, ...)"
    if count == 5:
        return f"{message}; the sixth may be a score or an angle: leave it out"
    return f"{message}; keypoints need kpt_shape in data.yaml" if count > 5 else message


def _polygon(number: int, values: Sequence[float], size: tuple[int, int]) -> Line:
    height, width = size
    xs = [round(x * width, _DIGITS) for x in values[::2]]
    ys = [round(y * height, _DIGITS) for y in values[1::2]]
    flat = [coordinate for point in zip(xs, ys, strict=True) for coordinate in point]
    return Line(number, (min(xs), min(ys), max(xs), max(ys)), polygon=flat)


def _box(values: Sequence[float], size: tuple[int, int]) -> Corners:
    """The corners in pixels, without the last digits' rounding noise."""
    (x, y, w, h), (height, width) = values, size
    left, right = (x - w / 2) * width, (x + w / 2) * width
    top, bottom = (y - h / 2) * height, (y + h / 2) * height
    return round(left, _DIGITS), round(top, _DIGITS), round(right, _DIGITS), round(bottom, _DIGITS)


def _keypoints(points: Sequence[float], shape: Keypoints, size: tuple[int, int]) -> list[float]:
    height, width = size
    found: list[float] = []
    for start in range(0, len(points), shape.numbers):
        x, y = points[start], points[start + 1]
        visible = points[start + 2] if shape.numbers == 3 else float((x, y) != (0, 0)) * 2
        found += [round(x * width, _DIGITS), round(y * height, _DIGITS), visible]
    return found
