"""A running mean of the weights, which validates better than the weights it is the mean of."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

Net = TypeVar("Net", bound=nn.Module)


class Ema(Generic[Net]):
    """Exponential moving average of a network's parameters and buffers (Polyak and Juditsky 1992).

    After update number t each value is d * mean + (1 - d) * value with d = decay * (1 - exp(-t / ramp)): the
    first means are short, or the random start would weigh in them for long. Whole numbers (counters of
    batches) are copied.

    Attributes:
        net: a network of its own that holds the means, in evaluation mode.
        updates: how many there have been.
    """

    def __init__(self, net: Net, decay: float, ramp: float) -> None:
        self.net = copy.deepcopy(net).requires_grad_(False).eval()
        self.decay, self.ramp, self.updates = decay, ramp, 0

    @torch.no_grad()
    def update(self, net: Net) -> None:
        """Move the means towards the present weights."""
        self.updates += 1
        decay = self.decay * (1 - math.exp(-self.updates / self.ramp))
        means, values, counters = [], [], []
        for mean, value in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
            if mean.is_floating_point():
                means.append(mean)
                values.append(value)
            else:
                counters.append((mean, value))
        torch._foreach_lerp_(means, values, 1 - decay)
        for mean, value in counters:
            mean.copy_(value)
