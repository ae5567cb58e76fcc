"""Torchvision's RetinaNets: names of tensors, and what the originals do that the paper does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from boxwright.errors import InputError, near
from boxwright.model import Model
from boxwright.preprocess import Filter, Order
from boxwright.recipes import RECIPES
from boxwright.weights.adopt import adopted, rename

# Whole names of tensors, old -> new; everything that no line knows keeps its name, and then has no place.
NAMES = (
    (r"backbone\.body\.", "backbone."),
    (r"backbone\.fpn\.inner_blocks\.(\d)\.0\.", r"neck.laterals.\1.0."),
    (r"backbone\.fpn\.layer_blocks\.(\d)\.0\.", r"neck.outputs.\1.0."),
    (r"backbone\.fpn\.extra_blocks\.p6\.", "neck.extras.0.0."),
    (r"backbone\.fpn\.extra_blocks\.p7\.", "neck.extras.1.0."),
    (r"head\.classification_head\.conv\.(\d)\.0\.", r"head.scores_tower.convolutions.\1.0."),
    (r"head\.classification_head\.conv\.(\d)\.1\.", r"head.scores_tower.norms.\1.0."),
    (r"head\.classification_head\.cls_logits\.", "head.scores.0."),
    (r"head\.regression_head\.conv\.(\d)\.0\.", r"head.offsets_tower.convolutions.\1.0."),
    (r"head\.regression_head\.conv\.(\d)\.1\.", r"head.offsets_tower.norms.\1.0."),
    (r"head\.regression_head\.bbox_reg\.", "head.offsets.0."),
)
ANCHORS = 9
RECIPE = {
    "retinanet_resnet50_fpn": "retinanet-resnet50-fpn",
    "retinanet_resnet101_fpn": "retinanet-resnet101-fpn",
}
"""Ours that has the same parts, by the layout's name, where others than torchvision publish such a network."""


def retinanet_resnet50_fpn(state: Mapping[str, Tensor]) -> Model:
    """The first version: P6 on P5, absolute differences of offsets."""
    return _build("retinanet-resnet50-fpn", "retinanet_resnet50_fpn", state, coarser="p5", localisation="l1")


def retinanet_resnet50_fpn_v2(state: Mapping[str, Tensor]) -> Model:
    """The second: P6 on C5, group norms in the head, generalised IoU."""
    return _build("retinanet-resnet50-fpn-v2", "retinanet_resnet50_fpn_v2", state)


def _build(recipe: str, origin: str, state: Mapping[str, Tensor], **changes: str) -> Model:
    settings = replace(
        RECIPES[recipe].settings,
        placement="corner",
        whole_anchors=True,
        padding_is_image=True,
        divide="image",
        detections=300,
        **changes,
    )
    return adopt(recipe, origin, settings, state, filter="bilinear", order="normalise-resize")


def recipe_for(library: str, name: str) -> str:
    """Our recipe for a network of another library's.

    Raises:
        InputError: there is none.
    """
    if name not in RECIPE:
        raise InputError(f"no importer for {library}'s {name!r}", hint=near(name, RECIPE))
    return RECIPE[name]


def adopt(
    recipe: str,
    origin: str,
    settings: Any,
    state: Mapping[str, Tensor],
    *,
    filter: Filter,
    order: Order,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
) -> Model:
    """A RetinaNet with tensors by torchvision's names; arguments as of `adopted`."""
    # All columns are classes of the original, torchvision's first ("background" in its list) too: a sigmoid head
    # has none.
    bias = state.get("head.classification_head.cls_logits.bias")
    columns = 0 if bias is None else bias.numel() // ANCHORS
    return adopted(
        recipe,
        origin,
        settings,
        rename(state, NAMES),
        ids=range(columns),
        filter=filter,
        order=order,
        mean=mean,
        std=std,
    )
