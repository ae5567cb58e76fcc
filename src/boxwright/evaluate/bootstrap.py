"""How far a number measured on a few images can be trusted: the bootstrap over images.

Efron 1979: draw as many images as there are, with replacement, measure again, and see how the number
spreads. It says what another draw of images from the same source would give, not what another source would.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float64, Int64

from boxwright.evaluate.curves import RECALLS, by_class
from boxwright.evaluate.matching import Match, Tables

_CHUNK = 2_000_000
"""Detections times draws at once: bounds the memory to about 100 MB."""


def ap_interval(
    rows: Tables, match: Match, *, draws: int = 200, seed: int = 0, share: float = 0.95
) -> tuple[float, float]:
    """The middle `share` of AP (COCO's 101 points) over resampled images; (nan, nan) with fewer than 2
    images.

    Args:
        rows, match: from `boxwright.evaluate.matching`, at one IoU.
        draws: how many times the images are drawn.
        seed: the same seed gives the same interval.
        share: how much of the spread lies between the two ends.
    """
    if rows.images < 2 or not rows.objects().any():
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, rows.images, (draws, rows.images))
    weight = np.stack([np.bincount(images, minlength=rows.images) for images in drawn]).astype(np.float64)
    # By the place of their ids, so that the interval does not depend on the order of a file either.
    gt_image, det_image = rows.rank[rows.gt_image], rows.rank[rows.det_image]
    average = np.full((draws, len(rows.classes)), math.nan)
    objects = by_class(rows.gt_label, ~rows.gt_ignore, len(rows.classes))
    detections = by_class(rows.det_label, ~match.ignored, len(rows.classes))
    for label, (mine, det) in enumerate(zip(objects, detections, strict=True)):
        average[:, label] = _average_precision(
            weight, det_image[det], match.hit[det], weight[:, gt_image[mine]].sum(axis=1)
        )
    known = ~np.isnan(average)
    count = known.sum(axis=1)
    values = np.where(known, average, 0.0).sum(axis=1)[count > 0] / count[count > 0]
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _average_precision(
    weight: Float64[np.ndarray, "draw image"],
    image: Int64[np.ndarray, " det"],
    hit: Bool[np.ndarray, " det"],
    objects: Float64[np.ndarray, " draw"],
) -> Float64[np.ndarray, " draw"]:
    """AP of one class in each draw, where a detection counts as often as its image; nan without objects."""
    values = np.full(len(weight), math.nan)
    step = max(1, _CHUNK // max(len(image), 1))
    for start in range(0, len(weight), step):
        times = weight[start : start + step][:, image]
        found, total = np.cumsum(times * hit, axis=1), np.cumsum(times, axis=1)
        precision = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for draw in range(len(times)):
            if number := objects[start + draw]:
                place = np.searchsorted(found[draw] / number, RECALLS, side="left")
                values[start + draw] = np.append(envelope[draw], 0.0)[place].mean()
    return values
