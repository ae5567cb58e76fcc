"""Layers that several backbones share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME does: out = ceil(in / stride), the odd cell after the last."""

    def forward(self, input: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Pad by the input's size, then convolve."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (
            max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) for size in input.shape[-2:]
        )
        padding = (height // 2, width // 2)
        if height % 2 or width % 2:
            input = F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
            padding = (0, 0)
        if self.groups > 1:
            return depthwise(input, self.weight, stride, padding)
        return F.conv2d(input, self.weight, self.bias, self.stride, padding)


class DepthwiseConv2d(nn.Conv2d):
    """One filter a channel, without bias, padded by `kernel // 2`.

    Args:
        channels: of the input and the output.
        kernel: cells.
        stride: cells.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        reach = kernel // 2 * dilation
        super().__init__(channels, channels, kernel, stride, reach, dilation, groups=channels, bias=False)
        self.reach = (reach, reach)

    def forward(self, input: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Convolve each channel by itself."""
        return depthwise(input, self.weight, self.stride[0], self.reach, self.dilation[0])


def depthwise(
    x: Float[Tensor, "batch channel height width"],
    weight: Float[Tensor, "channel 1 kernel_height kernel_width"],
    stride: int,
    padding: tuple[int, int],
    dilation: int = 1,
) -> Float[Tensor, "batch channel rows columns"]:
    """Convolve each channel with its own filter."""
    if torch.is_autocast_enabled("cpu") and torch.is_grad_enabled():
        return _Bf16Depthwise.apply(x, weight, stride, padding, dilation)  # type: ignore[no-any-return]
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=len(weight))


class _Bf16Depthwise(torch.autograd.Function):
    """Forward in bfloat16, gradients in float32: on CPUs oneDNN has no fast bfloat16 gradient of a depthwise
    convolution, and that one layer would cost more than all that bfloat16 saves elsewhere.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], dilation: int
    ) -> Tensor:
        x = x.to(torch.bfloat16)
        ctx.save_for_backward(x, weight)
        ctx.geometry = (stride, padding, dilation)
        with torch.autocast("cpu", enabled=False):
            return F.conv2d(x, weight.to(x.dtype), None, stride, padding, dilation, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry
        back = torch.ops.aten.convolution_backward(
            *(part.float() for part in (*gradients, x, weight)),
            None,
            (stride, stride),
            padding,
            (dilation, dilation),
            False,
            (0, 0),
            len(weight),
            (ctx.needs_input_grad[0], ctx.needs_input_grad[1], False),
        )
        inputs, weights = (
            None if gradient is None else gradient.to(like.dtype)
            for gradient, like in zip(back[:2], (x, weight), strict=True)
        )
        return inputs, weights, None, None, None


class DropPath(nn.Module):
    """Leave out a residual branch for some images of the batch: stochastic depth (Huang et al. 2016, section 3).

    Args:
        probability: that an image's branch is left out in training; the others are scaled up by what is missing.
            With 1 every branch is.

    Raises:
        ValueError: not between 0 and 1.

    >>> DropPath(1.0)(torch.ones(2, 1, 1, 1)).flatten().tolist()
    [0.0, 0.0]
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise ValueError(f"drop_path is a probability, not {probability}")
        self.probability = probability

    def forward(self, branch: Float[Tensor, "batch channel height width"]) -> Tensor:
        """The branch in evaluation; in training, zero or scaled by image."""
        if not self.training or self.probability == 0:
            return branch
        kept = 1 - self.probability
        if kept == 0:
            # Nothing is left to be scaled up, and 0 / 0 is not 0.
            return branch.masked_fill(torch.ones_like(branch, dtype=torch.bool), 0)
        return branch * (branch.new_empty(len(branch), 1, 1, 1).bernoulli_(kept) / kept)


Norm = Callable[[int], nn.Module]
"""Makes a normalisation layer for a number of channels: `nn.BatchNorm2d`, `batch_norm(eps=...)`, `group_norm`."""


def batch_norm(eps: float = 1e-5, momentum: float = 0.1) -> Norm:
    """Batch normalisation with other constants; eps 0 is what published frozen norms have."""
    return lambda channels: nn.BatchNorm2d(channels, eps, momentum)


def group_norm(channels: int) -> nn.Module:
    """Group normalisation in 32 groups, or in as many as divide the channels: Wu and He 2018, section 3.3."""
    return nn.GroupNorm(math.gcd(32, channels), channels)
