from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from boxwright.segment.masks import IGNORED
from boxwright.segment.weight_map import border_weights, class_weights, objects_of


def by_definition(objects: np.ndarray, border: float, sigma: float) -> np.ndarray:
    """Equation 2's second term, pixel by pixel and object by object."""
    found = np.zeros(objects.shape)
    numbers = [n for n in np.unique(objects) if n]
    for row, column in zip(*np.nonzero(objects == 0), strict=True):
        distances = sorted(
            np.sqrt(((np.argwhere(objects == n) - (row, column)) ** 2).sum(1)).min() for n in numbers
        )
        if len(distances) >= 2:
            found[row, column] = border * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return found


@given(
    objects=arrays(np.int32, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 4)),
    sigma=st.sampled_from([0.5, 1.0, 5.0]),
)
def test_the_weights_are_the_paper_s(objects: np.ndarray, sigma: float) -> None:
    wanted = by_definition(objects, 10, sigma)
    # Objects beyond where the exponential is 1e-7 are not looked for.
    np.testing.assert_allclose(border_weights(objects, 10, sigma), wanted, rtol=1e-4, atol=2e-6)


def test_a_wide_picture_looks_only_where_objects_are() -> None:
    objects = np.zeros((200, 300), np.int32)
    objects[20:60, 20:60], objects[20:60, 64:100], objects[150:190, 250:290] = 1, 2, 3
    weights = border_weights(objects, 10, 5)
    np.testing.assert_allclose(weights[40, 60:64], 10 * np.exp(-25 / 50), rtol=1e-5)
    assert (weights[objects > 0] == 0).all()
    assert weights[170, 230] < 1e-6


@given(arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 1, 2, IGNORED])))
def test_objects_are_the_connected_parts_of_classes(labels: np.ndarray) -> None:
    objects = objects_of(labels)
    np.testing.assert_array_equal(objects > 0, (labels > 0) & (labels != IGNORED))
    for number in range(1, objects.max() + 1):
        here = objects == number
        assert here.any()
        assert len(np.unique(labels[here])) == 1
        assert ndimage.label(here)[1] == 1
        around = ndimage.binary_dilation(here) & ~here
        assert not (labels[around] == labels[here][0]).any()


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=6), st.sampled_from(["none", "root", "inverse"]))
def test_a_pixel_counts_one_in_the_mean(counts: list[int], balance: str) -> None:
    weights = class_weights(counts, balance)
    assert (weights * counts).sum() / sum(counts) == pytest.approx(1)
    powers = {"none": 0, "root": 0.5, "inverse": 1}
    products = weights * np.asarray(counts, float) ** powers[balance]
    np.testing.assert_allclose(products, products[0])


def test_a_class_that_is_nowhere_divides_by_nothing() -> None:
    assert np.isfinite(class_weights([0, 100], "inverse")).all()
