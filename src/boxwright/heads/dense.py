"""Heads that predict at every cell of every level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import DepthwiseConv2d, Norm, group_norm
from boxwright.features import FeatureSpec

TowerNorm = Literal["none", "group", "batch"]
"""Norms of a shared tower: none; group norms, shared too; or batch norms, each level with its own statistics."""


class PerLevelHead(nn.Module):
    """One 3x3 convolution for scores and one for offsets on each level: Liu et al. 2016, section 2.1.

    Args:
        specs: of the levels; their channels differ.
        per_cell: priors on each cell, by level.
        columns: scores of a prior (classes, and background where the loss is a softmax).
        separable: depthwise 3x3, normalised, then 1x1 (SSDLite: Sandler et al. 2018, section 6.2).
        norm: of the separable ones.
    """

    def __init__(
        self,
        specs: Sequence[FeatureSpec],
        per_cell: Sequence[int],
        columns: int,
        separable: bool = False,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.columns = columns
        build = partial(_separable, norm=norm) if separable else _plain
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


class SharedHead(nn.Module):
    """Two towers of 3x3 convolutions that serve all levels alike: Lin et al. 2017 (Focal loss), section 4.

    Args:
        specs: of the levels; their channels agree.
        shapes: priors on each cell; as many on every level.
        columns: scores of a prior.
        depth: convolutions of a tower.
        width: their channels.
        norm: what follows each of them.
        separable: they are depthwise and 1x1.
        probability: that a prior is an object, in the head's first opinion (section 4.1, "Initialization").
    """

    def __init__(
        self,
        specs: Sequence[FeatureSpec],
        shapes: int,
        columns: int,
        depth: int = 4,
        width: int = 256,
        norm: TowerNorm = "none",
        separable: bool = False,
        probability: float = 0.01,
    ) -> None:
        super().__init__()
        self.columns = columns
        (channels,) = {spec.channels for spec in specs}
        towers = [Tower(channels, width, depth, len(specs), norm, separable) for _ in range(2)]
        self.scores_tower, self.offsets_tower = towers
        last = width if depth else channels
        self.scores, self.offsets = (_small(last, shapes * each, separable) for each in (columns, 4))
        bias = self.scores[-1].bias
        assert isinstance(bias, Tensor)
        nn.init.constant_(bias, -math.log((1 - probability) / probability))

    def forward(
        self, levels: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "batch prior column"], Float[Tensor, "batch prior 1 4"]]:
        """Logits and offsets, priors by level, row, column and shape, as `GridPriors` lays them out."""
        logits = [flatten_cells(self.scores(x), self.columns) for x in self.scores_tower(levels)]
        deltas = [flatten_cells(self.offsets(x), 4) for x in self.offsets_tower(levels)]
        return torch.cat(logits, 1), torch.cat(deltas, 1)[:, :, None]


class ProposalHead(nn.Module):
    """A 3x3 convolution, then scores and offsets by 1x1, shared over levels: Ren et al. 2015, section 3.1.

    Args:
        specs: of the levels; their channels agree.
        shapes: priors on each cell; as many on every level.
        width: channels of the 3x3; as many as the level's if not given.
        depth: 3x3 convolutions.
        separable: they are depthwise and 1x1.
    """

    def __init__(
        self,
        specs: Sequence[FeatureSpec],
        shapes: int,
        width: int | None = None,
        depth: int = 1,
        separable: bool = False,
    ) -> None:
        super().__init__()
        (channels,) = {spec.channels for spec in specs}
        width = width or channels
        norm: TowerNorm = "batch" if separable else "none"
        self.tower = Tower(channels, width, depth, len(specs), norm, separable)
        self.scores, self.offsets = nn.Conv2d(width, shapes, 1), nn.Conv2d(width, shapes * 4, 1)
        for layer in (self.scores, self.offsets):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(
        self, levels: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "batch prior 1"], Float[Tensor, "batch prior 1 4"]]:
        """Logits of there being an object, and offsets, priors by level, row, column and shape."""
        seen = self.tower(levels)
        logits = torch.cat([flatten_cells(self.scores(x), 1) for x in seen], 1)
        deltas = torch.cat([flatten_cells(self.offsets(x), 4) for x in seen], 1)
        return logits, deltas[:, :, None]


class Tower(nn.Module):
    """Convolutions, norms and rectifiers, applied to each level.

    Args:
        channels: of the levels.
        width: of every convolution's output.
        depth: convolutions.
        levels: how many there are, for norms of their own.
        norm: which.
        separable: convolutions are depthwise 3x3, then 1x1.
    """

    def __init__(
        self, channels: int, width: int, depth: int, levels: int, norm: TowerNorm, separable: bool
    ) -> None:
        super().__init__()
        sources = [channels, *[width] * (depth - 1)][:depth]
        self.convolutions = nn.ModuleList(
            _small(source, width, separable, bias=norm == "none") for source in sources
        )
        build = {"none": lambda _: nn.Identity(), "group": group_norm, "batch": nn.BatchNorm2d}[norm]
        self.norms = nn.ModuleList(
            nn.ModuleList(build(width) for _ in range(levels if norm == "batch" else 1)) for _ in sources
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Each level, through the same convolutions."""
        out = []
        for number, x in enumerate(levels):
            for convolution, norms in zip(self.convolutions, self.norms, strict=True):
                assert isinstance(norms, nn.ModuleList)
                x = F.relu(norms[number if len(norms) > 1 else 0](convolution(x)), inplace=True)
            out.append(x)
        return out


def _small(channels: int, width: int, separable: bool, bias: bool = True) -> nn.Sequential:
    """A 3x3 convolution of small random weights: Lin et al. 2017 (Focal loss), section 4.1, "Initialization"."""
    depthwise = [DepthwiseConv2d(channels, 3)] if separable else []
    kernel = 1 if separable else 3
    convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=bias)
    nn.init.normal_(convolution.weight, std=0.01 if kernel == 3 else 0.03)  # as many inputs, as large a sum
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return nn.Sequential(*depthwise, convolution)


def flatten_cells(values: Float[Tensor, "batch channel height width"], each: int) -> Tensor:
    """[batch, shape * each, height, width] as [batch, height * width * shape, each]."""
    batch = values.shape[0]
    return values.permute(0, 2, 3, 1).reshape(batch, -1, each)


def _plain(channels: int, outputs: int) -> nn.Module:
    return nn.Conv2d(channels, outputs, 3, padding=1)


def _separable(channels: int, outputs: int, norm: Norm) -> nn.Module:
    return nn.Sequential(
        DepthwiseConv2d(channels, 3),
        norm(channels),
        nn.ReLU6(inplace=True),
        nn.Conv2d(channels, outputs, 1),
    )
