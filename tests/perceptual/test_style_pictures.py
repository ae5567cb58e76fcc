from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.errors import InputError
from boxwright.perceptual.style_pictures import (
    LEAST,
    MULTIPLE,
    brightness,
    coloured,
    fitted,
    matched,
    resized,
    to_bytes,
    to_chw,
)
from boxwright.perceptual.style_settings import PaintSettings, StyleNetSettings, StyleWeights

SIDES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def image(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@given(shape=SIDES)
def test_bytes_come_back_and_what_is_outside_is_cut_off(shape: tuple[int, int]) -> None:
    given_image = image(shape)
    assert np.array_equal(to_bytes(to_chw(given_image)), given_image)
    assert to_bytes(np.full((3, 1, 2), 1.5, np.float32)).tolist() == [[[255] * 3] * 2]
    assert to_bytes(np.full((3, 1, 1), -0.5, np.float32)).tolist() == [[[0] * 3]]


@given(shape=SIDES)
def test_a_fitted_picture_holds_the_picture(shape: tuple[int, int]) -> None:
    picture = to_chw(image(shape))
    found = fitted(picture)
    assert np.array_equal(found[:, : shape[0], : shape[1]], picture)
    for side, before in zip(found.shape[1:], shape, strict=True):
        assert side % MULTIPLE == 0 and side >= LEAST
        assert side == LEAST or side < before + MULTIPLE


@given(shape=SIDES, side=st.integers(1, 60))
def test_a_resized_picture_keeps_its_aspect(shape: tuple[int, int], side: int) -> None:
    found = resized(image(shape), side)
    assert max(found.shape[:2]) == side
    assert min(found.shape[:2]) == max(1, round(min(shape) * side / max(shape)))


@given(seed=st.integers(0, 100))
def test_colours_and_brightness_part_and_meet(seed: int) -> None:
    one, two = (to_chw(image((6, 5), seed + i)) for i in range(2))
    np.testing.assert_allclose(coloured(one, one), one, atol=1e-6)
    found = coloured(one, two)
    np.testing.assert_allclose(brightness(found), brightness(one), atol=1e-6)
    # What is told apart by colour alone stays so: the differences between channels.
    np.testing.assert_allclose(found[0] - found[1], two[0] - two[1], atol=1e-6)
    grey = matched(brightness(one), brightness(two))
    assert grey.mean() == pytest.approx(brightness(two).mean(), abs=1e-5)
    assert grey.std() == pytest.approx(brightness(two).std(), abs=1e-5)
    assert np.isfinite(matched(np.zeros((3, 2, 2), np.float32), brightness(two))).all()


@given(size=st.integers(128, 4000), scales=st.integers(1, 4))
def test_sizes_double_up_to_the_last(size: int, scales: int) -> None:
    sides = PaintSettings(size=size, scales=scales).sides
    assert sides[-1] == size and len(sides) == scales
    assert all(two // 2 == one for one, two in pairwise(sides))


def test_settings_that_make_no_sense() -> None:
    for wrong, message in (({"size": 8}, "size is 8, must be between 16"), ({"scales": 0}, "scales is 0")):
        with pytest.raises(InputError, match=message):
            PaintSettings(**wrong)
    with pytest.raises(InputError, match="the weight of style is -1"):
        StyleWeights(style=-1)
    for changes, message in (
        ({"crop": 130}, "crop is 130, must be a multiple of 4"),
        ({"least": 0.0}, "least is 0"),
        ({"held": 0.0}, "held is 0"),
        ({"width": 0}, "width is 0"),
    ):
        with pytest.raises(InputError, match=message):
            StyleNetSettings(**changes)
