"""Names and shapes of foreign state dicts, as tensors without content."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[3] / "shared/reference/torchvision"


def torchvision() -> dict[str, dict[str, list[int]]]:
    """Every layout of the reference cases; empty where they are missing."""
    if not ROOT.is_dir():
        return {}
    layouts: dict[str, dict[str, list[int]]] = json.loads(
        gzip.decompress((ROOT / "layouts.json.gz").read_bytes())
    )
    for file in ROOT.glob("*.json"):
        case = json.loads(file.read_text())
        if "layout" in case:
            layouts[file.stem] = case["layout"]
    return layouts


def empty(layout: dict[str, list[int]]) -> dict[str, Tensor]:
    return {key: torch.empty(shape, device="meta") for key, shape in layout.items()}


Value = TypeVar("Value")


def older(state: dict[str, Value]) -> dict[str, Value]:
    """A RetinaNet of torchvision's by the names that its first published file has."""
    renamed = {}
    for key, value in state.items():
        old = re.sub(r"(\w+_blocks\.\d)\.0\.", r"\1.", key)
        old = re.sub(r"(_head\.conv)\.(\d)\.0\.", lambda found: f"{found[1]}.{2 * int(found[2])}.", old)
        renamed[old] = value
    return renamed


def detectron2(units: int) -> dict[str, list[int]]:
    """RetinaNet on a ResNet with `units` units in its third stage, as detectron2's sources name the parts."""
    layout: dict[str, list[int]] = {}

    def convolution(name: str, shape: list[int], norm: bool) -> None:
        layout[f"{name}.weight"] = shape
        for leaf in ("weight", "bias", "running_mean", "running_var") if norm else ():
            layout[f"{name}.norm.{leaf}"] = shape[:1]
        if not norm:
            layout[f"{name}.bias"] = shape[:1]

    convolution("backbone.bottom_up.stem.conv1", [64, 3, 7, 7], True)
    channels = 64
    for stage, count in enumerate((3, 4, units, 3)):
        inner, width = 64 * 2**stage, 256 * 2**stage
        for unit in range(count):
            name = f"backbone.bottom_up.res{stage + 2}.{unit}"
            if unit == 0:
                convolution(f"{name}.shortcut", [width, channels, 1, 1], True)
            convolution(f"{name}.conv1", [inner, channels, 1, 1], True)
            convolution(f"{name}.conv2", [inner, inner, 3, 3], True)
            convolution(f"{name}.conv3", [width, inner, 1, 1], True)
            channels = width
    for level, width in ((3, 512), (4, 1024), (5, 2048)):
        convolution(f"backbone.fpn_lateral{level}", [256, width, 1, 1], False)
        convolution(f"backbone.fpn_output{level}", [256, 256, 3, 3], False)
    convolution("backbone.top_block.p6", [256, 2048, 3, 3], False)
    convolution("backbone.top_block.p7", [256, 256, 3, 3], False)
    for layer in (0, 2, 4, 6):
        convolution(f"head.cls_subnet.{layer}", [256, 256, 3, 3], False)
        convolution(f"head.bbox_subnet.{layer}", [256, 256, 3, 3], False)
    convolution("head.cls_score", [720, 256, 3, 3], False)
    convolution("head.bbox_pred", [36, 256, 3, 3], False)
    return layout


def mmdetection(units: int) -> dict[str, list[int]]:
    """The same of mmdetection."""
    layout: dict[str, list[int]] = {"backbone.conv1.weight": [64, 3, 7, 7]}

    def norm(name: str, width: int) -> None:
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            layout[f"{name}.{leaf}"] = [width]
        layout[f"{name}.num_batches_tracked"] = []

    def convolution(name: str, shape: list[int]) -> None:
        layout[f"{name}.weight"], layout[f"{name}.bias"] = shape, shape[:1]

    norm("backbone.bn1", 64)
    channels = 64
    for stage, count in enumerate((3, 4, units, 3)):
        inner, width = 64 * 2**stage, 256 * 2**stage
        for unit in range(count):
            name = f"backbone.layer{stage + 1}.{unit}"
            shapes = ([inner, channels, 1, 1], [inner, inner, 3, 3], [width, inner, 1, 1])
            for number, shape in enumerate(shapes, 1):
                layout[f"{name}.conv{number}.weight"] = shape
                norm(f"{name}.bn{number}", shape[0])
            if unit == 0:
                layout[f"{name}.downsample.0.weight"] = [width, channels, 1, 1]
                norm(f"{name}.downsample.1", width)
            channels = width
    for level, width in enumerate((512, 1024, 2048)):
        convolution(f"neck.lateral_convs.{level}.conv", [256, width, 1, 1])
    for level in range(5):
        convolution(f"neck.fpn_convs.{level}.conv", [256, 2048 if level == 3 else 256, 3, 3])
    for layer in range(4):
        convolution(f"bbox_head.cls_convs.{layer}.conv", [256, 256, 3, 3])
        convolution(f"bbox_head.reg_convs.{layer}.conv", [256, 256, 3, 3])
    convolution("bbox_head.retina_cls", [720, 256, 3, 3])
    convolution("bbox_head.retina_reg", [36, 256, 3, 3])
    return layout
