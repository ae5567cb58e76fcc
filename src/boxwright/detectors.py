"""The compositions: which parts follow which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from boxwright.decode import Decoder, as_priors
from boxwright.features import FeatureSpec
from boxwright.priors import GridPriors
from boxwright.sample import RegionSampler
from boxwright.types import Batch, Output, Predictions, Priors, Targets, TwoStageOutput


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


@runtime_checkable
class RegionStage(Protocol):
    """What a second stage owes: logits and offsets of the regions it is given."""

    def __call__(self, levels: Sequence[Tensor], regions: Priors) -> Predictions: ...

    def stages(self) -> tuple[nn.Module, ...]: ...


class Network(nn.Module):
    """What training and validation ask of a network. `forward(images, sizes)` is what detects.

    A network whose regions ground truth helps to choose says so by overriding both.
    """

    @property
    def takes_scales(self) -> bool:
        """Whether `forward` has a parameter `scales`: by how much each image was enlarged."""
        return False

    def taught(self, batch: Batch) -> Any:
        """What the losses of a batch are made of: what the detector's objective takes."""
        return self(batch.images, batch.sizes)

    def taught_and_seen(self, batch: Batch) -> tuple[Any, Output]:
        """What the losses are made of, and what is decoded, at the cost of little more than one of them."""
        out = self.taught(batch)
        return out, out

    def stages(self) -> tuple[nn.Module, ...]:
        """The backbone's parts in order of depth, for freezing."""
        raise NotImplementedError

    @property
    def dense(self) -> OneStage | None:
        """The part that has priors on every cell, for what looks at anchors; None where there is none."""
        return None


class OneStage(Network):
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
        return self.on(self.neck(self.backbone(images)), images, sizes)

    def on(
        self,
        levels: Sequence[Tensor],
        images: Float[Tensor, "batch 3 height width"],
        sizes: Int[Tensor, "batch 2"],
    ) -> Predictions:
        """The same for levels that are there already."""
        logits, deltas = self.head(levels)
        grids = [(level.shape[2], level.shape[3]) for level in levels]
        priors = self.priors(grids, (images.shape[2], images.shape[3]), sizes, self.neck.specs)
        return Predictions(logits, deltas, priors)

    def for_training(self, out: Predictions, sizes: Int[Tensor, "batch 2"]) -> Predictions:
        """The same predictions on the priors that losses are made of."""
        return replace(out, priors=self.priors.for_training(out.priors, sizes))

    def taught(self, batch: Batch) -> Predictions:
        """Predictions on the priors that losses are made of."""
        return self.for_training(self(batch.images, batch.sizes), batch.sizes)

    def taught_and_seen(self, batch: Batch) -> tuple[Predictions, Predictions]:
        """One forward pass; in detection all priors take part."""
        out: Predictions = self(batch.images, batch.sizes)
        return self.for_training(out, batch.sizes), out

    def stages(self) -> tuple[nn.Module, ...]:
        """The backbone's parts in order of depth, for freezing."""
        return self.backbone.stages()

    @property
    def dense(self) -> OneStage:
        """All of it."""
        return self


