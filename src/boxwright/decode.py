"""From predictions to detections: score, choose candidates, move, clip, suppress. Everything static in shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from boxwright.boxes import DeltaCoder, clip
from boxwright.nms import nms
from boxwright.types import Detections, Output, Predictions, Priors, TwoStageOutput

Activation = Literal["softmax", "sigmoid", "softmax-objects"]
"""How logits become scores:

softmax          over all columns; the last is background, and dropped
softmax-objects  over all columns, each of them a class: there is an object in any case
sigmoid          each column by itself; there is no background
"""


@dataclass(frozen=True)
class Decoder:
    """How raw predictions become detections.

    Attributes:
        coder: the same one that encoded the targets.
        activation: how logits become scores.
        floor: only scores above this are candidates.
        candidates: the best that reach suppression, of each class (SSD: 400) or of each level.
        iou: a box that overlaps a better one of its class by more is suppressed.
        detections: the best that remain, over all classes (SSD: 200).
        per: whether candidates are chosen class by class, or level by level with all classes together
            (RetinaNet: 1000 a level).
        among: which boxes suppress each other: those of a class, or those of a level (region proposals).
        smallest: a box with a side below this, in pixels, is no candidate.
        min_size_in: whose pixels those are: the network's input, or the image before it was resized
            (py-faster-rcnn's RPN_MIN_SIZE).
    """

    coder: DeltaCoder
    activation: Activation
    floor: float
    candidates: int
    iou: float
    detections: int
    per: Literal["class", "level"] = "class"
    among: Literal["class", "level"] = "class"
    smallest: float = 0.0
    min_size_in: Literal["input", "image"] = "input"

    def __call__(
        self, out: Output, sizes: Int[Tensor, "batch 2"], scales: Float[Tensor, " batch"] | None = None
    ) -> Detections:
        """Detections in pixels of the network's input, inside each image's unpadded (height, width).

        Args:
            out: of the network.
            sizes: (height, width) of each image without its padding.
            scales: by how much each was enlarged; images that were not resized, if not given.

        Raises:
            ValueError: regions that were sampled with the targets.
        """
        if out.sampled:
            raise ValueError("these regions were sampled with the targets: detect without them")
        if isinstance(out, TwoStageOutput):
            out = out.regions
        best, prior, labels = self._candidates(self.scores(out), out.priors.per_level)
        boxes = clip(self._boxes(out, prior, labels), sizes)
        if self.smallest > 0:
            least: float | Tensor = self.smallest
            if self.min_size_in == "image" and scales is not None:
                least = self.smallest * scales[:, None, None]
            large = (boxes[..., 2:] - boxes[..., :2] >= least).all(-1)
            best = torch.where(large, best, -torch.inf)
        groups = labels
        if self.among == "level":
            # Not len(prior), which would fix the batch where a graph is captured.
            groups = out.priors.level.expand(prior.shape[0], -1).gather(1, prior)
        keep = nms(boxes, best, groups, self.iou, self.detections)
        valid = keep >= 0
        kept = keep.clamp(min=0)
        return Detections(
            boxes=boxes.gather(1, kept[..., None].expand(-1, -1, 4)) * valid[..., None],
            scores=torch.where(valid, best.gather(1, kept), 0.0),
            labels=torch.where(valid, labels.gather(1, kept), 0),
            valid=valid,
        )

    def _candidates(
        self, scores: Float[Tensor, "batch class prior"], per_level: tuple[int, ...]
    ) -> tuple[
        Float[Tensor, "batch candidate"], Int[Tensor, "batch candidate"], Int[Tensor, "batch candidate"]
    ]:
        """Scores of the best, their priors and their labels."""
        if self.per == "class":
            best, prior = scores.topk(min(self.candidates, scores.shape[2]), dim=2)
            labels = torch.arange(best.shape[1], device=best.device)[None, :, None].expand_as(best)
            return best.flatten(1), prior.flatten(1), labels.flatten(1)
        start, chosen = 0, []
        for count in per_level:
            # [batch, prior * class], so that equal scores are taken in the order of priors.
            level = scores[:, :, start : start + count].transpose(1, 2).flatten(1)
            best, place = level.topk(min(self.candidates, level.shape[1]))
            classes = scores.shape[1]
            chosen.append((best, place // classes + start, place % classes))
            start += count
        best, prior, labels = (torch.cat(part, 1) for part in zip(*chosen, strict=True))
        return best, prior, labels

    def scores(self, out: Predictions) -> Float[Tensor, "batch class prior"]:
        """Probability of each class at each prior; -inf where it is no candidate."""
        logits = out.logits.float()
        if self.activation == "softmax":
            probability = logits.softmax(-1)[..., :-1]
        elif self.activation == "softmax-objects":
            probability = logits.softmax(-1)
        else:
            probability = logits.sigmoid()
        candidate = (probability > self.floor) & out.priors.valid[..., None]
        return torch.where(candidate, probability, -torch.inf).transpose(1, 2)

    def _boxes(
        self, out: Predictions, prior: Int[Tensor, "batch candidate"], labels: Int[Tensor, "batch candidate"]
    ) -> Float[Tensor, "batch candidate 4"]:
        """Moved boxes of the candidates alone; where a head moves none, they are the priors."""
        batch, _, groups, _ = out.deltas.shape
        priors = out.priors.boxes.expand(batch, -1, -1).gather(1, prior[..., None].expand(-1, -1, 4))
        if groups == 0:
            return priors
        row = prior * groups + (labels if groups > 1 else 0)
        deltas = out.deltas.float().flatten(1, 2).gather(1, row[..., None].expand(-1, -1, 4))
        return self.coder.decode(deltas, priors)


def as_priors(found: Detections) -> Priors:
    """Detections as what the next network scores and moves: a proposal is a prior."""
    return Priors(found.boxes, torch.zeros_like(found.labels), found.valid)
