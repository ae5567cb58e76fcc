"""Losses prior by prior, unreduced: the objective decides what counts and what to divide by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def softmax_cross_entropy(
    logits: Float[Tensor, "batch prior column"], columns: Int[Tensor, "batch prior"]
) -> Float[Tensor, "batch prior"]:
    """-log of the softmax probability of the right column (background is the last)."""
    return F.cross_entropy(logits.flatten(0, 1), columns.flatten(), reduction="none").view(columns.shape)


def smooth_l1(
    deltas: Float[Tensor, "*axes 4"], targets: Float[Tensor, "*axes 4"], beta: float = 1.0
) -> Float[Tensor, "*axes"]:
    """Sum over the four offsets of a loss that is quadratic within `beta`: Girshick 2015, equation 3.

    >>> smooth_l1(torch.tensor([0.5, 2.0, 0.0, 0.0]), torch.zeros(4)).item()
    1.625
    """
    distance = (deltas - targets).abs()
    quadratic = 0.5 * distance.square() / beta if beta > 0 else distance
    return torch.where(distance < beta, quadratic, distance - 0.5 * beta).sum(-1)
