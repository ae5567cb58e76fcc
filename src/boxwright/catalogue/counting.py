"""Parameters and arithmetic of a network, counted on shapes alone: nothing is computed and nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from boxwright.backbones.classifiers import ClassifierSpec
from boxwright.detectors import Network
from boxwright.preprocess import Preprocess
from boxwright.recipes.recipe import Parts, Recipe
from boxwright.types import Priors, given

PHOTOGRAPH = (480, 640)
"""(height, width) of the image that is counted where the input's size follows the image's."""

# What a convolution's count leaves out anyway; on shapes alone these cost most of the time.
_ELEMENTWISE = (nn.BatchNorm2d, nn.GroupNorm, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Dropout)


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        parameters: learnt numbers; the statistics of norms are none.
        operations: of one image's forward pass. A multiplication and an addition are 2; convolutions, matrix
            products and attention count, everything between them does not.
    """

    parameters: int
    operations: int

    @property
    def gflops(self) -> float:
        """Operations in units of 10^9."""
        return self.operations / 1e9


def recipe_cost(recipe: Recipe, settings: Any, classes: int) -> Cost:
    """Of a recipe for so many classes, on its own input; an input of free size gets a photograph of 640 x 480.

    Args:
        recipe: which.
        settings: its settings record, perhaps changed.
        classes: what the head tells apart.
    """
    with torch.device("meta"):
        return parts_cost(recipe.build(classes, settings))


def parts_cost(parts: Parts) -> Cost:
    """Of a detector that was built on the device "meta", with as many regions as its source finds at most."""
    size = input_size(parts.preprocess)
    return count(parts.net, size, parts.regions.most(*size) if parts.regions else 0)


def classifier_cost(spec: ClassifierSpec) -> Cost:
    """Of a classifier on its own input, with the classes of its own data set."""
    with torch.device("meta"):
        net = spec.build(spec.classes)
    return count(net, (spec.size, spec.size))


def input_size(preprocess: Preprocess) -> tuple[int, int]:
    """(height, width) of the batch that a photograph makes, padding included.

    >>> input_size(Preprocess((800, 1333), mode="shorter-side", pad_multiple=32))
    (800, 1088)
    """
    height, width = (
        -(-side // preprocess.pad_multiple) * preprocess.pad_multiple
        for side in preprocess.target(*PHOTOGRAPH)
    )
    return height, width


def count(net: nn.Module, size: tuple[int, int], regions: int = 0) -> Cost:
    """Count a net on one image.

    Args:
        net: on the device "meta", and of no further use: its norms and activations are taken out. A detector is
            given sizes beside its images.
        size: (height, width) of the image.
        regions: how many a network that judges given ones is given.

    >>> with torch.device("meta"):
    ...     layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    >>> count(layer, (10, 10)) == Cost(8 * 27, 2 * 8 * 27 * 100)
    True
    """
    parameters = sum(parameter.numel() for parameter in net.parameters())
    for part in net.modules():
        for name, child in part.named_children():
            if isinstance(child, _ELEMENTWISE):
                setattr(part, name, nn.Identity())
    images = torch.empty(1, 3, *size, device="meta")
    inputs: list[Tensor | Priors] = [images]
    if isinstance(net, Network):
        inputs.append(torch.empty(1, 2, dtype=torch.long, device="meta"))
    if regions:
        boxes, valid = np.zeros((1, regions, 4), np.float32), np.ones((1, regions), np.bool_)
        inputs.append(given(boxes, valid).to(torch.device("meta")))
    with torch.no_grad(), FlopCounterMode(display=False, depth=0) as counter:
        net.eval()(*inputs)
    return Cost(parameters, counter.get_total_flops())
