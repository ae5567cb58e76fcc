"""Torchvision's ResNet, wide ResNet and ResNeXt weights; our trunks name their parts as those files do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from boxwright.backbones.resnet import VARIANTS, ResNet, ResNetClassifier
from boxwright.errors import InputError, near
from boxwright.weights.read import copy_strictly, with_counters

HEAD = "fc."


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's names as `ResNetClassifier`'s: all but the last layer stand in the trunk."""
    return {
        f"linear.{key.removeprefix(HEAD)}" if key.startswith(HEAD) else f"trunk.{key}": value
        for key, value in state.items()
    }


def classifier(name: str, state: Mapping[str, Tensor]) -> ResNetClassifier:
    """The published classifier, in eval mode; its logits are the original's.

    Args:
        name: torchvision's builder, such as "resnet34".
        state: its tensors.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    if name not in VARIANTS:
        raise InputError(f"no ResNet is called {name!r}", hint=near(name, VARIANTS))
    net = ResNetClassifier(name, classes=len(state["fc.bias"]) if "fc.bias" in state else 1000)
    copy_strictly(net, rename(with_counters(state)), name)
    return net.eval()


def load_trunk(trunk: nn.Module, state: Mapping[str, Tensor], origin: Path) -> None:
    """Copy a published classifier into a trunk, but for its head and the stages that the trunk has not.

    Raises:
        InputError: tensors that are not this network's.
    """
    assert isinstance(trunk, ResNet)
    built = {name.split(".")[0] for name in trunk.state_dict()}
    behind = tuple(f"layer{stage}." for stage in range(1, 5) if f"layer{stage}" not in built)
    own = {key: value for key, value in state.items() if not key.startswith((HEAD, *behind))}
    copy_strictly(trunk, with_counters(own), origin)


def load_c4(net: nn.Module, state: Mapping[str, Tensor], origin: Path) -> str:
    """Start `net.backbone` from a published classifier's stages, and `net.regions.body` from its last one.

    He et al. 2016, appendix A: what follows conv4_x judges regions.
    """
    load_trunk(net.backbone, state, origin)  # type: ignore[arg-type]
    last = {key.removeprefix("layer4."): value for key, value in state.items() if key.startswith("layer4.")}
    copy_strictly(net.get_submodule("regions.body.stage"), with_counters(last), origin)
    return f"ResNet from {origin.name}, its last stage for regions; the rest starts fresh"
