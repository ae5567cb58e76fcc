"""A backbone's map as one vector an image."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

Pool = Literal["mean", "max", "grid", "flatten"]
POOLS: tuple[Pool, ...] = get_args(Pool)


class Pooled(nn.Module):
    """Normalised images -> one vector each.

    Args:
        backbone: normalised images -> a list of one map.
        pool: "mean" or "max" over all places, "grid" the means of 2 x 2 quarters, "flatten" the map as it is. The
            latter two keep places, and count channel by channel.
    """

    def __init__(self, backbone: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.backbone, self.pool = backbone, pool

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature"]:
        """The features.

        Args:
            images: RGB, normalised as the backbone wants them.
        """
        (maps,) = self.backbone(images)
        if self.pool == "mean":
            return maps.mean((2, 3))
        if self.pool == "max":
            return maps.amax((2, 3))
        if self.pool == "grid":
            return torch.stack(_quarters(maps), 2).flatten(1)
        return maps.flatten(1)


def _quarters(maps: Float[Tensor, "batch channel height width"]) -> list[Float[Tensor, "batch channel"]]:
    """Means of the quarters, row by row; a middle row or column counts on both sides."""
    height, width = maps.shape[2:]
    rows = (slice(0, (height + 1) // 2), slice(height // 2, height))
    columns = (slice(0, (width + 1) // 2), slice(width // 2, width))
    return [maps[:, :, row, column].mean((2, 3)) for row in rows for column in columns]
