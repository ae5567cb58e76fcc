from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.cluster.duplicates import near_duplicates, usual_threshold


def features(seed: int, count: int) -> np.ndarray:
    """Some images and changed copies of some of them, in any order."""
    rng = np.random.default_rng(seed)
    own = rng.gamma(1, 1, (count, 8))
    copies = own[rng.integers(0, count, count // 2)] * rng.uniform(0.5, 2, (count // 2, 1))
    return rng.permutation(np.concatenate([own, copies + rng.normal(0, 0.02, copies.shape)])).astype(
        np.float32
    )


@given(st.integers(0, 1000), st.integers(2, 40), st.integers(1, 60), st.sampled_from([0.001, 0.02, 0.2]))
def test_all_pairs_by_brute_force(seed: int, count: int, block: int, below: float) -> None:
    values = features(seed, count)
    found = near_duplicates(values, below, block=block)
    units = values / np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True)
    away = 1 - units @ units.T
    surely = {(i, j) for i, j in np.argwhere(away < below - 1e-5) if i < j}
    perhaps = {(i, j) for i, j in np.argwhere(away < below + 1e-5) if i < j}
    pairs = {(int(i), int(j)) for i, j in found.pairs}
    assert surely <= pairs <= perhaps
    assert len(pairs) == len(found.pairs) == found.total
    assert list(found.distances) == sorted(found.distances)
    wanted = [away[i, j] for i, j in found.pairs]
    np.testing.assert_allclose(found.distances, wanted, atol=1e-5)


@given(st.integers(0, 1000), st.integers(1, 20))
def test_of_too_many_pairs_the_nearest_stay(seed: int, most: int) -> None:
    values = features(seed, 30)
    every = near_duplicates(values, 0.3, block=7)
    some = near_duplicates(values, 0.3, most=most, block=7)
    assert some.total == every.total
    assert len(some.pairs) == min(most, every.total)
    np.testing.assert_array_equal(some.distances, every.distances[: len(some.distances)])


def test_groups_are_what_pairs_connect() -> None:
    angles = np.deg2rad([0, 90, 5, 180, 10, 93, 270])
    values = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    found = near_duplicates(values, 1 - np.cos(np.deg2rad(6)))
    assert {tuple(pair) for pair in found.pairs.tolist()} == {(0, 2), (2, 4), (1, 5)}
    assert found.groups() == [[0, 2, 4], [1, 5]]
    assert near_duplicates(values, 0).groups() == []


def test_an_image_of_nothing_is_like_none() -> None:
    values = np.zeros((3, 4), np.float32)
    assert near_duplicates(values, 0.02).total == 0


def test_order_does_not_matter() -> None:
    values = features(3, 40)
    order = np.random.default_rng(0).permutation(len(values))
    one, other = near_duplicates(values, 0.02), near_duplicates(values[order], 0.02)
    assert one.total > 0
    assert {frozenset(pair) for pair in one.pairs.tolist()} == {
        frozenset(order[pair].tolist()) for pair in other.pairs
    }
    assert one.distances == pytest.approx(other.distances, abs=1e-6)


def test_the_usual_threshold_is_a_tenth_of_the_median() -> None:
    values = features(5, 20)
    units = values / np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True)
    away = [1 - units[i] @ units[j] for i in range(len(units)) for j in range(i)]
    assert usual_threshold(values) == pytest.approx(0.1 * np.median(away), rel=1e-3)
    assert usual_threshold(values * 7) == pytest.approx(usual_threshold(values), rel=1e-3)
    assert usual_threshold(values[:1]) == 0
    many = np.tile(values, (60, 1))
    assert usual_threshold(many) == pytest.approx(usual_threshold(values), rel=0.2)
