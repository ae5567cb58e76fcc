"""Torchvision's SSDs: names of tensors, and what the originals do that the paper does not.

Default boxes on explicit steps, later objects winning a shared prior, normalising before resizing, background in
column 0: all of it written out as settings of the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from boxwright.backbones.vgg import VGG
from boxwright.errors import InputError
from boxwright.model import Model
from boxwright.recipes import RECIPES, ssd
from boxwright.weights import vgg as vgg_weights
from boxwright.weights.adopt import adopted


def ssd300_vgg16(state: Mapping[str, Tensor]) -> Model:
    """SSD300 of the paper, with default boxes for COCO."""
    origin = "ssd300_vgg16"
    per_cell = (4, 6, 6, 6, 4, 4)
    bias = state.get("head.classification_head.module_list.0.bias")
    if bias is None or bias.numel() % per_cell[0]:
        raise InputError("not torchvision's ssd300_vgg16: no head.classification_head", path=origin)
    classes = bias.numel() // per_cell[0] - 1
    settings = replace(
        RECIPES["ssd300-vgg16"].settings,
        scales=ssd.COCO300,
        placement="step",
        steps=(8.0, 16.0, 32.0, 64.0, 100.0, 300.0),
        shapes_within_image=True,
        force="last",
    )
    # torchvision subtracts the mean on [0, 1] and leaves the range of 0..255, and resizes after that.
    return adopted(
        "ssd300-vgg16",
        origin,
        settings,
        _ssd_names(state, per_cell),
        ids=range(1, classes + 1),
        filter="bilinear",
        order="normalise-resize",
        mean=(0.48235, 0.45882, 0.40784),
        std=(1 / 255,) * 3,
    )


def _ssd_names(state: Mapping[str, Tensor], per_cell: tuple[int, ...]) -> dict[str, Tensor]:
    names = {
        f"backbone.{theirs}": f"backbone.{ours}"
        for theirs, ours in vgg_weights.rename(VGG(16)).items()
        if not ours.startswith("blocks.4")
    }
    names["backbone.scale_weight"] = "neck.first.scale"
    for leaf in ("weight", "bias"):
        # extra.0 is pool4, conv5_1 to conv5_3, then pool5, fc6 and fc7.
        for ours, theirs in ((0, 1), (2, 3), (4, 5)):
            names[f"backbone.extra.0.{theirs}.{leaf}"] = f"backbone.blocks.4.{ours}.{leaf}"
        for ours, theirs in ((0, 1), (2, 3)):
            names[f"backbone.extra.0.7.{theirs}.{leaf}"] = f"backbone.atrous.{ours}.{leaf}"
        for extra in range(4):
            for layer in (0, 2):
                names[f"backbone.extra.{extra + 1}.{layer}.{leaf}"] = f"neck.extras.{extra}.{layer}.{leaf}"
        for level in range(len(per_cell)):
            names[f"head.classification_head.module_list.{level}.{leaf}"] = f"head.scores.{level}.{leaf}"
            names[f"head.regression_head.module_list.{level}.{leaf}"] = f"head.offsets.{level}.{leaf}"
    renamed = {names.get(key, key): value for key, value in state.items()}
    for level, shapes in enumerate(per_cell):
        for leaf in ("weight", "bias"):
            key = f"head.scores.{level}.{leaf}"
            if key in renamed:
                renamed[key] = background_last(renamed[key], shapes)
    return renamed


def background_last(values: Tensor, shapes: int) -> Tensor:
    """Rows [shape * column, ...] with background in each shape's column 0, moved to its last column."""
    return values.unflatten(0, (shapes, -1)).roll(-1, 1).flatten(0, 1)
