"""Torchvision's EfficientNet weights; those of the Lite nets are in `efficientnet_lite`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from boxwright.backbones.efficientnet import B, EfficientNet, EfficientNetClassifier
from boxwright.errors import InputError, near
from boxwright.weights.inverted import copy_classifier, copy_trunk

NAMES = tuple(f"efficientnet_b{number}" for number in B)


def classifier(name: str, state: Mapping[str, Tensor]) -> EfficientNetClassifier:
    """The published classifier, in eval mode; its logits are the original's.

    Args:
        name: torchvision's builder, such as "efficientnet_b0".
        state: its tensors.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    if name not in NAMES:
        raise InputError(f"no EfficientNet is called {name!r}", hint=near(name, NAMES))
    classes = len(state["classifier.1.bias"]) if "classifier.1.bias" in state else 1000
    net = EfficientNetClassifier(name.removeprefix("efficientnet_"), classes)
    copy_classifier(net, state, "rows", {"classifier.1": "linear"}, name)
    return net.eval()


def load_trunk(trunk: nn.Module, state: Mapping[str, Tensor], origin: Path) -> None:
    """Copy a published classifier into a trunk, but for its head and what lies behind the trunk's last tap.

    Raises:
        InputError: tensors that are not this network's.
    """
    assert isinstance(trunk, EfficientNet)
    copy_trunk(trunk, state, "rows", origin)
