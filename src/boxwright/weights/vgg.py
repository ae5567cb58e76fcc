"""VGG's published ImageNet weights in the blocks of ours, with SSD's reading of the classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from boxwright.backbones.vgg import DEPTHS, VGG, VGGClassifier, VGGLayers, subsample_classifier
from boxwright.errors import InputError, near
from boxwright.weights.read import copy_strictly, with_counters

ORIGIN = "--weights imagenet, or a file with torchvision's names (features.0.weight ...) as --weights FILE"

NAMES = {f"vgg{depth}{end}": (depth, norm) for depth in DEPTHS for end, norm in (("", False), ("_bn", True))}
"""Torchvision's builders: depth, and whether there are norms."""

HEAD = "classifier."
FC = [f"{HEAD}{layer}.{leaf}" for layer in (0, 3) for leaf in ("weight", "bias")]


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


def classifier(name: str, state: Mapping[str, Tensor]) -> VGGClassifier:
    """The published classifier, in eval mode; its logits are the original's.

    Args:
        name: torchvision's builder, such as "vgg16_bn".
        state: its tensors.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    if name not in NAMES:
        raise InputError(f"no VGG is called {name!r}", hint=near(name, NAMES))
    depth, norm = NAMES[name]
    classes = len(state["classifier.6.bias"]) if "classifier.6.bias" in state else 1000
    net = VGGClassifier(depth, classes, norm)
    names = {theirs: f"trunk.{ours}" for theirs, ours in rename(net.trunk).items()}
    for number, layer in ((0, "fc6"), (3, "fc7"), (6, "fc8")):
        names |= {f"{HEAD}{number}.{leaf}": f"{layer}.{leaf}" for leaf in ("weight", "bias")}
    renamed = {names.get(key, key): value for key, value in with_counters(state).items()}
    copy_strictly(net, renamed, name)
    return net.eval()


def load_trunk(trunk: nn.Module, state: Mapping[str, Tensor], origin: Path) -> None:
    """Copy a published classifier into a trunk; its first two layers are subsampled where the trunk has "fc7".

    Left out are the classifier's other layers and the blocks that the trunk has not. A state without the
    classifier leaves "fc7" as it is.

    Raises:
        InputError: tensors that are not this network's.
    """
    if isinstance(trunk, VGGLayers):
        _load_layers(trunk, state, origin)
        return
    assert isinstance(trunk, VGG)
    names = rename(trunk)
    deepest = max(_number(key) for key in names)
    own = {
        names.get(key, key).removeprefix("blocks."): value
        for key, value in with_counters(state).items()
        if not key.startswith(HEAD) and not (key.startswith("features.") and _number(key) > deepest)
    }
    copy_strictly(trunk.blocks, own, origin)
    if trunk.atrous is None or not _has_fc(state):
        return
    values = subsample_classifier(*(state[key] for key in FC))
    convolutions = [layer for layer in trunk.atrous if isinstance(layer, nn.Conv2d)]
    for layer, name in zip(convolutions, ("fc6", "fc7"), strict=True):
        copy_strictly(layer, {leaf: values[f"{name}.{leaf}"] for leaf in ("weight", "bias")}, origin)


def _load_layers(trunk: VGGLayers, state: Mapping[str, Tensor], origin: Path) -> None:
    """The convolutions and the classifier's layers, whole."""
    if not _has_fc(state):
        raise InputError(
            f"has no fc6 and fc7, which {' and '.join(trunk.taps)} of this network need",
            path=origin,
            hint="take conv5, or a file with classifier.0 and classifier.3, such as torchvision's",
        )
    load_trunk(trunk.trunk, state, origin)
    for layer, start in ((trunk.fc6, FC[:2]), (trunk.fc7, FC[2:])):
        if layer is not None:
            copy_strictly(
                layer, dict(zip(("weight", "bias"), (state[key] for key in start), strict=True)), origin
            )


def load(net: nn.Module, state: Mapping[str, Tensor], origin: Path) -> str:
    """Start `net.backbone` from a published VGG classifier, or from its convolutions alone."""
    backbone = net.backbone
    assert isinstance(backbone, VGG)
    load_trunk(backbone, state, origin)
    if backbone.atrous is None:
        return f"VGG from {origin.name}"
    if not _has_fc(state):
        return f"VGG's convolutions from {origin.name}, which has no fc6 and fc7: those start fresh"
    return f"VGG from {origin.name}, fc6 and fc7 subsampled"


def load_regions(net: nn.Module, state: Mapping[str, Tensor], origin: Path) -> str:
    """Start `net.backbone` and the layers fc6 and fc7 of `net.regions.body` from a published VGG classifier.

    Girshick 2015, section 2.1: the network's own layers judge a region's 7x7 cells as they judged an image's.
    """
    load_trunk(net.backbone, state, origin)  # type: ignore[arg-type]
    if not _has_fc(state):
        return f"VGG's convolutions from {origin.name}, which has no fc6 and fc7: those start fresh"
    names = {"fc6.weight": FC[0], "fc6.bias": FC[1], "fc7.weight": FC[2], "fc7.bias": FC[3]}
    body = net.get_submodule("regions.body")
    copy_strictly(body, {own: state[name] for own, name in names.items()}, origin)
    return f"VGG from {origin.name}, fc6 and fc7 too"


def _has_fc(state: Mapping[str, Tensor]) -> bool:
    return all(key in state for key in FC)


def _number(key: str) -> int:
    return int(key.split(".")[1])
