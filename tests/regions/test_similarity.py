from __future__ import annotations

import inspect

import numpy as np
import pytest

from boxwright.regions import kernels
from boxwright.regions.segmentation import segment, smooth
from boxwright.regions.similarity import (
    WHOLE,
    Regions,
    describe_pixels,
    describe_regions,
    fill_similarity,
    in_common,
    neighbours,
    size_similarity,
)

# Four regions: 0 above, 1 and 2 below, 3 inside 2.
LABELS = np.array([[0, 0, 0, 0, 0], [1, 1, 2, 2, 2], [1, 1, 2, 3, 2], [1, 1, 2, 2, 2]], np.int32)


def described(planes: np.ndarray, labels: np.ndarray = LABELS) -> Regions:
    return describe_regions(labels, int(labels.max()) + 1, describe_pixels(planes, smooth(planes, 0.8)))


def test_sizes_boxes_and_neighbours() -> None:
    regions = described(np.zeros((1, 4, 5), np.float32))
    assert regions.size.tolist() == [5, 6, 8, 1]
    assert regions.boxes.tolist() == [[0, 0, 5, 1], [0, 1, 2, 4], [2, 1, 5, 4], [3, 2, 4, 3]]
    assert regions.pairs.tolist() == [[0, 1], [0, 2], [1, 2], [2, 3]]
    assert not len(neighbours(np.zeros((3, 1), np.int32), 1))


def test_size_and_fill_by_hand() -> None:
    regions = described(np.zeros((1, 4, 5), np.float32))
    # Pairs take 11, 13, 14 and 9 of 20 pixels; their boxes are the whole picture twice, 5 x 3, 3 x 3.
    np.testing.assert_allclose(size_similarity(regions, 20), [0.45, 0.35, 0.3, 0.55])
    np.testing.assert_allclose(fill_similarity(regions, 20), [1 - 9 / 20, 1 - 7 / 20, 1 - 1 / 20, 1])


def test_colour_by_hand() -> None:
    plane = np.zeros((1, 4, 5), np.float32)
    plane[0, 1:, :2] = [[0, 0], [0, 250], [250, 250]]  # region 1: one half dark, one half light
    regions = described(plane)
    shared = in_common(regions.colour, regions.pairs) / WHOLE
    np.testing.assert_allclose(shared, [0.5, 1, 0.5, 1], atol=1e-6)
    assert regions.colour[1].nonzero()[0].tolist() == [0, 24]


@pytest.mark.parametrize(
    ("down", "right", "orientation"),
    [(0, 1, 0), (1, 1, 1), (1, 0, 2), (1, -1, 3), (0, -1, 4), (-1, -1, 5), (-1, 0, 6), (-1, 1, 7)],
)
def test_a_slope_counts_for_the_direction_that_it_rises_in(down: int, right: int, orientation: int) -> None:
    y, x = np.mgrid[:21, :21]
    steep = 4.5 if down and right else 9  # grey levels a pixel
    plane = (steep * (down * (y - 10) + right * (x - 10)) + 128).astype(np.float32)[None]
    labels = np.zeros((21, 21), np.int32)
    labels[5:-5, 5:-5] = 1  # away from the border
    texture = described(plane, labels).texture[1].reshape(8, 10)
    strongest = (texture * np.arange(10)).sum(1)
    assert strongest.argmax() == orientation
    # All pixels are alike; three orientations fall and two lie across.
    assert ((texture == 0) | (texture == WHOLE // 8)).all()
    assert (texture[:, 0] > 0).sum() == 5
    # Bins of 2 grey levels a pixel: 9 along an axis, 4.5 * sqrt(2) along a diagonal, 9 / sqrt(2) beside an axis.
    assert texture[orientation].argmax() == (3 if down and right else 4)


def test_histograms_sum_to_one() -> None:
    planes = np.random.default_rng(0).uniform(0, 255, (3, 4, 5)).astype(np.float32)
    regions = described(planes)
    assert (np.abs(regions.colour.sum(1) - WHOLE) <= 75).all()
    assert (np.abs(regions.texture.sum(1) - WHOLE) <= 240).all()
    itself = np.array([[i, i] for i in range(4)], np.int32)
    np.testing.assert_array_equal(in_common(regions.texture, itself), regions.texture.sum(1))


def test_derivatives_are_those_of_a_gaussian_of_sigma_1() -> None:
    from scipy.ndimage import gaussian_filter

    from boxwright.regions.similarity import _derivatives

    picture = np.random.default_rng(1).uniform(0, 255, (1, 40, 40)).astype(np.float32)
    across, down = _derivatives(smooth(picture, 0.8)[0])
    exact = gaussian_filter(picture[0], 1, order=(0, 1)), gaussian_filter(picture[0], 1, order=(1, 0))
    inner = np.s_[6:-6, 6:-6]
    for ours, theirs in zip((across, down), exact, strict=True):
        assert np.abs(ours - theirs)[inner].mean() < 0.06 * np.abs(theirs)[inner].mean()


def test_compiled_and_plain_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = np.random.default_rng(2).uniform(0, 255, (2, 12, 15)).astype(np.float32)
    labels = segment(planes, 100, 4)
    compiled = described(planes, labels)
    monkeypatch.setattr(kernels, "compiled", inspect.unwrap)
    plain = described(planes, labels)
    for field in ("size", "boxes", "colour", "texture", "pairs"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(compiled, field))
    np.testing.assert_array_equal(
        in_common(plain.texture, plain.pairs), in_common(compiled.texture, compiled.pairs)
    )
