"""SSD's extra layers: ever coarser maps behind the backbone (Liu et al. 2016, sections 2.1 and 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import Norm
from boxwright.features import FeatureSpec, Step


@dataclass(frozen=True)
class Extra:
    """One extra map: a 1x1 convolution to `squeeze` channels, then `kernel` x `kernel` to `channels`."""

    squeeze: int
    channels: int
    kernel: int = 3
    stride: int = 2
    padding: int = 1


class L2Norm(nn.Module):
    """Scale each position's feature vector to a learned length: Liu et al. 2016, section 3.1 (ParseNet's).

    Args:
        channels: of the features.
        length: to start from; 20 in the paper.
    """

    def __init__(self, channels: int, length: float = 20.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), length))

    def forward(self, features: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Unit length at every position, times the learned scale of each channel."""
        return F.normalize(features) * self.scale[:, None, None]


class SSDExtras(nn.Module):
    """The backbone's taps, then a chain of extra maps.

    Args:
        specs: of the backbone's taps.
        extras: the chain, each standing on the one before.
        normalise_first: the first tap passes an `L2Norm`, since its activations are larger than the others'.
        separable: 3x3 convolutions are depthwise and every convolution is normalised (SSDLite).
        norm: of the separable ones.
    """

    def __init__(
        self,
        specs: Sequence[FeatureSpec],
        extras: Sequence[Extra],
        normalise_first: bool = False,
        separable: bool = False,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.first = L2Norm(specs[0].channels) if normalise_first else nn.Identity()
        self.extras = nn.ModuleList()
        levels = list(specs)
        for extra in extras:
            spec = levels[-1]
            self.extras.append(
                _separable(spec.channels, extra, norm) if separable else _plain(spec.channels, extra)
            )
            levels.append(spec.then(extra.channels, Step(extra.kernel, extra.stride, extra.padding)))
        self.specs = tuple(levels)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """One map a level, finest first."""
        first, *others = features
        levels = [self.first(first), *others]
        for extra in self.extras:
            levels.append(extra(levels[-1]))
        return levels


def _plain(channels: int, extra: Extra) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, extra.squeeze, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(extra.squeeze, extra.channels, extra.kernel, extra.stride, extra.padding),
        nn.ReLU(inplace=True),
    )


def _separable(channels: int, extra: Extra, norm: Norm) -> nn.Sequential:
    def normed(convolution: nn.Conv2d) -> list[nn.Module]:
        return [convolution, norm(convolution.out_channels), nn.ReLU6(inplace=True)]

    wide = extra.squeeze
    return nn.Sequential(
        *normed(nn.Conv2d(channels, wide, 1, bias=False)),
        *normed(nn.Conv2d(wide, wide, extra.kernel, extra.stride, extra.padding, groups=wide, bias=False)),
        *normed(nn.Conv2d(wide, extra.channels, 1, bias=False)),
    )
