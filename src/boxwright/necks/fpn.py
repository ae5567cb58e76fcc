"""Feature pyramid network: every level sees what the coarser ones know (Lin et al. 2017, FPN, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import DepthwiseConv2d, Norm
from boxwright.features import FeatureSpec, Step

Coarser = Literal["none", "pool", "p5", "c5", "c5-linear"]
"""What follows the coarsest tap:

none       nothing: P2 to P5 on four taps
pool       one level, every second cell of the last one: P6 in the FPN paper's section 4.1
p5         two levels, 3x3 convolutions of stride 2 on the pyramid's last level, with a ReLU between them (P6, P7 as
           torchvision has them)
c5         the same on the backbone's last tap: Lin et al. 2017 (Focal loss), section 4
c5-linear  the same without the ReLU, as mmdetection's RetinaNet has it
"""


class FPN(nn.Module):
    """A top-down path over the backbone's taps, all levels with the same channels.

    Maps of odd size are met by upsampling the coarser one to exactly the finer one's size.

    Args:
        specs: of the backbone's taps, finest first.
        channels: of every level.
        coarser: which levels follow the last tap.
        separable: the 3x3 convolutions are depthwise and 1x1.
        norm: normalisation of the 1x1 and 3x3 convolutions; none in the paper.
        top_down: without it each level knows its own tap alone (the paper's ablation, table 1 (b)).
    """

    def __init__(
        self,
        specs: Sequence[FeatureSpec],
        channels: int = 256,
        coarser: Coarser = "pool",
        separable: bool = False,
        norm: Norm | None = None,
        top_down: bool = True,
    ) -> None:
        super().__init__()
        self.coarser, self.top_down = coarser, top_down
        self.laterals = nn.ModuleList(_conv(spec.channels, channels, 1, norm=norm) for spec in specs)
        self.outputs = nn.ModuleList(
            _conv(channels, channels, 3, separable=separable, norm=norm) for _ in specs
        )
        levels = [FeatureSpec(channels, spec.steps) for spec in specs]
        self.extras = nn.ModuleList()
        if coarser == "pool":
            levels.append(levels[-1].then(channels, Step(1, 2, 0)))
        elif coarser != "none":
            for source in (channels if coarser == "p5" else specs[-1].channels, channels):
                self.extras.append(_conv(source, channels, 3, 2, separable=separable, norm=norm))
                levels.append(levels[-1].then(channels, Step(3, 2, 1)))
        self.specs = tuple(levels)

    def forward(
        self, features: Sequence[Float[Tensor, "batch _ _ _"]]
    ) -> list[Float[Tensor, "batch channel _ _"]]:
        """One map a level, finest first."""
        laterals = [lateral(tap) for lateral, tap in zip(self.laterals, features, strict=True)]
        merged = [laterals[-1]]
        for lateral in reversed(laterals[:-1]):
            above = F.interpolate(merged[0], size=lateral.shape[-2:], mode="nearest")
            merged.insert(0, lateral + above if self.top_down else lateral)
        levels = [output(level) for output, level in zip(self.outputs, merged, strict=True)]
        if self.coarser == "pool":
            levels.append(F.max_pool2d(levels[-1], 1, stride=2))
        elif self.coarser != "none":
            first, second = self.extras
            levels.append(first(levels[-1] if self.coarser == "p5" else features[-1]))
            levels.append(second(levels[-1] if self.coarser == "c5-linear" else F.relu(levels[-1])))
        return levels


def _conv(
    channels: int,
    width: int,
    kernel: int,
    stride: int = 1,
    *,
    separable: bool = False,
    norm: Norm | None = None,
) -> nn.Sequential:
    """A convolution that starts as Caffe2's Xavier does, as the paper's code; then its norm."""
    layers: list[nn.Module] = []
    if separable:
        layers.append(DepthwiseConv2d(channels, kernel, stride))
        kernel = stride = 1
    pointwise = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=norm is None)
    nn.init.kaiming_uniform_(pointwise.weight, a=1)
    if pointwise.bias is not None:
        nn.init.zeros_(pointwise.bias)
    layers.append(pointwise)
    if norm is not None:
        layers.append(norm(width))
    return nn.Sequential(*layers)
