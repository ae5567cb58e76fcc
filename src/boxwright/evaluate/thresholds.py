"""Where to cut the scores: the threshold with the best F1, for each class and for all of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from boxwright.evaluate.curves import Curve, curve


@dataclass(frozen=True)
class Operating:
    """A score threshold and what it gives at IoU .5.

    Attributes:
        threshold: keep detections whose score is not below this.
        precision: share of the kept detections that found an object; nan when nothing is kept.
        recall: share of the objects that were found; nan without objects.
        f1: harmonic mean of the two; nan without objects.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


def best(points: Curve) -> Operating:
    """The threshold with the greatest F1; of several, the highest.

    It lies midway between the last score kept and the first one dropped, so that rounding moves nothing. With
    no object found at any threshold there is none to recommend: nan.

    >>> best(curve(np.array([0.9, 0.8, 0.7]), np.array([True, True, False]), 2))
    Operating(threshold=0.75, precision=1.0, recall=1.0, f1=1.0)
    """
    if not points.objects or not points.recall.any():
        return Operating(math.nan, math.nan, math.nan if not points.objects else 0.0, math.nan)
    score = points.score
    # A threshold cannot part equal scores: only the last of each run is a place to cut.
    places = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    found = points.recall[places] * points.objects
    f1 = 2 * found / (places + 1 + points.objects)
    place = int(places[np.argmax(f1)])
    below = score[place + 1] if place + 1 < len(score) else score[place]
    return Operating(
        threshold=float((score[place] + below) / 2),
        precision=float(points.precision[place]),
        recall=float(points.recall[place]),
        f1=float(f1.max()),
    )


def at(points: Curve, threshold: float) -> Operating:
    """What a given threshold gives."""
    kept = int(np.sum(points.score >= threshold))
    if not points.objects:
        return Operating(threshold, 0.0 if kept else math.nan, math.nan, math.nan)
    if not kept:
        return Operating(threshold, math.nan, 0.0, 0.0)
    precision, recall = float(points.precision[kept - 1]), float(points.recall[kept - 1])
    return Operating(
        threshold, precision, recall, 2 * precision * recall / (precision + recall) if recall else 0.0
    )


def pooled(
    score: Float64[np.ndarray, " det"],
    hit: Bool[np.ndarray, " det"],
    counted: Bool[np.ndarray, " det"],
    classes: Sequence[Curve],
) -> Curve:
    """One curve over the detections of all classes, each counting once (not each class)."""
    return curve(score[counted], hit[counted], sum(c.objects for c in classes))
