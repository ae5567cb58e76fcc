"""What every reader does: take in a text file, name the splits, and gather the objects of one image."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.data.findings import finding
from boxwright.data.records import Report, Sample

ORDER = ("train", "trainval", "val", "test")
_ALIASES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
_YEAR = re.compile(r"[-_]?(19|20)\d\d$")


def read_text(path: Path, report: Report) -> str | None:
    """The text of a UTF-8 file (a byte order mark is dropped), or None after reporting why there is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        report(finding("file-unreadable", path, "", f"cannot be opened ({error.strerror or error})"))
    except UnicodeDecodeError as error:
        report(finding("file-unreadable", path, f"byte {error.start}", "is not UTF-8 text"))
    return None


def split_names(raw: Iterable[str]) -> dict[str, str]:
    """From what splits are called in files to what boxwright calls them, in boxwright's order.

    Years go ("train2017" is "train") and "valid" is "val", unless two splits would then share a name.

    >>> split_names(["val2017", "train2017"])
    {'train': 'train2017', 'val': 'val2017'}
    >>> split_names(["val2014", "val2017", "minival"])
    {'minival': 'minival', 'val2014': 'val2014', 'val2017': 'val2017'}
    """
    names = list(raw)
    short = [_ALIASES.get(s, s) for s in (_YEAR.sub("", name.lower()) or name for name in names)]
    known = {
        s if short.count(s) == 1 and (s in ORDER) else name: name
        for s, name in zip(short, names, strict=True)
    }
    return dict(sorted(known.items(), key=lambda item: split_rank(item[0])))


def split_rank(name: str) -> tuple[int, str]:
    """Sorts train, val and test before all others."""
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def is_usual(name: str) -> bool:
    """Whether a split is called train, val, test or trainval, or one of the usual variations of these.

    >>> is_usual("val2017"), is_usual("valid"), is_usual("labels")
    (True, True, False)
    """
    return next(iter(split_names([name]))) in ORDER


class Objects:
    """The objects of one image as a reader meets them; unusable boxes are reported and left out."""

    def __init__(self, report: Report, file: Path, size: tuple[int, int] | None) -> None:
        self._report, self._file, self.size = report, file, size
        self._boxes: list[Sequence[float]] = []
        self._rows: list[tuple[int, bool, bool, float | None, Any, Any, Mapping[str, Any]]] = []

    def add(
        self,
        box: Sequence[float],
        label: int,
        *,
        where: str,
        crowd: bool = False,
        difficult: bool = False,
        area: float | None = None,
        mask: Any = None,
        object_id: Any = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Take in one object; `box` is xyxy in pixels, `area` None for the box's own."""
        wrong = box_fault(box, self.size)
        if wrong is not None:
            check, message = wrong
            self._report(finding(check, self._file, where, message))
            if check != "box-outside":
                return
        self._boxes.append(box)
        self._rows.append((label, crowd, difficult, area, mask, object_id, attributes or {}))

    def sample(self, path: Path, image_id: int | str, extra: Mapping[str, Any] | None = None) -> Sample:
        """The image with everything that was taken in."""
        boxes = np.array(self._boxes, np.float64).reshape(-1, 4)
        labels, crowd, difficult, areas, masks, ids, attributes = (
            zip(*self._rows, strict=True) if self._rows else [()] * 7
        )
        own = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return Sample(
            path=path,
            size=self.size,
            boxes=boxes,
            labels=np.array(labels, np.int64),
            crowd=np.array(crowd, bool),
            difficult=np.array(difficult, bool),
            areas=np.array([o if a is None else a for a, o in zip(areas, own, strict=True)], np.float64),
            masks=() if all(m is None for m in masks) else tuple(masks),
            object_ids=() if all(i is None for i in ids) else tuple(ids),
            attributes=tuple(attributes) if any(attributes) else (),
            image_id=image_id,
            extra=extra or {},
        )


def box_fault(box: Sequence[float], size: tuple[int, int] | None) -> tuple[str, str] | None:
    """The check that an xyxy box fails and the words for it, or None for a sound box.

    >>> box_fault((5, 5, 5, 9), None)
    ('box-no-area', 'box [5, 5, 5, 9] has no area')
    """
    left, top, right, bottom = box
    shown = f"box [{left:.10g}, {top:.10g}, {right:.10g}, {bottom:.10g}]"
    if not all(map(math.isfinite, box)):
        return "box-nan", f"{shown} is not finite"
    if right < left or bottom < top:
        return "box-swapped", f"{shown} ends before it begins (xmin, ymin, xmax, ymax)"
    if not (right - left) * (bottom - top) > 0:
        return "box-no-area", f"{shown} has no area"
    if size is None:
        return None
    height, width = size
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return "box-off-image", f"{shown} lies outside the image of {width} x {height} pixels"
    # Annotation tools round to thousandths of a pixel: that much beyond the edge is no mistake.
    if left < -0.01 or top < -0.01 or right > width + 0.01 or bottom > height + 0.01:
        return "box-outside", f"{shown} reaches beyond the image of {width} x {height} pixels"
    return None


def whole(value: Any) -> int | None:
    """`value` as a whole number, or None; True is not a number here."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def number(value: Any) -> float | None:
    """`value` as a float (too large: infinite), or None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def size_of(width: Any, height: Any) -> tuple[int, int] | None:
    """(height, width) from what a file says, or None if that is no image's size."""
    w, h = whole(width), whole(height)
    return (h, w) if h is not None and w is not None and h > 0 and w > 0 else None
