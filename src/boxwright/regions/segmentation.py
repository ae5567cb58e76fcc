"""Graph-based segmentation after Felzenszwalb and Huttenlocher 2004, for any number of colour planes.

Pixels are nodes; the eight neighbours of each are joined by edges that weigh as much as the colours differ.
From the lightest edge on, two components become one if the edge is no heavier than the heaviest inside either,
plus k over its size (section 3.1). What comes before that, smoothing and sorting, does not depend on k and is
done once for several.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, UInt16, UInt32

from boxwright.regions import kernels

Planes = Float32[np.ndarray, "channel height width"]
Labels = Int32[np.ndarray, "height width"]

_SCALE = 128
"""Weights are counted in this part of a grey level: 255 times the root of 4 planes still fits 16 bits."""
_NO_EDGE = 65535


@dataclass(frozen=True)
class Edges:
    """The edges of a picture's grid, lightest first; equal ones in the order of their pixels.

    Attributes:
        order: 4 * pixel + direction, where a pixel is row * width + column.
        weights: [4 * pixels], in 1/128 of a grey level; directions are right, below, below right, below left.
        size: (height, width).
    """

    order: UInt32[np.ndarray, " edge"]
    weights: UInt16[np.ndarray, " slot"]
    size: tuple[int, int]


def segment(planes: Planes, k: float, min_size: int, sigma: float = 0.8) -> Labels:
    """Segment a picture.

    Args:
        planes: values in [0, 255].
        k: the greater, the larger the regions (section 3.1's scale of observation).
        min_size: regions of fewer pixels are joined to a neighbour, over the lightest edge first.
        sigma: of the Gaussian before, in pixels; 0 leaves it out.

    Returns:
        Regions numbered from 0 in the order of their first pixels.

    >>> halves = np.repeat(np.array([[0.0, 200.0]], np.float32), [3, 2], axis=1)[None].repeat(4, 1)
    >>> segment(halves, k=10, min_size=1, sigma=0)[0].tolist()
    [0, 0, 0, 1, 1]
    """
    return join(sorted_edges(smooth(planes, sigma)), k, min_size)[0]


def smooth(planes: Planes, sigma: float) -> Planes:
    """Each plane under a Gaussian, cut off at 3 sigma; the border's pixels go on outside."""
    if sigma <= 0:
        return planes
    reach = math.ceil(3 * sigma)
    taps = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    taps = (taps / (2 * taps.sum() - taps[0])).astype(np.float32)
    out = np.empty_like(planes)
    for plane, target in zip(planes, out, strict=True):
        _along_rows(np.pad(plane, ((reach, reach), (0, 0)), "edge"), taps, target)
        _along_rows(np.pad(target, ((0, 0), (reach, reach)), "edge").T, taps, target.T)
    return out


def _along_rows(
    padded: Float32[np.ndarray, "tall width"],
    taps: Float32[np.ndarray, " reach"],
    out: Float32[np.ndarray, "height width"],
) -> None:
    reach, height = len(taps) - 1, len(out)
    np.multiply(padded[reach : reach + height], taps[0], out=out)
    for i in range(1, reach + 1):
        both = padded[reach - i : reach - i + height] + padded[reach + i : reach + i + height]
        both *= taps[i]
        out += both


def sorted_edges(planes: Planes) -> Edges:
    """All edges between neighbours in the eight directions, by weight: the Euclidean distance of the colours."""
    _, height, width = planes.shape
    weights = np.full((height, width, 4), _NO_EDGE, np.uint16)
    everything, but_first, but_last = slice(None), slice(1, None), slice(None, -1)
    pairs = (
        ((everything, but_last), (everything, but_first)),
        ((but_last, everything), (but_first, everything)),
        ((but_last, but_last), (but_first, but_first)),
        ((but_last, but_first), (but_first, but_last)),
    )
    for direction, (here, there) in enumerate(pairs):
        total: Float32[np.ndarray, "h w"] = np.zeros_like(planes[0][here])
        for plane in planes:
            difference = plane[here] - plane[there]
            difference *= difference
            total += difference
        np.sqrt(total, out=total)
        total *= np.float32(_SCALE)
        weights[(*here, direction)] = total
    flat = weights.reshape(-1)
    counts = np.zeros(_NO_EDGE + 1, np.int64)
    order = np.empty(_edge_count(height, width), np.uint32)
    kernels.compiled(_counting_sort)(flat, counts, order)
    return Edges(order, flat, (height, width))


def _edge_count(height: int, width: int) -> int:
    return height * (width - 1) + (height - 1) * width + 2 * (height - 1) * (width - 1)


def _counting_sort(weights: np.ndarray, counts: np.ndarray, order: np.ndarray) -> None:
    """Fill `order` with the positions of the weights that are edges, lightest first, stable."""
    none = len(counts) - 1
    for i in range(len(weights)):
        counts[weights[i]] += 1
    start = 0
    for weight in range(none):
        start, counts[weight] = start + counts[weight], start
    for i in range(len(weights)):
        weight = weights[i]
        if weight != none:
            order[counts[weight]] = i
            counts[weight] += 1


def join(edges: Edges, k: float, min_size: int) -> tuple[Labels, int]:
    """Join the pixels over the edges: (labels, how many); see `segment`."""
    height, width = edges.size
    pixels = height * width
    labels = np.empty(pixels, np.int32)
    # Unsigned, since a signed index costs the compiled code a look at whether it counts from the end.
    parents = np.arange(pixels, dtype=np.uint32)
    steps = np.array([1, width, width + 1, width - 1], np.uint32)
    limits = np.full(pixels, k * _SCALE, np.float32)
    rejected = np.empty(len(edges.order), np.uint32)
    sizes = np.ones(pixels, np.int32)
    kernels.compiled(_join)(
        edges.order, edges.weights, steps, float(k * _SCALE), min_size, parents, sizes, limits, rejected
    )
    kernels.compiled(_number)(parents, labels)
    return labels.reshape(height, width), int(labels.max(initial=-1)) + 1


def _join(
    order: np.ndarray,
    weights: np.ndarray,
    steps: np.ndarray,
    k: float,
    min_size: int,
    parents: np.ndarray,
    sizes: np.ndarray,
    limits: np.ndarray,
    rejected: np.ndarray,
) -> None:
    """Union-find over the edges. Roots are their own parents; `limits` is the heaviest edge that each takes.

    The second round, for small components, needs only those edges that the first one turned down.
    """
    others = 0
    for small in range(2):
        for at in range(len(order) if small == 0 else others):
            edge = order[at] if small == 0 else rejected[at]
            a = edge >> 2
            b = a + steps[edge & 3]
            up, across = parents[a], parents[b]
            if up == across:
                continue
            # Every node on the way is hung one higher.
            while up != a:
                above = parents[up]
                parents[a] = above
                a, up = up, above
            while across != b:
                above = parents[across]
                parents[b] = above
                b, across = across, above
            if a == b:
                continue
            if small == 0:
                weight = weights[edge]
                if weight > limits[a] or weight > limits[b]:
                    rejected[others] = edge
                    others += 1
                    continue
            elif sizes[a] >= min_size and sizes[b] >= min_size:
                continue
            if sizes[a] < sizes[b]:
                a, b = b, a
            sizes[a] += sizes[b]
            parents[b] = a
            if small == 0:
                limits[a] = weight + k / sizes[a]


def _number(parents: np.ndarray, labels: np.ndarray) -> None:
    """Number the components in the order of their first pixels."""
    count = 0
    for pixel in range(len(labels)):
        labels[pixel] = -1
    for pixel in range(len(labels)):
        root = parents[pixel]
        while parents[root] != root:
            root = parents[root]
        parents[pixel] = root
        # The first pixel of a component may come before its root, and then gives the root its number.
        if labels[root] < 0:
            labels[root] = count
            count += 1
        labels[pixel] = labels[root]
