"""The nets for 32 x 32 pixels: the laws of backbones, and what is theirs alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones import laws
from boxwright.backbones.cifar_resnet import TAPS, CifarResNet, CifarResNetClassifier, Subsample
from boxwright.backbones.layers import DropPath

MILLIONS = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}
"""Parameters: He et al. 2016, table 6."""


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("depth", MILLIONS)
def test_shapes_depth_and_parameters(depth: int, plain: bool) -> None:
    with torch.device("meta"):
        net, trunk = CifarResNetClassifier(depth, plain=plain), CifarResNet(depth, TAPS, plain)
    laws.shapes_agree(trunk, [(32, 32), (33, 31)])
    laws.stages_hold_everything(trunk)
    assert sum(isinstance(part, nn.Conv2d | nn.Linear) for part in net.modules()) == depth
    # Shortcuts have no parameters: the plain net has the residual one's.
    millions = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    assert round(millions, 1 if depth == 110 else 2) == MILLIONS[depth]


def test_parameters_of_20_layers_by_hand() -> None:
    convolutions = 9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    norms = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    net = CifarResNetClassifier(20)
    assert sum(p.numel() for p in net.parameters()) == convolutions + norms + 64 * 10 + 10


@pytest.mark.parametrize("plain", [False, True])
def test_laws(plain: bool) -> None:
    trunk = CifarResNet(20, TAPS, plain)
    laws.gradients_reach_everything(CifarResNetClassifier(20, plain=plain), 33)
    laws.exports(trunk, 32)
    for size in (128, 129):
        laws.centres_agree(trunk, size, breadth=16)


def test_the_shortcut_keeps_every_second_cell_and_adds_zeros() -> None:
    x = torch.arange(2 * 5 * 4.0).reshape(1, 2, 5, 4)
    y = Subsample(2, more=2)(x)
    assert y.tolist() == [[[[0, 2], [8, 10], [16, 18]], [[20, 22], [28, 30], [36, 38]], *[[[0, 0]] * 3] * 2]]


def test_a_residual_net_without_its_branches_hands_its_stem_on() -> None:
    """And a plain one hands on nothing: that is the difference between them."""
    images = torch.randn(2, 3, 32, 32)
    for plain in (False, True):
        trunk = CifarResNet(20, plain=plain).eval()
        for name, part in trunk.rows.named_modules():
            if isinstance(part, nn.Conv2d) and name.endswith(("conv2", "3")):
                nn.init.zeros_(part.weight)
        (features,) = trunk(images)
        stem = trunk.stem(images)
        assert torch.equal(features[:, :16], torch.zeros(2, 16, 8, 8) if plain else stem[:, :, ::4, ::4])
        assert not features[:, 16:].any()


def test_drop_path_grows_to_its_rate() -> None:
    rates = [m.probability for m in CifarResNet(20, drop_path=0.9).modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([i / 10 for i in range(1, 10)])


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no net of 18 layers: a depth is 6 n \+ 2"):
        CifarResNet(18)
    with pytest.raises(ValueError, match="no tap stage4; there are stage1, stage2, stage3"):
        CifarResNet(20, ["stage4"])
    with pytest.raises(ValueError, match="a plain net has no shortcuts"):
        CifarResNet(20, plain=True, drop_path=0.5)
