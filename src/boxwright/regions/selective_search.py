"""Selective Search: boxes where a picture falls into regions (Uijlings et al. 2013).

The picture is segmented in several colour spaces and at several scales; from each segmentation, regions are
grouped by several measures of similarity up to the whole picture. Every region on the way is a proposal. Which
spaces, scales and measures there are is a `Strategy`; the paper's three are in `STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8

from boxwright.data.doctor.probe import processors
from boxwright.errors import InputError, near
from boxwright.regions.colours import SPACES, convert
from boxwright.regions.grouping import KINDS, hierarchies
from boxwright.regions.segmentation import Edges, join, smooth, sorted_edges
from boxwright.regions.similarity import Pixels, describe_pixels, describe_regions

RGB8 = UInt8[np.ndarray, "height width 3"]
Boxes = Int32[np.ndarray, "_ 4"]

_TEXTURE_SIGMA = 0.8
"""Of the smoothing under the derivatives; see `describe_pixels`."""


@dataclass(frozen=True)
class Strategy:
    """How many ways a picture is taken apart and put together; every combination is gone through.

    Attributes:
        colours: colour spaces, of `boxwright.regions.colours.SPACES`.
        similarities: measures; each the letters of what it adds up: Colour, Texture, Size, Fill.
        ks: scales of the segmentation; a region has at least that many pixels too, as in the paper's program.
        sigma: of the smoothing before it, in pixels.
        min_side: proposals with a shorter side than this, in pixels, are left out; in a picture that is
            narrower itself, those narrower than the picture.
        limit: how many to keep at most, the first of the ranking; None keeps all.
    """

    colours: tuple[str, ...] = ("hsv", "lab")
    similarities: tuple[str, ...] = ("CTSF", "TSF")
    ks: tuple[float, ...] = (50, 100)
    sigma: float = 0.8
    min_side: float = 20
    limit: int | None = None

    def __post_init__(self) -> None:
        for name in self.colours:
            if name not in SPACES:
                raise InputError(f"no colour space {name!r}", hint=near(name, SPACES))
        for letters in self.similarities:
            if not letters or set(letters) - set(KINDS):
                raise InputError(f"no measure of similarity {letters!r}", hint=f"use letters of {KINDS}")
        if not (self.colours and self.similarities and self.ks and min(self.ks) > 0):
            raise InputError("a strategy needs a colour space, a measure and a k greater than 0")
        if self.sigma < 0:
            raise InputError(f"sigma {self.sigma} is negative")


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "single": Strategy(colours=("hsv",), similarities=("CTSF",), ks=(100,)),
        # Of some 2100 boxes, the last 400 of the ranking are worth .002 of MABO: the default leaves them out.
        "fast": Strategy(limit=1700),
        "quality": Strategy(
            colours=("hsv", "lab", "rgi", "hue", "grey"),
            similarities=("CTSF", "TSF", "F", "S"),
            ks=(50, 100, 150, 300),
        ),
    }
)
"""Section 5.2 of the paper (table 5); single is its table 3's first line."""


@dataclass(frozen=True)
class Proposed:
    """Where something might be.

    Attributes:
        boxes: xyxy in pixels of the picture, the best first, each once.
        rank: what they are sorted by, rising: the place in the hierarchy times a random number.
    """

    boxes: Float32[np.ndarray, "prior 4"]
    rank: Float32[np.ndarray, " prior"]

    def __len__(self) -> int:
        return len(self.boxes)


def selective_search(
    image: UInt8[np.ndarray, "height width *channel"],
    strategy: str | Strategy = "fast",
    *,
    seed: int = 0,
    threads: int | None = None,
) -> Proposed:
    """Propose boxes for whatever may be in a picture.

    Args:
        image: uint8 [height, width, 3] or grey [height, width], of any size and aspect. The scales k and
            `min_side` are meant for pictures of about 500 pixels.
        strategy: "single", "fast" or "quality", the paper's, or your own.
        seed: of the random numbers in the ranking (section 3.3); the same seed gives the same boxes in the same
            order, on any number of threads, compiled or not.
        threads: how many to work with; as many as there are processors by default.

    Raises:
        InputError: not such an image, or an unknown strategy.

    >>> picture = np.zeros((60, 80, 3), np.uint8); picture[20:50, 10:40] = 255
    >>> found = selective_search(picture, "single")
    >>> [10.0, 20.0, 40.0, 50.0] in found.boxes.tolist()
    True
    """
    plan = _plan(strategy)
    pixels = _as_rgb(image)
    height, width = pixels.shape[:2]
    if not height * width:
        return Proposed(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    count = processors() if threads is None else threads
    with ThreadPoolExecutor(max(count, 1)) as pool:
        each = pool.map if count > 1 else map
        views = list(each(lambda space: _view(pixels, space, plan.sigma), plan.colours))
        jobs = [(view, k) for view in views for k in plan.ks]
        found = [boxes for trees in each(lambda job: _trees(job[0], job[1], plan), jobs) for boxes in trees]
    return _ranked(found, min(plan.min_side, height, width), plan.limit, seed)


@dataclass(frozen=True)
class _View:
    """A picture in one colour space, prepared for any k."""

    edges: Edges
    pixels: Pixels


def _plan(strategy: str | Strategy) -> Strategy:
    if isinstance(strategy, Strategy):
        return strategy
    if strategy not in STRATEGIES:
        raise InputError(f"no strategy {strategy!r}", hint=near(strategy, STRATEGIES))
    return STRATEGIES[strategy]


def _as_rgb(image: np.ndarray) -> RGB8:
    if (
        image.dtype != np.uint8
        or image.ndim not in (2, 3)
        or (image.ndim == 3 and image.shape[2] not in (1, 3))
    ):
        raise InputError(
            f"an array of {image.dtype} {list(image.shape)} is no picture",
            hint="give uint8 [height, width, 3] or [height, width]",
        )
    planes = image[..., None] if image.ndim == 2 else image
    return np.broadcast_to(planes, (*planes.shape[:2], 3))


def _view(image: RGB8, space: str, sigma: float) -> _View:
    planes = convert(image, space)
    smoothed = smooth(planes, _TEXTURE_SIGMA)
    segmented = smoothed if sigma == _TEXTURE_SIGMA else smooth(planes, sigma)
    return _View(sorted_edges(segmented), describe_pixels(planes, smoothed))


def _trees(view: _View, k: float, plan: Strategy) -> list[Boxes]:
    labels, count = join(view.edges, k, min_size=round(k))
    return hierarchies(describe_regions(labels, count, view.pixels), labels.size, plan.similarities)


def _ranked(trees: list[Boxes], min_side: float, limit: int | None, seed: int) -> Proposed:
    """All boxes of all hierarchies in one order: a random number times the place counted from the top."""
    boxes = np.concatenate(trees)
    places = np.concatenate([np.arange(len(tree), 0, -1) for tree in trees])
    rank: Float64[np.ndarray, " node"] = np.random.default_rng(seed).random(len(boxes)) * places
    order = np.argsort(rank, kind="stable")
    order = order[(boxes[order, 2:] - boxes[order, :2]).min(1) >= min_side]
    sides = boxes.max(0).astype(np.int64) + 1
    codes = np.ravel_multi_index(tuple(boxes[order].T), tuple(sides))
    _, first = np.unique(codes, return_index=True)
    order = order[np.sort(first)[:limit]]
    return Proposed(boxes[order].astype(np.float32), rank[order].astype(np.float32))
