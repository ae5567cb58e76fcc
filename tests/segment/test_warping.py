"""Warping: what a deformation may not do is seen against a count of parts and holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from boxwright.segment.warping import SIMPLE, flip_points, warped, warping_error

MASKS = arrays(np.bool_, (7, 8))
FULL = np.ones((3, 3))


def topology(mask: np.ndarray) -> tuple[int, int]:
    """Parts, 4-connected, and parts of the rest, 8-connected, with all that lies outside of the picture."""
    mask = np.pad(mask, 1)
    return ndimage.label(mask)[1], ndimage.label(~mask, FULL)[1]


@given(truth=MASKS, found=MASKS)
def test_warping_keeps_the_topology_and_only_comes_nearer(truth: np.ndarray, found: np.ndarray) -> None:
    result = warped(truth, found)
    assert topology(result) == topology(truth)
    # Pixels in which both agree stay.
    assert (result[truth == found] == truth[truth == found]).all()
    assert warping_error(truth, found) <= (truth != found).mean()


@given(mask=MASKS, place=st.tuples(st.integers(0, 6), st.integers(0, 7)))
def test_no_single_flip_of_what_is_left_would_keep_it(mask: np.ndarray, place: tuple[int, int]) -> None:
    found = mask.copy()
    found[place] ^= True
    parts = topology(mask) == topology(found)
    if warping_error(mask, found) == 0:
        assert parts
    elif parts:
        # Counts can agree although one part was joined and another cut: then it was no simple point.
        assert not SIMPLE[code_at(mask, place)]


def code_at(mask: np.ndarray, place: tuple[int, int]) -> int:
    wide = np.pad(mask, 1)
    row, column = place[0] + 1, place[1] + 1
    ring = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    return sum(int(wide[row + y, column + x]) << bit for bit, (y, x) in enumerate(ring))


def test_simple_points_are_those_that_leave_parts_and_holes_as_they_are() -> None:
    """Of all 256 surroundings: alone in a large picture, a flip changes no count exactly where it is simple.

    In a 3x3 picture alone a flip may join what hangs together elsewhere; here nothing does.
    """
    for code in range(256):
        ring = [(0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0)]
        mask = np.zeros((3, 3), bool)
        for bit, place in enumerate(ring):
            mask[place] = code >> bit & 1
        with_it, without = mask.copy(), mask.copy()
        with_it[1, 1], without[1, 1] = True, False
        # The rest of the surroundings is its own: no frame of background joins it.
        counts = [(ndimage.label(m)[1], ndimage.label(~m, FULL)[1]) for m in (with_it, without)]
        assert bool(SIMPLE[code]) == (counts[0] == counts[1] and 0 < mask.sum() < 8), f"{code:08b}"


@pytest.mark.parametrize("step", [ndimage.binary_dilation, ndimage.binary_erosion])
def test_a_boundary_may_run_elsewhere(step) -> None:
    disc = np.hypot(*np.mgrid[-20:21, -20:21]) < 12
    assert (step(disc, iterations=4) != disc).mean() > 0.1
    assert warping_error(disc, step(disc, iterations=4)) == 0
    assert warping_error(disc, np.roll(disc, 6, 1)) == 0


def test_cuts_merges_losses_and_holes_are_what_remains() -> None:
    bar = np.zeros((9, 21), bool)
    bar[3:6, 2:19] = True
    cut, hole, lost = bar.copy(), bar.copy(), np.zeros_like(bar)
    cut[3:6, 10] = False
    hole[4, 10] = False
    pixels = bar.size
    assert warping_error(bar, cut) * pixels == 1
    assert warping_error(cut, bar) * pixels >= 1
    assert warping_error(bar, hole) * pixels == 1
    assert warping_error(bar, lost) * pixels == 1  # a part can shrink to one pixel, but not go


def test_compiled_or_not_the_steps_are_the_same() -> None:
    from boxwright.compiling import machine_code

    fast = machine_code(flip_points)
    if fast is None:
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(0)
    masks = [np.pad(rng.random((30, 30)) < 0.5, 1).astype(np.uint8)] * 2
    one, two = masks[0].copy(), masks[1].copy()
    rows, columns = (axis + 1 for axis in np.nonzero(rng.random((30, 30)) < 0.5))
    down, across = np.array([-1, -1, 0, 1, 1, 1, 0, -1]), np.array([0, 1, 1, 1, 0, -1, -1, -1])
    assert flip_points(one, rows, columns, SIMPLE, down, across) == fast(
        two, rows, columns, SIMPLE, down, across
    )
    np.testing.assert_array_equal(one, two)
