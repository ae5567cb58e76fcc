"""What Selective Search knows of a region, and how alike two are (Uijlings et al. 2013, section 3.2).

Colour and texture are histograms, and their similarity is what two histograms have in common. They are kept in
whole parts of 2^22, not as floats: sums then do not depend on their order, which leaves the compiler free to
take eight bins at a time and the numbers the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int8, Int32, Int64, UInt8

from boxwright.regions import kernels

Planes = Float32[np.ndarray, "channel height width"]
Labels = Int32[np.ndarray, "height width"]
Parts = Int32[np.ndarray, "region bin"]

WHOLE = 1 << 22
"""What the bins of one histogram sum to, but for rounding down."""
COLOUR_BINS, TEXTURE_BINS, ORIENTATIONS = 25, 10, 8

_STEEPEST = 20.0
"""Where texture's last bin ends, in grey levels a pixel; hardly any Gaussian derivative is steeper."""


@dataclass(frozen=True)
class Pixels:
    """The bins that each pixel falls into; the same for every segmentation of a picture.

    Attributes:
        colour: the bin of each channel's value.
        texture: the bin of the derivative along four axes, below 0 where the channel falls along the axis.
    """

    colour: UInt8[np.ndarray, "channel pixel"]
    texture: Int8[np.ndarray, "channel 4 pixel"]


@dataclass(frozen=True)
class Regions:
    """The regions of a segmentation.

    Attributes:
        size: in pixels.
        boxes: x1, y1, x2, y2; the last two lie just outside.
        colour: 25 bins for each channel.
        texture: 10 bins for each of 8 orientations of each channel.
        pairs: regions that share an edge of a pixel, the smaller number first, sorted.
    """

    size: Int64[np.ndarray, " region"]
    boxes: Int32[np.ndarray, "region 4"]
    colour: Int32[np.ndarray, "region colourbin"]
    texture: Int32[np.ndarray, "region texturebin"]
    pairs: Int32[np.ndarray, "pair 2"]


