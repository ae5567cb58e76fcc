from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from boxwright.errors import InputError
from boxwright.segment.networks import begin, tiling
from boxwright.segment.semantic import SemanticFPN, UNetOn, taps_of
from boxwright.segment.settings import NetSettings


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("unet-resnet18", [4, 8, 16, 32]),
        ("unet-efficientnet-lite0", [2, 4, 8, 16, 32]),
        ("unet-vgg11", [1, 2, 4, 8, 16]),
        ("fpn-efficientnet-lite0", [4, 8, 16, 32]),
    ],
)
def test_a_net_on_a_backbone_tells_the_class_of_every_pixel(name: str, strides: list[int]) -> None:
    net = begin(name, 5, NetSettings(width=8 if name.startswith("unet") else 32)).eval()
    assert isinstance(net, UNetOn | SemanticFPN)
    assert [spec.stride for spec in net.trunk.specs] == strides
    assert net.multiple == strides[-1]
    with torch.inference_mode():
        assert net(torch.rand(2, 3, 64, 96)).shape == (2, 5, 64, 96)
    trained = {id(p) for stage in net.stages() for p in stage.parameters()}
    assert trained == {id(p) for p in net.trunk.parameters()}


def test_levels_of_the_semantic_head_have_as_many_doublings_as_they_need() -> None:
    net = begin("fpn-resnet18", 3, NetSettings(width=32))
    doublings = [sum(isinstance(layer, nn.Upsample) for layer in step) for step in net.steps]
    convolutions = [sum(isinstance(layer, nn.Conv2d) for layer in step) for step in net.steps]
    assert doublings == [0, 1, 2, 3]
    assert convolutions == [1, 1, 2, 3]  # Kirillov et al. 2019, figure 3


def test_all_of_a_net_learns() -> None:
    for name in ("unet", "unet-resnet18", "fpn-resnet18"):
        net = begin(name, 2, NetSettings(width=32 if name[0] == "f" else 4, depth=2, padded=True))
        net(torch.rand(2, 3, 64, 64)).square().mean().backward()
        silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert silent == [], name


def test_weights_begin_as_the_paper_says() -> None:
    torch.manual_seed(0)
    net = begin("unet", 2, NetSettings(width=16))
    deep = net.down[4][2].weight.detach()
    assert float(deep.std()) == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.01)
    signal = net.eval()(torch.rand(1, 3, 188, 188)).detach()
    assert 0.05 < float(signal.std()) < 20


def test_channels_are_as_they_are_asked_for() -> None:
    assert begin("unet-resnet18", 2, NetSettings(width=4)).logits.in_channels == 4
    net = begin("fpn-resnet18", 2, NetSettings())
    assert net.logits.in_channels == 32 and net.pyramid.specs[0].channels == 64
    assert begin("unet", 2, NetSettings(width=6, depth=2)).logits.in_channels == 6


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("unet-vgg17", NetSettings(), "no classifier 'vgg17'"),
        ("deeplab", NetSettings(), "no network 'deeplab' for segmentation; use unet"),
        ("unet-inception-resnet-v2", NetSettings(), "too few maps"),
        ("unet", NetSettings(width=2, tile=256), "net.tile is 256.*16 k \\+ 4; such as 260"),
        ("unet", NetSettings(width=2, margin=8), "unpadded net's own is 92"),
        ("unet", NetSettings(width=2, padded=True, tile=100), "16 k; such as 96"),
        ("unet-resnet18", NetSettings(margin=20), "net.margin is 20.*32 k; such as 32"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, settings: NetSettings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiling(begin(name, 2, settings), settings)


def test_settings_are_checked() -> None:
    for bad in ({"depth": 0}, {"dropout": 1.0}, {"width": -1}, {"tile": -1}):
        with pytest.raises(InputError, match=next(iter(bad))):
            NetSettings(**bad)


def test_taps_end_at_32_pixels() -> None:
    assert taps_of("vgg16", 1) == ("conv1", "conv2", "conv3", "conv4", "conv5")
    assert taps_of("resnet50", 1) == ("stage1", "stage2", "stage3", "stage4")
