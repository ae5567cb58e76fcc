"""How well a partition into objects agrees with the true one: the foreground-restricted Rand score.

Arganda-Carreras et al. 2015 (the ISBI 2012 challenge on membranes), section "Metrics": of the pixels that are inside of
true objects, which pairs are in one segment in both? V_split is the part of the truth's pairs that were kept together,
V_merge the part of the found pairs that belong together, and the score their harmonic mean. Found boundaries are
thinned before, so that their width counts for nothing: here to nothing, where the challenge left lines of one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

Objects = Int[np.ndarray, "height width"]
"""The number of each pixel's object; 0 is none."""


@dataclass(frozen=True)
class RandScore:
    """Agreement of two partitions; 1 is perfect.

    Attributes:
        split: of pairs that belong together, how many are together: cut objects lower it.
        merge: of pairs that are together, how many belong together: merged objects lower it.
        score: their harmonic mean; the challenge's Rand error is 1 less this.
    """

    split: float
    merge: float
    score: float


def rand_score(truth: Objects, found: Objects) -> RandScore:
    """The foreground-restricted Rand score, of partitions as they are.

    A pixel makes a pair with itself too, as in the challenge's definition.

    Args:
        truth: the true objects; pixels of none are left out.
        found: the found ones; a pixel of none is a segment of its own.

    >>> truth = np.array([[1, 1, 0, 2, 2]])
    >>> rand_score(truth, truth).score
    1.0
    >>> merged = rand_score(truth, np.ones_like(truth))
    >>> merged.split, merged.merge
    (1.0, 0.5)
    """
    inside = truth > 0
    own, other = truth[inside].astype(np.int64), found[inside].astype(np.int64)
    if not len(own):
        return RandScore(float("nan"), float("nan"), float("nan"))
    alone = int((other == 0).sum())
    pairs = np.unique((own * (other.max() + 1) + other)[other > 0], return_counts=True)[1]
    together = float((pairs.astype(np.float64) ** 2).sum()) + alone
    true = float((np.bincount(own).astype(np.float64) ** 2).sum())
    made = float((np.bincount(other[other > 0]).astype(np.float64) ** 2).sum()) + alone
    return RandScore(together / true, together / made, 2 * together / (true + made))


def segments(inside: Bool[np.ndarray, "height width"]) -> Objects:
    """The connected parts of what is inside, numbered; parts that touch at corners are two."""
    from scipy import ndimage

    found: Objects = ndimage.label(inside)[0]
    return found


def grown(objects: Objects) -> Objects:
    """The objects grown, all at one speed, until they meet: each pixel is of the nearest one."""
    from scipy import ndimage

    if not objects.any():
        return objects
    nearest = ndimage.distance_transform_edt(objects == 0, return_distances=False, return_indices=True)
    found: Objects = objects[tuple(nearest)]
    return found


def foreground_rand(truth: Objects, inside: Bool[np.ndarray, "height width"]) -> RandScore:
    """The figure of a mask: its segments, grown until boundaries are thin, against the true objects.

    Args:
        truth: the true objects.
        inside: pixels that were found to be inside of one.
    """
    return rand_score(truth, grown(segments(inside)))
