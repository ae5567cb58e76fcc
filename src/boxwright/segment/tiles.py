"""The overlap-tile strategy (Ronneberger et al. 2015, figure 2): pictures of any size through a net of one size.

A picture is mirrored at its borders, cut into tiles with the context that each needs, and put together again. Tiles
start at multiples of what a cell of the network's coarsest map covers, so that every tile is pooled on the same grid:
where the margin is as wide as the network sees, a tile says what the whole picture would have said. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from boxwright.runtime.open_net import Run


@dataclass(frozen=True)
class Tiling:
    """How a network is fed.

    Attributes:
        tile: side of what comes out for one tile, in pixels.
        margin: pixels of context on each side of it.
        multiple: tiles start at multiples of this.
        cropped: the network gives no classes for the margin; else they are cut off here.
        fixed: it takes tiles of this size only; else of any multiple.
    """

    tile: int
    margin: int
    multiple: int
    cropped: bool
    fixed: bool

    def __post_init__(self) -> None:
        if self.tile < self.multiple or self.margin < 0:
            raise ValueError(f"a tile of {self.tile} with starts at multiples of {self.multiple}")

    @property
    def side(self) -> int:
        """Of what goes in for one tile."""
        return self.tile + 2 * self.margin


def tiled(
    picture: UInt8[np.ndarray, "height width 3"], run: Run, tiling: Tiling
) -> Float32[np.ndarray, "class height width"]:
    """What a network says of a whole picture.

    Args:
        picture: RGB.
        run: the network; takes values in [0, 1].
        tiling: how it is fed.

    >>> brightness = lambda batch: batch[:, :1]
    >>> picture = np.arange(9 * 7 * 3, dtype=np.uint8).reshape(9, 7, 3)
    >>> found = tiled(picture, brightness, Tiling(4, 2, 2, cropped=False, fixed=True))
    >>> bool((found[0] == picture[..., 0].astype(np.float32) / 255).all())
    True
    """
    height, width = picture.shape[:2]
    tall, wide = (_side(size, tiling) for size in (height, width))
    rows, columns = _starts(height, tall, tiling.multiple), _starts(width, wide, tiling.multiple)
    after = (rows[-1] + tall - height, columns[-1] + wide - width)
    padding = [(tiling.margin, tiling.margin + more) for more in after]
    context = np.pad(picture, [*padding, (0, 0)], mode="reflect").transpose(2, 0, 1)
    whole: np.ndarray | None = None
    for top in rows:
        for left in columns:
            seen = context[:, top : top + tall + 2 * tiling.margin, left : left + wide + 2 * tiling.margin]
            found = run(np.ascontiguousarray(seen[None], np.float32) / np.float32(255))[0]
            if not tiling.cropped:
                inner = slice(tiling.margin, -tiling.margin or None)
                found = found[:, inner, inner]
            if whole is None:
                whole = np.zeros((len(found), height, width), np.float32)
            place = whole[:, top : top + tall, left : left + wide]
            place[:] = found[:, : place.shape[1], : place.shape[2]]
    assert whole is not None, "a picture has pixels"
    return whole


def _side(size: int, tiling: Tiling) -> int:
    """Of a tile: no longer than the picture needs, where the network lets one choose."""
    if tiling.fixed:
        return tiling.tile
    # Sides are a tile's own or shorter by whole multiples, of which one stays.
    spare = (tiling.tile - max(size, tiling.multiple)) // tiling.multiple * tiling.multiple
    return tiling.tile - max(0, spare)


def _starts(size: int, side: int, multiple: int) -> list[int]:
    """Where tiles begin along an axis: each as far from the last as it can be."""
    step = side // multiple * multiple
    return list(range(0, max(size - (side - step), 1), step))
