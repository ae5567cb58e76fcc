"""Large pictures through a small network, tile by tile and without seams. Torch-free.

A tile is given as much of its surroundings as the network sees, and only its own part of the answer is kept; at the
picture's border it ends where the picture ends. So each pixel is computed from the same pixels as it would be at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, UInt8

from boxwright.runtime.open_net import Run


@dataclass(frozen=True)
class Tile:
    """A part of a picture.

    Attributes:
        own: rows and columns that it answers for.
        seen: rows and columns that it is shown: its own and what is around them.
    """

    own: tuple[slice, slice]
    seen: tuple[slice, slice]


def cut(height: int, width: int, tile: int, margin: int) -> Iterator[Tile]:
    """Parts that cover a picture, each pixel once.

    Args:
        height, width: of the picture, in pixels.
        tile: longest side of a part's own pixels; parts are about equally large.
        margin: pixels that it is shown beyond them, as far as the picture goes.

    >>> [(part.own[1], part.seen[1]) for part in cut(4, 10, tile=5, margin=2)]
    [(slice(0, 5, None), slice(0, 7, None)), (slice(5, 10, None), slice(3, 10, None))]
    """
    if tile < 1 or margin < 0:
        raise ValueError(f"tiles of {tile} pixels with {margin} around them")
    for own_rows, seen_rows in _parts(height, tile, margin):
        for own_columns, seen_columns in _parts(width, tile, margin):
            yield Tile((own_rows, own_columns), (seen_rows, seen_columns))


def enlarged_parts(
    picture: UInt8[np.ndarray, "height width 3"], run: Run, factor: int, margin: int, tile: int
) -> Iterator[tuple[tuple[slice, slice], Float32[np.ndarray, "tall wide 3"]]]:
    """A picture enlarged, part by part: where each lies in the large picture, and its pixels in [0, 1] or about.

    Args:
        picture: RGB.
        run: pictures in [0, 1] -> pictures `factor` times as large.
        factor: how many times as large.
        margin: how far `run` sees, in pixels of the small picture.
        tile: longest side of a part, in pixels of the small picture.
    """
    height, width = picture.shape[:2]
    for part in cut(height, width, tile, margin):
        seen = picture[part.seen].transpose(2, 0, 1)[None]
        found = run(np.ascontiguousarray(seen, np.float32) / np.float32(255))[0]
        inner = tuple(_scaled(own, factor, seen.start) for own, seen in zip(part.own, part.seen, strict=True))
        rows, columns = (_scaled(own, factor) for own in part.own)
        yield (rows, columns), found[:, *inner].transpose(1, 2, 0)


def _parts(size: int, tile: int, margin: int) -> Iterator[tuple[slice, slice]]:
    count = -(-size // tile)
    edges = [size * number // count for number in range(count + 1)]
    for start, stop in pairwise(edges):
        yield slice(start, stop), slice(max(start - margin, 0), min(stop + margin, size))


def _scaled(part: slice, factor: int, origin: int = 0) -> slice:
    return slice((part.start - origin) * factor, (part.stop - origin) * factor)
