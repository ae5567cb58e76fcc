"""VGG: the laws of backbones, and what is its alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones import laws
from boxwright.backbones.vgg import DEPTHS, TAPS, VGG, VGGClassifier


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("depth", DEPTHS)
def test_shapes(depth: int, norm: bool, ceil: bool) -> None:
    with torch.device("meta"):
        trunk = VGG(depth, TAPS, norm, ceil)
    laws.shapes_agree(trunk)
    laws.stages_hold_everything(trunk)
    assert [spec.stride for spec in trunk.specs] == [1, 2, 4, 8, 16, 16]
    convolutions = [part for part in trunk.blocks.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == depth - 3
    assert any(isinstance(part, nn.BatchNorm2d) for part in trunk.modules()) == norm


@pytest.mark.parametrize("norm", [False, True])
def test_laws(norm: bool) -> None:
    trunk = VGG(11, TAPS[:4], norm)
    laws.gradients_reach_everything(trunk, 33)
    laws.exports(trunk, 32)
    laws.centres_agree(trunk, 112)


@pytest.mark.slow
def test_centres_of_the_whole_trunk() -> None:
    laws.centres_agree(VGG(16, TAPS), 512)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [False, True])
def test_laws_of_the_classifier(norm: bool) -> None:
    classifier = VGGClassifier(11, classes=7, norm=norm)
    laws.gradients_reach_everything(classifier, 64)
    laws.exports(classifier, 64)


def test_blocks_behind_the_last_tap_are_not_built() -> None:
    trunk = VGG(11, ["conv2", "conv1"])
    assert [(spec.channels, spec.stride) for spec in trunk.specs] == [(128, 2), (64, 1)]
    assert len(trunk.blocks) == len(trunk.stages()) == 2
    laws.gradients_reach_everything(trunk, 32)


@pytest.mark.parametrize("taps", [["stage1"], ["conv1", "fc6"], []])
def test_unknown_taps_are_named_with_the_known(taps: list[str]) -> None:
    with pytest.raises(ValueError, match="there are conv1, conv2, conv3, conv4, conv5, fc7"):
        VGG(11, taps)
