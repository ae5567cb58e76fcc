"""From predictions and targets to losses: assign, sample, compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Int
from torch import Tensor

from boxwright.boxes import DeltaCoder
from boxwright.types import Assignment, Losses, Predictions, Priors, Targets

Assign = Callable[[Priors, Targets], Assignment]
Sample = Callable[[Assignment, Float[Tensor, "batch prior"]], Bool[Tensor, "batch prior"]]
Classification = Callable[
    [Float[Tensor, "batch prior column"], Int[Tensor, "batch prior"]], Float[Tensor, "batch prior"]
]
Localisation = Callable[[Float[Tensor, "*axes 4"], Float[Tensor, "*axes 4"]], Float[Tensor, "*axes"]]


@dataclass(frozen=True)
class Objective:
    """What a detector is trained for.

    Both losses are summed over the priors that take part and divided by the object priors of the whole batch,
    over all processes when there are several (at least 1, so that a batch without objects stays finite).

    Attributes:
        assign: which object each prior answers for.
        sample: which priors take part in the classification loss.
        coder: the same one that decodes.
        classification: loss of each prior given its column.
        localisation: loss of each object prior's offsets.
        weight: of the localisation loss.
    """

    assign: Assign
    sample: Sample
    coder: DeltaCoder
    classification: Classification
    localisation: Localisation
    weight: float = 1.0

    def __call__(self, out: Predictions, targets: Targets) -> Losses:
        """Losses of a batch; works in training and in evaluation alike."""
        assignment = self.assign(out.priors, targets)
        positive = assignment.state == 1
        logits = out.logits.float()

        labels = targets.labels.gather(1, assignment.gt) if targets.labels.shape[1] else assignment.gt
        background = logits.shape[-1] - 1
        columns = torch.where(positive, labels, background)
        each = self.classification(logits, columns)
        takes_part = self.sample(assignment, each.detach())

        normaliser = mean_over_processes(positive.sum().float()).clamp(min=1)
        return Losses(
            classification=torch.where(takes_part, each, 0).sum() / normaliser,
            localisation=self.weight * self._boxes(out, targets, assignment, positive).sum() / normaliser,
            positives=positive.sum().float(),
        )

    def _boxes(
        self,
        out: Predictions,
        targets: Targets,
        assignment: Assignment,
        positive: Bool[Tensor, "batch prior"],
    ) -> Float[Tensor, " object"]:
        """Localisation loss of the object priors alone: they are few."""
        image, prior = positive.nonzero(as_tuple=True)
        # Heads with deltas per class train the ones of the right class.
        group = torch.zeros_like(prior)
        if out.deltas.shape[2] > 1:
            group = targets.labels[image, assignment.gt[image, prior]]
        boxes = targets.boxes[image, assignment.gt[image, prior]]
        shared = torch.zeros_like(image) if len(out.priors.boxes) == 1 else image
        goal = self.coder.encode(boxes, out.priors.boxes[shared, prior])
        return self.localisation(out.deltas[image, prior, group].float(), goal)


def mean_over_processes(value: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The mean of `value` over processes: gradients are averaged over them too, so sums come out right."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
