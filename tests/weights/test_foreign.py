"""detectron2's and mmdetection's names, and what detectron2 has in another order.

The backbone, pyramid and head that boxwright builds stand in for torchvision's: its importer's names are proven
against reference outputs, so a state that fits them strictly is named rightly.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from boxwright.backbones.resnet import ResNet
from boxwright.errors import InputError
from boxwright.heads.dense import flatten_cells
from boxwright.priors import anchor_shapes, octave
from boxwright.weights.foreign import detectron2, mmdetection, ratios_first
from weights import layouts
from weights.layouts import empty

CONV1 = "backbone.bottom_up.stem.conv1.weight"


def small(layout: dict[str, list[int]]) -> dict[str, Tensor]:
    """Random content for the stem and the last convolutions, none for the rest."""
    state = empty(layout)
    generator = torch.Generator().manual_seed(0)
    for key in (
        CONV1,
        *(f"head.{part}.{leaf}" for part in ("cls_score", "bbox_pred") for leaf in ("weight", "bias")),
    ):
        state[key] = torch.randn(layout[key], generator=generator)
    return state


@pytest.mark.parametrize(("units", "variant"), [(6, "resnet50"), (23, "resnet101")])
@pytest.mark.parametrize("origin", ["detectron2", "mmdetection"])
def test_all_names_are_torchvision_s(origin: str, units: int, variant: str) -> None:
    if origin == "detectron2":
        state = detectron2(empty(layouts.detectron2(units)))
    else:
        state = mmdetection(empty(layouts.mmdetection(units)))
    with torch.device("meta"):
        trunk = ResNet(variant, v1=True)
    body = {
        key.removeprefix("backbone.body."): value.shape for key, value in state.items() if ".body." in key
    }
    assert body == {key: value.shape for key, value in trunk.state_dict().items()}
    reference = layouts.torchvision().get("retinanet_resnet50_fpn")
    if reference is None:
        pytest.skip("no references")
    rest = {key: list(value.shape) for key, value in state.items() if ".body." not in key}
    # P6 on C5, and 80 classes where torchvision has 91.
    differ = {
        "backbone.fpn.extra_blocks.p6.weight": [256, 2048, 3, 3],
        "head.classification_head.cls_logits.weight": [720, 256, 3, 3],
        "head.classification_head.cls_logits.bias": [720],
    }
    assert rest == {key: shape for key, shape in reference.items() if ".body." not in key} | differ


def test_bgr_of_255_in_is_rgb_in() -> None:
    theirs = small(layouts.detectron2(6))
    ours = detectron2(theirs)["backbone.body.conv1.weight"]
    bgr = torch.rand(1, 3, 20, 24) * 255
    mean = torch.tensor([103.53, 116.28, 123.675])
    before = nn.functional.conv2d(bgr - mean.view(3, 1, 1), theirs[CONV1])
    after = nn.functional.conv2d(bgr.flip(1) - mean.flip(0).view(3, 1, 1), ours)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-2)


def detectron2_anchors(size: float) -> list[tuple[float, float]]:
    """Widths and heights in detectron2's order: its DefaultAnchorGenerator's loops over sizes, then ratios."""
    found = []
    for scale in (size, size * 2 ** (1 / 3), size * 2 ** (2 / 3)):
        for ratio in (0.5, 1.0, 2.0):
            width = math.sqrt(scale**2 / ratio)
            found.append((width, width * ratio))
    return found


def by_anchor(state: dict[str, Tensor], name: str, level: Tensor, columns: int) -> Tensor:
    """[cell, anchor, column] of one level's last convolution."""
    weight, bias = (state[f"head.{name}.{leaf}"] for leaf in ("weight", "bias"))
    found = flatten_cells(nn.functional.conv2d(level, weight, bias, padding=1), columns)
    return found[0].unflatten(0, (-1, 9))


def test_scores_and_offsets_stay_with_their_anchors() -> None:
    """Each of its anchors, wherever ours has it, gets the scores and offsets that it has there."""
    theirs = small(layouts.detectron2(6))
    ours = detectron2(theirs)
    level = torch.rand(1, 256, 2, 3)
    places = [
        min(range(9), key=lambda i: math.dist(shape, anchor_shapes(octave(32, 3), (0.5, 1.0, 2.0))[i]))
        for shape in detectron2_anchors(32)
    ]
    assert sorted(places) == list(range(9)) != places
    heads = {
        "cls_score": ("classification_head.cls_logits", 80),
        "bbox_pred": ("regression_head.bbox_reg", 4),
    }
    for old, (new, columns) in heads.items():
        before, after = by_anchor(theirs, old, level, columns), by_anchor(ours, new, level, columns)
        torch.testing.assert_close(after[:, places], before)


def test_turning_the_order_twice_turns_it_back() -> None:
    values = torch.arange(36.0)
    torch.testing.assert_close(ratios_first(ratios_first(values)), values)


def test_counters_are_kept_and_lacking_ones_start_at_zero() -> None:
    layout = layouts.detectron2(6)
    name = "backbone.bottom_up.res2.0.conv1.norm"
    state = detectron2(empty(layout) | {f"{name}.num_batches_tracked": torch.tensor(5)})
    counters = {key: value for key, value in state.items() if key.endswith("num_batches_tracked")}
    assert len(counters) == sum(key.endswith("running_var") for key in layout)
    assert counters.pop("backbone.body.layer1.0.bn1.num_batches_tracked") == 5
    assert all(value == 0 for value in counters.values())


def test_what_is_no_weight_is_left_out() -> None:
    extra = {
        "pixel_mean": torch.tensor([103.53, 116.28, 123.675]).view(3, 1, 1),
        "pixel_std": torch.ones(3, 1, 1),
        "anchor_generator.cell_anchors.0": torch.zeros(9, 4),
    }
    state = empty(layouts.detectron2(6))
    assert detectron2(state | extra).keys() == detectron2(state).keys()


def test_another_normalisation_is_refused() -> None:
    state = empty(layouts.detectron2(6)) | {"pixel_std": torch.tensor([57.375, 57.12, 58.395]).view(3, 1, 1)}
    with pytest.raises(
        InputError, match=r"pixel_std \[57\.375, 57\.12, 58\.395\] where \[1\.0, 1\.0, 1\.0\] is known"
    ):
        detectron2(state)


@pytest.mark.parametrize(
    ("convert", "layout", "stranger"),
    [
        (detectron2, layouts.detectron2(6), "head.cls_subnet.1.weight"),
        (detectron2, layouts.detectron2(6), "backbone.fpn_lateral3.norm.weight"),
        (mmdetection, layouts.mmdetection(6), "bbox_head.cls_convs.0.bn.weight"),
        (mmdetection, layouts.mmdetection(6), "neck.fpn_convs.5.conv.weight"),
    ],
)
def test_nets_built_in_another_way_are_refused(
    convert: object, layout: dict[str, list[int]], stranger: str
) -> None:
    assert callable(convert)
    with pytest.raises(InputError, match=f"has {stranger}, which"):
        convert(empty(layout) | {stranger: torch.zeros(256)})
