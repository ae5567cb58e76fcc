"""A spec says where cells look: held against the gradient's receptive field."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from boxwright.backbones.efficientnet import EfficientNetLite
from boxwright.backbones.vgg import VGG
from boxwright.features import FeatureSpec, Step
from boxwright.necks.ssd_extras import Extra, SSDExtras


def linearise(net: nn.Module) -> nn.Module:
    """Positive weights and no norms or bounds, so that the gradient shows every pixel that can matter."""
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU | nn.ReLU6 | nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
        if isinstance(module, nn.Conv2d):
            # Means, so that activations stay in range however deep the net.
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net.eval()


def centres(net: nn.Module, size: int, tap: int) -> tuple[float, float, int]:
    """Middle of the receptive field of two neighbouring inner cells, in pixels, and the number of cells."""
    image = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    features = net.double()(image)[tap]
    cells = features.shape[-1]
    found = []
    for cell in (cells // 2, cells // 2 + 1):
        (grad,) = torch.autograd.grad(features[0, :, cell, cell].sum(), image, retain_graph=True)
        seen = grad[0].abs().sum((0, 1)).nonzero()[:, 0]
        found.append((seen[0].item() + seen[-1].item() + 1) / 2)
    return found[0], found[1], cells


@pytest.mark.parametrize("size", [256, 271])
@pytest.mark.parametrize("tap", [0, 1], ids=["stage2", "expand4"])
def test_efficientnet_lite_looks_where_it_says(size: int, tap: int) -> None:
    net = EfficientNetLite(0, taps=("stage2", "expand4"))
    spec = net.specs[tap]
    first, second, cells = centres(linearise(net), size, tap)
    assert spec.cells(size) == cells
    assert second - first == spec.stride
    assert spec.first_centre(size) + (cells // 2) * spec.stride == first


@pytest.mark.parametrize("size", [96, 101])
def test_vgg_has_the_cells_it_says(size: int) -> None:
    net = VGG(11, taps=("conv3", "conv4", "fc7"), ceil=True)
    with torch.no_grad():
        features = net(torch.rand(1, 3, size, size))
    for spec, feature in zip(net.specs, features, strict=True):
        assert feature.shape[1:] == (spec.channels, spec.cells(size), spec.cells(size))


def test_extras_have_the_cells_they_say() -> None:
    specs = (FeatureSpec(8, (Step(3, 2, 1),)), FeatureSpec(16, (Step(3, 2, 1),) * 2))
    neck = SSDExtras(specs, (Extra(4, 8), Extra(4, 8, stride=1, padding=0)), separable=True).eval()
    levels = neck([torch.rand(1, 8, 20, 20), torch.rand(1, 16, 10, 10)])
    assert [level.shape[-1] for level in levels] == [20, 10, 5, 3]
    assert [spec.cells(40) for spec in neck.specs] == [20, 10, 5, 3]


def test_worked_centres() -> None:
    # A symmetric 3x3 of stride 2 keeps looking at the first pixel; SAME on an even size looks one further.
    assert FeatureSpec(1, (Step(3, 2, 1),)).first_centre(32) == 0.5
    assert FeatureSpec(1, (Step(3, 2, "same"),)).first_centre(32) == 1.5
    # Without padding each layer moves the first centre by (kernel - 1) / 2 of its cells.
    assert FeatureSpec(1, (Step(3, 2, 0), Step(3, 1, 0))).first_centre(32) == 0.5 + 1 + 2
    # Pooling by two looks between two pixels.
    assert FeatureSpec(1, (Step(2, 2, 0), Step(2, 2, 0))).first_centre(32) == 2.0
