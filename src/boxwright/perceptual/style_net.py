"""The network that paints in one pass: Johnson, Alahi and Fei-Fei 2016, with two later improvements.

Instance instead of batch normalisation (Ulyanov et al. 2017), and nearest-neighbour enlargement followed by a
convolution instead of a transposed one, which leaves a checkerboard (Odena et al. 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.perceptual.style_pictures import LEAST, MULTIPLE

if TYPE_CHECKING:
    from boxwright.runtime.export_net import Trace


class StyleNet(nn.Module):
    """Pictures as a painter of one style would have them.

    Args:
        width: channels of the first layer, doubled at each halving; the paper's 32 costs 40 GMAC at 512 x 512.
        blocks: residual blocks in the middle; the paper has 5.

    >>> net = StyleNet(width=8, blocks=1)
    >>> net(torch.rand(2, 3, 16, 24)).shape
    torch.Size([2, 3, 16, 24])
    """

    def __init__(self, width: int = 24, blocks: int = 5) -> None:
        super().__init__()
        wide, widest = 2 * width, 4 * width
        self.down = nn.Sequential(
            *_layer(3, width, 9), *_layer(width, wide, 3, stride=2), *_layer(wide, widest, 3, stride=2)
        )
        self.blocks = nn.Sequential(*(_Residual(widest) for _ in range(blocks)))
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2),
            *_layer(widest, wide, 3),
            nn.Upsample(scale_factor=2),
            *_layer(wide, width, 3),
        )
        self.last = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(width, 3, 9), nn.Sigmoid())

    def forward(
        self, pictures: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Painted pictures, in [0, 1].

        Args:
            pictures: RGB in [0, 1]; sides are multiples of 4, at least 16 (`style_pictures.fitted`).
        """
        painted: Tensor = self.last(self.up(self.blocks(self.down(pictures - 0.5))))
        return painted


class _Residual(nn.Module):
    """Two convolutions beside the identity, without an activation after the sum (Johnson et al. 2016, supplement)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_layer(channels, channels, 3), *_layer(channels, channels, 3)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def build(settings: Mapping[str, Any]) -> StyleNet:
    """The network that a card's settings describe, with fresh weights."""
    return StyleNet(settings["width"], settings["blocks"])


def trace(settings: Mapping[str, Any]) -> Trace:
    """How it becomes a graph: pictures of any number and size."""
    from boxwright.runtime.export_net import Trace
    from boxwright.runtime.translate import Axis

    free = {
        0: Axis("batch"),
        **{2 + i: Axis(name, MULTIPLE, LEAST // MULTIPLE) for i, name in enumerate(("height", "width"))},
    }
    drawn = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 48, 64), (1, 3, 96, 32), (3, 3, 16, 20))
    examples = [(torch.rand(shape, generator=drawn),) for shape in shapes]
    return Trace(examples, {"pictures": free}, ("painted",))


def _layer(channels: int, width: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution over a border that mirrors the picture, a norm of each picture's own, an activation."""
    return [
        nn.ReflectionPad2d(kernel // 2),
        # The norm takes away whatever a bias would add.
        nn.Conv2d(channels, width, kernel, stride, bias=False),
        nn.InstanceNorm2d(width, affine=True),
        nn.ReLU(inplace=True),
    ]
