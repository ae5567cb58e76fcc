"""MobileNet v1, v2 and v3: the laws of backbones, and what is theirs alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from backbones import laws
from boxwright.backbones.inverted import InvertedResidual, SqueezeExcitation
from boxwright.backbones.layers import group_norm
from boxwright.backbones.mobilenet import (
    V1_TAPS,
    MobileNetV1,
    MobileNetV1Classifier,
    MobileNetV2,
    MobileNetV2Classifier,
)
from boxwright.backbones.mobilenet_v3 import MobileNetV3, MobileNetV3Classifier, Size

ROWS = [f"stage{number}" for number in range(1, 8)]


def slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize("width", [0.5, slow(0.25), slow(0.75), slow(1.0), slow(1.4)])
def test_shapes_of_v1_and_v2(width: float) -> None:
    taps = [*ROWS, "expand2", "expand4", "first4", "expand6", "last"]
    with torch.device("meta"):
        first, second = MobileNetV1(V1_TAPS, width), MobileNetV2(taps, width)
    for trunk in (first, second):
        laws.shapes_agree(trunk)
        laws.stages_hold_everything(trunk)
        assert {spec.first_centre(size) for spec in trunk.specs for size in (224, 225)} == {0.5}
    assert [spec.stride for spec in first.specs] == [2, 4, 8, 16, 32]
    assert [spec.stride for spec in second.specs] == [2, 4, 8, 16, 16, 32, 32, 2, 8, 16, 16, 32]
    # Multiples of 8, as near as that allows.
    assert abs(first.specs[-1].channels - 1024 * width) <= 8
    assert second.specs[-1].channels == (1792 if width == 1.4 else 1280)


@pytest.mark.parametrize("dilated", [False, slow(True)])
@pytest.mark.parametrize("reduced_tail", [slow(False), True])
@pytest.mark.parametrize(("size", "rows"), [("small", 5), ("large", 6)])
def test_shapes_of_v3(size: Size, rows: int, reduced_tail: bool, dilated: bool) -> None:
    taps = [*ROWS[:rows], f"expand{rows}", f"first{rows}", "last"]
    with torch.device("meta"):
        trunk = MobileNetV3(size, taps, reduced_tail=reduced_tail, dilated=dilated)
    laws.shapes_agree(trunk)
    laws.stages_hold_everything(trunk)
    channels = [spec.channels for spec in trunk.specs[rows - 1 :]]
    deep = {"small": (96, 288, 96, 576), "large": (160, 672, 160, 960)}[size]
    halves = [wide // 2 if reduced_tail else wide for wide in deep]
    assert channels == [halves[0], deep[1], halves[2], halves[3]]
    assert [spec.stride for spec in trunk.specs[rows:]] == [16, *([16, 16] if dilated else [32, 32])]


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: MobileNetV1(V1_TAPS, 0.25), id="v1", marks=pytest.mark.slow),
        pytest.param(lambda: MobileNetV2([*ROWS, "expand6", "last"], 0.35), id="v2", marks=pytest.mark.slow),
        pytest.param(lambda: MobileNetV3("small", ["stage1", "expand5", "last"], 0.35), id="v3"),
    ],
)
def test_laws(build: Callable[[], nn.Module]) -> None:
    net = build()
    laws.gradients_reach_everything(net, 65)
    laws.exports(net, 64)
    for size in (704, 705):
        laws.centres_agree(net, size, without=(SqueezeExcitation,))


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: MobileNetV1Classifier(classes=7), id="v1"),
        pytest.param(lambda: MobileNetV2Classifier(classes=7), id="v2"),
        pytest.param(lambda: MobileNetV3Classifier("small", classes=7), id="v3-small"),
        pytest.param(lambda: MobileNetV3Classifier("large", classes=7), id="v3-large"),
        pytest.param(
            lambda: MobileNetV3Classifier("large", 7, reduced_tail=True, dilated=True), id="v3-tail"
        ),
    ],
)
def test_laws_of_classifiers(build: Callable[[], nn.Module]) -> None:
    classifier = build()
    laws.gradients_reach_everything(classifier, 65)
    laws.exports(classifier, 64)


@pytest.mark.slow
@pytest.mark.parametrize("dilated", [False, True])
def test_centres_of_the_large_v3(dilated: bool) -> None:
    trunk = MobileNetV3("large", [*ROWS[:6], "expand6"], width=0.35, dilated=dilated)
    for size in (960, 961):
        laws.centres_agree(trunk, size, without=(SqueezeExcitation,))


def test_torchvision_reads_the_large_v3_there() -> None:
    """Its SSDLite in the last row's first block and at the end; its pyramids behind that block and at the end."""
    with torch.device("meta"):
        ssdlite = MobileNetV3("large", ["expand6", "last"], reduced_tail=True)
        pyramid = MobileNetV3("large", ["first6", "last"])
    assert [(spec.channels, spec.stride) for spec in ssdlite.specs] == [(672, 16), (480, 32)]
    assert [(spec.channels, spec.stride) for spec in pyramid.specs] == [(160, 32), (960, 32)]


