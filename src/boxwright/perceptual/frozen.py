"""A backbone that others' losses look through: it gives features and gradients of pictures, and never learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.errors import InputError
from boxwright.features import FeatureSpec
from boxwright.weights.trunk import Trunk

_LARGEST_LEAST = 4096
"""Where the search for the least picture ends: no backbone has a tap of so large a stride."""


class FrozenTrunk(nn.Module):
    """A trunk that stands outside the tree of modules that holds it.

    A parent's `state_dict`, `parameters`, `train` and `requires_grad_` do not reach it, so that a loss may be a part
    of what is trained and saved; `to` and its like do. Its parameters get no gradients and it stays in evaluation
    mode.

    Args:
        trunk: pictures -> maps; it is frozen in place and laid out channels last.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        trunk.eval().requires_grad_(False)
        trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.trunk: Trunk
        object.__setattr__(self, "trunk", trunk)
        self.least = {tap: _least_side(spec) for tap, spec in zip(trunk.taps, trunk.specs, strict=True)}

    def forward(
        self, pictures: Float[Tensor, "batch 3 height width"]
    ) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """The map of each tap, by name.

        Args:
            pictures: RGB in [0, 1].

        Raises:
            InputError: so small a picture that nothing is left of it at a tap.
        """
        side = min(pictures.shape[-2:])
        for tap, least in self.least.items():
            if side < least:
                height, width = pictures.shape[-2:]
                raise InputError(
                    f"of a picture of {height} x {width} pixels nothing is left at {tap} of {self.trunk.name}",
                    hint=f"give {least} pixels a side or more, or take an earlier tap",
                )
        maps = self.trunk(pictures.contiguous(memory_format=torch.channels_last))
        return dict(zip(self.trunk.taps, maps, strict=True))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenTrunk:
        # What `to`, `double` and `cuda` come down to; the tree does not know of the trunk.
        self.trunk._apply(fn, recurse)
        super()._apply(fn, recurse)
        return self


def check_weights(trunk: Trunk, weights: Mapping[str, float], what: str) -> dict[str, float]:
    """Weights by tap, as floats, if the trunk has these taps and no weight is negative.

    Raises:
        InputError: a tap that the trunk was not built with, or a weight that is none.
    """
    for tap, weight in weights.items():
        if tap not in trunk.taps:
            raise InputError(
                f"{what}: the trunk has no tap {tap}", hint=f"it was built with {', '.join(trunk.taps)}"
            )
        if not 0 <= weight < float("inf"):
            raise InputError(f"{what}: the weight of {tap} is {weight!r}", hint="give 0 or more")
    return {tap: float(weight) for tap, weight in weights.items()}


def _least_side(spec: FeatureSpec) -> int:
    """The fewest pixels a side of which a tap still has a cell."""

    def left(size: int) -> bool:
        for step in spec.steps:
            size = step.cells(size)
            if size < 1:
                return False
        return True

    return next(size for size in range(1, _LARGEST_LEAST) if left(size))
