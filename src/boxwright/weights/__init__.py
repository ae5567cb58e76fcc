"""Others' checkpoints in our networks, strict by name and shape; and where backbones' weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from boxwright.model import Model


def from_torchvision(name: str, state_dict: Mapping[str, Tensor]) -> Model:
    """A network that acts as torchvision's `name` with these weights does.

    Args:
        name: torchvision's builder, such as "ssd300_vgg16".
        state_dict: its tensors, by torchvision's names.

    Returns:
        a detector whose `predict` resizes, thresholds, numbers and orders as the original does, in eval mode.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    # Recipes know where their backbones' weights come from, and the importers know recipes.
    from boxwright.weights import torchvision

    return torchvision.build(name, state_dict)
