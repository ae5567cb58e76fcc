"""The records that flow through a detector: padded tensors of fixed shape, with validity as a mask.

Axes have one vocabulary: batch, gt (annotated objects), prior (any box that a network scores and moves: default
box, anchor, proposal, window), column (a head's scores for one prior), group (sets of deltas for one prior: none,
one, or one per class), det, class, height, width. Boxes are xyxy in pixels of the network's input, float32.
Labels are `[0, C)`; background is never a label.
"""
# No `from __future__ import annotations` here: jaxtyping checks these fields as classes, not as strings.

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def _agree(record: str, **sizes: tuple[object, ...]) -> None:
    """Raise unless the shapes that must agree do; `tree_map` puts non-tensors in, and those pass."""
    known = {name: shape for name, shape in sizes.items() if shape}
    shapes = list(known.values())
    if any(shape != shapes[0] for shape in shapes):  # no set: a symbolic size, in an export, has no hash
        raise ValueError(f"{record}: " + ", ".join(f"{name} {shape}" for name, shape in known.items()))


def _shape(leaf: object, *axes: int) -> tuple[object, ...]:
    return tuple(leaf.shape[axis] for axis in axes) if isinstance(leaf, Tensor) else ()


@dataclass(frozen=True)
class Targets:
    """Ground truth of a batch, padded to the most crowded image."""

    boxes: Float[Tensor, "batch gt 4"]
    labels: Int[Tensor, "batch gt"]
    valid: Bool[Tensor, "batch gt"]
    ignore: Bool[Tensor, "batch gt"]  # crowd and difficult: never matched, never background either
    keys: Int[Tensor, " batch"] | None = None  # what random choices about each image follow from; see `draws`

    def __post_init__(self) -> None:
        _agree("Targets", boxes=_shape(self.boxes, 0, 1), labels=_shape(self.labels, 0, 1))


@dataclass(frozen=True)
class Priors:
    """Boxes that a network scores and moves; anchors shared by the batch have batch 1."""

    boxes: Float[Tensor, "shared prior 4"]
    level: Int[Tensor, "shared prior"]
    valid: Bool[Tensor, "batch prior"]  # False over padding, and for padded proposals
    per_level: tuple[int, ...] = ()  # how many each level has, where they stand level by level

    def to(self, device: torch.device) -> "Priors":
        """The same elsewhere."""
        return Priors(self.boxes.to(device), self.level.to(device), self.valid.to(device), self.per_level)

    def __post_init__(self) -> None:
        _agree(
            "Priors",
            boxes=_shape(self.boxes, 1),
            level=_shape(self.level, 1),
            valid=_shape(self.valid, 1),
        )


@dataclass(frozen=True)
class Batch:
    """Normalised images, padded right and below; `sizes` are the (height, width) without the padding."""

    images: Float[Tensor, "batch 3 height width"]
    sizes: Int[Tensor, "batch 2"]
    targets: Targets
    paths: tuple[str, ...]
    proposals: Priors | None = None  # regions that were found beforehand, for networks that judge given ones
    scales: Float[Tensor, " batch"] | None = None  # pixels of the input by pixels of the image's own file


@dataclass(frozen=True)
class Predictions:
    """What a head says of every prior; softmax heads carry background as their last column."""

    logits: Float[Tensor, "batch prior column"]
    deltas: Float[Tensor, "batch prior group 4"]
    priors: Priors
    sampled: bool = False  # ground truth chose the priors: these are for losses, and must not be detections

    def __post_init__(self) -> None:
        _agree(
            "Predictions",
            logits=_shape(self.logits, 1),
            deltas=_shape(self.deltas, 1),
            priors=_shape(self.priors.boxes, 1) if isinstance(self.priors, Priors) else (),
        )


@dataclass(frozen=True)
class TwoStageOutput:
    """What a two-stage network says: of its anchors, and of the regions it made of the best of them."""

    proposals: Predictions
    regions: Predictions

    @property
    def sampled(self) -> bool:
        """Whether ground truth chose the regions: losses need it, and detections must not have it."""
        return self.regions.sampled


Output = Predictions | TwoStageOutput
"""What a network may return."""


@dataclass(frozen=True)
class Assignment:
    """Which object each prior answers for, and whether it does at all."""

    gt: Int[Tensor, "batch prior"]  # index into the targets; meaningful only where state is +1
    state: Int[Tensor, "batch prior"]  # +1 object, 0 background, -1 ignored


@dataclass(frozen=True)
class Losses:
    """Scalars to be summed, and how many priors answered for an object (for the log)."""

    classification: Float[Tensor, ""]
    localisation: Float[Tensor, ""]
    positives: Float[Tensor, ""]

    @property
    def total(self) -> Float[Tensor, ""]:
        """What is differentiated."""
        return self.classification + self.localisation


@dataclass(frozen=True)
class TwoStageLosses:
    """Scalars to be summed, of the proposals and of the regions, and how many regions answered for an object."""

    objectness: Float[Tensor, ""]
    proposal_localisation: Float[Tensor, ""]
    classification: Float[Tensor, ""]
    localisation: Float[Tensor, ""]
    positives: Float[Tensor, ""]

    @property
    def total(self) -> Float[Tensor, ""]:
        """What is differentiated: Ren et al. 2015, section 3.2, "approximate joint training"."""
        return self.objectness + self.proposal_localisation + self.classification + self.localisation


@dataclass(frozen=True)
class Detections:
    """Detections of a batch, best score first, padded to a fixed number."""

    boxes: Float[Tensor, "batch det 4"]
    scores: Float[Tensor, "batch det"]
    labels: Int[Tensor, "batch det"]
    valid: Bool[Tensor, "batch det"]

    def __post_init__(self) -> None:
        _agree("Detections", boxes=_shape(self.boxes, 0, 1), scores=_shape(self.scores, 0, 1))


def given(boxes: np.ndarray, valid: np.ndarray) -> Priors:
    """Regions from elsewhere as priors: [batch, roi, 4] and [batch, roi]."""
    laid, is_valid = torch.from_numpy(boxes), torch.from_numpy(valid)
    return Priors(laid, torch.zeros_like(is_valid, dtype=torch.long), is_valid)


for _record in (Targets, Priors, Predictions, TwoStageOutput, Assignment, Losses, TwoStageLosses, Detections):
    torch.export.register_dataclass(_record, serialized_type_name=f"boxwright.{_record.__name__}")
