from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.probe.changes import (
    CHANGES,
    LUMA,
    REACH,
    Canvas,
    Change,
    add_light,
    fade,
    scale_contrast,
    turn_hue,
)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(
    side=st.integers(20, 300),
    size=st.integers(64, 130),
    shift=st.integers(1, 16),
)
def test_a_shift_moves_what_is_seen_by_whole_pixels(side: int, size: int, shift: int) -> None:
    canvas = Canvas.of(picture(side, side + 7), size)
    still, moved = canvas.window(), canvas.window(shift=shift)
    # Where the left edge falls between pixels, Pillow's weights (of 8 bits) round to one level more or less.
    assert np.abs(moved[:, :-shift] - still[:, shift:]).max() <= 1.01 / 255
    assert still.shape == (size, size, 3)


@pytest.mark.parametrize("side", [150, 151, 300, 1000])
def test_a_quarter_turn_only_changes_places(side: int) -> None:
    canvas = Canvas.of(picture(side, side), 100)
    np.testing.assert_allclose(canvas.window(angle=90), np.rot90(canvas.window()), atol=1.01 / 255)


@pytest.mark.parametrize("change", CHANGES[:3], ids=lambda change: change.name)
@pytest.mark.parametrize("side", [96, 500])
def test_no_border_comes_into_sight(change: Change, side: int) -> None:
    white = Canvas.of(np.full((side, side + 40, 3), 255, np.uint8), 160)
    for strength in change.fitting(160):
        assert change.make(white, strength).min() == 1.0, strength


def test_things_become_larger_and_stay_in_the_middle() -> None:
    square = np.zeros((300, 300, 3), np.uint8)
    square[130:170, 130:170] = 255
    canvas = Canvas.of(square, 200)
    for scale in (2 / 3, 0.8, 1.0, 1.25, 1.5):
        shown = canvas.window(scale=scale)[..., 0]
        assert np.sqrt(shown.sum()) == pytest.approx(40 * scale, rel=0.02)
        np.testing.assert_allclose(shown, shown[::-1, ::-1], atol=0.02)


def test_the_middle_of_a_picture_is_seen_whatever_its_shape() -> None:
    wide = np.zeros((90, 200, 3), np.uint8)
    wide[:, 55:145] = 255
    assert Canvas.of(wide, 64).pixels.min() == 255
    assert Canvas.of(wide.transpose(1, 0, 2), 64).pixels.min() == 255


def test_large_photographs_are_shrunk() -> None:
    assert Canvas.of(picture(700, 900), 64).pixels.shape == (192, 192, 3)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_each_change_changes_and_its_none_does_not(change: Change) -> None:
    canvas = Canvas.of(picture(200, 200), 96)
    still = canvas.window()
    np.testing.assert_allclose(change.make(canvas, change.none), still, atol=1e-6)
    assert change.typical in change.strengths and change.none not in change.strengths
    assert list(change.strengths) == sorted(change.strengths)
    for strength in change.fitting(96):
        assert np.abs(change.make(canvas, strength) - still).mean() > 0.01


def test_shifts_stay_on_the_canvas() -> None:
    shift = CHANGES[0]
    assert shift.fitting(160) == shift.strengths
    assert shift.fitting(64) == (2, 4, 8, 16)
    assert max(shift.strengths) <= 128 * (REACH - 1) / 2


def test_colours_worked_by_hand() -> None:
    red = np.zeros((1, 1, 3), np.float32)
    red[..., 0] = 0.8
    np.testing.assert_allclose(turn_hue(red, 120), [[[0, 0.8, 0]]], atol=1e-6)
    np.testing.assert_allclose(turn_hue(red, 180), [[[0, 0.8, 0.8]]], atol=1e-6)
    np.testing.assert_allclose(fade(red, 1.0), [[[0.2392] * 3]], atol=1e-6)
    np.testing.assert_allclose(fade(red, 0.5), [[[0.5196, 0.1196, 0.1196]]], atol=1e-6)
    np.testing.assert_allclose(add_light(red, -0.3), [[[0.5, 0, 0]]], atol=1e-6)
    two = np.array([[[0.4] * 3, [0.6] * 3]], np.float32)
    np.testing.assert_allclose(scale_contrast(two, 2), [[[0.3] * 3, [0.7] * 3]], atol=1e-6)


@given(st.floats(0.2, 1.5), st.integers(0, 99))
def test_contrast_keeps_the_mean_grey_and_grey_keeps_the_luma(factor: float, seed: int) -> None:
    window = np.random.default_rng(seed).uniform(0.4, 0.6, (5, 6, 3)).astype(np.float32)
    changed = scale_contrast(window, factor)
    assert (changed @ LUMA).mean() == pytest.approx((window @ LUMA).mean(), abs=1e-5)
    np.testing.assert_allclose(fade(window, min(factor, 1)) @ LUMA, window @ LUMA, atol=1e-6)
