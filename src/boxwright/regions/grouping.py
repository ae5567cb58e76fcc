"""Hierarchical grouping of regions (Uijlings et al. 2013, algorithm 1): the most similar two become one.

Where several pairs are equally similar, the pair of the lowest numbers goes first; regions are numbered as they
come to be. The candidates wait in a heap; a pair of which one has been merged meanwhile is thrown away when it
comes up. Each region's list of neighbours is joined to the other's when they merge, and cleaned when it is next
read, so that a merge costs what the regions have for neighbours and no more.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int32, Int64

from boxwright.regions import kernels
from boxwright.regions.similarity import (
    WHOLE,
    Regions,
    fill_similarity,
    in_common,
    size_similarity,
)

KINDS = "CTSF"
"""Colour, texture, size, fill."""


def hierarchies(
    regions: Regions, area: int, similarities: tuple[str, ...]
) -> list[Int32[np.ndarray, "node 4"]]:
    """Group the same regions by several measures of similarity.

    Args:
        regions: n of them, all connected.
        area: of the picture, in pixels.
        similarities: for each hierarchy the letters of its measure, of `KINDS`; their values are added (eq. 7).

    Returns:
        For each measure the boxes of 2n - 1 regions: the n, then each merged one, the whole picture last.
    """
    measured = {
        "C": in_common(regions.colour, regions.pairs) / WHOLE,
        "T": in_common(regions.texture, regions.pairs) / WHOLE,
        "S": size_similarity(regions, area),
        "F": fill_similarity(regions, area),
    }
    return [_group(regions, area, letters, measured) for letters in similarities]


def _group(
    regions: Regions, area: int, letters: str, measured: dict[str, np.ndarray]
) -> Int32[np.ndarray, "node 4"]:
    count = len(regions.size)
    out = np.empty((2 * count - 1, 4), np.int32)
    out[:count] = regions.boxes
    if count == 1:
        return out
    histograms = [
        parts for letter, parts in (("C", regions.colour), ("T", regions.texture)) if letter in letters
    ]
    empty = np.empty((count, 0), np.int32)
    pairs = regions.pairs.astype(np.int64)
    similarity: Float64[np.ndarray, " pair"] = np.zeros(len(pairs))
    for letter in KINDS:
        if letter in letters:
            similarity += measured[letter]
    # A sorted list is a heap already. Pairs are sorted, so that a stable order breaks ties as it should.
    order = np.argsort(-similarity, kind="stable")
    heap = similarity[order]
    codes = (pairs[:, 0] * (2 * count) + pairs[:, 1])[order]
    kernels.compiled(_merge)(
        np.concatenate([*histograms, empty], 1),
        regions.size.copy(),
        heap,
        codes,
        *_neighbour_lists(pairs, count),
        area,
        WHOLE,
        "S" in letters,
        "F" in letters,
        out,
    )
    return out


def _neighbour_lists(
    pairs: Int64[np.ndarray, "pair 2"], count: int
) -> tuple[
    Int64[np.ndarray, " region"],
    Int64[np.ndarray, " region"],
    Int64[np.ndarray, " link"],
    Int64[np.ndarray, " link"],
]:
    """Linked lists: the first and the last link of each region, the next of each link, and whom it names."""
    owners, named = np.concatenate((pairs, pairs[:, ::-1])).T
    order = np.argsort(owners, kind="stable")
    bounds = np.searchsorted(owners[order], np.arange(count + 1))
    following = np.arange(1, len(order) + 1)
    following[bounds[1:] - 1] = -1
    return bounds[:-1].copy(), bounds[1:] - 1, following, named[order]


def _merge(
    parts: np.ndarray,
    size: np.ndarray,
    heap: np.ndarray,
    codes: np.ndarray,
    heads: np.ndarray,
    tails: np.ndarray,
    following: np.ndarray,
    named: np.ndarray,
    area: int,
    whole: int,
    by_size: bool,
    by_fill: bool,
    boxes: np.ndarray,
) -> None:
    """Fill `boxes` from the n-th on. A merged region takes the row of one of its two; rows are what lists name."""
    count = len(size)
    base = 2 * count
    row_of = np.arange(base)  # of each region
    held = np.arange(count)  # by each row: the region, or -1 when it has gone into another row
    into = np.arange(count)  # the row it has gone into, or itself
    seen = np.full(count, -1)
    box = boxes[:count].copy()
    length = len(heap)
    region = count
    while region < base - 1:
        # Take the best pair out of the heap.
        best = codes[0]
        length -= 1
        value, code = heap[length], codes[length]
        at = 0
        while 2 * at + 1 < length:
            child = 2 * at + 1
            if child + 1 < length and (
                heap[child + 1] > heap[child]
                or (heap[child + 1] == heap[child] and codes[child + 1] < codes[child])
            ):
                child += 1
            if heap[child] < value or (heap[child] == value and codes[child] > code):
                break
            heap[at], codes[at] = heap[child], codes[child]
            at = child
        heap[at], codes[at] = value, code
        one, other = row_of[best // base], row_of[best % base]
        if held[one] != best // base or held[other] != best % base:
            continue

        # The other's row goes into the one's (eq. 2).
        total = size[one] + size[other]
        share, rest = size[one] / total, size[other] / total
        for i in range(parts.shape[1]):
            parts[one, i] = int(parts[one, i] * share + parts[other, i] * rest)
        size[one] = total
        for i in range(2):
            box[one, i] = min(box[one, i], box[other, i])
            box[one, i + 2] = max(box[one, i + 2], box[other, i + 2])
            boxes[region, i], boxes[region, i + 2] = box[one, i], box[one, i + 2]
        held[one], held[other], row_of[region], into[other] = region, -1, one, one

        # Both lists in one, every neighbour once, each with its new similarity.
        following[tails[one]] = heads[other]
        link, last = heads[one], -1
        while link >= 0:
            row = named[link]
            while into[row] != row:
                into[row] = into[into[row]]
                row = into[row]
            named[link], current, link = row, link, following[link]
            if row == one or seen[row] == region:
                continue
            seen[row] = region
            if last < 0:
                heads[one] = current
            else:
                following[last] = current
            last = current
            common = 0
            for i in range(parts.shape[1]):
                common += min(parts[one, i], parts[row, i])
            value = common / whole
            if by_size:
                value += 1 - (size[one] + size[row]) / area
            if by_fill:
                wide = max(box[one, 2], box[row, 2]) - min(box[one, 0], box[row, 0])
                high = max(box[one, 3], box[row, 3]) - min(box[one, 1], box[row, 1])
                value += 1 - (wide * high - size[one] - size[row]) / area
            if length == len(heap):
                heap = np.concatenate((heap, np.empty_like(heap)))
                codes = np.concatenate((codes, np.empty_like(codes)))
            code = held[row] * base + region
            at = length
            length += 1
            while at > 0 and (
                heap[(at - 1) // 2] < value or (heap[(at - 1) // 2] == value and codes[(at - 1) // 2] > code)
            ):
                heap[at], codes[at] = heap[(at - 1) // 2], codes[(at - 1) // 2]
                at = (at - 1) // 2
            heap[at], codes[at] = value, code
        if last >= 0:
            following[last] = -1
        tails[one] = last
        region += 1
