"""Torchvision's MobileNet v2 and v3 weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from boxwright.backbones.inverted import InvertedResiduals
from boxwright.backbones.mobilenet import MobileNetV2, MobileNetV2Classifier
from boxwright.backbones.mobilenet_v3 import MobileNetV3Classifier, Size
from boxwright.errors import InputError, near
from boxwright.weights.inverted import Naming, copy_classifier, copy_trunk

V2 = "mobilenet_v2"
V3: dict[str, Size] = {"mobilenet_v3_small": "small", "mobilenet_v3_large": "large"}
NAMES = (V2, *V3)


def classifier(name: str, state: Mapping[str, Tensor]) -> nn.Module:
    """The published classifier, in eval mode; its logits are the original's.

    Args:
        name: torchvision's builder, such as "mobilenet_v2".
        state: its tensors.

    Raises:
        InputError: no such name, or tensors that are not this network's.
    """
    if name not in NAMES:
        raise InputError(f"no MobileNet is called {name!r}", hint=near(name, NAMES))
    last = "classifier.1" if name == V2 else "classifier.3"
    classes = len(state[f"{last}.bias"]) if f"{last}.bias" in state else 1000
    net: nn.Module
    if name == V2:
        net = MobileNetV2Classifier(classes=classes)
        copy_classifier(net, state, "flat", {last: "linear"}, name)
    else:
        net = MobileNetV3Classifier(V3[name], classes)
        copy_classifier(net, state, "blocks", {"classifier.0": "hidden", last: "linear"}, name)
    return net.eval()


def load_trunk(trunk: nn.Module, state: Mapping[str, Tensor], origin: Path) -> None:
    """Copy a published v2 or v3 into a trunk, but for its head and what lies behind the trunk's last tap.

    Raises:
        InputError: tensors that are not this network's.
    """
    assert isinstance(trunk, InvertedResiduals)
    naming: Naming = "flat" if isinstance(trunk, MobileNetV2) else "blocks"
    copy_trunk(trunk, state, naming, origin)
