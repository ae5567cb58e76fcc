from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.probe.measure import Originals, squared_distances, summary


def rows(count: int, values: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, values)).astype(np.float32)


@given(st.integers(2, 12), st.integers(1, 300), st.integers(0, 99), st.floats(-100, 100))
def test_what_does_not_change_does_not_move_and_is_found(
    count: int, values: int, seed: int, offset: float
) -> None:
    own = rows(count, values, seed) + np.float32(offset)
    originals = Originals.of(own)
    for number in range(count):
        moved, found = originals.compare(own[number : number + 1], number)
        assert moved.tolist() == [0.0]
        # Nearer to another than a hundredth of the spread, float32 after a large offset may take both for one.
        others = np.delete(np.linalg.norm(own - own[number], axis=1), number)
        if others.min() > 0.01 * originals.spread:
            assert found.tolist() == [1.0]


@given(st.integers(2, 10), st.integers(1, 40), st.integers(0, 99))
def test_both_figures_equal_their_definition(count: int, values: int, seed: int) -> None:
    own, changed = rows(count, values, seed), rows(count, values, seed + 1000)
    originals = Originals.of(own)
    exact = own.astype(np.float64)
    pairs = [np.linalg.norm(a - b) for a, b in combinations(exact, 2)]
    assert originals.spread == pytest.approx(float(np.median(pairs)), rel=1e-4)
    for number in range(count):
        moved, found = originals.compare(changed[number : number + 1], number)
        distances = np.linalg.norm(exact - changed[number], axis=1)
        assert moved[0] == pytest.approx(distances[number] / np.median(pairs), rel=1e-4)
        runner_up = np.sort(distances)[1] - distances.min()
        if runner_up > 0.02 * originals.spread:
            assert found[0] == (distances.argmin() == number)


@given(st.integers(0, 99), st.floats(0.01, 100))
def test_neither_scale_nor_offset_nor_idle_values_matter(seed: int, scale: float) -> None:
    own, changed = rows(8, 20, seed), rows(8, 20, seed + 1000)
    plain = Originals.of(own)
    turn = np.linalg.qr(rows(25, 25, seed + 2000))[0].astype(np.float32)

    def other(values: np.ndarray) -> np.ndarray:
        return np.float32(scale) * (np.pad(values, ((0, 0), (0, 5))) @ turn + 3)

    turned = Originals.of(other(own))
    for number in range(8):
        expected = plain.compare(changed[number : number + 1], number)[0]
        moved = turned.compare(other(changed)[number : number + 1], number)[0]
        np.testing.assert_allclose(moved, expected, rtol=1e-3)


def test_what_sees_no_difference_is_right_by_chance_and_says_nothing() -> None:
    constant = np.full((5, 30), 0.1, np.float32)
    originals = Originals.of(constant)
    assert originals.spread == 0.0
    moved, found = originals.compare(constant[:2], 3)
    assert np.isnan(moved).all()
    assert found.tolist() == [0.2, 0.2]
    assert math.isnan(summary("x", "shift", 1, moved, found).moved)


def test_copies_share_what_is_found() -> None:
    own = rows(6, 50)
    own[4] = own[1]
    originals = Originals.of(own)
    assert originals.compare(own[1:2], 1)[1].tolist() == [0.5]
    assert originals.compare(own[0:1], 0)[1].tolist() == [1.0]
    # One that became another picture is lost.
    moved, found = originals.compare(own[2:3], 0)
    assert found.tolist() == [0.0] and moved[0] > 0.5


def test_one_picture_has_no_spread() -> None:
    with pytest.raises(ValueError, match="at least two"):
        Originals.of(rows(1, 3))


def test_distances_worked_by_hand() -> None:
    one = np.array([[0, 0], [1, 1]], np.float32)
    other = np.array([[3, 4], [1, 1], [0, 1]], np.float32)
    assert squared_distances(one, other).tolist() == [[25, 2, 1], [13, 0, 1]]


def test_the_summary_worked_by_hand() -> None:
    figure = summary("pixels", "shift", 8, np.array([0.4, 0.0, 0.2, 0.1, 0.3]), np.array([1, 1, 1, 0, 0.5]))
    assert (figure.low, figure.moved, figure.high, figure.found) == pytest.approx((0.1, 0.2, 0.3, 0.7))
