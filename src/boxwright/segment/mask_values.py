"""Which values masks have, and whether they are classes at all: what blurs masks leaves values in between."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from boxwright.errors import InputError
from boxwright.segment.reading import Mask

_HINT = "save masks as they were drawn, or say --classes VALUE=NAME,..."
_ALIKE = "save all masks alike, or say --classes VALUE=NAME,..."
_TRANSITIONS = 3
"""So many values of one mask that only lie between others are an edge that was smoothed."""
_MOSTLY = 0.6
"""And so large a part of all its values: of noise about a half do."""

Values = UInt8[np.ndarray, "height width"]


@dataclass
class MaskValues:
    """The values of a data set's masks.

    Attributes:
        first: of each value the first file that has it.
        pixels: how many pixels have each value.
        between: how many of those lie beside a smaller value and beside a greater one.
        smooth: the first file most of whose values lie between others, and how many do.
        others, whites: the first file that has other values than 0 and 255, and the first that has only those.
        both: whether a file has 255 beside other values than 0.
        palette: of each index the first colour that a palette gives it, and the file.
        repainted: the first file whose palette gives another, and which index that is.
    """

    first: dict[int, Path] = field(default_factory=dict)
    pixels: Int64[np.ndarray, "256"] = field(default_factory=lambda: np.zeros(256, np.int64))
    between: Int64[np.ndarray, "256"] = field(default_factory=lambda: np.zeros(256, np.int64))
    smooth: tuple[Path, int] | None = None
    others: Path | None = None
    whites: Path | None = None
    both: bool = False
    palette: dict[int, tuple[tuple[int, ...], Path]] = field(default_factory=dict)
    repainted: tuple[Path, int] | None = None

    def add(self, mask: Mask, path: Path) -> None:
        """Take in a mask."""
        counts = np.bincount(mask.values.ravel(), minlength=256)
        between = np.bincount(mask.values[beside_both(mask.values)], minlength=256)
        self.pixels += counts
        self.between += between
        there = np.flatnonzero(counts).tolist()
        for value in there:
            self.first.setdefault(value, path)
        transitions = int(((counts > 0) & (counts == between)).sum())
        if transitions >= max(_TRANSITIONS, _MOSTLY * len(there)):
            self.smooth = self.smooth or (path, transitions)
        if {*there} - {0, 255}:
            self.others = self.others or path
            self.both |= bool(counts[255])
        elif counts[255]:
            self.whites = self.whites or path
        if mask.palette is not None:
            for index in there[: len(mask.palette)]:
                self._paint(index, tuple(mask.palette[index].tolist()), path)

    def _paint(self, index: int, colour: tuple[int, ...], path: Path) -> None:
        if self.palette.setdefault(index, (colour, path))[0] != colour:
            self.repainted = self.repainted or (path, index)

    def refuse_mixture(self, known: Collection[int] | None = None) -> None:
        """See that one class has one value.

        Args:
            known: the values of the classes where the masks themselves do not say them.

        Raises:
            InputError: 255 is all that some masks have beside 0, and would be ignored, since others or the classes have
                other values; or palettes give one index several colours.
        """
        if self.repainted is not None:
            path, index = self.repainted
            raise InputError(
                f"gives palette index {index} another colour than {self.palette[index][1].name}: whether the index or "
                "the colour is the class is not said",
                path=path,
                hint="save all masks with one palette, or say --classes VALUE=NAME,...",
            )
        if self.whites is None or self.both or 255 in (known or ()):
            return
        if self.others is not None:
            value = min(value for value, path in self.first.items() if value and value != 255)
            raise InputError(
                f"has 255 where {self.first[value].name} has {value}, as if one class had two values",
                path=self.whites,
                hint=f"{_ALIKE} where 255 is to be ignored",
            )
        if known is not None:
            raise InputError(
                f"has 255, which is ignored, and none of the classes' values {', '.join(map(str, sorted(known)[:20]))}",
                path=self.whites,
                hint=_ALIKE,
            )

    def refuse_smoothed(self) -> None:
        """See that no mask has smooth edges, even where each of their values is of some class.

        Raises:
            InputError: most values of a mask lie only between a smaller and a greater one.
        """
        if self.smooth is not None:
            path, count = self.smooth
            raise InputError(
                f"has {count} values only on edges between a smaller and a greater one, as smoothed masks have",
                path=path,
                hint=_HINT,
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


def beside_both(mask: Values) -> Bool[np.ndarray, "height width"]:
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