class TwoStage(Network):
    """A one-stage network whose best boxes, of whatever class, are the regions of a second stage: Faster R-CNN.

    Args:
        proposals: scores and moves anchors: backbone, neck, RPN's head (Ren et al. 2015, section 3.1).
        proposer: what makes regions of that.
        teacher: the same in training, where there are more of them.
        sampler: which of those, with the objects themselves, are learnt from.
        regions: the second stage, on the levels of the first.
    """

    regions: RegionStage

    def __init__(
        self,
        proposals: OneStage,
        proposer: Decoder,
        teacher: Decoder,
        sampler: RegionSampler,
        regions: RegionStage,
    ) -> None:
        super().__init__()
        self.proposals, self.regions = proposals, regions
        self.proposer, self.teacher, self.sampler = proposer, teacher, sampler

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        sizes: Int[Tensor, "batch 2"],
        targets: Targets | None = None,
        scales: Float[Tensor, " batch"] | None = None,
    ) -> TwoStageOutput:
        """Propose regions, then score and move them.

        Args:
            images: normalised, padded right and below.
            sizes: (height, width) of each without its padding.
            targets: the objects: they join the proposals, and regions to learn from are sampled. Without them
                the regions are those that detect.
            scales: by how much each image was enlarged; images that were not resized, if not given.
        """
        levels, proposals = self._first(images, sizes)
        return self._second(levels, proposals, sizes, targets, scales)

    @property
    def takes_scales(self) -> bool:
        """Where the least side of a proposal is in pixels of the image before it was resized."""
        return self.proposer.min_size_in == "image"

    def taught(self, batch: Batch) -> TwoStageOutput:
        """Regions that were sampled with the targets."""
        out: TwoStageOutput = self(batch.images, batch.sizes, batch.targets, batch.scales)
        return out

    def taught_and_seen(self, batch: Batch) -> tuple[TwoStageOutput, TwoStageOutput]:
        """The second stage twice, on the features and the proposals of one first."""
        levels, proposals = self._first(batch.images, batch.sizes)
        return (
            self._second(levels, proposals, batch.sizes, batch.targets, batch.scales),
            self._second(levels, proposals, batch.sizes, None, batch.scales),
        )

    def stages(self) -> tuple[nn.Module, ...]:
        """The backbone's parts in order of depth, for freezing."""
        return self.proposals.stages()

    @property
    def dense(self) -> OneStage:
        """The first stage."""
        return self.proposals

    @property
    def backbone(self) -> Backbone:
        """The first stage's, which the second shares."""
        return self.proposals.backbone

    def _first(
        self, images: Float[Tensor, "batch 3 height width"], sizes: Int[Tensor, "batch 2"]
    ) -> tuple[list[Tensor], Predictions]:
        levels = self.proposals.neck(self.proposals.backbone(images))
        return levels, self.proposals.on(levels, images, sizes)

    def _second(
        self,
        levels: Sequence[Tensor],
        proposals: Predictions,
        sizes: Int[Tensor, "batch 2"],
        targets: Targets | None,
        scales: Float[Tensor, " batch"] | None,
    ) -> TwoStageOutput:
        regions = self.regions(levels, self._regions(proposals, sizes, targets, scales))
        if targets is not None:
            proposals = self.proposals.for_training(proposals, sizes)
        return TwoStageOutput(proposals, replace(regions, sampled=targets is not None))

    @torch.no_grad()
    def _regions(
        self,
        proposals: Predictions,
        sizes: Int[Tensor, "batch 2"],
        targets: Targets | None,
        scales: Float[Tensor, " batch"] | None,
    ) -> Priors:
        """Where the regions lie is no path of gradients: Ren et al. 2015, section 3.2, "approximate"."""
        if targets is None:
            return as_priors(self.proposer(proposals, sizes, scales))
        return self.sampler(as_priors(self.teacher(proposals, sizes, scales)), targets)


class RegionClassifier(Network):
    """Regions that were found elsewhere, scored and moved: R-CNN and Fast R-CNN.

    Args:
        backbone: of the whole image (Girshick 2015, section 2); `Pixels` for what looks at each region alone.
        neck: on the backbone.
        sampler: which regions are learnt from.
        regions: the head.
    """

    backbone: Backbone
    neck: Neck
    regions: RegionStage

    def __init__(self, backbone: Backbone, neck: Neck, sampler: RegionSampler, regions: RegionStage) -> None:
        super().__init__()
        self.backbone, self.neck, self.sampler, self.regions = backbone, neck, sampler, regions

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        sizes: Int[Tensor, "batch 2"],
        proposals: Priors,
        targets: Targets | None = None,
    ) -> Predictions:
        """Score and move the proposals.

        Args:
            images: normalised, padded right and below.
            sizes: (height, width) of each without its padding.
            proposals: regions of each image.
            targets: the objects: they join the proposals, and regions to learn from are sampled.
        """
        return self._judged(self.neck(self.backbone(images)), proposals, targets)

    def taught(self, batch: Batch) -> Predictions:
        """Regions that were sampled with the targets."""
        return self(batch.images, batch.sizes, _proposals(batch), batch.targets)

    def taught_and_seen(self, batch: Batch) -> tuple[Predictions, Predictions]:
        """The head twice, on one map."""
        levels, proposals = self.neck(self.backbone(batch.images)), _proposals(batch)
        return self._judged(levels, proposals, batch.targets), self._judged(levels, proposals, None)

    def stages(self) -> tuple[nn.Module, ...]:
        """Parts of the backbone, or of what stands for it in each region, in order of depth, for freezing."""
        return (*self.backbone.stages(), *self.regions.stages())

    def _judged(self, levels: Sequence[Tensor], proposals: Priors, targets: Targets | None) -> Predictions:
        if targets is None:
            return self.regions(levels, proposals)
        return replace(self.regions(levels, self.sampler(proposals, targets)), sampled=True)


def _proposals(batch: Batch) -> Priors:
    if batch.proposals is None:
        raise ValueError("this network judges regions that are given, and the batch has none")
    return batch.proposals
