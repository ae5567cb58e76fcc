"""detectron2's RetinaNets as models of ours, by what its sources say; no outputs of it were held against ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from boxwright.errors import InputError, near
from boxwright.model import Model
from boxwright.recipes import RECIPES
from boxwright.weights import foreign, torchvision_retinanet
from boxwright.weights.adopt import adopted, rename

RECIPE = {
    "retinanet_resnet50_fpn": "retinanet-resnet50-fpn",
    "retinanet_resnet101_fpn": "retinanet-resnet101-fpn",
}
"""Ours that has the same parts, by the layout's name."""


def retinanet(name: str, state: Mapping[str, Tensor]) -> Model:
    """A detector with the model zoo's weights and ways.

    Args:
        name: a key of `RECIPE`.
        state: detectron2's tensors.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    if name not in RECIPE:
        raise InputError(f"no importer for detectron2's {name!r}", hint=near(name, RECIPE))
    settings = replace(
        RECIPES[RECIPE[name]].settings,
        stride_first=True,
        coarser="c5",
        placement="origin",
        padding_is_image=True,
    )
    bias = state.get("head.cls_score.bias")
    columns = 0 if bias is None else bias.numel() // torchvision_retinanet.ANCHORS
    return adopted(
        RECIPE[name],
        name,
        settings,
        rename(foreign.detectron2(state), torchvision_retinanet.NAMES),
        ids=range(columns),
        filter="bilinear-antialias",
        order="resize-normalise",
        # Known for pixels of 0 to 255, without a deviation.
        mean=(123.675 / 255, 116.28 / 255, 103.53 / 255),
        std=(1 / 255,) * 3,
    )
