"""Enlarging pictures of any size: in parts, in bounded memory, into whole bytes."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.perceptual.upscale_apply import Enlarger
from boxwright.perceptual.upscale_settings import UpscaleSettings

SETTINGS = UpscaleSettings(3, blocks=1)
CARD = Card("upscale", asdict(SETTINGS))


class Nearest:
    """Repeats pixels, and notes what it was given."""

    def __init__(self) -> None:
        self.sides: list[int] = []

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.sides += pictures.shape[2:]
        return 1.5 * pictures.repeat(3, 2).repeat(3, 3) - 0.25


def test_parts_are_no_larger_than_asked_for_and_values_are_rounded_and_clipped() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 71, 3), dtype=np.uint8)
    run = Nearest()
    large = Enlarger(run, CARD, tile=20)(image)
    wanted = np.rint(np.clip(1.5 * image.astype(np.float32) - 0.25 * 255, 0, 255)).repeat(3, 0).repeat(3, 1)
    assert np.abs(large - wanted).max() <= 1 and large.dtype == np.uint8
    assert len(run.sides) == 2 * 3 * 4 and max(run.sides) <= 20 + 2 * SETTINGS.radius


def test_a_picture_beyond_reason_is_refused_before_anything_is_computed() -> None:
    run = Nearest()
    # No memory is behind it.
    image = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (20_000, 20_000, 3))
    with pytest.raises(InputError, match="enlarged to 60000 x 60000 it would have more than"):
        Enlarger(run, CARD)(image)
    assert not run.sides
