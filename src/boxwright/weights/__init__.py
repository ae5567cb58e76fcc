"""Others' checkpoints in our networks, strict by name and shape; and where backbones' weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, overload

if TYPE_CHECKING:
    from torch import Tensor, nn

    from boxwright.model import Model

DetectorName = Literal[
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
]


@overload
def from_torchvision(name: DetectorName, state_dict: Mapping[str, Tensor]) -> Model: ...


@overload
def from_torchvision(name: str, state_dict: Mapping[str, Tensor]) -> Model | nn.Module: ...


def from_torchvision(name: str, state_dict: Mapping[str, Tensor]) -> Model | nn.Module:
    """A network that acts as torchvision's `name` with these weights does.

    Args:
        name: torchvision's builder, such as "ssd300_vgg16".
        state_dict: its tensors, by torchvision's names.

    Returns:
        For a detector a model whose `predict` resizes, thresholds, numbers and orders as the original does; for a
        classifier a network from normalised images to logits. Both are in eval mode.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    # Recipes know where their backbones' weights come from, and the importers know recipes.
    from boxwright.weights import torchvision

    return torchvision.build(name, state_dict)
