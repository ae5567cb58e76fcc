"""Which priors take part in the classification loss: masks by ranking, no index lists, no empty-case branch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from boxwright.types import Assignment


@dataclass(frozen=True)
class Everything:
    """All priors but the ignored ones: Lin et al. 2017 (Focal loss), section 4."""

    def __call__(
        self, assignment: Assignment, losses: Float[Tensor, "batch prior"]
    ) -> Bool[Tensor, "batch prior"]:
        """Mask of the priors that take part; `losses` do not matter."""
        return assignment.state != -1


@dataclass(frozen=True)
class HardNegatives:
    """All objects, and per image the background with the greatest loss: Liu et al. 2016, section 2.2.

    Attributes:
        ratio: background priors for each object prior.
        least: background priors that an image gives at least, so that pictures without objects teach too;
            0 in the paper, whose images all have objects.
    """

    ratio: float = 3.0
    least: int = 0

    @torch.no_grad()
    def __call__(
        self, assignment: Assignment, losses: Float[Tensor, "batch prior"]
    ) -> Bool[Tensor, "batch prior"]:
        """Mask of the priors that take part.

        Args:
            assignment: verdicts.
            losses: each prior's classification loss.
        """
        positive = assignment.state == 1
        rank = descending_rank(losses.masked_fill(assignment.state != 0, -torch.inf))
        wanted = (positive.sum(1, keepdim=True) * self.ratio).clamp(min=self.least)
        return positive | ((rank < wanted) & (assignment.state == 0))


def descending_rank(values: Float[Tensor, "batch prior"]) -> Tensor:
    """0 for the greatest of each row, 1 for the next, ...; equal values keep their order.

    >>> descending_rank(torch.tensor([[1.0, 3.0, 2.0, 3.0]]))
    tensor([[3, 0, 2, 1]])
    """
    order = values.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)
