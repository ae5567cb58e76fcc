"""Batch norms while a network is trained: moments over the batch of all processes, and batches too small for moments.

A batch norm that each process computes alone trains another network than one process does with the whole batch; and
where a map has one cell and the batch one image, there is no variance at all. While it is trained, every
`nn.BatchNorm2d` is therefore a `TrainedNorm`, which has the same parameters, buffers and names, and is the same
function in evaluation.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Map = Float[Tensor, "batch channel height width"]
Channels = Float[Tensor, " channel"]


class TrainedNorm(nn.BatchNorm2d):
    """Batch norm (Ioffe and Szegedy 2015, algorithm 1) over the batch of all processes that train together.

    In training it normalises by mean and variance of all processes' values, however they are shared out; a process
    without images takes part with none. Where all of them together have one value of a channel, the running
    statistics are used and kept, as if the norm were frozen for this step. In evaluation it is `nn.BatchNorm2d`.

    >>> norm = TrainedNorm(2)
    >>> norm(torch.full((1, 2, 1, 1), 3.0)).flatten().tolist()  # one value a channel: by the running statistics
    [2.999985933303833, 2.999985933303833]
    """

    def forward(self, images: Map) -> Map:
        """Normalise a batch of maps."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(images)
        values = images.shape[0] * images.shape[2] * images.shape[3]
        if not _together():
            if values == 1:
                return F.batch_norm(
                    images, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
                )
            return super().forward(images)
        mean, variance, count = gathered_moments(images)
        if count <= 1:
            return F.batch_norm(
                images, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        self._keep(mean, variance * (count / (count - 1)))
        out: Map = _Normalise.apply(images, mean, variance, count, self.eps)
        if self.weight is None:
            return out
        return out * self.weight[:, None, None].to(out.dtype) + self.bias[:, None, None].to(out.dtype)

    @torch.no_grad()
    def _keep(self, mean: Channels, variance: Channels) -> None:
        """Move the running statistics, as `nn.BatchNorm2d` does; `variance` is the unbiased one."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        part = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked or 1)
        for running, now in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            running.lerp_(now.to(running.dtype), part)


@torch.no_grad()
def gathered_moments(images: Map) -> tuple[Channels, Channels, int]:
    """Mean and biased variance of each channel over the batches of all processes, and how many values that is.

    Moments of parts are put together by Chan, Golub and LeVeque's formula (1979), which loses no digits.
    """
    held = _precise(images)
    count = held.shape[0] * held.shape[2] * held.shape[3]
    mean = held.mean((0, 2, 3)) if count else held.new_zeros(held.shape[1])
    spread = (held - mean[:, None, None]).square().sum((0, 2, 3))
    own = torch.cat([mean, spread, held.new_tensor([float(count)])])
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    table, channels = torch.stack(parts).double(), held.shape[1]
    means, spreads, counts = table[:, :channels], table[:, channels:-1], table[:, -1:]
    total = counts.sum()
    whole = (means * counts).sum(0) / total.clamp(min=1)
    variance = (spreads + counts * (means - whole).square()).sum(0) / total.clamp(min=1)
    return whole.to(held.dtype), variance.to(held.dtype), int(total)


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) whose gradient knows that mean and variance come from all processes."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, mean: Tensor, variance: Tensor, count: int, eps: float) -> Tensor:
        scale = torch.rsqrt(variance + eps)
        ctx.save_for_backward(images, mean, scale)
        ctx.count = count
        return ((_precise(images) - mean[:, None, None]) * scale[:, None, None]).to(images.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, mean, scale = ctx.saved_tensors
        gradient = _precise(gradients[0])
        normal = (_precise(images) - mean[:, None, None]) * scale[:, None, None]
        sums = torch.cat([gradient.sum((0, 2, 3)), (gradient * normal).sum((0, 2, 3))])
        dist.all_reduce(sums)
        first, second = (sums / ctx.count).chunk(2)
        inner = gradient - first[:, None, None] - normal * second[:, None, None]
        return (inner * scale[:, None, None]).to(images.dtype), None, None, None, None


def make_trainable(net: nn.Module) -> None:
    """Put a `TrainedNorm` in the place of every `nn.BatchNorm2d`, with its own parameters and buffers.

    Args:
        net: changed in place; names and values of its state stay as they are.
    """
    for module in [*net.modules()]:
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _like(child))


def _like(norm: nn.BatchNorm2d) -> TrainedNorm:
    made = TrainedNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    made.weight, made.bias = norm.weight, norm.bias
    made.running_mean, made.running_var = norm.running_mean, norm.running_var
    made.num_batches_tracked = norm.num_batches_tracked
    made.train(norm.training)
    return made


def describe(net: nn.Module, *, frozen: bool, world: int) -> str:
    """How a run's batch norms are computed, for its record: "none", "frozen", "own" or "synchronised"."""
    if not any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        return "none"
    return "frozen" if frozen else "synchronised" if world > 1 else "own"


def _precise(values: Tensor) -> Tensor:
    """At least float32: moments of half precision overflow."""
    return values if values.dtype == torch.float64 else values.float()


def _together() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
