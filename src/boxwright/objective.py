"""From predictions and targets to losses: assign, sample, compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from boxwright.boxes import DeltaCoder
from boxwright.together import mean_over_processes
from boxwright.types import (
    Assignment,
    Losses,
    Predictions,
    Priors,
    Targets,
    TwoStageLosses,
    TwoStageOutput,
)

Assign = Callable[[Priors, Targets], Assignment]
Sample = Callable[
    [Assignment, Float[Tensor, "batch prior"], Int[Tensor, " batch"] | None], Bool[Tensor, "batch prior"]
]
Classification = Callable[
    [Float[Tensor, "batch prior column"], Int[Tensor, "batch prior"], Bool[Tensor, "batch prior"]],
    Float[Tensor, "batch prior"],
]
Localisation = Callable[[Float[Tensor, "*axes 4"], Float[Tensor, "*axes 4"]], Float[Tensor, "*axes"]]


@dataclass(frozen=True)
class Objective:
    """What a detector is trained for.

    Both losses are summed over the priors that take part and divided by a number of priors (at least 1, so that
    images without objects stay finite).

    Attributes:
        assign: which object each prior answers for.
        sample: which priors take part in the classification loss.
        coder: the same one that decodes.
        classification: loss of each prior, given its object's label and whether it has one.
        localisation: loss of each object prior's offsets, or of its box.
        weight: of the localisation loss.
        compare: what `localisation` compares: the offsets of boxes from priors, or the boxes.
        divide: by the object priors of the whole batch, over all processes when there are several; by those of
            each image, and then by the number of images; or by all priors that take part.
    """

    assign: Assign
    sample: Sample
    coder: DeltaCoder
    classification: Classification
    localisation: Localisation
    weight: float = 1.0
    compare: Literal["offsets", "boxes"] = "offsets"
    divide: Literal["batch", "image", "sampled"] = "batch"

    def __call__(self, out: Predictions, targets: Targets) -> Losses:
        """Losses of a batch; works in training and in evaluation alike."""
        assignment = self.assign(out.priors, targets)
        positive = assignment.state == 1
        logits = out.logits.float()

        labels = targets.labels.gather(1, assignment.gt) if targets.labels.shape[1] else assignment.gt
        each = self.classification(logits, labels, positive)
        takes_part = self.sample(assignment, each.detach(), targets.keys)
        normaliser = self._normaliser(positive, takes_part)
        image, boxes = self._boxes(out, targets, assignment, positive & takes_part)
        return Losses(
            classification=(torch.where(takes_part, each, 0) / normaliser).sum(),
            localisation=self.weight * (boxes / normaliser[image, 0]).sum(),
            positives=positive.sum().float(),
        )

    def assigned(self, out: Predictions, targets: Targets) -> tuple[Priors, Assignment]:
        """The network's own priors and which objects they answer for, to be shown."""
        return out.priors, self.assign(out.priors, targets)

    def _normaliser(
        self, positive: Bool[Tensor, "batch prior"], takes_part: Bool[Tensor, "batch prior"]
    ) -> Float[Tensor, "batch 1"]:
        """What each image's losses are divided by."""
        if self.divide == "image":
            images = mean_over_processes(positive.new_tensor(len(positive), dtype=torch.float32))
            return positive.sum(1, keepdim=True).float().clamp(min=1) * images.clamp(min=1e-6)
        counted = takes_part if self.divide == "sampled" else positive
        return mean_over_processes(counted.sum().float()).clamp(min=1).expand(len(positive), 1)

    def _boxes(
        self,
        out: Predictions,
        targets: Targets,
        assignment: Assignment,
        positive: Bool[Tensor, "batch prior"],
    ) -> tuple[Int[Tensor, " object"], Float[Tensor, " object"]]:
        """The image and the localisation loss of the object priors alone: they are few; 0 of a head without."""
        image, prior = positive.nonzero(as_tuple=True)
        if out.deltas.shape[2] == 0:
            return image, out.deltas.new_zeros(len(image))
        # Heads with deltas per class train the ones of the right class.
        group = torch.zeros_like(prior)
        if out.deltas.shape[2] > 1:
            group = targets.labels[image, assignment.gt[image, prior]]
        boxes = targets.boxes[image, assignment.gt[image, prior]]
        shared = torch.zeros_like(image) if len(out.priors.boxes) == 1 else image
        priors, deltas = out.priors.boxes[shared, prior], out.deltas[image, prior, group].float()
        if self.compare == "boxes":
            return image, self.localisation(self.coder.decode(deltas, priors), boxes)
        return image, self.localisation(deltas, self.coder.encode(boxes, priors))


@dataclass(frozen=True)
class TwoStageObjective:
    """What a two-stage detector is trained for: Ren et al. 2015, section 3.2, "approximate joint training".

    Attributes:
        proposals: of the anchors, which tell objects of any class from background.
        regions: of the regions, which ground truth chose.
    """

    proposals: Objective
    regions: Objective

    def __call__(self, out: TwoStageOutput, targets: Targets) -> TwoStageLosses:
        """Losses of a batch.

        Raises:
            ValueError: regions that were made to detect, without the targets.
        """
        if not out.sampled:
            raise ValueError(
                "losses need regions that were sampled with the targets: net(images, sizes, targets)"
            )
        objects = replace(targets, labels=torch.zeros_like(targets.labels))
        first, second = self.proposals(out.proposals, objects), self.regions(out.regions, targets)
        return TwoStageLosses(
            objectness=first.classification,
            proposal_localisation=first.localisation,
            classification=second.classification,
            localisation=second.localisation,
            positives=second.positives,
        )

    def assigned(self, out: TwoStageOutput, targets: Targets) -> tuple[Priors, Assignment]:
        """The anchors and which objects they answer for, to be shown."""
        return self.proposals.assigned(out.proposals, targets)
