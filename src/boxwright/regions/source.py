"""Where a network's regions come from when it does not find them itself. Torch-free: it travels in model files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from boxwright.errors import InputError

RGB8 = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class SelectiveSearch:
    """Regions by Selective Search, on the image at one width: Girshick et al. 2014 (R-CNN), section 2.1.

    Attributes:
        strategy: "single", "fast" or "quality".
        count: how many of the best are kept.
        side: the image's longer side, in pixels, for the search; scales of its segmentation are meant for 500.
        seed: of the ranking.
    """

    strategy: str = "fast"
    count: int = 2000
    side: int = 500
    seed: int = 0

    def __call__(self, image: RGB8, *, threads: int | None = 1) -> Float32[np.ndarray, "roi 4"]:
        """Xyxy in pixels of `image`, the best first.

        Args:
            image: upright, RGB.
            threads: how many to search with.
        """
        from boxwright.regions.selective_search import STRATEGIES, selective_search

        if self.strategy not in STRATEGIES:
            raise InputError(f"no strategy {self.strategy!r}", hint=f"choose of {', '.join(STRATEGIES)}")
        height, width = image.shape[:2]
        if not height * width:
            return np.zeros((0, 4), np.float32)
        scale = self.side / max(height, width)
        tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
        searched = np.asarray(Image.fromarray(image).resize((wide, tall), Image.Resampling.BILINEAR))
        found = selective_search(searched, STRATEGIES[self.strategy], seed=self.seed, threads=threads)
        back = np.array([width / wide, height / tall] * 2, np.float32)
        return found.boxes[: self.count] * back

    def most(self, height: int, width: int) -> int:
        """How many regions an image of this size can have."""
        return self.count


@dataclass(frozen=True)
class Windows:
    """Every place of windows of some shapes: the sliding windows of Dalal and Triggs 2005 and their followers.

    Attributes:
        sides: square roots of the windows' areas, as parts of the image's longer side.
        ratios: heights by widths.
        stride: from one window to the next, as a part of its side.
        cell: from one cell of a network's map to the next, as a part of a window's side, where windows are to lie
            whole cells apart: as near to `stride` as cells allow, and not under one; 0 lets them lie anywhere.
    """

    sides: tuple[float, ...] = (0.12, 0.18, 0.27, 0.4, 0.6, 0.9)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    stride: float = 1 / 3
    cell: float = 0.0

    def __call__(self, image: RGB8, *, threads: int | None = 1) -> Float32[np.ndarray, "roi 4"]:
        """Xyxy in pixels of `image`; those that fit into it, shape by shape, row by row.

        They are evenly placed from edge to edge. Whole cells apart they end where they end, with as much left over
        before the first as behind the last: less than half a step, so no place is farther from a window than that.

        >>> Windows((0.5,), (1.0,), 1.0)(np.zeros((4, 8, 3), np.uint8)).tolist()
        [[0.0, 0.0, 4.0, 4.0], [4.0, 0.0, 8.0, 4.0]]
        >>> Windows((0.5,), (1.0,), 0.3, cell=0.375)(np.zeros((4, 8, 3), np.uint8))[:, 0].tolist()
        [0.5, 2.0, 3.5]
        """
        height, width = image.shape[:2]
        laid = [np.zeros((0, 4))]
        for side in self.sides:
            for ratio in self.ratios:
                wide, tall = (side * max(height, width) * f for f in (ratio**-0.5, ratio**0.5))
                if wide <= width and tall <= height:
                    lefts, tops = self._places(width, wide), self._places(height, tall)
                    corner = np.stack(np.meshgrid(lefts, tops), -1).reshape(-1, 2)
                    laid.append(np.concatenate((corner, np.add(corner, (wide, tall))), 1))
        return np.concatenate(laid).astype(np.float32)

    def most(self, height: int, width: int) -> int:
        """How many regions an image of this size has."""
        return len(self(np.zeros((height, width, 3), np.uint8)))

    def _places(self, length: float, side: float) -> np.ndarray:
        room = length - side
        if not self.cell:
            return np.linspace(0, room, math.ceil(room / (self.stride * side) - 1e-9) + 1)
        step = max(1, round(self.stride / self.cell)) * self.cell * side
        steps = math.floor(room / step + 1e-9)
        return (room - steps * step) / 2 + step * np.arange(steps + 1)


RegionSource = SelectiveSearch | Windows
"""An image -> regions in its pixels."""


def to_dict(source: RegionSource) -> dict[str, Any]:
    """JSON values; `from_dict` is the inverse.

    >>> from_dict(to_dict(Windows(sides=(0.5,)))) == Windows(sides=(0.5,))
    True
    """
    return {"kind": type(source).__name__, **asdict(source)}


def from_dict(values: Mapping[str, Any]) -> RegionSource:
    """Read what `to_dict` wrote.

    Raises:
        InputError: another kind, or settings that it has not.
    """
    kinds = {kind.__name__: kind for kind in get_args(RegionSource)}
    settings = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items() if key != "kind"}
    try:
        source: RegionSource = kinds[values["kind"]](**settings)
    except Exception as error:  # of values that were not checked before
        raise InputError(
            f"unknown source of regions {dict(values)}", hint="update boxwright to read it"
        ) from error
    return source
