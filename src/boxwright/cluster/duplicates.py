"""Near-duplicates: pairs of images whose features point the same way, found block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from boxwright.cluster.reduce import Features, normalised

BLOCK = 2048
"""Images whose pairs are compared at once: 16 MB, however many images there are."""
PART, SAMPLE = 0.1, 1000
"""Of the median distance, and of how many images that is taken."""
MOST = 10_000
"""Pairs that are kept, the nearest; a film's frames may give millions."""


@dataclass(frozen=True)
class Duplicates:
    """Pairs of images, the nearest first.

    Attributes:
        pairs: numbers of two images, the lower first.
        distances: cosine distance of each pair.
        total: pairs there are; more than `pairs` holds where only the nearest were kept.
        below: the threshold.
    """

    pairs: Int64[np.ndarray, "pair 2"]
    distances: Float32[np.ndarray, "pair"]
    total: int
    below: float

    def groups(self) -> list[list[int]]:
        """Images that pairs connect, the largest group first, each in order."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        if not len(self.pairs):
            return []
        names, ends = np.unique(self.pairs, return_inverse=True)
        first, second = ends.reshape(-1, 2).T
        graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), (len(names), len(names)))
        count, member = connected_components(graph, directed=False)
        found = [names[member == group].tolist() for group in range(count)]
        return sorted(found, key=lambda group: (-len(group), group))


def usual_threshold(features: Features) -> float:
    """A part of the median cosine distance of two images, which is another for each backbone and tap.

    Copies that were saved anew, shrunk or cut a little at the edges lie below a tenth of it (measured on
    flowers-mini by VGG-16 and EfficientNet-Lite0), other pictures above.

    Args:
        features: one row an image; a sample stands for many.
    """
    if len(features) < 2:
        return 0.0
    drawn = np.random.default_rng(0).permutation(len(features))[:SAMPLE]
    units = normalised(features[np.sort(drawn)])
    away = 1 - units @ units.T
    return PART * float(np.median(away[np.triu_indices(len(units), 1)]))


def near_duplicates(
    features: Features, below: float | None = None, most: int = MOST, block: int = BLOCK
) -> Duplicates:
    """All pairs of images with a cosine distance below a threshold.

    Memory grows with the images, time with their square: 100,000 images of 512 features are 10^13 operations.

    Args:
        features: one row an image.
        below: the threshold; 0 finds none, None takes `usual_threshold`.
        most: pairs kept, the nearest.
        block: images compared with as many at once.
    """
    if below is None:
        below = usual_threshold(features)
    units = normalised(features)
    total, kept, near = 0, np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    for begin in range(0, len(units), block):
        for other in range(begin, len(units), block):
            away = 1 - units[begin : begin + block] @ units[other : other + block].T
            first, second = np.nonzero(away < below)
            if other == begin:
                upper = second > first
                first, second = first[upper], second[upper]
            total += len(first)
            kept = np.concatenate([kept, np.stack([first + begin, second + other], 1)])
            near = np.concatenate([near, away[first, second]])
            if len(near) > 2 * most:
                kept, near = _nearest(kept, near, most)
    kept, near = _nearest(kept, near, most)
    return Duplicates(kept, np.maximum(near, 0), total, below)


def _nearest(
    pairs: Int64[np.ndarray, "_ 2"], away: Float32[np.ndarray, "_"], most: int
) -> tuple[Int64[np.ndarray, "_ 2"], Float32[np.ndarray, "_"]]:
    order = np.lexsort((pairs[:, 1], pairs[:, 0], away))[:most]
    return pairs[order], away[order]
