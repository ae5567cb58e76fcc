"""Warping error (Jain et al. 2010): what is wrong with a mask besides where exactly its boundaries run.

The true mask is deformed towards the found one, pixel by pixel, as long as no step changes its topology: only "simple"
points are flipped, which neither cut, join, make nor fill anything. What still differs in the end is objects that were
cut or merged, missed or made up, or have holes. Objects are 4-connected, what is between them 8-connected, and
beyond the picture's border is nothing. The steps are taken greedily, so that the figure is an upper bound of the least.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from boxwright.compiling import machine_code

# The eight neighbours in a circle; those at even places share a side with the pixel.
_ROWS, _COLUMNS = np.array([-1, -1, 0, 1, 1, 1, 0, -1]), np.array([0, 1, 1, 1, 0, -1, -1, -1])


def warped(
    truth: Bool[np.ndarray, "height width"], found: Bool[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """The true mask as near to the found one as its topology lets it come."""
    mask, goal = (np.pad(one, 1).astype(np.uint8) for one in (truth, found))
    flip = _flip()
    while True:
        # One layer of pixels at a time, so that what grows from two sides meets in the middle.
        rows, columns = np.nonzero((mask != goal) & SIMPLE[_surroundings(mask)].astype(np.bool_))
        if not flip(mask, rows, columns, SIMPLE, _ROWS, _COLUMNS):
            return mask[1:-1, 1:-1].astype(np.bool_)


def warping_error(truth: Bool[np.ndarray, "height width"], found: Bool[np.ndarray, "height width"]) -> float:
    """The part of the pixels in which the warped truth still differs.

    Args:
        truth: pixels inside of true objects.
        found: pixels that were found to be.

    >>> row = np.array([[0, 1, 1, 1, 0, 0, 0, 0]], bool)
    >>> moved, cut = np.roll(row, 1), row & (np.arange(8) != 2)
    >>> warping_error(row, moved), warping_error(row, cut)
    (0.0, 0.125)
    """
    return float((warped(truth, found) != found).mean())


def flip_points(
    mask: UInt8[np.ndarray, "height width"],
    rows: Int64[np.ndarray, " point"],
    columns: Int64[np.ndarray, " point"],
    simple: UInt8[np.ndarray, "256"],
    down: Int64[np.ndarray, "8"],
    across: Int64[np.ndarray, "8"],
) -> int:
    """Flip the points that are simple when their turn comes; how many. A kernel: loops over arrays and numbers."""
    flipped = 0
    for point in range(len(rows)):
        code = 0
        for place in range(8):
            code |= mask[rows[point] + down[place], columns[point] + across[place]] << place
        if simple[code]:
            mask[rows[point], columns[point]] ^= 1
            flipped += 1
    return flipped


@functools.cache
def _flip() -> Callable[..., int]:
    return machine_code(flip_points) or flip_points


def _surroundings(mask: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """The eight neighbours of each pixel, one bit each; the outermost pixels have none."""
    codes = np.zeros_like(mask)
    height, width = mask.shape
    for place, (down, across) in enumerate(zip(_ROWS, _COLUMNS, strict=True)):
        near = mask[1 + down : height - 1 + down, 1 + across : width - 1 + across]
        codes[1:-1, 1:-1] |= near << place
    return codes


def _simple() -> UInt8[np.ndarray, "256"]:
    """Whether a pixel can be flipped, by its eight neighbours: there must be one object, and one outside."""
    table = np.zeros(256, np.uint8)
    for code in range(256):
        inside = [bool(code >> place & 1) for place in range(8)]
        outside = [not there for there in inside]
        for corner in range(1, 8, 2):
            # What is not inside hangs together over corners too.
            outside[corner] |= outside[corner - 1] and outside[(corner + 1) % 8]
        # An object that touches the pixel at a corner only is another one.
        objects = _runs(inside, lambda run: any(place % 2 == 0 for place in run))
        table[code] = objects == 1 and _runs(outside, lambda run: True) == 1
    return table


def _runs(circle: Sequence[bool], counts: Callable[[Sequence[int]], bool]) -> int:
    """How many unbroken runs of a circle of eight count."""
    if all(circle):
        return int(counts(range(8)))
    start = list(circle).index(False)
    runs: list[list[int]] = [[]]
    for place in (step % 8 for step in range(start, start + 8)):
        if circle[place]:
            runs[-1].append(place)
        else:
            runs.append([])
    return sum(counts(run) for run in runs if run)


SIMPLE = _simple()