def test_taps_are_the_activations_in_between() -> None:
    torch.manual_seed(0)
    net = MobileNetV3("small", ["stage3", "last", "expand4", "first4", "stage4"], width=0.35).eval()
    with torch.no_grad():
        third, _, expansion, first, fourth = net(torch.randn(1, 3, 64, 64))
        row = list(net.rows[3].children())
        assert isinstance(row[0], InvertedResidual)
        assert torch.equal(row[0].expand(third), expansion)
        assert torch.equal(row[0](third), first)
        assert torch.equal(row[1](first), fourth)


@pytest.mark.parametrize("tap", ["stage2", "first3", "expand3", "stage3"])
def test_what_lies_behind_the_deepest_tap_is_not_built(tap: str) -> None:
    torch.manual_seed(0)
    whole = MobileNetV2(["last", tap], width=0.35)
    part = MobileNetV2([tap], width=0.35)
    kept = part.state_dict()
    part.load_state_dict({key: value for key, value in whole.state_dict().items() if key in kept})
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(part.eval()(images)[0], whole.eval()(images)[1])
    assert part.specs[0] == whole.specs[1]
    laws.gradients_reach_everything(part, 33)
    laws.stages_hold_everything(part)


def test_v1_builds_no_stage_behind_its_last_tap() -> None:
    trunk = MobileNetV1(["stage2", "stage1"], width=0.25)
    assert [(spec.channels, spec.stride) for spec in trunk.specs] == [(32, 4), (16, 2)]
    laws.shapes_agree(trunk)
    laws.gradients_reach_everything(trunk, 33)


@pytest.mark.parametrize("taps", [["stage9"], ["expand1"], []])
def test_unknown_taps_are_named_with_the_known(taps: list[str]) -> None:
    with pytest.raises(ValueError, match="there are first1, stage1, expand2"):
        MobileNetV2(taps)
    with pytest.raises(ValueError, match="there are stage1, stage2"):
        MobileNetV1(["stage9"])


def test_group_norm_everywhere() -> None:
    for trunk in (
        MobileNetV1(["stage2"], width=0.25, norm=group_norm),
        MobileNetV3("small", ["stage2"], norm=group_norm),
    ):
        kinds = {type(part) for part in trunk.modules() if "Norm" in type(part).__name__}
        assert kinds == {nn.GroupNorm}
        laws.gradients_reach_everything(trunk, 33)


def test_new_weights_have_the_variance_of_two_by_fan_out() -> None:
    torch.manual_seed(0)
    trunk = MobileNetV1(["stage5"])
    row = list(trunk.rows[4].children())[1]
    depthwise, pointwise = (part for part in row.children() if isinstance(part, nn.Conv2d))
    assert depthwise.weight.shape == (1024, 1, 3, 3)
    assert depthwise.weight.detach().std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.03)
    assert pointwise.weight.detach().std().item() == pytest.approx((2 / 1024) ** 0.5, rel=0.03)
