"""detectron2's RetinaNets as models of ours, by what its sources say; no outputs of it were held against ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from boxwright.model import Model
from boxwright.recipes import RECIPES
from boxwright.weights import foreign, torchvision_retinanet


def retinanet(name: str, state: Mapping[str, Tensor]) -> Model:
    """A detector with the model zoo's weights and ways.

    Args:
        name: "retinanet_resnet50_fpn" or "retinanet_resnet101_fpn".
        state: detectron2's tensors.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    recipe = torchvision_retinanet.recipe_for("detectron2", name)
    settings = replace(
        RECIPES[recipe].settings,
        stride_first=True,
        coarser="c5",
        placement="origin",
        padding_is_image=True,
    )
    return torchvision_retinanet.adopt(
        recipe,
        name,
        settings,
        foreign.detectron2(state),
        filter="bilinear-antialias",
        order="resize-normalise",
        mean=foreign.MSRA_MEAN,
        std=foreign.MSRA_STD,
    )
