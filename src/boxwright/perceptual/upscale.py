"""A residual network that makes pictures larger: Lim et al. 2017 (EDSR) in a size for a CPU.

All work is done on the small picture; the last layer computes every pixel of the large one as channels of the small
one's, which are then laid out beside each other (sub-pixel convolution, Shi et al. 2016). The network adds to bicubic
interpolation (Kim et al. 2016), so that it begins as good as that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.perceptual.upscale_settings import BLOCK, KERNEL, UpscaleSettings
from boxwright.runtime.export_net import Trace
from boxwright.runtime.open_net import read_module
from boxwright.runtime.translate import Axis

_FIRST_CHANGE = 0.003
"""The last layer's first weights, as a part of the usual ones: at first the picture changes by less than is seen."""


class Upscaler(nn.Module):
    """Pictures, larger.

    Residual blocks without normalisation (Lim et al. 2017, section 3.1) between a first and a last convolution, and
    a connection around them all (Ledig et al. 2017).

    Args:
        settings: factor and size.

    >>> net = Upscaler(UpscaleSettings(factor=2, blocks=1, channels=4))
    >>> net(torch.rand(1, 3, 5, 7)).shape
    torch.Size([1, 3, 10, 14])
    """

    def __init__(self, settings: UpscaleSettings) -> None:
        super().__init__()
        self.factor = settings.factor
        width = settings.channels
        self.first = _conv(3, width)
        blocks = (_Residual(width) for _ in range(settings.blocks))
        self.body = nn.Sequential(*blocks, _conv(width, width))
        self.last = _conv(width, 3 * settings.factor**2)
        icnr(self.last, settings.factor, _FIRST_CHANGE)

    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 tall wide"]:
        """Pictures `factor` times as tall and wide, about in [0, 1].

        Args:
            pictures: RGB in [0, 1].
        """
        maps = self.first(pictures - 0.5)
        change = F.pixel_shuffle(self.last(maps + self.body(maps)), self.factor)
        return bicubic(pictures, self.factor) + change


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        convs = [_conv(width, width) for _ in range(BLOCK)]
        layers: list[nn.Module] = [convs[0]]
        for conv in convs[1:]:
            layers += [nn.ReLU(inplace=True), conv]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def bicubic(
    pictures: Float[Tensor, "batch 3 height width"], factor: int
) -> Float[Tensor, "batch 3 tall wide"]:
    """Bicubic interpolation as Pillow has it, without rounding and clipping.

    "antialias" changes nothing else when pictures grow: with it, torch takes Pillow's kernel (a = -1/2) and Pillow's
    treatment of borders.
    """
    return F.interpolate(pictures, scale_factor=float(factor), mode="bicubic", antialias=True)


@torch.no_grad()
def icnr(conv: nn.Conv2d, factor: int, scale: float = 1.0) -> None:
    """Weights such that all pixels that come of one are equal at first (Aitken et al. 2017).

    Drawn each for itself they would lay a checkerboard over the picture, which training has to take away.

    Args:
        conv: its output goes through a pixel shuffle.
        factor: of the shuffle.
        scale: multiplies the weights; the bias is 0.
    """
    kernel = torch.empty(conv.out_channels // factor**2, *conv.weight.shape[1:])
    nn.init.kaiming_normal_(kernel)
    conv.weight.copy_(scale * kernel.repeat_interleave(factor**2, 0))
    if conv.bias is not None:
        conv.bias.zero_()


def build(settings: Mapping[str, Any]) -> Upscaler:
    """The network that a card's settings describe, with fresh weights."""
    return Upscaler(UpscaleSettings.from_dict(settings))


def read_upscaler(path: str | Path) -> tuple[Upscaler, Card]:
    """The network of a `.safetensors` file, in evaluation mode, and what the file says of it.

    Raises:
        InputError: damaged, or a network for something else.
    """
    net, card = read_module(path, "upscale", build)
    assert isinstance(net, Upscaler)
    return net, card


def trace(settings: Mapping[str, Any]) -> Trace:
    """How the network becomes a graph: pictures of any number and size."""
    sizes = ((2, 12, 16), (1, 33, 21), (1, 1, 2))
    drawn = torch.Generator().manual_seed(0)
    examples = [(torch.rand(batch, 3, *size, generator=drawn),) for batch, *size in sizes]
    free = {"pictures": {0: Axis("batch"), 2: Axis("height"), 3: Axis("width")}}
    return Trace(examples, free, ("enlarged",))


def _conv(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, KERNEL, padding=KERNEL // 2)
