"""RoIPool on the CPU, compiled by numba (see `roi_kernels` for how the work is cut up)."""

from __future__ import annotations

import numpy as np

from boxwright.regions.roi_kernels import BLOCK, PADDING, compiled, narrow, put, wide


@compiled
def largest(
    table: np.ndarray,
    grid: tuple[int, int],
    image: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    which: np.ndarray,
    out: np.ndarray,
    chosen: np.ndarray,
    number: np.dtype,
) -> None:
    """RoIPool of the RoIs `which`: the largest of each bin's cells, and which cell that was.

    Args:
        table: (images x height x width, channels).
        grid: height and width of the map.
        image: of each RoI.
        rows: (RoIs, bins, 2): first cell along y, and the one after the last.
        columns: the same along x.
        which: numbers of the RoIs.
        out: (RoIs, channels, bins), 0 where a bin has no cell.
        chosen: the same shape: row-major place on the map, the first among equals; -1 where there is none.
        number: what to compute in.
    """
    height, width = grid
    h, w = rows.shape[1], columns.shape[1]
    channels = table.shape[1]
    best = np.empty((h * w, channels + PADDING), number)
    place = np.empty((h * w, channels + PADDING), np.int32)
    for r in which:
        best[:] = -np.inf
        place[:] = -1
        for p in range(h):
            for q in range(w):
                i = p * w + q
                for y in range(rows[r, p, 0], rows[r, p, 1]):
                    for x in range(columns[r, q, 0], columns[r, q, 1]):
                        here = np.int32(y * width + x)
                        cell = image[r] * height * width + here
                        for c in range(channels):
                            value = wide(table[cell, c])
                            more = value > best[i, c]
                            best[i, c] = value if more else best[i, c]
                            place[i, c] = here if more else place[i, c]
        for c in range(channels):
            for i in range(h * w):
                value = best[i, c] if place[i, c] >= 0 else best.dtype.type(0)
                out[r, c, i] = narrow(value, out[r, c, i])
                chosen[r, c, i] = place[i, c]


@compiled
def largest_back(
    gradient: np.ndarray,
    chosen: np.ndarray,
    grid: tuple[int, int],
    image: np.ndarray,
    out: np.ndarray,
    at: tuple[int, int],
    number: np.dtype,
) -> None:
    """What flows back through `largest` into one image (`at[0]`) and the block of channels from `at[1]` on."""
    height, width = grid
    picture, start = at
    size = min(BLOCK, gradient.shape[1] - start)
    total = np.zeros((height * width, BLOCK), number)
    for r in range(len(gradient)):
        if image[r] != picture:
            continue
        for c in range(size):
            for i in range(gradient.shape[2]):
                if chosen[r, start + c, i] >= 0:
                    total[chosen[r, start + c, i], c] += wide(gradient[r, start + c, i])
    put(total, out, picture * height * width, start, size)
