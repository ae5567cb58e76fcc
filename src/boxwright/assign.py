"""Which object each prior answers for: by IoU thresholds, and by force for objects that no prior fits well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from boxwright.boxes import area, intersection, iou
from boxwright.types import Assignment, Priors, Targets

Force = Literal["none", "best", "bipartite", "last"]
"""Which prior an object gets though no threshold gives it one:

none       none
best       the prior it overlaps most, or several on a tie, which still answer for their own best object
           (Ren et al. 2015, section 3.1.2, rule i)
bipartite  its best prior; of two objects that want the same, the better overlap has it and the other takes
           its next best (Liu et al. 2016, section 2.2, after MultiBox)
last       its best prior; of two objects that want the same, the later one has it (torchvision's SSD)
"""


@dataclass(frozen=True)
class IoUAssigner:
    """Assign by overlap.

    Attributes:
        foreground: a prior answers for its best object from this IoU on.
        background: a prior below this IoU with every object is background; in between it is ignored.
        force: what happens to objects below the threshold.
        least: a prior whose best overlap is below this is no background but ignored (Girshick 2015, section 2.3: .1,
            "a heuristic for hard example mining").
        covered: a prior with this share of its own area in an ignored object (crowd, difficult) is ignored.
    """

    foreground: float = 0.5
    background: float = 0.5
    force: Force = "none"
    least: float = 0.0
    covered: float = 0.5

    @torch.no_grad()
    def __call__(self, priors: Priors, targets: Targets) -> Assignment:
        """Assign a padded batch; images without objects are all background.

        The loop over images stands here because slicing the padding off is 2-6 times as fast on a CPU as
        matching every prior with every padded object.
        """
        gt, state = [], []
        for image, valid in enumerate(targets.valid):
            boxes = priors.boxes[image if len(priors.boxes) > 1 else 0]
            ignored = targets.ignore[image]
            g, s = self._one(
                boxes, priors.valid[image], targets.boxes[image], valid & ~ignored, valid & ignored
            )
            gt.append(g)
            state.append(s)
        states = torch.stack(state).masked_fill(~priors.valid, -1)
        return Assignment(torch.stack(gt), states)

    def _one(
        self,
        priors: Float[Tensor, "prior 4"],
        usable: Bool[Tensor, " prior"],
        boxes: Float[Tensor, "gt 4"],
        objects: Bool[Tensor, " gt"],
        ignored: Bool[Tensor, " gt"],
    ) -> tuple[Int[Tensor, " prior"], Int[Tensor, " prior"]]:
        index = objects.nonzero()[:, 0]
        gt = priors.new_zeros(len(priors), dtype=torch.long)
        state = torch.zeros_like(gt)
        if len(index):
            # An object's best prior is one of those that take part: another would be ignored, and the object lost.
            overlap = iou(boxes[index], priors).masked_fill(~usable, 0.0)
            best, row = overlap.max(0)
            negative = (best < self.background) & (best >= self.least)
            state = torch.where(best >= self.foreground, 1, torch.where(negative, 0, -1))
            if self.force == "best":
                most = overlap.amax(1, keepdim=True)
                state = torch.where(((overlap == most) & (most > 0)).any(0), 1, state)
            elif self.force == "last":
                # In order, so that the later object wins whatever the device makes of duplicate indices.
                for number, prior in enumerate(overlap.argmax(1).tolist()):
                    row[prior], state[prior] = number, 1
            elif self.force == "bipartite":
                for number, prior in bipartite(overlap):
                    row[prior], state[prior] = number, 1
            gt = index[row]
        if ignored.any():
            share = intersection(priors, boxes[ignored]) / area(priors)[:, None].clamp(min=1e-9)
            state = torch.where((share.amax(1) >= self.covered) & (state != 1), -1, state)
        return gt, state


def bipartite(overlap: Float[Tensor, "gt prior"]) -> list[tuple[int, int]]:
    """Pairs (object, prior) by greatest remaining overlap, each used once; objects with no overlap stay out.

    >>> bipartite(torch.tensor([[0.9, 0.2, 0.0], [0.8, 0.3, 0.0]]))
    [(0, 0), (1, 1)]
    """
    left = overlap.clone()
    pairs: list[tuple[int, int]] = []
    best, prior = left.max(1)
    for _ in range(min(left.shape)):
        row = int(best.argmax())
        if best[row] <= 0:
            break
        taken = int(prior[row])
        pairs.append((row, taken))
        left[row], left[:, taken] = -1, -1
        # Only objects that wanted the taken prior must look again.
        again = prior == taken
        best[row] = -1
        again[row] = False
        if again.any():
            best[again], prior[again] = left[again].max(1)
    return pairs
