"""COCO's segmentations: polygons and run lengths. What is wrong with one, and the box around it. Torch-free."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxwright.data.formats.values import number, whole

Corners = tuple[float, float, float, float]


def polygons(outline: Any) -> list[list[float]] | None:
    """The polygons of a segmentation, or None if it is none; a flat list of coordinates is one polygon.

    >>> polygons([0, 0, 4, 0, 4, 4]), polygons([[0, 0, 4, 0, 4, "4"]]), polygons([[1, 2]]), polygons({})
    ([[0.0, 0.0, 4.0, 0.0, 4.0, 4.0]], [[0.0, 0.0, 4.0, 0.0, 4.0, 4.0]], None, None)
    """
    if not isinstance(outline, list) or not outline:
        return None
    rings = outline if isinstance(outline[0], list) else [outline]
    found = []
    for ring in rings:
        values = [number(value) for value in ring] if isinstance(ring, list) else [None]
        plain = [value for value in values if value is not None and math.isfinite(value)]
        if len(plain) != len(values) or len(plain) < 6 or len(plain) % 2:
            return None
        found.append(plain)
    return found


def fault(outline: Any, size: tuple[int, int] | None) -> str:
    """What is wrong with a segmentation, as a phrase; "" if nothing is.

    Args:
        outline: what the file says: polygons, or run lengths with `size` and `counts`.
        size: (height, width) of the image, if it is known.
    """
    if isinstance(outline, list):
        return "" if polygons(outline) is not None else f"has no polygons that can be read: {outline!r:.80}"
    if not isinstance(outline, dict):
        return f"is neither polygons nor run lengths: {outline!r:.80}"
    said, counts = outline.get("size"), outline.get("counts")
    if not isinstance(said, list) or len(said) != 2 or None in (sides := [whole(side) for side in said]):
        return f"has run lengths of the size {said!r:.40}, not [height, width]"
    if size is not None and tuple(sides) != size:
        return f"has run lengths for {sides[1]} x {sides[0]} pixels, the image has {size[1]} x {size[0]}"
    if isinstance(counts, list):
        lengths = [whole(count) for count in counts]
        if any(length is None or length < 0 for length in lengths):
            return "has run lengths that are no whole numbers"
        total = sum(length for length in lengths if length is not None)
        if total != (sides[0] or 0) * (sides[1] or 0):
            return f"has run lengths of {total} pixels in all for {sides[1]} x {sides[0]}"
        return ""
    return "" if isinstance(counts, str) and counts.isascii() else "has no run lengths under counts"


def hull(outline: Any) -> Corners | None:
    """The box around a segmentation, xyxy in pixels; None if there is nothing that can be read.

    >>> hull([[5, 6, 30, 6, 30, 36]])
    (5.0, 6.0, 30.0, 36.0)
    >>> hull({"size": [2, 3], "counts": [2, 2, 2]})
    (1.0, 0.0, 2.0, 2.0)
    """
    rings = polygons(outline)
    if rings is not None:
        xs = [x for ring in rings for x in ring[::2]]
        ys = [y for ring in rings for y in ring[1::2]]
        return min(xs), min(ys), max(xs), max(ys)
    if not isinstance(outline, dict) or fault(outline, None) or not isinstance(outline["counts"], list):
        return None
    height = whole(outline["size"][0]) or 1
    ends = np.cumsum([whole(count) for count in outline["counts"]])
    # Runs go down the columns, background first (COCO's mask format): every second run is the object.
    first, last = ends[:-1:2], ends[1::2] - 1
    kept = last >= first[: len(last)]
    first, last = first[: len(last)][kept], last[kept]
    if not len(first):
        return None
    left, right = first // height, last // height
    spans = right > left  # a run over several columns touches top and bottom
    tops, bottoms = np.where(spans, 0, first % height), np.where(spans, height - 1, last % height)
    return float(left.min()), float(tops.min()), float(right.max() + 1), float(bottoms.max() + 1)
