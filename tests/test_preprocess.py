"""One preprocessing: equal to torch's and Pillow's resizing, the same for bytes and floats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boxwright.errors import InputError
from boxwright.preprocess import Preprocess


def picture(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 50), st.integers(1, 50), st.integers(0, 99))
def test_bilinear_is_torchs(height: int, width: int, tall: int, wide: int, seed: int) -> None:
    image = picture(height, width, seed).transpose(2, 0, 1).astype(np.float32) / 255
    ours = Preprocess((tall, wide), filter="bilinear", mean=(0, 0, 0), std=(1, 1, 1))(image)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None], (tall, wide), mode="bilinear", align_corners=False
    )[0]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)


@given(st.integers(8, 60), st.integers(8, 60), st.integers(0, 99))
def test_antialiased_bytes_and_floats_agree(height: int, width: int, seed: int) -> None:
    image = picture(height, width, seed)
    preprocess = Preprocess((20, 24))
    as_bytes = preprocess(image)
    as_floats = preprocess(np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 255)
    assert as_bytes.shape == (3, 20, 24)
    # Pillow rounds 8-bit results: half a grey level, over the smallest standard deviation.
    assert np.abs(as_bytes - as_floats).max() <= 1.01 / 255 / 0.224


def test_the_order_matters_by_rounding_alone() -> None:
    image = picture(33, 47, 0).transpose(2, 0, 1).astype(np.float32) / 255
    first, last = (
        Preprocess((20, 24), filter="bilinear", order=order)(image)
        for order in ("normalise-resize", "resize-normalise")
    )
    np.testing.assert_allclose(first, last, atol=1e-5)


def test_targets_by_hand() -> None:
    shorter = Preprocess((800, 1333), mode="shorter-side")
    assert shorter.target(480, 640) == (800, 1066)
    assert shorter.target(100, 1000) == (133, 1333)  # the longest side is the bound
    assert Preprocess((300, 300)).target(480, 640) == (300, 300)


def test_settings_round_trip_and_unknown_ones_fail() -> None:
    settings = Preprocess((300, 320), mode="shorter-side", pad_multiple=32)
    assert Preprocess.from_dict(settings.to_dict()) == settings
    with pytest.raises(InputError, match="did you mean size"):
        Preprocess.from_dict({"sise": [3, 3]})
