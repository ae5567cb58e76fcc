"""How well clusters agree with labels that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Int64


@dataclass(frozen=True)
class Agreement:
    """Clusters against labels.

    Attributes:
        nmi: normalised mutual information, by the arithmetic mean of the entropies; 0 by chance of many, 1 equal.
        purity: part of the images that have the commonest label of their cluster.
        rand: the Rand index adjusted for chance (Hubert and Arabie 1985).
    """

    nmi: float
    purity: float
    rand: float


def folder_labels(paths: Sequence[str]) -> tuple[str, ...] | None:
    """The folder that each image lies in, if those look like labels: two or more, with two images on average.

    >>> folder_labels(["train/cat/1.jpg", "test/cat/2.jpg", "train/dog/1.jpg", "train/dog/2.jpg"])
    ('cat', 'cat', 'dog', 'dog')
    >>> folder_labels(["1.jpg", "2.jpg"]) is None
    True
    """
    labels = tuple(PurePosixPath(path).parent.name for path in paths)
    many = len(set(labels))
    return labels if all(labels) and 2 <= many <= len(labels) / 2 else None


def agreement(labels: Sequence[str], clusters: Int64[np.ndarray, "image"]) -> Agreement:
    """Compare; images in no cluster count as a cluster.

    Args:
        labels: of each image.
        clusters: of each image.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix

    table = contingency_matrix(labels, clusters)
    return Agreement(
        nmi=float(normalized_mutual_info_score(labels, clusters)),
        purity=float(table.max(0).sum() / table.sum()),
        rand=float(adjusted_rand_score(labels, clusters)),
    )
