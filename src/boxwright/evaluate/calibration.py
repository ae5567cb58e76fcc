"""Do scores mean what they say: of the detections with score .7, are seven in ten right?

Reliability bins and the expected calibration error of Naeini et al. 2015 / Guo et al. 2017, for detections
as in Küppers et al. 2020 ("Multivariate Confidence Calibration for Object Detection", without box
position): a detection is right if it found an object at IoU .5. Objects that nothing found do not enter, so
this says nothing of recall.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64


@dataclass(frozen=True)
class Calibration:
    """Reliability over bins of equal width in score.

    Attributes:
        edges: of the bins, from 0 to 1; a bin holds its upper edge.
        count: detections in each bin.
        score: their mean score; nan in an empty bin.
        precision: the share of them that is right; nan in an empty bin.
        ece: mean of |precision - score| over detections; nan without any.
        bias: mean of score - precision over detections: above 0 the detector is too sure of itself.
    """

    edges: tuple[float, ...]
    count: tuple[int, ...]
    score: tuple[float, ...]
    precision: tuple[float, ...]
    ece: float
    bias: float


def calibration(
    score: Float64[np.ndarray, " det"], hit: Bool[np.ndarray, " det"], bins: int = 10
) -> Calibration:
    """Reliability of detections of which `hit` found an object; ignored ones left out.

    >>> c = calibration(np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, True, True, False]))
    >>> c.count[9], round(c.precision[5], 2), round(c.ece, 3), round(c.bias, 3)
    (2, 0.5, 0.05, 0.0)
    """
    edges = np.arange(bins + 1) / bins
    place = np.clip(np.searchsorted(edges, score, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    total = np.bincount(place, weights=score, minlength=bins)
    right = np.bincount(place, weights=hit.astype(float), minlength=bins)
    some = count > 0
    nothing = np.full(bins, math.nan)
    everything = max(len(score), 1)
    return Calibration(
        edges=tuple(edges.tolist()),
        count=tuple(count.tolist()),
        score=tuple(np.divide(total, count, out=nothing.copy(), where=some).tolist()),
        precision=tuple(np.divide(right, count, out=nothing.copy(), where=some).tolist()),
        ece=float(np.abs(total - right).sum() / everything) if len(score) else math.nan,
        bias=float((total - right).sum() / everything) if len(score) else math.nan,
    )
