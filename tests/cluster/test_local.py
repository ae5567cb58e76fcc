"""Clusters against plain numpy, and laws: the order of images does not matter, equal centres give equal clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from boxwright.cluster.local import NOISE, Clustering, ClusterSettings, cluster_table, distances
from boxwright.cluster.reduce import fit_reduction, normalised
from boxwright.errors import InputError

PLAIN = ClusterSettings(k=3, normalise=False)


def blobs(
    seed: int, count: int = 3, each: int = 25, width: int = 6, spread: float = 0.4
) -> tuple[np.ndarray, np.ndarray]:
    """Groups of points around centres far from one another, shuffled; and the group of each."""
    rng = np.random.default_rng(seed)
    centres = rng.permutation(np.eye(count, width) * 8)
    group = rng.permutation(np.repeat(np.arange(count), each))
    return (centres[group] + rng.normal(0, spread, (len(group), width))).astype(np.float32), group


def lloyd(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, float]:
    """k-means until nothing changes, in float64 and a line each."""
    points, centres = points.astype(np.float64), centres.astype(np.float64)
    labels = np.full(len(points), -1)
    while True:
        squares = ((points[:, None] - centres[None]) ** 2).sum(2)
        new = squares.argmin(1)
        if (new == labels).all():
            return labels, float(squares.min(1).sum())
        labels = new
        centres = np.stack(
            [points[labels == k].mean(0) if (labels == k).any() else centres[k] for k in range(len(centres))]
        )


@given(st.integers(0, 1000), st.integers(2, 5))
@settings(max_examples=15)
def test_from_given_centres_it_is_lloyd_s(seed: int, k: int) -> None:
    points, _ = blobs(seed, spread=3.0)
    start = points[np.random.default_rng(seed).choice(len(points), k, replace=False)]
    found = cluster_table(points, PLAIN, start)
    labels, inertia = lloyd(points, start)
    # scikit-learn stops when centres move by less than 1e-4 of the variance: a point on a border may differ.
    assert adjusted_rand_score(labels, found.labels) > 0.95
    assert found.inertia == pytest.approx(inertia, rel=1e-2)


@given(st.integers(0, 1000))
@settings(max_examples=15)
def test_images_in_another_order_are_the_same_clusters(seed: int) -> None:
    points, _ = blobs(seed, spread=1.0)
    order = np.random.default_rng(seed).permutation(len(points))
    start = points[:3]
    for chosen in (PLAIN, ClusterSettings(k=3, pca=2), ClusterSettings(k=3, pca=0.9, whiten=True)):
        one, other = cluster_table(points, chosen, start), cluster_table(points[order], chosen, start)
        np.testing.assert_array_equal(one.labels[order], other.labels)
        assert one.inertia == pytest.approx(other.inertia, rel=1e-3)


@pytest.mark.parametrize("method", ["kmeans", "mini-batch", "hdbscan"])
@pytest.mark.parametrize("reduced", [{}, {"pca": 2}, {"pca": 2, "whiten": True}, {"normalise": False}])
def test_groups_are_found(method: str, reduced: dict[str, object]) -> None:
    points, group = blobs(0)
    k = None if method == "hdbscan" else 3
    found = cluster_table(points, ClusterSettings(k=k, method=method, **reduced))  # type: ignore[arg-type]
    inside = found.labels != NOISE
    assert inside.mean() > 0.9
    assert adjusted_rand_score(group[inside], found.labels[inside]) == 1
    assert found.counts.sum() == inside.sum()
    consistent(points, found)


def consistent(features: np.ndarray, found: Clustering) -> None:
    """What is said of a clustering follows from its labels, by plain numpy."""
    points = found.reduction(features).astype(np.float64)
    inside = found.labels != NOISE
    centres = np.stack([points[found.labels == k].mean(0) for k in range(len(found.centres))])
    np.testing.assert_allclose(found.centres, centres, rtol=1e-4, atol=1e-5)
    away = np.sqrt(((points[:, None] - centres[None]) ** 2).sum(2))
    own = away[np.arange(len(points)), found.labels]
    np.testing.assert_allclose(found.distances[inside], own[inside], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.distances[~inside], away.min(1)[~inside], rtol=1e-3, atol=1e-4)
    assert found.inertia == pytest.approx((own[inside] ** 2).sum(), rel=1e-3)
    others = away.copy()
    others[np.arange(len(points)), found.labels] = np.inf
    margins = (others.min(1) - own) / np.maximum(others.min(1), own)
    np.testing.assert_allclose(found.margins[inside], margins[inside], rtol=1e-2, atol=1e-4)
    assert (found.margins[~inside] == 0).all()


def test_the_largest_cluster_comes_first_but_given_centres_keep_their_order() -> None:
    points = np.array([[0.0]] * 2 + [[5.0]] * 4 + [[9.0]] * 3, np.float32)
    found = cluster_table(points, PLAIN)
    assert found.labels.tolist() == [2] * 2 + [0] * 4 + [1] * 3
    assert found.counts.tolist() == [4, 3, 2]
    given_ones = cluster_table(points, PLAIN, np.array([[0.0], [5.0], [9.0]], np.float32))
    assert given_ones.labels.tolist() == [0] * 2 + [1] * 4 + [2] * 3


def test_centres_are_given_as_features_and_reduced_as_images_are() -> None:
    points, group = blobs(3)
    start = np.stack([points[group == k].mean(0) for k in range(3)])
    found = cluster_table(points, ClusterSettings(pca=2, whiten=True), start)
    np.testing.assert_array_equal(found.labels, group)


def test_a_single_cluster_and_as_many_as_there_are_images() -> None:
    points = np.arange(8, dtype=np.float32).reshape(4, 2)
    one = cluster_table(points, ClusterSettings(k=1, normalise=False))
    assert one.labels.tolist() == [0] * 4
    assert (one.margins == 0).all()
    all_of_them = cluster_table(points, ClusterSettings(k=4, normalise=False))
    assert sorted(all_of_them.labels) == [0, 1, 2, 3]
    assert all_of_them.inertia == 0


def test_nothing_but_noise() -> None:
    points = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    found = cluster_table(points, ClusterSettings(method="hdbscan"))
    assert found.labels.tolist() == [NOISE] * 3
    assert found.centres.shape == (0, 4)
    assert found.counts.tolist() == []


def test_what_cannot_be_asked_for() -> None:
    points = np.zeros((3, 2), np.float32)
    with pytest.raises(InputError, match="4 clusters of 3 images; give a smaller -k"):
        cluster_table(points, ClusterSettings(k=4))
    with pytest.raises(InputError, match="no images to cluster"):
        cluster_table(points[:0], ClusterSettings(k=4))
    with pytest.raises(InputError, match="too few images to choose k from: 3"):
        cluster_table(points, ClusterSettings())
    with pytest.raises(InputError, match="HDBSCAN begins at no centres"):
        cluster_table(points, ClusterSettings(method="hdbscan"), points)
    with pytest.raises(InputError, match="5 clusters by hdbscan; leave -k out"):
        ClusterSettings(k=5, method="hdbscan")
    with pytest.raises(InputError, match="no method 'kmean'; did you mean kmeans"):
        ClusterSettings(method="kmean")
    with pytest.raises(InputError, match="whitening is of principal components"):
        ClusterSettings(whiten=True)
    for wrong in (0, 1.5, -1):
        with pytest.raises(InputError, match="principal components; give a count"):
            ClusterSettings(pca=wrong)


def test_principal_components_are_those_of_numpy() -> None:
    features = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32) @ np.diag(
        [5, 3, 2, 1, 0.1]
    ).astype(np.float32)
    centred = features - features.mean(0)
    _, values, rows = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    found = fit_reduction(features, 3, whiten=False, normalise=False, seed=0)
    np.testing.assert_allclose(np.abs(found(features)), np.abs(centred @ rows[:3].T), rtol=1e-2, atol=1e-3)
    assert found.explained == pytest.approx((values[:3] ** 2).sum() / (values**2).sum(), rel=1e-4)
    white = fit_reduction(features, 3, whiten=True, normalise=False, seed=0)
    np.testing.assert_allclose(np.cov(white(features).T), np.eye(3), atol=1e-3)
    part = fit_reduction(features, 0.95, whiten=False, normalise=False, seed=0)
    assert part.explained >= 0.95
    assert len(part.components) == 1 + np.searchsorted(np.cumsum(values**2) / (values**2).sum(), 0.95)
    most = fit_reduction(features, 100, whiten=True, normalise=True, seed=0)
    assert np.isfinite(most(features)).all()


def test_rows_of_length_one() -> None:
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    np.testing.assert_allclose((normalised(features) ** 2).sum(1), 1, rtol=1e-5)
    same = fit_reduction(features, None, whiten=False, normalise=True, seed=0)
    np.testing.assert_allclose(same(features * 3), same(features), rtol=1e-5)


def test_distances_of_many() -> None:
    rng = np.random.default_rng(2)
    points, centres = (
        rng.normal(size=(5000, 3)).astype(np.float32),
        rng.normal(size=(4, 3)).astype(np.float32),
    )
    wanted = np.sqrt(((points[:, None].astype(np.float64) - centres) ** 2).sum(2))
    np.testing.assert_allclose(distances(points, centres), wanted, rtol=1e-5)


def test_pictures_that_are_alike_are_no_two_clusters(recwarn: pytest.WarningsRecorder) -> None:
    features = np.ones((10, 4), np.float32)
    assert cluster_table(features, ClusterSettings()).counts.tolist() == [10]
    features[:3] = [1, 2, 3, 4]
    assert cluster_table(features, ClusterSettings()).counts.tolist() == [7, 3]
    with pytest.raises(InputError, match="3 clusters of 2 different images; give a smaller -k"):
        cluster_table(features, ClusterSettings(k=3))
    assert not recwarn.list
