"""EfficientNet and EfficientNet-Lite: the laws of backbones, and what is theirs alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones import laws
from boxwright.backbones.efficientnet import (
    LITE,
    VARIANTS,
    B,
    EfficientNet,
    EfficientNetClassifier,
    EfficientNetLite,
)
from boxwright.backbones.inverted import InvertedResidual, SqueezeExcitation
from boxwright.backbones.layers import DropPath, SameConv2d, group_norm

TAPS = [*(f"stage{number}" for number in range(1, 8)), "expand4", "first6", "last"]
STRIDES = [2, 4, 8, 16, 16, 32, 32, 8, 32, 32]
SMALL = ("b0", "lite0")
EACH = [pytest.param(name, marks=() if name in SMALL else pytest.mark.slow) for name in VARIANTS]


@pytest.mark.parametrize("variant", EACH)
def test_shapes(variant: str) -> None:
    number, lite = int(variant[-1]), variant.startswith("lite")
    with torch.device("meta"):
        trunk = EfficientNetLite(number, TAPS) if lite else EfficientNet(number, TAPS)
    laws.shapes_agree(trunk)
    laws.stages_hold_everything(trunk)
    assert [spec.stride for spec in trunk.specs] == STRIDES
    assert any(isinstance(part, SameConv2d) for part in trunk.modules()) == lite
    assert any(isinstance(part, SqueezeExcitation) for part in trunk.modules()) != lite
    first = [[spec.first_centre(size) for spec in trunk.specs] for size in (224, 225)]
    # Symmetric padding looks at the image's first pixel, whatever its size; SAME at more where the size is even.
    assert first[1] == [0.5] * len(TAPS)
    assert (first[0] == [0.5] * len(TAPS)) != lite


@pytest.mark.parametrize("kind", [EfficientNet, pytest.param(EfficientNetLite, marks=pytest.mark.slow)])
def test_laws(kind: type[EfficientNet] | type[EfficientNetLite]) -> None:
    trunk = kind(0, ["stage2", "expand4", "stage4"])
    laws.gradients_reach_everything(trunk, 65)
    laws.exports(trunk, 64)
    for size in (384, 385):
        laws.centres_agree(trunk, size, without=(SqueezeExcitation,))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [EfficientNet, EfficientNetLite])
def test_centres_of_the_whole_trunk(kind: type[EfficientNet] | type[EfficientNetLite]) -> None:
    for size in (1088, 1089):
        laws.centres_agree(kind(0, TAPS), size, without=(SqueezeExcitation,))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_laws_of_classifiers(variant: str) -> None:
    classifier = EfficientNetClassifier(variant, classes=7, drop_path=0)
    laws.gradients_reach_everything(classifier, 65)
    laws.exports(classifier, 64)


@pytest.mark.parametrize("variant", ["b8", "lite5", "0"])
def test_unknown_variants_are_named_with_the_known(variant: str) -> None:
    with pytest.raises(ValueError, match=r"there are b0, b1, .*lite4"):
        EfficientNetClassifier(variant)


def test_unknown_taps_are_named_with_the_known() -> None:
    with pytest.raises(ValueError, match="no tap expand1, stage8; there are first1, stage1, expand2"):
        EfficientNet(0, ["stage8", "expand1"])


def test_squeeze_and_excitation_has_a_quarter_of_the_blocks_input() -> None:
    with torch.device("meta"):
        trunk = EfficientNet(0, ["stage7"])
    channels = 32
    for row in trunk.rows:
        for block in row.children():
            assert isinstance(block, InvertedResidual)
            assert isinstance(block.squeeze, SqueezeExcitation)
            assert block.squeeze.fc1.out_channels == channels // 4
            channels = block.project[0].out_channels


def test_squeeze_and_excitation_scales_channels() -> None:
    part = SqueezeExcitation(4, 2, nn.SiLU, nn.Sigmoid)
    x = torch.randn(2, 4, 3, 5)
    scale = part(x) / x
    torch.testing.assert_close(scale, scale[..., :1, :1].expand_as(scale))
    hidden = nn.functional.silu(x.mean((2, 3)) @ part.fc1.weight[..., 0, 0].T + part.fc1.bias)
    told = (hidden @ part.fc2.weight[..., 0, 0].T + part.fc2.bias).sigmoid()
    torch.testing.assert_close(scale[..., 0, 0], told)


def test_norms_are_the_published_ones_unless_others_are_asked_for() -> None:
    with torch.device("meta"):
        eps = {
            kind: [
                {m.eps for m in net(i, ["stage1"]).modules() if isinstance(m, nn.BatchNorm2d)}
                for i in numbers
            ]
            for kind, net, numbers in (("b", EfficientNet, B), ("lite", EfficientNetLite, LITE))
        }
        grouped = EfficientNet(5, ["stage2"], norm=group_norm)
    assert eps == {"b": [{1e-5}] * 5 + [{1e-3}] * 3, "lite": [{1e-3}] * 5}
    assert {type(m) for m in grouped.modules() if "Norm" in type(m).__name__} == {nn.GroupNorm}


def test_drop_path_grows_to_its_rate_over_the_whole_net() -> None:
    with torch.device("meta"):
        nets = EfficientNet(0, ["stage7"], drop_path=0.32), EfficientNet(0, ["stage2"], drop_path=0.32)
    whole, part = ([m.probability for m in net.modules() if isinstance(m, DropPath)] for net in nets)
    assert whole == pytest.approx([0.02 * number for number in range(1, 17)])
    assert part == whole[:3]


def test_dropped_paths_leave_the_shortcut() -> None:
    torch.manual_seed(0)
    block = list(EfficientNet(0, ["stage2"]).rows[1].children())[1]
    assert isinstance(block, InvertedResidual)
    block.drop_path.probability = 1 - 1e-9
    x = torch.randn(2, 24, 4, 4)
    assert torch.equal(block(x), x)
    assert not torch.equal(block.eval()(x), x)


@pytest.mark.parametrize(("variant", "rate"), [("b0", 0.2), ("b2", 0.3), ("lite0", 0.2), ("lite2", 0.3)])
def test_dropout_follows_the_variant(variant: str, rate: float) -> None:
    with torch.device("meta"):
        net = EfficientNetClassifier(variant, classes=2)
    assert net.dropout.p == rate
