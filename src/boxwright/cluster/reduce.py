"""From features to the space in which clusters are sought: lengths of one, then principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

Features = Float32[np.ndarray, "image feature"]
Points = Float32[np.ndarray, "image component"]

EPSILON = 1e-12


@dataclass(frozen=True)
class Reduction:
    """What takes features, also of images that are to come, to points.

    Attributes:
        normalise: features are divided by their length first.
        mean: taken off; None without components.
        components: orthonormal rows; None where points are features.
        scale: what each component is divided by: its deviation where it is whitened, else 1.
        explained: part of the variance that the components keep.
    """

    normalise: bool
    mean: Float32[np.ndarray, " feature"] | None = None
    components: Float32[np.ndarray, "component feature"] | None = None
    scale: Float32[np.ndarray, " component"] | None = None
    explained: float = 1.0

    def __call__(self, features: Features) -> Points:
        """The points."""
        points = normalised(features) if self.normalise else features
        if self.components is None or self.mean is None or self.scale is None:
            return points
        # Not (x - mean) @ c: that would hold all features once more.
        return ((points @ self.components.T - self.mean @ self.components.T) / self.scale).astype(np.float32)


def fit_reduction(
    features: Features, pca: float | None, *, whiten: bool, normalise: bool, seed: int
) -> Reduction:
    """Learn a reduction.

    Args:
        features: of the images.
        pca: how many components, at least 1, or below 1 the part of the variance that they must keep; None for
            points that are the features.
        whiten: every component is given the same variance.
        normalise: features are divided by their length first.
        seed: of the randomised decomposition that large tables get.
    """
    if pca is None:
        return Reduction(normalise)
    from sklearn.decomposition import PCA

    most = min(features.shape)
    wanted: int | float = pca if pca < 1 else min(int(pca), most)
    # Exact where that is cheap: another decomposition, such as Spark's, then gives the same points.
    exact = features.shape[1] <= min(len(features), 2048)
    solver = "covariance_eigh" if exact else "auto"
    found = PCA(wanted, svd_solver=solver, random_state=seed).fit(
        normalised(features) if normalise else features
    )
    variances = np.maximum(found.explained_variance_, EPSILON)
    scale = np.sqrt(variances) if whiten else np.ones_like(variances)
    return Reduction(
        normalise,
        found.mean_.astype(np.float32),
        found.components_.astype(np.float32),
        scale.astype(np.float32),
        float(found.explained_variance_ratio_.sum()),
    )


def normalised(features: Features) -> Features:
    """Each row divided by its length; rows of zeros stay.

    >>> normalised(np.array([[3, 4], [0, 0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, np.float32(EPSILON))
