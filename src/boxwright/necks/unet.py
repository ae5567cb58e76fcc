"""U-Net's expanding path as a neck (Ronneberger et al. 2015, section 2): from the coarsest tap back to the finest."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import Norm
from boxwright.features import FeatureSpec


class UNetDecoder(nn.Module):
    """Upsample, put the finer tap beside it, two 3x3 convolutions; again for every finer tap.

    Every step's result is a level, so that a detector can stand on it as on a pyramid; a segmentation reads the
    finest alone. Two deviations from the paper: convolutions are padded, so that maps keep their size, and a
    coarser map is upsampled to exactly the size of the finer one, which may be odd.

    Args:
        specs: of the backbone's taps, finest first.
        channels: of each level, finest first; the coarsest tap is a level too, behind two convolutions.
        norm: normalisation after each 3x3 convolution.
    """

    def __init__(
        self, specs: Sequence[FeatureSpec], channels: Sequence[int], norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        if len(channels) != len(specs):
            raise ValueError(f"{len(specs)} taps need as many widths, not {len(channels)}")
        self.bottom = _two_convolutions(specs[-1].channels, channels[-1], norm)
        self.up = nn.ModuleList(nn.Conv2d(above, width, 1) for width, above in pairwise(channels))
        self.steps = nn.ModuleList(
            _two_convolutions(spec.channels + width, width, norm)
            for spec, width in zip(specs[:-1], channels[:-1], strict=True)
        )
        self.specs = tuple(
            FeatureSpec(width, spec.steps) for spec, width in zip(specs, channels, strict=True)
        )

    def forward(self, features: Sequence[Float[Tensor, "batch _ _ _"]]) -> list[Float[Tensor, "batch _ _ _"]]:
        """One map a level, finest first, each of its tap's size."""
        levels = [self.bottom(features[-1])]
        parts = zip(self.up, self.steps, features[:-1], strict=True)
        for up, step, tap in reversed(list(parts)):
            above = F.interpolate(up(levels[0]), size=tap.shape[-2:], mode="nearest")
            levels.insert(0, step(torch.cat((tap, above), 1)))
        return levels


def _two_convolutions(channels: int, width: int, norm: Norm) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (channels, width):
        layers += [
            nn.Conv2d(source, width, 3, padding=1, bias=False),
            norm(width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
