from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import adapted_rand_error

from boxwright.segment.rand import foreground_rand, grown, rand_score, segments

PARTITIONS = arrays(np.int32, (4, 5), elements=st.integers(0, 4))


def by_counting(truth: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """All ordered pairs of pixels inside of true objects, a pixel with itself too."""
    pixels = [(int(t), int(f)) for t, f in zip(truth.ravel(), found.ravel(), strict=True) if t]
    both = true = made = 0
    for (i, (t, f)), (j, (u, g)) in product(enumerate(pixels), repeat=2):
        one_true, one_found = t == u, i == j or (f == g and f != 0)
        both += one_true and one_found
        true += one_true
        made += one_found
    return both / true, both / made


@given(truth=PARTITIONS, found=PARTITIONS)
def test_the_score_counts_pairs(truth: np.ndarray, found: np.ndarray) -> None:
    score = rand_score(truth, found)
    if not truth.any():
        assert np.isnan(score.score)
        return
    split, merge = by_counting(truth, found)
    assert score.split == pytest.approx(split) and score.merge == pytest.approx(merge)
    assert score.score == pytest.approx(2 * split * merge / (split + merge))


@given(truth=PARTITIONS, found=arrays(np.int32, (4, 5), elements=st.integers(1, 4)))
def test_it_is_scikit_image_s_where_every_pixel_was_given_a_segment(
    truth: np.ndarray, found: np.ndarray
) -> None:
    one_pair = [np.bincount(p[truth > 0]).max(initial=0) > 1 for p in (truth, found)]
    if all(one_pair):
        error, precision, recall = adapted_rand_error(truth, found, ignore_labels=(0,))
        score = rand_score(truth, found)
        # Its pairs are of two pixels: those of a pixel with itself go.
        pixels, true = (truth > 0).sum(), (np.bincount(truth[truth > 0]) ** 2).sum()
        together = score.split * true
        made = together / score.merge
        assert 1 - error == pytest.approx(2 * (together - pixels) / (true + made - 2 * pixels))
        parts = [(together - pixels) / (total - pixels) for total in (true, made)]
        assert sorted(parts) == pytest.approx(sorted([precision, recall]))


@given(truth=PARTITIONS, found=PARTITIONS, seed=st.integers(0, 9))
def test_numbers_are_only_names(truth: np.ndarray, found: np.ndarray, seed: int) -> None:
    names = np.concatenate([[0], np.random.default_rng(seed).permutation(9)[:4] + 1]).astype(np.int32)
    if truth.any():
        assert rand_score(names[truth], names[found]) == rand_score(truth, found)


@given(
    one=arrays(np.int32, (4, 5), elements=st.integers(1, 4)),
    two=arrays(np.int32, (4, 5), elements=st.integers(1, 4)),
)
def test_without_background_it_is_symmetric_but_for_the_parts_names(one: np.ndarray, two: np.ndarray) -> None:
    there, back = rand_score(one, two), rand_score(two, one)
    assert there.score == pytest.approx(back.score)
    assert (there.split, there.merge) == pytest.approx((back.merge, back.split))


@given(PARTITIONS)
def test_a_partition_agrees_with_itself(truth: np.ndarray) -> None:
    if truth.any():
        assert rand_score(truth, truth).score == 1


def test_worked_numbers() -> None:
    truth = np.array([[1, 1, 1, 1, 0, 2, 2]])
    cut = np.array([[1, 1, 3, 3, 0, 2, 2]])
    # 16 + 4 pairs belong together; 4 + 4 + 4 of them are left.
    assert rand_score(truth, cut).split == pytest.approx(12 / 20)
    assert rand_score(truth, cut).merge == 1
    boundary = np.array([[1, 1, 0, 1, 0, 2, 2]])
    assert rand_score(truth, boundary).split == pytest.approx((9 + 1 + 4) / 20)


def test_growing_leaves_parts_apart_and_gives_every_pixel_to_the_nearest() -> None:
    inside = np.zeros((20, 30), bool)
    inside[2:18, 2:12], inside[2:18, 18:28] = True, True
    objects = grown(segments(inside))
    assert (objects[:, :15] == 1).all() and (objects[:, 15:] == 2).all()
    assert (grown(np.zeros((4, 4), np.int32)) == 0).all()


def test_the_width_of_boundaries_counts_for_nothing_but_a_gap_in_one_does() -> None:
    truth = np.zeros((40, 40), np.int32)
    truth[1:19, 1:39], truth[21:39, 1:39] = 1, 2
    wide = np.zeros((40, 40), bool)
    wide[4:16, 4:36], wide[24:36, 4:36] = True, True
    assert foreground_rand(truth, wide).score == 1
    leak = truth > 0
    leak[19:21, 20] = True
    score = foreground_rand(truth, leak)
    assert score.split == 1 and score.merge == pytest.approx(0.5)


def test_parts_that_touch_at_corners_are_two() -> None:
    assert segments(np.eye(3, dtype=bool)).max() == 3
