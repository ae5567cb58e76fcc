"""How many clusters: the k whose clusters are furthest apart for their width, measured on a sample."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from boxwright.cluster.reduce import Points
from boxwright.errors import InputError

SAMPLE = 2000
"""Images that the choice is made on: the silhouette takes the square of their number in time."""


@dataclass(frozen=True)
class Choice:
    """What was tried.

    Attributes:
        ks: numbers of clusters.
        silhouettes: the mean silhouette of each (Rousseeuw 1987), from -1 to 1.
        inertias: of each, on the sample.
        sample: images that were looked at.
    """

    ks: tuple[int, ...]
    silhouettes: tuple[float, ...]
    inertias: tuple[float, ...]
    sample: int

    @property
    def k(self) -> int:
        """The number with the greatest silhouette; of equals the least."""
        return self.ks[int(np.argmax(self.silhouettes))]


def choose(points: Points, most: int, *, seed: int = 0, starts: int = 4, sample: int = SAMPLE) -> Choice:
    """Try k-means with 2, 3, ... clusters on a sample.

    Args:
        points: one row an image.
        most: the largest number tried; never more than half the images.
        seed: of the sample and of every start.
        starts: of each k-means.
        sample: images looked at.

    Raises:
        InputError: fewer than four images, which are too few to choose.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    if len(points) < 4:
        raise InputError(f"too few images to choose k from: {len(points)}", hint="give -k a number")
    if len(points) > sample:
        drawn = np.random.default_rng(seed).choice(len(points), sample, replace=False)
        points = points[np.sort(drawn)]
    ks = tuple(range(2, max(2, min(most, len(points) // 2)) + 1))
    silhouettes, inertias = [], []
    for k in ks:
        with repeats_allowed():
            found = KMeans(k, n_init=starts, random_state=seed).fit(points)
        alike = len(np.unique(found.labels_)) < 2
        silhouettes.append(-1.0 if alike else float(silhouette_score(points, found.labels_)))
        inertias.append(float(found.inertia_))
    return Choice(ks, tuple(silhouettes), tuple(inertias), len(points))


@contextmanager
def repeats_allowed() -> Iterator[None]:
    """Where there are fewer different points than clusters, some stay empty, and scikit-learn need not say so."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Number of distinct clusters", ConvergenceWarning)
        yield
