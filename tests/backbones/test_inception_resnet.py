"""Inception-ResNet-v2: the laws of backbones, and what is its alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones import laws
from boxwright.backbones.inception_resnet import TAPS, InceptionResNet, InceptionResNetClassifier, Residual
from boxwright.backbones.layers import DropPath, group_norm


def test_shapes() -> None:
    with torch.device("meta"):
        trunk = InceptionResNet(TAPS)
    laws.shapes_agree(trunk, [(75, 75), (299, 299), (300, 161)])
    laws.stages_hold_everything(trunk)
    assert [(spec.channels, spec.stride, spec.cells(299)) for spec in trunk.specs] == [
        (192, 4, 71),
        (320, 8, 35),
        (1088, 16, 17),
        (1536, 32, 8),
    ]
    for size in (299, 300):
        assert [spec.first_centre(size) for spec in trunk.specs] == [9.5, 13.5, 21.5, 37.5]


def test_parameters_are_the_published_ones_and_the_gains_of_norms() -> None:
    with torch.device("meta"):
        net = InceptionResNetClassifier()
    gains = sum(part.weight.numel() for part in net.modules() if isinstance(part, nn.BatchNorm2d))
    # Keras counts 55,813,192 to train, and 60,544 more: mean and variance of each channel that has a norm.
    assert 2 * gains == 60_544
    assert sum(parameter.numel() for parameter in net.parameters()) - gains == 55_813_192


@pytest.mark.parametrize("size", [224, 225])
def test_centres(size: int) -> None:
    """Residual blocks keep the size and look around themselves; without them the field fits in a small image."""
    laws.centres_agree(InceptionResNet(TAPS), size, without=(Residual,), breadth=75)


def test_laws_of_the_first_stages() -> None:
    trunk = InceptionResNet(["stage1", "stage2"])
    laws.gradients_reach_everything(trunk, 75)
    laws.exports(trunk, 75)
    assert len(trunk.stages()) == 2


@pytest.mark.slow
def test_laws_of_the_whole() -> None:
    classifier = InceptionResNetClassifier(classes=7)
    laws.gradients_reach_everything(classifier, 111)
    laws.exports(classifier, 111)
    laws.centres_agree(InceptionResNet(TAPS), 3600)


def test_branches_are_scaled_down_and_the_last_sum_is_not_cut() -> None:
    trunk = InceptionResNet(["stage4"]).eval()
    for number, (channels, count, scale) in enumerate(((320, 10, 0.17), (1088, 20, 0.1), (2080, 10, 0.2)), 1):
        blocks = [part for part in trunk.rows[number].children() if isinstance(part, Residual)]
        assert len(blocks) == count
        x = torch.full((1, channels, 3, 3), -1.0)
        for block in blocks:
            last = block is blocks[-1] and number == 3
            nn.init.zeros_(block.up.weight)
            for branch in (1.0, 10.0):
                nn.init.constant_(block.up.bias, branch)
                told = branch - 1 if last else max(scale * branch - 1, 0)
                torch.testing.assert_close(block(x), torch.full_like(x, told))


def test_averages_do_not_count_the_padding() -> None:
    trunk = InceptionResNet(["stage2"])
    (average,) = (part for part in trunk.modules() if isinstance(part, nn.AvgPool2d))
    assert torch.equal(average(torch.ones(1, 1, 4, 5)), torch.ones(1, 1, 4, 5))


def test_norms_and_drop_path_are_chosen() -> None:
    with torch.device("meta"):
        net = InceptionResNet(["stage2"], norm=group_norm, drop_path=0.4)
        usual = InceptionResNet(["stage1"])
    assert not any(isinstance(part, nn.BatchNorm2d) for part in net.modules())
    rates = [m.probability for m in net.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.01 * i for i in range(1, 11)])
    assert {part.eps for part in usual.modules() if isinstance(part, nn.BatchNorm2d)} == {1e-3}


def test_unknown_taps_are_named_with_the_known() -> None:
    with pytest.raises(ValueError, match="no tap stage0; there are stage1, stage2, stage3, stage4"):
        InceptionResNet(["stage0"])
