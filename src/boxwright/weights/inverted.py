"""Torchvision's names of nets of inverted residuals: parts of a block are numbered, the absent ones not counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from boxwright.backbones.inverted import InvertedResiduals
from boxwright.weights.read import copy_strictly, with_counters

Naming = Literal["rows", "blocks", "flat"]
"""How blocks are numbered: by row (EfficientNet), through (MobileNet v3), or through with the projection's two
layers beside the other parts (MobileNet v2)."""

HEAD = "classifier."


def rename_trunk(trunk: InvertedResiduals, naming: Naming) -> dict[str, str]:
    """Torchvision's names of the trunk's layers with ours."""
    names = {"features.0.0": "stem.0", "features.0.1": "stem.1"}
    number = 0
    for r, row in enumerate(trunk.rows):
        for m, block in enumerate(row.children()):
            number += 1
            theirs = f"features.{r + 1}.{m}.block" if naming == "rows" else f"features.{number}.block"
            if naming == "flat":
                theirs = f"features.{number}.conv"
            parts = [(name, part) for name, part in block.named_children() if list(part.parameters())]
            for p, (name, part) in enumerate(parts):
                for leaf, _ in part.named_children():
                    flat = naming == "flat" and name == "project"
                    place = f"{p + int(leaf)}" if flat else f"{p}.{leaf}"
                    names[f"{theirs}.{place}"] = f"rows.{r}.{m}.{name}.{leaf}"
    if trunk.last is not None:
        behind = (len(trunk.rows) if naming == "rows" else number) + 1
        names |= {f"features.{behind}.{leaf}": f"last.{leaf}" for leaf in "01"}
    return names


def rename(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Tensors by our names; those of unknown layers keep theirs, for the strict copy to name."""
    renamed = {}
    for key, value in state.items():
        layer, _, leaf = key.rpartition(".")
        renamed[f"{names.get(layer, layer)}.{leaf}"] = value
    return renamed


def copy_classifier(
    net: nn.Module, state: Mapping[str, Tensor], naming: Naming, head: Mapping[str, str], origin: str
) -> None:
    """Copy a published classifier into ours, strictly.

    Args:
        net: with `trunk`.
        state: the original's tensors.
        naming: of its blocks.
        head: its names of the layers behind the trunk, with ours.
        origin: for errors.
    """
    trunk = net.trunk
    assert isinstance(trunk, InvertedResiduals)
    names = {theirs: f"trunk.{ours}" for theirs, ours in rename_trunk(trunk, naming).items()}
    copy_strictly(net, rename(with_counters(state), {**names, **head}), origin)


def copy_trunk(trunk: InvertedResiduals, state: Mapping[str, Tensor], naming: Naming, origin: Path) -> None:
    """Copy a published classifier into a trunk, but for its head and what lies behind the trunk's last tap."""
    names = rename_trunk(trunk, naming)
    deepest = max(_place(layer) for layer in names)
    own = {key: value for key, value in state.items() if not key.startswith(HEAD) and _place(key) <= deepest}
    copy_strictly(trunk, rename(with_counters(own), names), origin)


def _place(key: str) -> tuple[int, ...]:
    """Where a layer stands in the net: the numbers in its name, the outermost first."""
    return tuple(int(part) for part in key.split(".") if part.isdigit())
