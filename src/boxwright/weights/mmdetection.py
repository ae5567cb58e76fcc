"""mmdetection's RetinaNets as models of ours, by what its sources say; no outputs of it were held against ours.

So far as versions 2 and 3 agree: configs/_base_/models/retinanet_r50_fpn.py and the pipelines beside it. In
training an object that no anchor fits gets its best one, which here still answers for its own best object and there
for the last of those that want it. The original rounds the sides of a resized image where ours cuts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from boxwright.model import Model
from boxwright.recipes import RECIPES
from boxwright.weights import foreign, torchvision_retinanet


def retinanet(name: str, state: Mapping[str, Tensor], *, caffe: bool = False) -> Model:
    """A detector with the model zoo's weights and ways.

    Args:
        name: "retinanet_resnet50_fpn" or "retinanet_resnet101_fpn".
        state: mmdetection's tensors.
        caffe: the backbone is of its style "caffe": BGR of 0 to 255 less a mean, strides in the 1x1 convolutions.
            The tensors cannot tell; without it the style is "pytorch", with ImageNet's mean and deviation.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    recipe = torchvision_retinanet.recipe_for("mmdetection", name)
    settings = replace(
        RECIPES[recipe].settings,
        stride_first=caffe,
        coarser="c5-linear",
        placement="origin",
        padding_is_image=True,
        localisation="l1",
    )
    return torchvision_retinanet.adopt(
        recipe,
        name,
        settings,
        foreign.mmdetection(state, caffe=caffe),
        filter="bilinear",
        order="resize-normalise",
        mean=foreign.MSRA_MEAN if caffe else None,
        std=foreign.MSRA_STD if caffe else None,
    )
