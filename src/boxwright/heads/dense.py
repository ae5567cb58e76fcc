"""Heads that predict at every cell of every level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.features import FeatureSpec


class PerLevelHead(nn.Module):
    """One 3x3 convolution for scores and one for offsets on each level: Liu et al. 2016, section 2.1.

    Args:
        specs: of the levels; their channels differ.
        per_cell: priors on each cell, by level.
        columns: scores of a prior (classes, and background where the loss is a softmax).
        separable: depthwise 3x3, normalised, then 1x1 (SSDLite: Sandler et al. 2018, section 6.2).
    """

    def __init__(
        self, specs: Sequence[FeatureSpec], per_cell: Sequence[int], columns: int, separable: bool = False
    ) -> None:
        super().__init__()
        self.columns = columns
        build = _separable if separable else _plain
        pairs = list(zip(specs, per_cell, strict=True))
        self.scores = nn.ModuleList(build(spec.channels, count * columns) for spec, count in pairs)
        self.offsets = nn.ModuleList(build(spec.channels, count * 4) for spec, count in pairs)

    def forward(
        self, levels: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "batch prior column"], Float[Tensor, "batch prior 1 4"]]:
        """Logits and offsets, priors by level, row, column and shape, as `GridPriors` lays them out."""
        logits = [
            flatten_cells(score(level), self.columns)
            for score, level in zip(self.scores, levels, strict=True)
        ]
        deltas = [flatten_cells(offset(level), 4) for offset, level in zip(self.offsets, levels, strict=True)]
        return torch.cat(logits, 1), torch.cat(deltas, 1)[:, :, None]


def flatten_cells(values: Float[Tensor, "batch channel height width"], each: int) -> Tensor:
    """[batch, shape * each, height, width] as [batch, height * width * shape, each]."""
    batch = values.shape[0]
    return values.permute(0, 2, 3, 1).reshape(batch, -1, each)


def _plain(channels: int, outputs: int) -> nn.Module:
    return nn.Conv2d(channels, outputs, 3, padding=1)


def _separable(channels: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(inplace=True),
        nn.Conv2d(channels, outputs, 1),
    )
