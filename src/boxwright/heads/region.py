"""Heads that judge regions: features are pooled from each to one size, and scored and moved by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import Norm
from boxwright.regions.pool import multilevel_roi_align, roi_pool
from boxwright.types import Predictions, Priors

Pool = Callable[[Sequence[Tensor], Priors], Float[Tensor, "batch roi channel height width"]]
"""From the levels and the regions of each image to one small map a region."""


@dataclass(frozen=True)
class LevelPool:
    """RoI pooling, each region from the level that fits its size: Lin et al. 2017, FPN, section 4.2.

    Attributes:
        strides: pixels between neighbouring cells, level by level.
        kind: 2015's rounded maximum on the one level there is, or Mask R-CNN's bilinear mean.
        side: cells of a small map, each way.
    """

    strides: tuple[int, ...]
    kind: Literal["align", "max"]
    side: int

    def __post_init__(self) -> None:
        if self.kind == "max" and len(self.strides) > 1:
            raise ValueError("the pooling of 2015 stands on one level")

    def __call__(
        self, levels: Sequence[Tensor], regions: Priors
    ) -> Float[Tensor, "batch roi channel height width"]:
        """Small maps; levels beyond the strides' number are not looked at."""
        scales = [1 / stride for stride in self.strides]
        if self.kind == "align":
            own = levels[: len(scales)]
            return multilevel_roi_align(own, scales, regions.boxes, regions.valid, self.side)
        batch, count = regions.valid.shape
        image = torch.arange(batch, device=regions.boxes.device)[:, None, None].expand(-1, count, -1)
        rois = torch.cat((image.to(regions.boxes), regions.boxes), -1).flatten(0, 1)
        return roi_pool(levels[0], rois, self.side, scales[0]).unflatten(0, (batch, count))


class RegionHead(nn.Module):
    """Pooling, a body, and two layers that score every class and move the box for each: Girshick 2015, section 2.

    Args:
        pool: from levels and regions to small maps of one size.
        body: maps [region, channel, height, width] -> features [region, width].
        width: of the body's features.
        classes: columns but background, which is the last.
    """

    def __init__(self, pool: Pool, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.pool, self.body = pool, body
        self.scores, self.offsets = nn.Linear(width, classes + 1), nn.Linear(width, classes * 4)
        # Section 2.3, "SGD hyper-parameters".
        for layer, deviation in ((self.scores, 0.01), (self.offsets, 0.001)):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)

    def forward(self, levels: Sequence[Tensor], regions: Priors) -> Predictions:
        """Score and move the regions; those that are not valid are computed too, and never counted."""
        batch, count = regions.valid.shape
        features = self.body(self.pool(levels, regions).flatten(0, 1))
        logits = self.scores(features).unflatten(0, (batch, count))
        deltas = self.offsets(features).unflatten(1, (-1, 4)).unflatten(0, (batch, count))
        return Predictions(logits, deltas, regions)


class TwoLayers(nn.Module):
    """fc6 and fc7: Girshick 2015, section 2.1, after VGG; of 1024 units on a pyramid (Lin et al. 2017, FPN, 4.2).

    Args:
        inputs: numbers in a region's small map.
        width: of both layers.
        dropout: after each; .5 in VGG.
    """

    def __init__(self, inputs: int, width: int = 1024, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc6, self.fc7 = nn.Linear(inputs, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Float[Tensor, "roi channel height width"]) -> Float[Tensor, "roi feature"]:
        """Features."""
        x = maps.flatten(1)
        for layer in (self.fc6, self.fc7):
            x = self.dropout(F.relu(layer(x), inplace=True))
        return x


class Convolutions(nn.Module):
    """3x3 convolutions, then one layer: the body of the improved baselines (Wu and He 2018, Group norm, 4.2).

    Args:
        channels: of a region's small map, and of every convolution.
        side: of the map, in cells.
        norm: of the convolutions.
        depth: how many there are.
        width: of the layer.
    """

    def __init__(self, channels: int, side: int, norm: Norm, depth: int = 4, width: int = 1024) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(depth)
        )
        self.norms = nn.ModuleList(norm(channels) for _ in range(depth))
        self.fc = nn.Linear(channels * side * side, width)
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv2d)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, maps: Float[Tensor, "roi channel height width"]) -> Float[Tensor, "roi feature"]:
        """Features."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            maps = F.relu(norm(convolution(maps)), inplace=True)
        return F.relu(self.fc(maps.flatten(1)), inplace=True)


class LastStage(nn.Module):
    """The backbone's own last stage and the mean over positions: He et al. 2016, appendix A, "conv5_x ... RoI".

    Args:
        stage: maps of a region -> maps.
    """

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, maps: Float[Tensor, "roi channel height width"]) -> Float[Tensor, "roi feature"]:
        """Features."""
        return self.stage(maps).mean((2, 3))
