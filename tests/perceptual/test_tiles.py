"""Tiles: every pixel once, and what comes out is what the whole picture would have given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.perceptual.test_upscale import lively

from boxwright.perceptual.tiles import cut, enlarged_parts
from boxwright.perceptual.upscale_settings import UpscaleSettings


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 15), st.integers(0, 9))
def test_each_pixel_is_answered_for_once_and_seen_with_its_surroundings(
    height: int, width: int, tile: int, margin: int
) -> None:
    answered = np.zeros((height, width), int)
    for part in cut(height, width, tile, margin):
        answered[part.own] += 1
        for own, seen, size in zip(part.own, part.seen, (height, width), strict=True):
            assert 0 < own.stop - own.start <= tile
            assert seen.start == max(0, own.start - margin)
            assert seen.stop == min(size, own.stop + margin)
    assert (answered == 1).all()


@pytest.mark.parametrize("factor", [2, 3])
def test_tiles_leave_no_seam_and_a_smaller_margin_would(factor: int) -> None:
    settings = UpscaleSettings(factor, blocks=2, channels=8)
    net = lively(settings)
    picture = np.random.default_rng(1).integers(0, 256, (61, 47, 3), dtype=np.uint8)

    @torch.inference_mode()
    def run(pictures: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(pictures)).numpy()

    def whole(tile: int, margin: int) -> np.ndarray:
        large = np.full((61 * factor, 47 * factor, 3), np.nan, np.float32)
        for place, part in enlarged_parts(picture, run, factor, margin, tile):
            large[place] = part
        return large

    at_once = whole(100, 0)
    for tile in (16, 25):
        np.testing.assert_allclose(whole(tile, settings.radius), at_once, atol=1e-5, rtol=0)
        assert np.abs(whole(tile, settings.radius - 1) - at_once).max() > 1e-4


def test_the_margin_grows_with_the_network() -> None:
    settings = UpscaleSettings(blocks=4)
    assert replace(settings, blocks=5).radius == settings.radius + 2
    with pytest.raises(ValueError, match="tiles of 0 pixels"):
        next(cut(3, 3, 0, 1))
