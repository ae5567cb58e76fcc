"""No neck: the head stands on the backbone's taps themselves."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from boxwright.features import FeatureSpec


class Identity(nn.Module):
    """The taps as they are, as in Ren et al. 2015 and Girshick 2015, whose heads share one map.

    Args:
        specs: of the backbone's taps, finest first.
    """

    def __init__(self, specs: Sequence[FeatureSpec]) -> None:
        super().__init__()
        self.specs = tuple(specs)

    def forward(self, features: Sequence[Float[Tensor, "batch _ _ _"]]) -> list[Float[Tensor, "batch _ _ _"]]:
        """The same maps."""
        return list(features)
