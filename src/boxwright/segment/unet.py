"""U-Net as the paper has it (Ronneberger et al. 2015, section 2 and figure 1), with its size as a setting."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class UNet(nn.Module):
    """A contracting path, an expanding one, and the finer maps beside the coarser at every level.

    Two 3x3 convolutions at each level, 2x2 max pooling on the way down, 2x2 up-convolutions on the way up, dropout
    at the end of the contracting path. Weights start from a Gaussian of deviation sqrt(2 / inputs) (section 3).
    One deviation from the paper: pictures have three channels; a grey one has three times the same.

    Args:
        classes: how many.
        width: channels of the first level (64); twice as many at each further one.
        depth: poolings (4).
        padded: convolutions keep their map's size. Without, the output is smaller than the input by `margin` on
            each side, and the input must be of `side(k)` pixels.
        norm: batch norm after each 3x3 convolution.
        dropout: before the first up-convolution.

    >>> net = UNet(2)
    >>> net.margin, net.side(24)
    (92, 388)
    """

    def __init__(
        self,
        classes: int,
        width: int = 64,
        depth: int = 4,
        padded: bool = False,
        norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.depth, self.padded = depth, padded
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(_two(a, b, padded, norm) for a, b in pairwise([3, *widths]))
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(widths))
        self.steps = nn.ModuleList(_two(2 * a, a, padded, norm) for a in widths[:-1])
        self.logits = nn.Conv2d(width, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # An up-convolution without overlap sums over channels alone.
                inputs = module.in_channels * (
                    math.prod(module.kernel_size) if isinstance(module, nn.Conv2d) else 1
                )
                nn.init.normal_(module.weight, std=math.sqrt(2 / inputs))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch class _ _"]:
        """Logits, for all pixels or, unpadded, for those that are not of the margin.

        Args:
            pictures: RGB in [0, 1].
        """
        maps = (pictures - 0.5) * 4
        taps: list[Tensor] = []
        for level, step in enumerate(self.down):
            maps = step(F.max_pool2d(maps, 2) if level else maps)
            taps.append(maps)
        maps = self.dropout(taps.pop())
        for up, step, tap in reversed(list(zip(self.up, self.steps, taps, strict=True))):
            maps = up(maps)
            maps = step(torch.cat((_centre(tap, maps), maps), 1))
        return self.logits(maps)

    @property
    def margin(self) -> int:
        """Pixels that the unpadded network takes off each side; the padded one sees up to two more beyond a cell."""
        return 6 * 2**self.depth - 4

    @property
    def multiple(self) -> int:
        """Pixels that a cell of the coarsest map covers."""
        return int(2**self.depth)

    def side(self, cells: int) -> int:
        """An output's side without padding: so many cells of the coarsest map, and what the convolutions leave."""
        return self.multiple * cells + 4

    def stages(self) -> tuple[nn.Module, ...]:
        """No part of it comes trained."""
        return ()


def _centre(tap: Tensor, maps: Tensor) -> Tensor:
    """The middle of a finer map, as large as the coarser that was made larger."""
    top, left = ((a - b) // 2 for a, b in zip(tap.shape[-2:], maps.shape[-2:], strict=True))
    return tap[:, :, top : top + maps.shape[-2], left : left + maps.shape[-1]]


def _two(channels: int, width: int, padded: bool, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (channels, width):
        layers.append(nn.Conv2d(source, width, 3, padding=int(padded), bias=not norm))
        layers += [nn.BatchNorm2d(width)] if norm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
