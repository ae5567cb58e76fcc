from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from boxwright.features import FeatureSpec, Step
from boxwright.necks.fpn import FPN, Coarser

HALF = Step(3, 2, 1)
SPECS = tuple(FeatureSpec(channels, (HALF,) * depth) for channels, depth in ((8, 3), (12, 4), (16, 5)))


def taps(height: int, width: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, s.channels, s.cells(height), s.cells(width), generator=generator) for s in SPECS]


@pytest.mark.parametrize(
    ("coarser", "levels"), [("none", 3), ("pool", 4), ("p5", 5), ("c5", 5), ("c5-linear", 5)]
)
@given(height=st.integers(33, 200), width=st.integers(33, 200))
def test_levels_are_what_the_specs_say(coarser: Coarser, levels: int, height: int, width: int) -> None:
    neck = FPN(SPECS, 4, coarser)
    maps = neck(taps(height, width))
    assert len(maps) == len(neck.specs) == levels
    for level, spec in zip(maps, neck.specs, strict=True):
        assert level.shape == (2, spec.channels, spec.cells(height), spec.cells(width))


def test_coarse_knowledge_reaches_every_finer_level() -> None:
    """With identities for convolutions a level is its tap plus all coarser ones, enlarged."""
    specs = tuple(FeatureSpec(1, spec.steps) for spec in SPECS)
    neck = FPN(specs, 1, "pool")
    for convolution in neck.modules():
        if isinstance(convolution, nn.Conv2d):
            nn.init.dirac_(convolution.weight)
    fine, middle, coarse = (torch.full((1, 1, n, n), v) for n, v in ((8, 1.0), (4, 10.0), (2, 100.0)))
    coarse[0, 0, 0, 0] = 500.0
    p3, p4, p5, p6 = neck([fine, middle, coarse])
    torch.testing.assert_close(p5, coarse)
    assert p4[0, 0].tolist() == [[510.0] * 2 + [110.0] * 2] * 2 + [[110.0] * 4] * 2
    assert (p3[0, 0, :4, :4] == 511).all()
    assert p6[0, 0].tolist() == [[500.0]]


def test_p6_stands_where_it_is_told() -> None:
    on_c5, on_p5 = FPN(SPECS, 4, "c5"), FPN(SPECS, 4, "p5")
    assert on_c5.extras[0][0].in_channels == 16
    assert on_p5.extras[0][0].in_channels == 4


@pytest.mark.parametrize(("coarser", "expected"), [("p5", 0.0), ("c5", 0.0), ("c5-linear", -3.0)])
def test_a_relu_stands_before_p7_where_it_is_told(coarser: Coarser, expected: float) -> None:
    """With identities for convolutions, and P6 moved below zero."""
    neck = FPN(tuple(FeatureSpec(1, spec.steps) for spec in SPECS), 1, coarser)
    for convolution in neck.modules():
        if isinstance(convolution, nn.Conv2d):
            nn.init.dirac_(convolution.weight)
    nn.init.constant_(neck.extras[0][0].bias, -3)
    *_, p6, p7 = neck([torch.zeros(1, 1, n, n) for n in (8, 4, 2)])
    assert p6.item() == -3
    assert p7.item() == expected


@pytest.mark.parametrize("separable", [False, True])
def test_every_weight_learns(separable: bool) -> None:
    neck = FPN(SPECS, 4, "c5", separable, norm=nn.BatchNorm2d)
    sum(level.square().mean() for level in neck(taps(256, 256))).backward()
    assert all(p.grad is not None and p.grad.any() for p in neck.parameters())