def describe_pixels(planes: Planes, smoothed: Planes) -> Pixels:
    """Sort each pixel's colour and derivatives into bins.

    The paper's texture is a Gaussian derivative with sigma 1 in eight orientations. Here it is taken of the
    planes under a Gaussian of 0.8 by Scharr's operator, whose own variance (1/3 and 3/8 pixels) makes up the
    difference, and turned: the derivative along a direction is a sum of those along x and y. An orientation and
    its opposite differ in sign, so that four axes are enough, and each counts for the direction that rises.

    Args:
        planes: values in [0, 255].
        smoothed: the same under a Gaussian of 0.8.
    """
    channels, height, width = planes.shape
    colour = np.empty(planes.shape, np.uint8)
    texture = np.empty((channels, ORIENTATIONS // 2, height, width), np.int8)
    last = np.float32(TEXTURE_BINS - 1)
    for i in range(channels):
        colour[i] = np.clip(planes[i] * np.float32(COLOUR_BINS / 256), 0, COLOUR_BINS - 1)
        across, down = _derivatives(smoothed[i])
        across *= np.float32(TEXTURE_BINS / _STEEPEST)
        down *= np.float32(TEXTURE_BINS / _STEEPEST)
        diagonal = np.float32(0.5**0.5)
        rising, falling = (across + down) * diagonal, (down - across) * diagonal
        for axis, slope in enumerate((across, rising, down, falling)):
            texture[i, axis] = np.clip(slope, -last, last)
    return Pixels(colour.reshape(channels, -1), texture.reshape(channels, ORIENTATIONS // 2, -1))


def _derivatives(
    plane: Float32[np.ndarray, "height width"],
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    padded = np.pad(plane, 1, "edge")
    middle, side = np.float32(10 / 32), np.float32(3 / 32)
    down, across = padded[2:] - padded[:-2], padded[:, 2:] - padded[:, :-2]
    across = across[1:-1] * middle + (across[:-2] + across[2:]) * side
    down = down[:, 1:-1] * middle + (down[:, :-2] + down[:, 2:]) * side
    return across, down


def describe_regions(labels: Labels, count: int, pixels: Pixels) -> Regions:
    """Histograms, boxes, sizes and neighbours of `count` regions."""
    height, width = labels.shape
    channels = len(pixels.colour)
    size = np.zeros(count, np.int64)
    boxes = np.tile(np.array([width, height, 0, 0], np.int32), (count, 1))
    colour = np.zeros((count, channels, COLOUR_BINS), np.int32)
    slopes = np.zeros((count, channels, ORIENTATIONS // 2, 2 * TEXTURE_BINS - 1), np.int32)
    kernels.compiled(_count)(labels, pixels.colour, pixels.texture, size, boxes, colour, slopes)
    return Regions(
        size,
        boxes,
        _in_parts(colour, size * channels),
        _in_parts(_by_orientation(slopes, size), size * channels * ORIENTATIONS),
        neighbours(labels, count),
    )


def _by_orientation(
    slopes: Int32[np.ndarray, "region channel 4 signed"], size: Int64[np.ndarray, " region"]
) -> Int32[np.ndarray, "region channel 8 bin"]:
    """An axis is two opposite orientations; where the channel falls along one, its first bin counts the pixel."""
    first = TEXTURE_BINS - 1
    both = np.concatenate((slopes[..., first:], slopes[..., first::-1]), 2)
    both[..., 0] = 0
    both[..., 0] = size[:, None, None] - both.sum(-1)
    return both


def _in_parts(counts: np.ndarray, total: Int64[np.ndarray, " region"]) -> Parts:
    flat = counts.reshape(len(counts), -1)
    return (flat * (WHOLE / total)[:, None]).astype(np.int32)


def _count(
    labels: np.ndarray,
    colours: np.ndarray,
    textures: np.ndarray,
    size: np.ndarray,
    boxes: np.ndarray,
    colour: np.ndarray,
    slopes: np.ndarray,
) -> None:
    height, width = labels.shape
    middle = slopes.shape[3] // 2
    pixel = 0
    for y in range(height):
        for x in range(width):
            region = labels[y, x]
            size[region] += 1
            boxes[region, 0] = min(boxes[region, 0], x)
            boxes[region, 1] = min(boxes[region, 1], y)
            boxes[region, 2] = max(boxes[region, 2], x + 1)
            boxes[region, 3] = max(boxes[region, 3], y + 1)
            for channel in range(len(colours)):
                colour[region, channel, colours[channel, pixel]] += 1
                for axis in range(textures.shape[1]):
                    slopes[region, channel, axis, middle + textures[channel, axis, pixel]] += 1
            pixel += 1


def neighbours(labels: Labels, count: int) -> Int32[np.ndarray, "pair 2"]:
    """The pairs of regions that share an edge of a pixel, the smaller number first, sorted, each once."""
    codes = []
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        border = one != other
        a, b = one[border].astype(np.int64), other[border].astype(np.int64)
        codes.append(np.minimum(a, b) * count + np.maximum(a, b))
    unique = np.sort(np.unique(np.concatenate(codes)))
    return np.stack((unique // max(count, 1), unique % max(count, 1)), 1).astype(np.int32)


def in_common(parts: Parts, pairs: Int32[np.ndarray, "pair 2"]) -> Int64[np.ndarray, " pair"]:
    """What the histograms of each pair have in common, in parts of `WHOLE` (eq. 1 and 3)."""
    out = np.empty(len(pairs), np.int64)
    kernels.compiled(_in_common)(parts, pairs, out)
    return out


def _in_common(parts: np.ndarray, pairs: np.ndarray, out: np.ndarray) -> None:
    for pair in range(len(pairs)):
        a, b = pairs[pair, 0], pairs[pair, 1]
        total = 0
        for i in range(parts.shape[1]):
            total += min(parts[a, i], parts[b, i])
        out[pair] = total


def size_similarity(regions: Regions, area: int) -> np.ndarray:
    """1 less the part of the picture that each pair takes: small regions first (eq. 5)."""
    a, b = regions.pairs.T
    return 1 - (regions.size[a] + regions.size[b]) / area


def fill_similarity(regions: Regions, area: int) -> np.ndarray:
    """1 less the part of the picture that a pair's box holds beside the pair (eq. 6)."""
    a, b = (regions.boxes[column] for column in regions.pairs.T)
    low, high = np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])
    around = (high - low).astype(np.int64).prod(1)
    a, b = regions.pairs.T
    return 1 - (around - regions.size[a] - regions.size[b]) / area
