"""Clusters of features on one machine, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from boxwright.cluster.choice import Choice, choose, repeats_allowed
from boxwright.cluster.reduce import EPSILON, Features, Points, Reduction, fit_reduction
from boxwright.errors import InputError, near

METHODS = ("kmeans", "mini-batch", "hdbscan")

NOISE = -1
"""The label of images in no cluster, which HDBSCAN alone gives."""


@dataclass(frozen=True)
class ClusterSettings:
    """How clusters are found.

    Attributes:
        k: how many; None chooses it by `boxwright.cluster.choice.choose`, and HDBSCAN finds it itself.
        method: "kmeans" (Lloyd's), "mini-batch" (Sculley 2010: for more images than Lloyd's has time for) or "hdbscan"
            (Campello et al. 2013: clusters of any shape, and images in none).
        pca: components, or the part of the variance that they keep; None clusters the features themselves.
        whiten: every component counts alike.
        normalise: features are divided by their length first, so that distances are those of directions.
        seed: of every random start.
        starts: of k-means, of which the one with the least inertia stays.
        most: the largest k that is tried.
        smallest: images in a cluster of HDBSCAN's.
    """

    k: int | None = None
    method: str = "kmeans"
    pca: float | None = None
    whiten: bool = False
    normalise: bool = True
    seed: int = 0
    starts: int = 4
    most: int = 20
    smallest: int = 5

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"no method {self.method!r}", hint=near(self.method, METHODS))
        if self.k is not None and (self.k < 1 or self.method == "hdbscan"):
            hint = "leave -k out" if self.method == "hdbscan" else "give at least 1"
            raise InputError(f"{self.k} clusters by {self.method}", hint=hint)
        if self.pca is not None and not (0 < self.pca < 1 or self.pca == int(self.pca) >= 1):
            raise InputError(f"{self.pca} principal components", hint="give a count, or a part below 1")
        if self.whiten and self.pca is None:
            raise InputError("whitening is of principal components", hint="give --pca too")


@dataclass(frozen=True)
class Clustering:
    """Clusters, the largest first unless centres were given.

    Attributes:
        labels: the cluster of each image, or `NOISE`.
        centres: the mean of each cluster's points.
        distances: from each image's point to its cluster's centre; to the nearest centre for `NOISE`.
        margins: the simplified silhouette (Hruschka et al. 2004), (b - a) / max(a, b), with a the distance to the own
            centre and b to the nearest other: 1 is well inside, 0 between two, below 0 nearer to another.
        inertia: sum of squared distances of the images in clusters.
        reduction: from features to points.
        choice: how k was chosen; None where it was given.
    """

    labels: Int64[np.ndarray, "image"]
    centres: Float32[np.ndarray, "cluster component"]
    distances: Float32[np.ndarray, "image"]
    margins: Float32[np.ndarray, "image"]
    inertia: float
    reduction: Reduction
    choice: Choice | None = None

    @property
    def counts(self) -> Int64[np.ndarray, "cluster"]:
        """Images in each cluster."""
        return np.bincount(self.labels[self.labels != NOISE], minlength=len(self.centres))


def cluster_table(
    features: Features,
    settings: ClusterSettings,
    centres: Float32[np.ndarray, "cluster feature"] | None = None,
) -> Clustering:
    """Find the clusters of a table of features.

    Args:
        features: one row an image.
        settings: how.
        centres: where k-means begins, instead of several random starts; as features, which are reduced like the
            images' own. Clusters keep their order then.

    Raises:
        InputError: fewer images than clusters, or centres for what has none.
    """
    if not len(features):
        raise InputError("there are no images to cluster", hint="see what boxwright features has skipped")
    k = settings.k if centres is None else len(centres)
    if k is not None and k > len(features):
        raise InputError(f"{k} clusters of {len(features)} images", hint="give a smaller -k")
    if centres is not None and settings.method == "hdbscan":
        raise InputError("HDBSCAN begins at no centres", hint="use kmeans")
    reduction = fit_reduction(
        features, settings.pca, whiten=settings.whiten, normalise=settings.normalise, seed=settings.seed
    )
    points = reduction(features)
    choice = None
    if settings.method == "hdbscan":
        labels = _hdbscan(points, settings)
    else:
        if k is None:
            choice = choose(points, settings.most, seed=settings.seed, starts=settings.starts)
            k = choice.k
        labels = _kmeans(points, k, settings, None if centres is None else reduction(centres))
    if centres is None:
        labels = _by_size(labels)
        found = int(labels.max(initial=NOISE)) + 1
        if settings.method == "kmeans" and settings.k is not None and found < settings.k:
            raise InputError(f"{k} clusters of {found} different images", hint="give a smaller -k")
        k = found
    return _described(points, labels, k, reduction, choice)


def _kmeans(
    points: Points, k: int, settings: ClusterSettings, start: Float32[np.ndarray, "cluster component"] | None
) -> Int64[np.ndarray, "image"]:
    from sklearn.cluster import KMeans, MiniBatchKMeans

    kind = KMeans if settings.method == "kmeans" else MiniBatchKMeans
    known = (
        {"init": "k-means++", "n_init": settings.starts} if start is None else {"init": start, "n_init": 1}
    )
    with repeats_allowed():
        labels: np.ndarray = kind(k, random_state=settings.seed, **known).fit_predict(points)
    return labels.astype(np.int64)


def _hdbscan(points: Points, settings: ClusterSettings) -> Int64[np.ndarray, "image"]:
    from sklearn.cluster import HDBSCAN

    smallest = max(2, settings.smallest)
    if len(points) < smallest:
        return np.full(len(points), NOISE, np.int64)
    return HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(points).astype(np.int64)


def _by_size(labels: Int64[np.ndarray, "image"]) -> Int64[np.ndarray, "image"]:
    """The largest cluster is 0; of two of one size the one with the earlier image comes first."""
    names, first, counts = np.unique(labels[labels != NOISE], return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    rank = np.full(names.max(initial=NOISE) + 2, NOISE)  # the last stands for NOISE
    rank[names[order]] = np.arange(len(names))
    return rank[labels].astype(np.int64)


def _described(
    points: Points,
    labels: Int64[np.ndarray, "image"],
    k: int | None,
    reduction: Reduction,
    choice: Choice | None,
) -> Clustering:
    """Centres and distances as labels have them: each centre is its images' mean, to the last bit."""
    count = int(labels.max(initial=NOISE)) + 1 if k is None else k
    inside = labels != NOISE
    centres = np.zeros((count, points.shape[1]), np.float32)
    for cluster in np.unique(labels[inside]):
        centres[cluster] = points[labels == cluster].mean(0, dtype=np.float64)
    own, other = np.zeros((2, len(points)), np.float32)
    if count:
        away = distances(points, centres)
        nearest = np.where(inside, labels, away.argmin(1))
        rows = np.arange(len(points))
        own = away[rows, nearest]
        away[rows, nearest] = np.inf
        other = away.min(1) if count > 1 else own
    margins = (other - own) / np.maximum(np.maximum(own, other), np.float32(EPSILON))
    return Clustering(
        labels=labels,
        centres=centres,
        distances=own,
        margins=np.where(inside, margins, np.float32(0)),
        inertia=float((own[inside].astype(np.float64) ** 2).sum()),
        reduction=reduction,
        choice=choice,
    )


def distances(
    points: Points, centres: Float32[np.ndarray, "cluster component"]
) -> Float32[np.ndarray, "image cluster"]:
    """Euclidean, in blocks of images.

    Differences, not the quicker expansion: that one loses half the digits of small distances.
    """
    found = np.empty((len(points), len(centres)), np.float32)
    for cluster, centre in enumerate(centres):
        for begin in range(0, len(points), 4096):
            part = slice(begin, begin + 4096)
            found[part, cluster] = np.linalg.norm(points[part] - centre, axis=1)
    return found
