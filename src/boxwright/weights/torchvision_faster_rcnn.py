"""Torchvision's Faster R-CNNs: names of tensors, and what the originals do that the papers do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from boxwright.backbones.mobilenet_v3 import MobileNetV3
from boxwright.model import Model
from boxwright.recipes import RECIPES
from boxwright.weights.adopt import adopted, rename
from boxwright.weights.inverted import rename as rename_layers
from boxwright.weights.inverted import rename_trunk
from boxwright.weights.torchvision_ssd import background_last

# Beginnings of names, old -> new; everything that no line knows keeps its name, and then has no place.
NAMES = (
    (r"backbone\.body\.", "proposals.backbone."),
    (r"backbone\.fpn\.inner_blocks\.", "proposals.neck.laterals."),
    (r"backbone\.fpn\.layer_blocks\.", "proposals.neck.outputs."),
    (r"rpn\.head\.conv\.", "proposals.head.tower.convolutions."),
    (r"rpn\.head\.cls_logits\.", "proposals.head.scores."),
    (r"rpn\.head\.bbox_pred\.", "proposals.head.offsets."),
    (r"roi_heads\.box_head\.fc", "regions.body.fc"),
    (r"roi_heads\.box_head\.(\d)\.0\.", r"regions.body.convolutions.\1."),
    (r"roi_heads\.box_head\.(\d)\.1\.", r"regions.body.norms.\1."),
    (r"roi_heads\.box_head\.5\.", "regions.body.fc."),
    (r"roi_heads\.box_predictor\.cls_score\.", "regions.scores."),
    (r"roi_heads\.box_predictor\.bbox_pred\.", "regions.offsets."),
)


def fasterrcnn_resnet50_fpn(state: Mapping[str, Tensor]) -> Model:
    """The first version: fc6 and fc7 judge regions."""
    return _build("faster-rcnn-resnet50-fpn", "fasterrcnn_resnet50_fpn", state)


def fasterrcnn_resnet50_fpn_v2(state: Mapping[str, Tensor]) -> Model:
    """The second: norms in the pyramid, two convolutions for proposals, four for regions."""
    return _build("faster-rcnn-resnet50-fpn-v2", "fasterrcnn_resnet50_fpn_v2", state)


def fasterrcnn_mobilenet_v3_large_fpn(state: Mapping[str, Tensor]) -> Model:
    """MobileNet at 800 px; its two taps have one stride, and regions stand on the first."""
    return _mobilenet("faster-rcnn-mobilenet-v3-large-fpn", "fasterrcnn_mobilenet_v3_large_fpn", state)


def fasterrcnn_mobilenet_v3_large_320_fpn(state: Mapping[str, Tensor]) -> Model:
    """MobileNet at 320 px."""
    return _mobilenet(
        "faster-rcnn-mobilenet-v3-large-320-fpn", "fasterrcnn_mobilenet_v3_large_320_fpn", state
    )


def _mobilenet(recipe: str, origin: str, state: Mapping[str, Tensor]) -> Model:
    layers = {
        name.removeprefix("features."): ours
        for name, ours in rename_trunk(MobileNetV3("large", ("first6", "last")), "blocks").items()
    }
    body = "backbone.body."
    trunk = {key.removeprefix(body): value for key, value in state.items() if key.startswith(body)}
    renamed = {f"{body}{key}": value for key, value in rename_layers(trunk, layers).items()}
    others = {key: value for key, value in state.items() if not key.startswith(body)}
    # Its norms have torch's epsilon and not MobileNet's, whether they are frozen or not.
    changes = {"norm_eps": 1e-5, "proposal_floor": 0.05}
    return _build(recipe, origin, renamed | others, frozen_eps=1e-5, **changes)


def _build(
    recipe: str, origin: str, state: Mapping[str, Tensor], *, frozen_eps: float = 0.0, **changes: Any
) -> Model:
    settings = replace(
        RECIPES[recipe].settings,
        placement="corner",
        whole_anchors=True,
        padding_is_image=True,
        beta=1 / 9,
        **changes,
    )
    renamed = rename(state, NAMES)
    bias = renamed.get("regions.scores.bias")
    columns = 0 if bias is None else bias.numel()
    for leaf in ("weight", "bias"):
        if (key := f"regions.scores.{leaf}") in renamed:
            renamed[key] = background_last(renamed[key], 1)
        if (key := f"regions.offsets.{leaf}") in renamed:
            renamed[key] = renamed[key][4:]  # background's own box is trained for nothing
    return adopted(
        recipe,
        origin,
        settings,
        renamed,
        ids=range(1, columns),
        filter="bilinear",
        order="normalise-resize",
        frozen_eps=frozen_eps,
    )
