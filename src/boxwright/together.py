"""What a batch's losses must know of the images that other processes have.

Gradients are averaged over processes. So a loss that is a mean over images needs nothing; one that divides by a count
of the whole batch divides by `mean_over_processes` of it, and one that is no sum over images is made of `mean_of_all`.
Without gradients, as in validation, each process has images of its own and waits for no other.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def mean_over_processes(value: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The mean of each value over processes, as a constant."""
    if not _together():
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def mean_of_all(value: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The mean of each value over processes, through which gradients reach all of them."""
    if not _together():
        return value
    mean: Tensor = _Mean.apply(value)
    return mean


def processes() -> int:
    """How many processes a batch's images are shared out to."""
    return dist.get_world_size() if _together() else 1


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # Each process's loss depends on each one's value.
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()


def _together() -> bool:
    return torch.is_grad_enabled() and dist.is_available() and dist.is_initialized()
