"""Which priors take part in the classification loss: masks by ranking, no index lists, no empty-case branch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from boxwright.draws import uniform
from boxwright.objective import Assign, Sample
from boxwright.types import Assignment, Priors, Targets


@dataclass(frozen=True)
class Everything:
    """All priors but the ignored ones: Lin et al. 2017 (Focal loss), section 4."""

    def __call__(
        self,
        assignment: Assignment,
        losses: Float[Tensor, "batch prior"],
        keys: Int[Tensor, " batch"] | None = None,
    ) -> Bool[Tensor, "batch prior"]:
        """Mask of the priors that take part; `losses` and `keys` do not matter."""
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
        self,
        assignment: Assignment,
        losses: Float[Tensor, "batch prior"],
        keys: Int[Tensor, " batch"] | None = None,
    ) -> Bool[Tensor, "batch prior"]:
        """Mask of the priors that take part.

        Args:
            assignment: verdicts.
            losses: each prior's classification loss.
            keys: of the images; they do not matter.
        """
        positive = assignment.state == 1
        rank = descending_rank(losses.masked_fill(assignment.state != 0, -torch.inf))
        wanted = (positive.sum(1, keepdim=True) * self.ratio).clamp(min=self.least)
        return positive | ((rank < wanted) & (assignment.state == 0))


@dataclass(frozen=True)
class Balanced:
    """A random few of each image, objects making up a part of them at most: Girshick 2015, section 2.3.

    Attributes:
        count: priors an image; background fills up what objects leave.
        objects: their greatest part.
    """

    count: int
    objects: float

    @torch.no_grad()
    def __call__(
        self,
        assignment: Assignment,
        losses: Float[Tensor, "batch prior"],
        keys: Int[Tensor, " batch"] | None = None,
    ) -> Bool[Tensor, "batch prior"]:
        """Mask of the priors that take part.

        Args:
            assignment: verdicts.
            losses: they do not matter.
            keys: of the images; what is drawn follows from them. Without them it is drawn anew at each call.
        """
        shape = assignment.state.shape
        if keys is None:
            chance = torch.rand(shape, device=assignment.state.device)
        else:
            # By place among those that could be drawn, so that padding changes nothing.
            place = (assignment.state != -1).cumsum(1).sub_(1).clamp_(min=0)
            chance = uniform(keys, shape[1]).gather(1, place)
        positive = self._drawn(chance, assignment.state == 1, int(self.count * self.objects))
        left = self.count - positive.sum(1, keepdim=True)
        return positive | self._drawn(chance, assignment.state == 0, left)

    @staticmethod
    def _drawn(
        chance: Float[Tensor, "batch prior"], among: Bool[Tensor, "batch prior"], count: int | Tensor
    ) -> Bool[Tensor, "batch prior"]:
        return among & (descending_rank(chance.masked_fill(~among, -torch.inf)) < count)


@dataclass(frozen=True)
class RegionSampler:
    """The regions that a second stage learns from: Girshick 2015, section 2.3, "Mini-batch sampling".

    Attributes:
        assign: the rule by which the second stage's objective will assign them again.
        sample: which are taken.
        count: how many that is at most; the second stage's batch is this long, whatever is found.
    """

    assign: Assign
    sample: Sample
    count: int

    @torch.no_grad()
    def __call__(self, proposals: Priors, targets: Targets) -> Priors:
        """The chosen among the proposals and the objects themselves, padded to one number."""
        regions = with_objects(proposals, targets)
        assignment = self.assign(regions, targets)
        mask = self.sample(assignment, torch.zeros_like(regions.boxes[..., 0]), targets.keys)
        place = mask.byte().argsort(dim=1, descending=True, stable=True)[:, : self.count]
        return Priors(
            regions.boxes.gather(1, place[..., None].expand(-1, -1, 4)),
            regions.level.gather(1, place),
            mask.gather(1, place),
        )


def with_objects(proposals: Priors, targets: Targets) -> Priors:
    """Proposals and, behind them, the objects' own boxes, so that each object has a region from the start."""
    boxes = torch.cat((proposals.boxes, targets.boxes), 1)
    level = torch.cat((proposals.level, torch.zeros_like(targets.labels)), 1)
    return Priors(boxes, level, torch.cat((proposals.valid, targets.valid & ~targets.ignore), 1))


def descending_rank(values: Float[Tensor, "batch prior"]) -> Tensor:
    """0 for the greatest of each row, 1 for the next, ...; equal values keep their order.

    >>> descending_rank(torch.tensor([[1.0, 3.0, 2.0, 3.0]]))
    tensor([[3, 0, 2, 1]])
    """
    order = values.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)
