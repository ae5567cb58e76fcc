"""The two stages of a two-stage network as networks that learn by themselves, beside parts that do not.

A network's file names its tensors as the whole network does, so that what a stage has learnt fits into the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Float, Int
from torch import Tensor, nn

from boxwright.decode import as_priors
from boxwright.detectors import Network, OneStage, TwoStage
from boxwright.types import Batch, Predictions


class FirstStage(Network):
    """A region proposal network by itself.

    Args:
        proposals: the network.
        fixed: parts of it that do not learn.
    """

    def __init__(self, proposals: OneStage, fixed: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.proposals, self.fixed = proposals, tuple(fixed)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], sizes: Int[Tensor, "batch 2"]
    ) -> Predictions:
        """Score and move every anchor."""
        out: Predictions = self.proposals(images, sizes)
        return out

    def taught(self, batch: Batch) -> Predictions:
        """Predictions on the anchors that losses are made of."""
        return self.proposals.taught(batch)

    def taught_and_seen(self, batch: Batch) -> tuple[Predictions, Predictions]:
        """One forward pass; in detection all anchors take part."""
        return self.proposals.taught_and_seen(batch)

    def stages(self) -> tuple[nn.Module, ...]:
        """What does not learn, then the backbone's parts: a run freezes from the front."""
        return (*self.fixed, *self.proposals.stages())

    @property
    def dense(self) -> OneStage:
        """All of it."""
        return self.proposals


class SecondStage(Network):
    """A second stage that learns on the regions that a first one finds.

    Args:
        net: the network; its own first stage finds the regions where nothing else does.
        fixed: parts that do not learn; what finds regions is among them.
        finder: finds regions with layers of its own.
    """

    def __init__(self, net: TwoStage, fixed: Sequence[nn.Module], finder: OneStage | None = None) -> None:
        super().__init__()
        self.proposals, self.regions, self.finder = net.proposals, net.regions, finder
        self.proposer, self.teacher, self.sampler = net.proposer, net.teacher, net.sampler
        self.fixed = tuple(fixed)

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        sizes: Int[Tensor, "batch 2"],
        scales: Float[Tensor, " batch"] | None = None,
    ) -> Predictions:
        """Find regions, then score and move them."""
        levels, found = self._first(images, sizes)
        return self.regions(levels, as_priors(self.proposer(found, sizes, scales)))

    @property
    def takes_scales(self) -> bool:
        """As the whole network does."""
        return self.proposer.min_size_in == "image"

    def taught(self, batch: Batch) -> Predictions:
        """Regions that were sampled with the targets."""
        return self._learnt(*self._first(batch.images, batch.sizes), batch)

    def taught_and_seen(self, batch: Batch) -> tuple[Predictions, Predictions]:
        """The second stage twice, on the features and the proposals of one first."""
        levels, found = self._first(batch.images, batch.sizes)
        seen = self.regions(levels, as_priors(self.proposer(found, batch.sizes, batch.scales)))
        return self._learnt(levels, found, batch), seen

    def stages(self) -> tuple[nn.Module, ...]:
        """What does not learn, then the backbone's parts: a run freezes from the front."""
        return (*self.fixed, *self.proposals.stages())

    def _first(
        self, images: Float[Tensor, "batch 3 height width"], sizes: Int[Tensor, "batch 2"]
    ) -> tuple[list[Tensor], Predictions]:
        levels = self.proposals.neck(self.proposals.backbone(images))
        if self.finder is None:
            return levels, self.proposals.on(levels, images, sizes)
        return levels, self.finder(images, sizes)

    def _learnt(self, levels: list[Tensor], found: Predictions, batch: Batch) -> Predictions:
        regions = self.sampler(as_priors(self.teacher(found, batch.sizes, batch.scales)), batch.targets)
        return replace(self.regions(levels, regions), sampled=True)
