"""Pre-activation ResNet: the laws of backbones, and what is its alone."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

from backbones import laws
from boxwright.backbones.layers import DropPath
from boxwright.backbones.preact_resnet import DEPTHS, PreActResNet, PreActResNetClassifier, Unit
from boxwright.backbones.resnet import TAPS, ResNetClassifier


@pytest.mark.parametrize(
    "depth", [18, 50, *(pytest.param(d, marks=pytest.mark.slow) for d in (34, 101, 152))]
)
def test_shapes_and_weights(depth: int) -> None:
    with torch.device("meta"):
        trunk = PreActResNet(depth, TAPS)
        ours, usual = PreActResNetClassifier(depth), ResNetClassifier(f"resnet{depth}")
    laws.shapes_agree(trunk)
    laws.stages_hold_everything(trunk)
    # The order within a unit changes no convolution.
    counts = [Counter(p.shape for p in net.parameters() if p.ndim > 1) for net in (ours, usual)]
    assert counts[0] == counts[1]


def test_norms_stand_before_convolutions() -> None:
    with torch.device("meta"):
        net = PreActResNetClassifier(18)
    # By stage: the input of each unit but the first and the middle of each; then the stem's and the last one.
    channels = 64 + (64 + 2 * 64) + (64 + 3 * 128) + (128 + 3 * 256) + (256 + 3 * 512) + 512
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    assert sum(norm.num_features for norm in norms) == channels
    assert sum(p.numel() for p in net.parameters()) == 11_689_512 - 2 * 4800 + 2 * channels


def test_laws() -> None:
    trunk = PreActResNet(18, TAPS)
    laws.gradients_reach_everything(trunk, 65)
    laws.exports(trunk, 64)
    laws.centres_agree(trunk, 481, breadth=64)


@pytest.mark.slow
@pytest.mark.parametrize("depth", DEPTHS)
def test_laws_of_all(depth: int) -> None:
    classifier = PreActResNetClassifier(depth, classes=7)
    laws.gradients_reach_everything(classifier, 65)
    laws.exports(classifier, 64)
    if depth == 50:
        laws.centres_agree(PreActResNet(depth, TAPS), 704)


@pytest.mark.parametrize("depth", [18, 50])
def test_nothing_stands_on_the_shortcut(depth: int) -> None:
    """Equation 4 of the paper: a stage's output is its input plus the branches, with no activation between."""
    trunk = PreActResNet(depth, ["stage1"])
    first, *others = (unit for unit in trunk.modules() if isinstance(unit, Unit))
    assert isinstance(first.enter, nn.Identity)
    x = torch.randn(2, trunk.specs[0].channels, 5, 5)
    for unit in others:
        last = unit.branch.get_submodule(str(len(list(unit.branch.children())) - 1))
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)
        assert torch.equal(unit(x), x)


def test_taps_are_activated_and_the_next_stage_reads_the_bare_sum() -> None:
    trunk = PreActResNet(18, ["stage1", "stage2"])
    images = torch.randn(2, 3, 64, 64)
    first, second = trunk(images)
    assert first.min() == 0
    assert second.min() == 0
    alone = PreActResNet(18, ["stage2"])
    assert not any(name.startswith("rows.0.leave") for name in alone.state_dict())
    alone.load_state_dict({key: trunk.state_dict()[key] for key in alone.state_dict()})
    torch.testing.assert_close(alone(images)[0], second)


def test_drop_path_grows_to_its_rate() -> None:
    with torch.device("meta"):
        net = PreActResNetClassifier(18, drop_path=0.8)
    rates = [m.probability for m in net.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
