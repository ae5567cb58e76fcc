"""RoIAlign on the CPU, compiled by numba, and what RoIPool shares with it; importing this module needs numba.

Maps are tables: one row of channels for each cell, so that the innermost loop runs over neighbouring numbers and
becomes vector instructions. bfloat16 is read and written as the 16 bits that it is (`uint16`) and computed as
float32, so that no map is widened in memory.

What is pooled forwards is cut up by RoIs, what flows back by image and block of channels: no two threads write
to one cell, and each cell's sum has the order of the RoIs, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba.extending import overload

from boxwright.compiling import machine_code

Axis = tuple[np.ndarray, np.ndarray]
"""For each RoI and sample of one axis: its two cells and their weights (`roi_plain.taps`)."""
_F = TypeVar("_F", bound=Callable[..., Any])

BLOCK = 128
"""Channels that flow back at once: of a 120 x 120 map, 7 MB. A constant, so that loops over it unroll."""
PADDING = 16  # keeps cells of neighbouring rows of a tile out of one another's place in the cache


def compiled(function: _F) -> _F:
    kernel = machine_code(function, fuse=True)
    assert kernel is not None
    return kernel


def wide(value: Any) -> Any:
    """A stored number as one to compute with."""


def narrow(value: Any, like: Any) -> Any:
    """A computed number as one to store where `like` is."""


@compiled
def _rounded(bits: Any) -> Any:
    """The upper half of a float32, to the nearest, ties to even."""
    odd = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
    return np.uint16(np.uint32(bits + odd + np.uint32(0x7FFF)) >> np.uint32(16))


# numba compares signatures to the letter: lambdas have no annotations that could differ.
_bits = numba.types.uint16
overload(wide)(
    lambda value: (
        (lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32))
        if value == _bits
        else (lambda value: value)
    )
)
overload(narrow)(
    lambda value, like: (
        (lambda value, like: _rounded(np.float32(value).view(np.uint32)) if value == value else 0x7FC0)
        if like == _bits
        else (lambda value, like: value)
    )
)


@compiled
def room(axis: Axis, bins: int, limit: int) -> tuple[np.ndarray, ...]:
    """Space for `merge`, allocated once for many RoIs."""
    weights = axis[1]
    most = min(2 * (weights.shape[1] // bins), limit)
    return (
        np.full(limit, -1, np.int64),
        np.empty(limit, np.int64),
        np.empty((bins, most), np.int64),
        np.empty((bins, most), weights.dtype),
        np.empty(bins, np.int64),
    )


@compiled
def merge(cells: np.ndarray, weights: np.ndarray, space: tuple[np.ndarray, ...]) -> int:
    """Join the samples of each bin of one RoI that fall on the same cells.

    Two samples a bin have four cells, of which two to four are different. Fills from `space`: the different cells
    of the whole axis, and for each bin the places in that list, their shares, and how many. Returns the length
    of the list.
    """
    place, different, taps, shares, counts = space
    bins, found = len(counts), 0
    samples = len(weights) // bins
    for b in range(bins):
        n = 0
        for s in range(b * samples, (b + 1) * samples):
            for e in range(2):
                if weights[s, e] == 0:
                    continue
                j = place[cells[s, e]]
                if j < 0:
                    j = found
                    place[cells[s, e]] = j
                    different[j] = cells[s, e]
                    found += 1
                k = 0
                while k < n and taps[b, k] != j:
                    k += 1
                if k < n:
                    shares[b, k] += weights[s, e]
                else:
                    taps[b, k] = j
                    shares[b, k] = weights[s, e]
                    n += 1
        counts[b] = n
    for j in range(found):
        place[different[j]] = -1
    return found


@compiled
def _combine(
    target: np.ndarray, t: int, source: np.ndarray, rows: np.ndarray, shares: np.ndarray, n: int
) -> None:
    """target[t] = the sum of `n` rows of `source`, each times its share."""
    size = source.shape[1]
    none = shares.dtype.type(0)
    if n == 0:
        target[t, :size] = none
        return
    # Four at once: a cell is then written once and not read again. What is missing is the first, times nothing.
    a = rows[0]
    b, c, d = rows[1] if n > 1 else a, rows[2] if n > 2 else a, rows[3] if n > 3 else a
    u, v = shares[0], shares[1] if n > 1 else none
    w, x = shares[2] if n > 2 else none, shares[3] if n > 3 else none
    for i in range(size):
        first = u * wide(source[a, i]) + v * wide(source[b, i])
        target[t, i] = first + w * wide(source[c, i]) + x * wide(source[d, i])
    for k in range(4, n):
        a, u = rows[k], shares[k]
        for i in range(size):
            target[t, i] += u * wide(source[a, i])


@compiled
def put(total: np.ndarray, out: np.ndarray, row: int, start: int, size: int) -> None:
    """Store a block of `size` channels from `start` on, and rows from `row` on."""
    for i in range(len(total)):
        for c in range(size):
            out[row + i, start + c] = narrow(total[i, c], out[row + i, start + c])


@compiled
def align(
    table: np.ndarray,
    grid: tuple[int, int],
    image: np.ndarray,
    rows: Axis,
    columns: Axis,
    which: np.ndarray,
    out: np.ndarray,
    bins: tuple[int, int],
) -> None:
    """RoIAlign of the RoIs `which` on one map: first along y into a line of cells, then along x into bins.

    Args:
        table: (images x height x width, channels).
        grid: height and width of the map.
        image: of each RoI.
        rows: samples along y of each RoI.
        columns: along x.
        which: numbers of the RoIs.
        out: (RoIs, channels, bins), written for those in `which`.
        bins: along y and x.
    """
    height, width = grid
    h, w = bins
    channels = table.shape[1]
    room_y, room_x = room(rows, h, height), room(columns, w, width)
    _, ys, taps_y, shares_y, counts_y = room_y
    _, xs, taps_x, shares_x, counts_x = room_x
    dtype = rows[1].dtype
    cells = np.empty(taps_y.shape[1], np.int64)
    line = np.empty((min(width, taps_x.size), channels), dtype)
    tile = np.empty((h * w, channels + PADDING), dtype)
    for r in which:
        merge(rows[0][r], rows[1][r], room_y)
        used = merge(columns[0][r], columns[1][r], room_x)
        for p in range(h):
            for j in range(used):
                for k in range(counts_y[p]):
                    cells[k] = (image[r] * height + ys[taps_y[p, k]]) * width + xs[j]
                _combine(line, j, table, cells, shares_y[p], counts_y[p])
            for q in range(w):
                _combine(tile, p * w + q, line, taps_x[q], shares_x[q], counts_x[q])
        for c in range(channels):
            for i in range(h * w):
                out[r, c, i] = narrow(tile[i, c], out[r, c, i])


@compiled
def align_back(
    gradient: np.ndarray,
    grid: tuple[int, int],
    image: np.ndarray,
    rows: Axis,
    columns: Axis,
    which: np.ndarray,
    out: np.ndarray,
    bins: tuple[int, int],
    at: tuple[int, int],
) -> None:
    """What flows back through `align` into one image and one block of channels.

    Args:
        gradient: (RoIs, channels, bins).
        grid: height and width of the map.
        image: of each RoI.
        rows: samples along y of each RoI.
        columns: along x.
        which: numbers of the RoIs; those of other images are passed over.
        out: (images x height x width, channels), written for that image and block.
        bins: along y and x.
        at: the image and the block's first channel.
    """
    height, width = grid
    h, w = bins
    picture, start = at
    size = min(BLOCK, gradient.shape[1] - start)
    room_y, room_x = room(rows, h, height), room(columns, w, width)
    _, ys, taps_y, shares_y, counts_y = room_y
    _, xs, taps_x, shares_x, counts_x = room_x
    dtype = rows[1].dtype
    line = np.empty((min(width, taps_x.size), BLOCK), dtype)
    tile = np.zeros((h * w, BLOCK), dtype)
    total = np.zeros((height * width, BLOCK), dtype)
    for r in which:
        if image[r] != picture:
            continue
        for c in range(size):
            for i in range(h * w):
                tile[i, c] = wide(gradient[r, start + c, i])
        merge(rows[0][r], rows[1][r], room_y)
        used = merge(columns[0][r], columns[1][r], room_x)
        for p in range(h):
            line[:used] = 0
            for q in range(w):
                i = p * w + q
                for k in range(counts_x[q]):
                    j, share = taps_x[q, k], shares_x[q, k]
                    for c in range(BLOCK):
                        line[j, c] += share * tile[i, c]
            for k in range(counts_y[p]):
                row, share = ys[taps_y[p, k]] * width, shares_y[p, k]
                for j in range(used):
                    i = row + xs[j]
                    for c in range(BLOCK):
                        total[i, c] += share * line[j, c]
    put(total, out, picture * height * width, start, size)
