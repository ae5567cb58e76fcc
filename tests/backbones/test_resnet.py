"""ResNet, wide ResNet and ResNeXt: the laws of backbones, and what is theirs alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones import laws
from boxwright.backbones.layers import DropPath, group_norm
from boxwright.backbones.resnet import TAPS, VARIANTS, Bottleneck, ResNet, ResNetClassifier
from boxwright.features import FeatureSpec

SMALL = ("resnet18", "resnext50_32x4d")
EACH = [pytest.param(name, marks=() if name in SMALL else pytest.mark.slow) for name in VARIANTS]


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("variant", EACH)
def test_shapes(variant: str, v1: bool) -> None:
    with torch.device("meta"):
        trunk = ResNet(variant, TAPS, v1=v1)
    laws.shapes_agree(trunk)
    laws.stages_hold_everything(trunk)
    assert [spec.stride for spec in trunk.specs] == [4, 8, 16, 32]
    # Padding is symmetric: cells look at the middles of what follows the image's first pixel, whatever its size.
    assert {spec.first_centre(size) for spec in trunk.specs for size in (224, 225)} == {0.5}


def test_laws() -> None:
    trunk = ResNet("resnet18", TAPS)
    laws.gradients_reach_everything(trunk, 65)
    laws.exports(trunk, 64)
    for size in (480, 481):
        laws.centres_agree(trunk, size, breadth=64)


@pytest.mark.slow
@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_laws_of_all(variant: str, v1: bool) -> None:
    classifier = ResNetClassifier(variant, classes=7, v1=v1)
    laws.gradients_reach_everything(classifier, 65)
    laws.exports(classifier, 64)


@pytest.mark.slow
@pytest.mark.parametrize("v1", [False, True])
def test_centres_of_bottlenecks(v1: bool) -> None:
    for size in (704, 705):
        laws.centres_agree(ResNet("resnet50", TAPS, v1=v1), size)


def test_the_stride_is_in_the_3x3_or_in_the_first_1x1() -> None:
    with torch.device("meta"):
        ours, papers = ResNet("resnet50"), ResNet("resnet50", v1=True)
    for net, strides in ((ours, (1, 2)), (papers, (2, 1))):
        first = net.get_submodule("layer2.0")
        assert isinstance(first, Bottleneck)
        assert (first.conv1.stride[0], first.conv2.stride[0]) == strides


def test_stages_behind_the_last_tap_are_not_built() -> None:
    trunk = ResNet("resnet18", ["stage2", "stage1"])
    assert trunk.specs == (
        FeatureSpec(128, trunk.specs[0].steps),
        FeatureSpec(64, trunk.specs[0].steps[:2]),
    )
    assert not hasattr(trunk, "layer3")
    assert len(trunk.stages()) == 3
    laws.shapes_agree(trunk)
    laws.gradients_reach_everything(trunk, 33)


@pytest.mark.parametrize("taps", [["stage5"], ["stage1", "conv1"], []])
def test_unknown_taps_are_named_with_the_known(taps: list[str]) -> None:
    with pytest.raises(ValueError, match="there are stage1, stage2, stage3, stage4"):
        ResNet("resnet18", taps)


def test_group_norm_everywhere() -> None:
    trunk = ResNet("resnet18", ["stage2"], norm=group_norm)
    kinds = {type(part) for part in trunk.modules() if "Norm" in type(part).__name__}
    assert kinds == {nn.GroupNorm}
    laws.gradients_reach_everything(trunk, 33)


def test_drop_path_grows_to_its_rate_over_the_whole_net() -> None:
    with torch.device("meta"):
        nets = ResNet("resnet18", ["stage4"], drop_path=0.4), ResNet("resnet18", ["stage2"], drop_path=0.4)
    whole, half = ([m.probability for m in net.modules() if isinstance(m, DropPath)] for net in nets)
    assert whole == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4])
    assert half == whole[:4]
