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
from boxwright.errors import InputError
from boxwright.regions.pool import crop_warp, multilevel_roi_align, roi_pool
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
        pooled = roi_pool(levels[0], _rois(regions), self.side, scales[0])
        return pooled.unflatten(0, tuple(regions.valid.shape))


@dataclass(frozen=True)
class CropPool:
    """No pooling: each region is cut out of the image and warped to one size (Girshick et al. 2014, appendix A).

    Attributes:
        side: of the warped region, in pixels.
        context: how many of those, on each side, show what surrounds the region.
    """

    side: int
    context: int

    def __call__(
        self, levels: Sequence[Tensor], regions: Priors
    ) -> Float[Tensor, "batch roi channel height width"]:
        """Small images; the only level is the image itself."""
        warped = crop_warp(levels[0], _rois(regions), self.side, context=self.context)
        return warped.unflatten(0, tuple(regions.valid.shape))


class RegionHead(nn.Module):
    """Pooling, a body, and two layers that score every class and move the box for each: Girshick 2015, section 2.

    Args:
        pool: from levels and regions to small maps of one size.
        body: maps [region, channel, height, width] -> features [region, width].
        width: of the body's features.
        classes: columns but background, which is the last.
        background: whether there is a column for it; support vector machines have none.
        moves: whether boxes are moved at all.
        chunk: regions of an image that are judged at a time where no gradient is wanted, to bound the memory; 0 for
            all.
        box_width: numbers of the body's pooled map, where boxes are moved by it and not by the features (Girshick et
            al. 2014, appendix C: pool5); the body is `Patches` then. None moves them by the features.
    """

    def __init__(
        self,
        pool: Pool,
        body: nn.Module,
        width: int,
        classes: int,
        *,
        background: bool = True,
        moves: bool = True,
        chunk: int = 0,
        box_width: int | None = None,
    ) -> None:
        super().__init__()
        self.pool, self.body, self.chunk, self.box_width = pool, body, chunk, box_width
        self.scores = nn.Linear(width, classes + background)
        self.offsets = nn.Linear(box_width or width, classes * 4) if moves else None
        # Section 2.3, "SGD hyper-parameters".
        nn.init.normal_(self.scores.weight, std=0.01)
        nn.init.zeros_(self.scores.bias)
        if self.offsets is not None:
            nn.init.normal_(self.offsets.weight, std=0.001)
            nn.init.zeros_(self.offsets.bias)

    def forward(self, levels: Sequence[Tensor], regions: Priors) -> Predictions:
        """Score and move the regions; those that are not valid are computed too, and never counted."""
        if self.offsets is not None and self.box_width is not None:
            return self._moved_by_maps(levels, regions, self.offsets)
        features = self.features(levels, regions)
        if self.offsets is None:
            deltas = features.new_zeros(*features.shape[:2], 0, 4)
        else:
            deltas = self.offsets(features).unflatten(2, (-1, 4))
        return Predictions(self.scores(features), deltas, regions)

    def features(self, levels: Sequence[Tensor], regions: Priors) -> Float[Tensor, "batch roi feature"]:
        """What the two layers judge by."""
        parts = [
            self.body(self.pool(levels, some).flatten(0, 1)).unflatten(0, tuple(some.valid.shape))
            for some in self._some(regions)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def box_features(self, levels: Sequence[Tensor], regions: Priors) -> Float[Tensor, "batch roi feature"]:
        """What boxes are moved by."""
        if self.box_width is None:
            return self.features(levels, regions)
        parts = [self._both(levels, some)[0] for some in self._some(regions)]
        return torch.cat(parts, 1)

    def _moved_by_maps(self, levels: Sequence[Tensor], regions: Priors, offsets: nn.Linear) -> Predictions:
        """A pooled map has several times the numbers of the features, so that no more of them than a part is kept."""
        logits, deltas = [], []
        for some in self._some(regions):
            maps, features = self._both(levels, some)
            logits.append(self.scores(features))
            deltas.append(offsets(maps).unflatten(2, (-1, 4)))
        return Predictions(torch.cat(logits, 1), torch.cat(deltas, 1), regions)

    def _both(self, levels: Sequence[Tensor], regions: Priors) -> tuple[Tensor, Tensor]:
        """Pooled maps and features of the regions."""
        assert isinstance(self.body, Patches)
        shape = tuple(regions.valid.shape)
        maps, features = self.body.both(self.pool(levels, regions).flatten(0, 1))
        return maps.unflatten(0, shape), features.unflatten(0, shape)

    def _some(self, regions: Priors) -> list[Priors]:
        """The regions, as many at a time as memory is to hold."""
        step = regions.valid.shape[1] if torch.is_grad_enabled() or not self.chunk else self.chunk
        return _split(regions, max(1, step))

    def stages(self) -> tuple[nn.Module, ...]:
        """Parts of the body that a backbone's are, in order of depth, for freezing."""
        return self.body.stages() if isinstance(self.body, Patches) else ()


class Patches(nn.Module):
    """A classifier's trunk that sees each region as an image of its own: Girshick et al. 2014, section 2.2.

    Args:
        trunk: with one tap, its last.
        after: from that tap to features: a mean, or VGG's layers.
    """

    def __init__(self, trunk: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.trunk, self.after = trunk, after

    def forward(self, maps: Float[Tensor, "roi 3 height width"]) -> Float[Tensor, "roi feature"]:
        """Features."""
        # Convolutions of depth read channels last twice as fast.
        maps = maps.contiguous(memory_format=torch.channels_last)
        features: Tensor = self.after(self.trunk(maps)[0])
        return features

    def both(
        self, maps: Float[Tensor, "roi 3 height width"]
    ) -> tuple[Float[Tensor, "roi number"], Float[Tensor, "roi feature"]]:
        """The pooled map (pool5) of each region as one vector, and its features; `after` pools first."""
        assert isinstance(self.after, nn.Sequential)
        maps = maps.contiguous(memory_format=torch.channels_last)
        pooled: Tensor = self.after[0](self.trunk(maps)[0])
        return pooled.flatten(1), self.after[1:](pooled)

    def stages(self) -> tuple[nn.Module, ...]:
        """The trunk's parts in order of depth."""
        stages: tuple[nn.Module, ...] = self.trunk.stages()  # type: ignore[operator]
        return stages


class Mean(nn.Module):
    """The mean of each channel."""

    def forward(self, maps: Float[Tensor, "roi channel height width"]) -> Float[Tensor, "roi channel"]:
        """Features."""
        return maps.mean((2, 3))


class TwoLayers(nn.Module):
    """fc6 and fc7: Girshick 2015, section 2.1, after VGG; of 1024 units on a pyramid (Lin et al. 2017, FPN, 4.2).

    Args:
        inputs: numbers in a region's small map.
        width: of both layers.
        dropout: after each; .5 in VGG.
        ranks: of fc6 and of fc7, each of which is two layers then (section 3.1); () or a rank of 0: one layer.

    Raises:
        InputError: ranks that such layers cannot have.
    """

    def __init__(
        self, inputs: int, width: int = 1024, dropout: float = 0.0, ranks: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        if len(ranks) not in (0, 2):
            raise InputError(f"{len(ranks)} ranks for fc6 and fc7", hint="give two, such as 1024,256")
        six, seven = ranks or (0, 0)
        self.fc6, self.fc7 = _linear("fc6", inputs, width, six), _linear("fc7", width, width, seven)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Float[Tensor, "roi channel height width"]) -> Float[Tensor, "roi feature"]:
        """Features."""
        x = maps.flatten(1)
        for layer in (self.fc6, self.fc7):
            x = self.dropout(F.relu(layer(x), inplace=True))
        return x


def _linear(name: str, inputs: int, outputs: int, rank: int) -> nn.Module:
    """One layer, or two without anything between them that are one of a lower rank: Girshick 2015, section 3.1."""
    if not 0 <= rank <= min(inputs, outputs):
        raise InputError(
            f"{name} of {inputs} x {outputs} numbers cannot have rank {rank}",
            hint=f"choose one of 1 to {min(inputs, outputs)}, or 0 to leave it whole",
        )
    if not rank:
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs))


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


def _rois(regions: Priors) -> Float[Tensor, "roi 5"]:
    """Each with the number of its image before it: Girshick 2015, section 2.1."""
    batch, count = regions.valid.shape
    image = torch.arange(batch, device=regions.boxes.device)[:, None, None].expand(-1, count, -1)
    return torch.cat((image.to(regions.boxes), regions.boxes), -1).flatten(0, 1)


def _split(regions: Priors, step: int) -> list[Priors]:
    """The same regions, so many of each image at a time; all of them, unsplit, where they are no more."""
    if regions.valid.shape[1] <= step:
        return [regions]
    parts = (part.split(step, 1) for part in (regions.boxes, regions.level, regions.valid))
    return [Priors(*part) for part in zip(*parts, strict=True)]
