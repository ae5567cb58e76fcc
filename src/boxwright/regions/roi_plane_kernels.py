"""RoIAlign on the CPU for maps of few channels, such as images: the innermost loop runs along a row of the map."""

from __future__ import annotations

import numpy as np

from boxwright.regions.roi_kernels import Axis, compiled, merge, narrow, room, wide

FEW = 8
"""Channels from which on `roi_kernels.align` is quicker: a vector of float32."""


@compiled
def align_planes(
    features: np.ndarray,
    image: np.ndarray,
    rows: Axis,
    columns: Axis,
    which: np.ndarray,
    out: np.ndarray,
    bins: tuple[int, int],
) -> None:
    """RoIAlign of the RoIs `which` on one map: first along y into a stretch of a row, then along x into bins.

    Args:
        features: (images, channels, height, width).
        image: of each RoI.
        rows: samples along y of each RoI.
        columns: along x.
        which: numbers of the RoIs.
        out: (RoIs, channels, bins), written for those in `which`.
        bins: along y and x.
    """
    h, w = bins
    room_y, room_x = room(rows, h, features.shape[2]), room(columns, w, features.shape[3])
    _, ys, taps_y, shares_y, counts_y = room_y
    _, xs, taps_x, shares_x, counts_x = room_x
    dtype = rows[1].dtype
    stretch = np.empty(features.shape[3], dtype)
    pairs, shares = np.empty((2, w), np.int64), np.empty((2, w), dtype)
    for r in which:
        merge(rows[0][r], rows[1][r], room_y)
        used = merge(columns[0][r], columns[1][r], room_x)
        left, right = features.shape[3], 0
        for j in range(used):
            left, right = min(left, xs[j]), max(right, xs[j] + 1)
        # The first two cells of each bin stand in arrays of their own: where there are no more, as with one
        # sample a bin, their sum is a loop without branches.
        more = False
        for q in range(w):
            more |= counts_x[q] > 2
            for k in range(2):
                there = k < counts_x[q]
                pairs[k, q] = xs[taps_x[q, k]] if there else 0
                shares[k, q] = shares_x[q, k] if there else dtype.type(0)
        stretch[0] = 0
        for c in range(features.shape[1]):
            for p in range(h):
                stretch[left:right] = 0
                for k in range(counts_y[p]):
                    y, share = ys[taps_y[p, k]], shares_y[p, k]
                    for x in range(left, right):
                        stretch[x] += share * wide(features[image[r], c, y, x])
                for q in range(w):
                    total = shares[0, q] * stretch[pairs[0, q]] + shares[1, q] * stretch[pairs[1, q]]
                    if more:
                        for k in range(2, counts_x[q]):
                            total += shares_x[q, k] * stretch[xs[taps_x[q, k]]]
                    i = p * w + q
                    out[r, c, i] = narrow(total, out[r, c, i])
