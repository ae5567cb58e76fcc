"""Precision against recall, and the three ways in which the field makes one number of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

RECALLS = np.linspace(0, 1, 101)
"""COCO's recall points."""

ELEVENTHS = np.linspace(0, 1, 11)
"""VOC's recall points. As floats, .3, .6 and .7 of these lie a rounding error above 3/10, 6/10 and 7/10, so
that a recall of exactly 3/10 does not reach its point. That is so in the implementations that published
numbers come from, and numbers that compare are worth more here than the better fraction."""


@dataclass(frozen=True)
class Curve:
    """Precision and recall as the score threshold falls, one point per detection.

    Attributes:
        recall: found objects / objects.
        precision: found objects / detections so far.
        score: the detection's score, falling.
        objects: how many there are to find.
    """

    recall: Float64[np.ndarray, " det"]
    precision: Float64[np.ndarray, " det"]
    score: Float64[np.ndarray, " det"]
    objects: int

    @property
    def envelope(self) -> Float64[np.ndarray, " det"]:
        """The greatest precision at this recall or any greater one."""
        return np.maximum.accumulate(self.precision[::-1])[::-1]

    def at(self, recalls: Float64[np.ndarray, " point"]) -> Float64[np.ndarray, " point"]:
        """The envelope at these recalls; 0 at recalls never reached."""
        place = np.searchsorted(self.recall, recalls, side="left")
        return np.append(self.envelope, 0.0)[place]

    def ap_coco(self) -> float:
        """Mean of the envelope at 101 recalls (COCO); nan without objects."""
        return float(self.at(RECALLS).mean()) if self.objects else math.nan

    def ap_11(self) -> float:
        """Mean of the envelope at 11 recalls (Everingham et al. 2010, section 4.2); nan without objects."""
        return float(self.at(ELEVENTHS).mean()) if self.objects else math.nan

    def ap_all(self) -> float:
        """Area under the envelope (VOC from 2010 on); nan without objects."""
        if not self.objects:
            return math.nan
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.envelope))


def curve(score: Float64[np.ndarray, " det"], hit: Bool[np.ndarray, " det"], objects: int) -> Curve:
    """The curve of detections (best score first; ignored ones left out) of which `hit` found an object.

    >>> c = curve(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    >>> c.recall.tolist(), c.precision.round(2).tolist()
    ([0.5, 0.5, 1.0], [1.0, 0.5, 0.67])
    >>> round(c.ap_all(), 4)
    0.8333
    """
    found = np.cumsum(hit)
    return Curve(
        recall=found / max(objects, 1),
        precision=found / np.arange(1, len(score) + 1),
        score=score,
        objects=int(objects),
    )


def class_curves(
    label: Int64[np.ndarray, " det"],
    score: Float64[np.ndarray, " det"],
    hit: Bool[np.ndarray, " det"],
    counted: Bool[np.ndarray, " det"],
    objects: Int64[np.ndarray, " class"],
) -> tuple[Curve, ...]:
    """One curve per class, of the detections that are `counted` (not ignored)."""
    rows = by_class(label, counted, len(objects))
    return tuple(curve(score[row], hit[row], int(n)) for row, n in zip(rows, objects, strict=True))


def by_class(
    label: Int64[np.ndarray, " row"], wanted: Bool[np.ndarray, " row"], classes: int
) -> list[Int64[np.ndarray, " own"]]:
    """Per class, the rows that are `wanted`, in ascending order: one sort, however many classes there are.

    >>> [own.tolist() for own in by_class(np.array([1, 0, 1]), np.array([True, True, True]), 3)]
    [[1], [0, 2], []]
    """
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(label[rows], kind="stable")]
    return np.split(rows, np.searchsorted(label[rows], np.arange(1, classes))) if classes else []


def mean(values: list[float]) -> float:
    """Mean over the classes that have objects; nan when none has."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
