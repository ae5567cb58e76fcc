"""What the probe compares: raw pixels, their colours, and a backbone's taps, as flat maps and pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from boxwright.errors import InputError, near
from boxwright.weights.trunk import Trunk

Pool = Literal["flatten", "mean", "max"]
POOLS: tuple[Pool, ...] = get_args(Pool)

MOST = 2**17
"""Values of a flat map that are compared. Of a longer one these are drawn once; distances change by about 1%."""
BINS = 8
"""Of the colour histogram, for each of red, green and blue."""

Windows = Float32[np.ndarray, "picture size size 3"]
Rows = Float32[np.ndarray, "picture value"]


def checked_pools(names: Sequence[str]) -> tuple[Pool, ...]:
    """The names, of which each must be one of `POOLS`, in the order of those.

    Raises:
        InputError: another name, or none.
    """
    for name in names:
        if name not in POOLS:
            raise InputError(f"no pooling {name!r}", hint=near(name, POOLS))
    if not names:
        raise InputError("no pooling is named", hint=f"there are {', '.join(POOLS)}")
    return tuple(pool for pool in POOLS if pool in names)


def colour_histogram(windows: Windows) -> Float32[np.ndarray, "picture 512"]:
    """Square roots of the shares of 8 x 8 x 8 colours.

    Their Euclidean distance is Hellinger's, but for a factor: small shares count as much as they should.

    >>> colour_histogram(np.zeros((1, 4, 4, 3), np.float32))[0, :3].tolist()
    [1.0, 0.0, 0.0]
    """
    cells = np.minimum((windows * BINS).astype(int), BINS - 1) @ (BINS * BINS, BINS, 1)
    counts = [np.bincount(cell.ravel(), minlength=BINS**3) for cell in cells]
    shares = np.stack(counts) / np.prod(windows.shape[1:3])
    return np.sqrt(shares, dtype=np.float32)


@dataclass(frozen=True)
class Representations:
    """All that one pass over some windows gives.

    Attributes:
        trunk: in evaluation mode, on the device that it computes on.
        pools: how its maps are looked at.
        seed: of the values that stand for a longer flat map.
        batch: windows that the trunk sees at once.
    """

    trunk: Trunk
    pools: tuple[Pool, ...]
    seed: int = 0
    batch: int = 16

    @property
    def names(self) -> tuple[str, ...]:
        """All representations: the baselines, then tap by tap."""
        taps = (f"{tap} {pool}" for tap in self.trunk.taps for pool in self.pools)
        return ("pixels", "mean colour", "histogram", *taps)

    def __call__(self, windows: Windows) -> dict[str, Rows]:
        """Name -> one row for each window."""
        pixels = torch.from_numpy(windows).permute(0, 3, 1, 2)
        found = {
            "pixels": self._pooled(pixels, "flatten").numpy(),
            "mean colour": self._pooled(pixels, "mean").numpy(),
            "histogram": colour_histogram(windows),
        }
        parts: dict[str, list[Tensor]] = {name: [] for name in self.names[len(found) :]}
        device = self.trunk.mean.device
        with torch.inference_mode():
            for part in pixels.split(self.batch):
                maps = self.trunk(part.to(device).contiguous(memory_format=torch.channels_last))
                for tap, values in zip(self.trunk.taps, maps, strict=True):
                    for pool in self.pools:
                        parts[f"{tap} {pool}"].append(self._pooled(values, pool).float().cpu())
        return found | {name: torch.cat(rows).numpy() for name, rows in parts.items()}

    def _pooled(
        self, values: Float[Tensor, "batch channel height width"], pool: Pool
    ) -> Float[Tensor, "batch value"]:
        if pool == "mean":
            return values.mean((2, 3))
        if pool == "max":
            return values.amax((2, 3))
        flat = values.contiguous().flatten(1)
        if flat.shape[1] <= MOST:
            return flat
        return flat[:, torch.from_numpy(_drawn(self.seed, flat.shape[1])).to(flat.device)]


@cache
def _drawn(seed: int, length: int) -> Int64[np.ndarray, "value"]:
    """Which values stand for a map of so many."""
    return np.sort(np.random.default_rng([seed, length]).choice(length, MOST, replace=False))
