"""What every reader does: take in a text file, name the splits, and gather the objects of one image."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.data.findings import finding
from boxwright.data.formats.text import UndecodableError, decoded
from boxwright.data.records import Report, Sample
from boxwright.errors import InputError
from boxwright.images import image_size
from boxwright.regular import read_regular

ORDER = ("train", "trainval", "val", "test")
_ALIASES = {"training": "train", "valid": "val", "validation": "val", "validate": "val", "testing": "test"}
_DIGITS = 8
_WORDS = re.compile(r"[^A-Za-z0-9]+")
_YEAR = re.compile(r"[-_]?(19|20)\d\d$")


def read_text(path: Path, report: Report) -> str | None:
    """The text of a file, or None after reporting why there is none; `text.decoded` says which encodings."""
    try:
        return decoded(read_regular(path))
    except OSError as error:
        report(finding("file-unreadable", path, "", f"cannot be opened ({error.strerror or error})"))
    except UndecodableError as error:
        report(finding("file-unreadable", path, error.place, str(error)))
    return None


def split_names(raw: Iterable[str], *, words: bool = False) -> dict[str, str]:
    """From what splits are called in files to what boxwright calls them, in boxwright's order.

    Years go ("train2017" is "train") and "valid" is "val", unless two splits would then share a name.

    Args:
        raw: the names.
        words: they are names of files, in which the split may be one word of several.

    >>> split_names(["val2017", "train2017"])
    {'train': 'train2017', 'val': 'val2017'}
    >>> split_names(["val2014", "val2017", "minival"])
    {'minival': 'minival', 'val2014': 'val2014', 'val2017': 'val2017'}
    >>> split_names(["train_labels", "valid_labels", "classes"], words=True)
    {'train': 'train_labels', 'val': 'valid_labels', 'classes': 'classes'}
    """
    names = list(raw)
    short = [split_in(name) if words else _plain_split(name) for name in names]
    known = {
        s if short.count(s) == 1 and (s in ORDER) else name: name
        for s, name in zip(short, names, strict=True)
    }
    return dict(sorted(known.items(), key=lambda item: split_rank(item[0])))


def split_in(name: str) -> str:
    """The one split that is among the words of a file's name; "" if there is none, or several.

    >>> split_in("instances_val2017"), split_in("train-annotations-bbox"), split_in("trainer"), split_in("train_val")
    ('val', 'train', '', '')
    """
    found = {split for word in _WORDS.split(name) if (split := _plain_split(word)) in ORDER}
    return found.pop() if len(found) == 1 else ""


def _plain_split(name: str) -> str:
    short = _YEAR.sub("", name.lower()) or name
    return _ALIASES.get(short, short)


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
    """The objects of one image as a reader meets them; unusable boxes are reported, left out and counted."""

    def __init__(self, report: Report, file: Path, size: tuple[int, int] | None, lost: int = 0) -> None:
        self._report, self._file, self.size = report, file, size
        self._lost = lost
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
            if check != "box-outside":
                self.lose(check, where, message)
                return
            self._report(finding(check, self._file, where, message))
        self._boxes.append(box)
        self._rows.append((label, crowd, difficult, area, mask, object_id, attributes or {}))

    def lose(self, check: str, where: str, message: str) -> None:
        """Report an object that is there but cannot be read: the image does not show background in its place."""
        self._report(finding(check, self._file, where, message))
        self._lost += 1

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
            lost=self._lost,
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


def size_of_file(path: Path) -> tuple[int, int] | None:
    """(height, width) of an image, upright, or None if it cannot be read; the doctor says so of the image itself."""
    try:
        return image_size(path)
    except InputError:
        return None


def scaled_up(box: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box of fractions of an image of (height, width) in pixels, without the last digits' rounding noise."""
    (left, top, right, bottom), (height, width) = box, size
    return (
        round(left * width, _DIGITS),
        round(top * height, _DIGITS),
        round(right * width, _DIGITS),
        round(bottom * height, _DIGITS),
    )
