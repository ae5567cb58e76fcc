"""The compositions: which parts follow which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from boxwright.features import FeatureSpec
from boxwright.priors import GridPriors
from boxwright.types import Predictions


@runtime_checkable
class Backbone(Protocol):
    """What a backbone owes: feature maps, what they look like, and its parts in order of depth."""

    specs: tuple[FeatureSpec, ...]

    def __call__(self, images: Tensor) -> list[Tensor]: ...

    def stages(self) -> tuple[nn.Module, ...]: ...


@runtime_checkable
class Neck(Protocol):
    """What a neck owes: levels, and what they look like."""

    specs: tuple[FeatureSpec, ...]

    def __call__(self, features: Sequence[Tensor]) -> list[Tensor]: ...


@runtime_checkable
class Head(Protocol):
    """What a dense head owes: logits and offsets of every prior of every level."""

    def __call__(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]: ...


class OneStage(nn.Module):
    """Backbone, neck, head, and priors laid on the levels: SSD and RetinaNet.

    The same forward serves training, evaluation and export.
    """

    backbone: Backbone
    neck: Neck
    head: Head

    def __init__(self, backbone: Backbone, neck: Neck, head: Head, priors: GridPriors) -> None:
        super().__init__()
        self.backbone, self.neck, self.head, self.priors = backbone, neck, head, priors

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], sizes: Int[Tensor, "batch 2"]
    ) -> Predictions:
        """Score and move every prior.

        Args:
            images: normalised, padded right and below.
            sizes: (height, width) of each without its padding.
        """
        levels = self.neck(self.backbone(images))
        logits, deltas = self.head(levels)
        grids = [(level.shape[2], level.shape[3]) for level in levels]
        priors = self.priors(grids, (images.shape[2], images.shape[3]), sizes, self.neck.specs)
        return Predictions(logits, deltas, priors)

    def stages(self) -> tuple[nn.Module, ...]:
        """The backbone's parts in order of depth, for freezing."""
        return self.backbone.stages()
