"""The two figures of the probe: how far a picture moved, and whether it is still found.

For a representation f, pictures x_1 ... x_n and a change c:

- The *spread* S is the median of |f(x_i) - f(x_j)| over all pairs i < j, Euclidean. It makes figures of
  representations of any length and scale comparable.
- *Moved* is |f(c(x_i)) - f(x_i)| / S for each picture: 0 where f does not care for the change at all, 1 where the
  changed picture is as far from itself as from another one. Over pictures the median stands, with the quartiles
  beside it. Where all pictures are the same to f, S is 0 and nothing is said (nan).
- *Found* is whether the nearest of all n unchanged pictures to f(c(x_i)) is x_i. Where k are as near as the nearest
  (their squared distances differ by at most 1e-5 S^2, which is float32's rounding) and x_i is among them, it counts
  1 / k, as if the tie were broken by lot; a constant f is thus right in 1 of n, which is chance. Over pictures the
  mean stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

Rows = Float32[np.ndarray, "row value"]

TIE = 1e-5
"""Of the squared spread: squared distances that differ by less are equal, as far as float32 can tell."""


@dataclass(frozen=True)
class Originals:
    """What a representation makes of the unchanged pictures, of which there are at least two.

    Attributes:
        rows: one picture each, with the mean picture taken off: distances are the same, and their rounding smaller.
        centre: that mean.
        spread: the median distance between two pictures.
    """

    rows: Float32[np.ndarray, "picture value"]
    centre: Float32[np.ndarray, "value"]
    spread: float

    @classmethod
    def of(cls, rows: Float32[np.ndarray, "picture value"]) -> Originals:
        """Centre the pictures and measure their spread.

        >>> round(Originals.of(np.array([[0, 0], [3, 4], [3, 4]], np.float32)).spread, 6)
        5.0
        """
        if len(rows) < 2:
            raise ValueError("the spread takes at least two pictures")
        centre = rows.mean(0, dtype=np.float64).astype(np.float32)
        centred = rows - centre
        between = squared_distances(centred, centred)[np.triu_indices(len(rows), 1)]
        # Two equal pictures are 0 apart; only rounding says otherwise, and it must not make a spread.
        least = 4 * np.finfo(np.float32).eps * float((rows.astype(np.float64) ** 2).sum(1).max())
        spread = float(np.median(np.sqrt(np.where(between <= least, 0.0, between))))
        return cls(centred, centre, spread)

    def compare(
        self, changed: Rows, own: int
    ) -> tuple[Float64[np.ndarray, "row"], Float64[np.ndarray, "row"]]:
        """Where changed versions of one picture are.

        Args:
            changed: what the representation makes of each version.
            own: which of the pictures they were made of.

        Returns:
            Moved and found of each version, as the head of this module defines them.
        """
        rows = changed - self.centre
        squared = squared_distances(rows, self.rows)
        # Between near points a difference is exact where the product of vectors cancels.
        apart = np.square(rows - self.rows[own], dtype=np.float64).sum(1)
        squared[:, own] = apart
        nearest = squared.min(1, keepdims=True)
        tied = squared <= nearest + TIE * self.spread**2
        found = tied[:, own] / tied.sum(1)
        moved = np.sqrt(apart) / self.spread if self.spread else np.full(len(rows), math.nan)
        return moved, found


def squared_distances(
    one: Rows, other: Float32[np.ndarray, "other value"]
) -> Float64[np.ndarray, "row other"]:
    """Squared Euclidean distance of each row to each other one.

    >>> squared_distances(np.zeros((1, 2), np.float32), np.array([[3, 4]], np.float32)).tolist()
    [[25.0]]
    """
    lengths = [np.square(rows, dtype=np.float64).sum(1) for rows in (one, other)]
    squared = lengths[0][:, None] + lengths[1] - 2.0 * (one @ other.T).astype(np.float64)
    return np.maximum(squared, 0.0)


@dataclass(frozen=True)
class Figure:
    """One change at one strength, in one representation.

    Attributes:
        representation: its name, such as "conv5 mean".
        change, strength: which change, how strong.
        moved: median over pictures; 0 does not care, 1 as far as another picture; nan where nothing can be said.
        low, high: its quartiles.
        found: share of pictures whose changed version is nearest to its own original.
    """

    representation: str
    change: str
    strength: float
    moved: float
    low: float
    high: float
    found: float


def summary(
    representation: str,
    change: str,
    strength: float,
    moved: Float64[np.ndarray, "picture"],
    found: Float64[np.ndarray, "picture"],
) -> Figure:
    """The figure of all pictures.

    >>> summary("pixels", "shift", 8, np.array([0.1, 0.2, 0.6]), np.array([1.0, 1, 0.5])).moved
    0.2
    """
    low, middle, high = (float(value) for value in np.quantile(moved, (0.25, 0.5, 0.75)))
    return Figure(representation, change, strength, middle, low, high, float(found.mean()))
