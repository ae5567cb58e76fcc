"""VGG's published ImageNet weights in the blocks of ours, with SSD's reading of the classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from boxwright.backbones.vgg import VGG, subsample_classifier
from boxwright.errors import InputError
from boxwright.weights.read import copy_strictly

ORIGIN = "a file with torchvision's names (features.0.weight ...), given as --weights FILE"


def packaged() -> Path | None:
    """VGG's weights (half a gigabyte) come in no package."""
    return None


def rename(backbone: VGG) -> dict[str, str]:
    """Torchvision's `features.N` as our `blocks.B.M`: the same layers, with the poolings counted through."""
    names, number = {}, 0
    for b, block in enumerate(backbone.blocks):
        for m, layer in enumerate(block.children()):
            for leaf in layer.state_dict():
                names[f"features.{number}.{leaf}"] = f"blocks.{b}.{m}.{leaf}"
            number += 1
        number += 1  # the pooling after each block
    return names


def load(net: nn.Module, state: Mapping[str, Tensor], origin: Path) -> str:
    """Start `net.backbone` from a published VGG classifier, or from its convolutions alone."""
    backbone = net.backbone
    assert isinstance(backbone, VGG)
    names = rename(backbone)
    unknown = [key for key in state if key not in names and not key.startswith("classifier.")]
    if unknown:
        raise InputError(
            f"has {unknown[0]}, which this VGG has not", path=origin, hint="check the model's name"
        )
    copy_strictly(
        backbone.blocks,
        {names[key].removeprefix("blocks."): value for key, value in state.items() if key in names},
        origin,
    )
    if backbone.atrous is None:
        return f"VGG from {origin.name}"
    fc = [f"classifier.{layer}.{leaf}" for layer in (0, 3) for leaf in ("weight", "bias")]
    if not all(key in state for key in fc):
        return f"VGG's convolutions from {origin.name}, which has no fc6 and fc7: those start fresh"
    values = subsample_classifier(*(state[key] for key in fc))
    convolutions = [layer for layer in backbone.atrous if isinstance(layer, nn.Conv2d)]
    for layer, name in zip(convolutions, ("fc6", "fc7"), strict=True):
        copy_strictly(layer, {leaf: values[f"{name}.{leaf}"] for leaf in ("weight", "bias")}, origin)
    return f"VGG from {origin.name}, fc6 and fc7 subsampled"
