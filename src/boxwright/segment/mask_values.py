"""Which values masks have, and whether they are classes at all: what blurs masks leaves values in between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from boxwright.errors import InputError

_HINT = "save masks as they were drawn, or say --classes VALUE=NAME,..."

Mask = UInt8[np.ndarray, "height width"]


@dataclass
class MaskValues:
    """The values of a data set's masks.

    Attributes:
        first: of each value the first file that has it.
        pixels: how many pixels have each value.
        between: how many of those lie beside a smaller value and beside a greater one.
        ones, whites: the first file that has 1 and not 255, and the first that has 255 and not 1.
    """

    first: dict[int, Path] = field(default_factory=dict)
    pixels: Int64[np.ndarray, "256"] = field(default_factory=lambda: np.zeros(256, np.int64))
    between: Int64[np.ndarray, "256"] = field(default_factory=lambda: np.zeros(256, np.int64))
    ones: Path | None = None
    whites: Path | None = None

    def add(self, mask: Mask, path: Path) -> None:
        """Take in a mask."""
        counts = np.bincount(mask.ravel(), minlength=256)
        self.pixels += counts
        self.between += np.bincount(mask[beside_both(mask)], minlength=256)
        for value in np.flatnonzero(counts):
            self.first.setdefault(int(value), path)
        if counts[1] and not counts[255]:
            self.ones = self.ones or path
        if counts[255] and not counts[1]:
            self.whites = self.whites or path

    def refuse_mixture(self) -> None:
        """See that one class has one value.

        Raises:
            InputError: some masks have 1, others 255, and none has anything else but 0.
        """
        if {*self.first} <= {0, 1, 255} and self.ones is not None and self.whites is not None:
            raise InputError(
                f"has 255 where {self.ones.name} has 1, as if one class had two values",
                path=self.whites,
                hint="save all masks alike, or say --classes 0=background,1=... where 255 is to be ignored",
            )

    def refuse_blurred(self, values: Iterable[int]) -> None:
        """See that each value is a class, as far as can be told.

        Args:
            values: those that would be classes.

        Raises:
            InputError: of some value each pixel lies between a smaller and a greater one: so do the greys of edges
                that were smoothed, by resizing or drawing.
        """
        blurred = [value for value in values if 0 < self.pixels[value] == self.between[value]]
        if not blurred:
            return
        some = ", ".join(map(str, blurred[:5])) + (" and more" if len(blurred) > 5 else "")
        raise InputError(
            f"has the value {some} only on edges between a smaller and a greater one, as smoothed masks have",
            path=self.first[blurred[0]],
            hint=_HINT,
        )


def beside_both(mask: Mask) -> Bool[np.ndarray, "height width"]:
    """Which pixels have a smaller and a greater value among their eight neighbours.

    Where the other values are the small numbers of classes, 255 means that nothing is said, and is no neighbour.

    >>> beside_both(np.array([[0, 0, 128, 255]], np.uint8)).tolist()
    [[False, False, True, False]]
    >>> beside_both(np.array([[0, 0, 1, 255]], np.uint8)).tolist()
    [[False, False, False, False]]
    """
    values = np.unique(mask)
    rest = values[values != 255]
    ignored = len(rest) > 0 and int(rest[-1]) < 64 and {*values.tolist()} != {0, 255}
    low = np.pad(mask, 1, mode="edge")
    high = np.where(low == 255, 0, low) if ignored else low
    height, width = mask.shape
    windows = [(row, column) for row in range(3) for column in range(3)]
    least = np.minimum.reduce([low[r : r + height, c : c + width] for r, c in windows])
    most = np.maximum.reduce([high[r : r + height, c : c + width] for r, c in windows])
    found: Bool[np.ndarray, "height width"] = (least < mask) & (mask < most)
    return found
