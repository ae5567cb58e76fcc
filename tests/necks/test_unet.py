from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.backbones.layers import group_norm
from boxwright.necks.unet import UNetDecoder

from .test_fpn import SPECS, taps


@given(height=st.integers(33, 160), width=st.integers(33, 160))
def test_levels_have_their_taps_sizes(height: int, width: int) -> None:
    neck = UNetDecoder(SPECS, (4, 6, 8))
    for level, spec, tap in zip(neck(taps(height, width)), neck.specs, taps(height, width), strict=True):
        assert level.shape == (2, spec.channels, *tap.shape[2:])
        assert (spec.cells(height), spec.cells(width)) == tap.shape[2:]


def test_the_finest_level_sees_every_tap() -> None:
    neck = UNetDecoder(SPECS, (4, 6, 8), norm=group_norm).eval()
    images = [tap.requires_grad_() for tap in taps(64, 64)]
    neck(images)[0].square().sum().backward()
    assert all(tap.grad is not None and tap.grad.any() for tap in images)
    assert all(p.grad is not None and p.grad.any() for p in neck.parameters())


def test_one_width_a_tap() -> None:
    with pytest.raises(ValueError, match="3 taps"):
        UNetDecoder(SPECS, (4, 6))
