"""How far a number measured on a few images can be trusted: the bootstrap over images.

Efron 1979: draw as many images as there are, with replacement, measure again, and see how the number
spreads. It says what another draw of images from the same source would give, not what another source would.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from boxwright.evaluate.curves import RECALLS, mean
from boxwright.evaluate.matching import Match, Tables


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
    counted = ~match.ignored
    per_class = [np.flatnonzero(counted & (rows.det_label == k)) for k in range(len(rows.classes))]
    real = ~rows.gt_ignore
    values = []
    for _ in range(draws):
        weight = np.bincount(rng.integers(0, rows.images, rows.images), minlength=rows.images).astype(float)
        objects = np.bincount(
            rows.gt_label[real], weights=weight[rows.gt_image[real]], minlength=len(rows.classes)
        )
        times = weight[rows.det_image]
        found = times * match.hit
        values.append(
            mean([_ap(times[row], found[row], n) for row, n in zip(per_class, objects, strict=True)])
        )
    low, high = np.nanquantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _ap(times: Float64[np.ndarray, " det"], found: Float64[np.ndarray, " det"], objects: float) -> float:
    """AP of one class in which each detection stands `times` times."""
    if not objects:
        return math.nan
    right, all_ = np.cumsum(found), np.cumsum(times)
    precision = np.divide(right, all_, out=np.zeros_like(right), where=all_ > 0)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(right / objects, RECALLS, side="left")].mean())
