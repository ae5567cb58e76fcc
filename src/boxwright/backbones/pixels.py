"""No backbone: the image itself is the only map, for networks that look at each region alone."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from boxwright.features import FeatureSpec


class Pixels(nn.Module):
    """The image as its own features, of stride 1: R-CNN and sliding windows cut regions out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.specs: tuple[FeatureSpec, ...] = (FeatureSpec(3, ()),)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The images."""
        return [images]

    def stages(self) -> tuple[nn.Module, ...]:
        """None: there is nothing to train."""
        return ()
