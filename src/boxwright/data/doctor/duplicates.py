"""Pictures that are the same, or look it: a perceptual hash, and a search that need not compare every pair.

The hash is the sign pattern of a picture's 64 lowest spatial frequencies about their median (a discrete
cosine transform of a 32 x 32 grey thumbnail, after Zauner, "Implementation and Benchmarking of Perceptual
Image Hash Functions", 2010). Re-encoding, shrinking, brightening and cropping by 2 % change at most 8 bits
of nearly all photographs; of 5 million pairs of different Pascal VOC photographs only one is that close.
Hashes that are close are compared again, thumbnail by thumbnail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8, UInt64

from boxwright.data.doctor.probe import SIDE

Hashes = UInt64[np.ndarray, " image"]
Thumbnails = UInt8[np.ndarray, "image side side"]
Pairs = Int64[np.ndarray, "pair 2"]

DISTANCE = 8
"""Most bits in which the hashes of two pictures that look alike differ."""

_ALIKE = 0.9  # correlation of thumbnails: copies have 0.93 and more, strangers with close hashes 0.3 to 0.85
_FLAT, _SAME_GREY = 3.0, 8.0  # grey levels: a picture without contrast has no pattern to correlate
_BLOCK = 2_000_000  # pairs held at once: 16 bytes each and their thumbnails one after another
_BITS = np.array([value.bit_count() for value in range(256)], np.uint8)


def hashes(thumbnails: Thumbnails) -> Hashes:
    """The perceptual hash of each thumbnail, 64 bits.

    >>> picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32), np.uint8)
    >>> bool(distance(hashes(picture), hashes(picture // 2 + 60))[0] <= DISTANCE)
    True
    """
    if len(thumbnails) == 0:
        return np.zeros(0, np.uint64)
    frequency, position = np.arange(8)[:, None], np.arange(SIDE)[None, :]
    basis = np.cos(np.pi * (2 * position + 1) * frequency / (2 * SIDE)).astype(np.float32)
    spectrum = (basis @ thumbnails.astype(np.float32) @ basis.T).reshape(len(thumbnails), 64)
    bits = spectrum > np.median(spectrum, axis=1, keepdims=True)
    packed: Hashes = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return packed


def distance(
    first: UInt64[np.ndarray, " pair"], second: UInt64[np.ndarray, " pair"]
) -> Int64[np.ndarray, " pair"]:
    """In how many bits hashes differ."""
    differing = np.ascontiguousarray(first ^ second).view(np.uint8).reshape(-1, 8)
    count: Int64[np.ndarray, " pair"] = _BITS[differing].sum(axis=1, dtype=np.int64)
    return count


def close_pairs(values: Hashes, limit: int = DISTANCE) -> Pairs:
    """All pairs (i < j) of hashes that differ in at most `limit` bits.

    Cut into `limit` + 1 pieces, two such hashes have a piece in common (the pigeonhole principle), so only
    pictures that share a piece are compared: 10,000 of them take half a second.
    """
    edges = np.linspace(0, 64, limit + 2).astype(int).tolist()
    found: list[Int64[np.ndarray, " pair"]] = []
    for low, high in pairwise(edges):
        piece = (values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        for first, second in _same(piece):
            near = distance(values[first], values[second]) <= limit
            found.append(first[near] * len(values) + second[near])
    codes = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    return np.stack(np.divmod(codes, max(1, len(values))), axis=1)


def alike(thumbnails: Thumbnails, pairs: Pairs) -> Bool[np.ndarray, " pair"]:
    """Which of the pairs of pictures look alike: equal up to brightness and contrast."""
    result = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 4096):
        part = pairs[start : start + 4096]
        first, second = (
            thumbnails[part[:, side]].reshape(len(part), -1).astype(np.float32) for side in (0, 1)
        )
        apart = np.abs(first - second).mean(axis=1)
        (first, spread_1), (second, spread_2) = _standard(first), _standard(second)
        flat = np.minimum(spread_1, spread_2) < _FLAT
        correlation = np.mean(first * second, axis=1)
        result[start : start + len(part)] = np.where(flat, apart < _SAME_GREY, correlation >= _ALIKE)
    return result


def look_alikes(thumbnails: Thumbnails, groups: Sequence[str]) -> Iterator[tuple[int, int]]:
    """For each picture an earlier one of each group that looks like it, as (earlier, later).

    Pictures of one group with equal hashes are only compared with the first of them, so that a film of a
    still scene is no matter of all pairs of its frames.

    Args:
        thumbnails: the pictures.
        groups: of each picture; its split.
    """
    values = hashes(thumbnails)
    first: dict[tuple[int, str], int] = {}
    twins: dict[int, list[int]] = defaultdict(list)
    for index, key in enumerate(zip(values.tolist(), groups, strict=True)):
        twins[first.setdefault(key, index)].append(index)
    leaders = np.array(list(twins), np.int64)
    pairs = leaders[close_pairs(values[leaders])]
    followers = [(leader, twin) for leader, members in twins.items() for twin in members[1:]]
    everything = np.concatenate([pairs, np.array(followers, np.int64).reshape(-1, 2)])
    seen: set[tuple[int, str]] = set()
    for one, two in everything[alike(thumbnails, everything)].tolist():
        for early, late in _with_twins(one, two, twins):
            if (late, groups[early]) not in seen:
                seen.add((late, groups[early]))
                yield early, late


def _with_twins(one: int, two: int, twins: dict[int, list[int]]) -> Iterable[tuple[int, int]]:
    """The pair, and the followers of its second picture, which look like it."""
    if one in twins and two in twins:
        return [(min(one, late), max(one, late)) for late in twins[two]]
    return [(one, two)]


def _same(
    keys: UInt64[np.ndarray, " image"],
) -> Iterator[tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]]:
    """All pairs of positions with equal keys, in blocks, the smaller position first."""
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    for bucket in np.split(order, ends):
        rows = max(1, _BLOCK // max(1, len(bucket)))
        for start in range(0, len(bucket) - 1, rows):
            above, right = np.triu_indices(min(rows, len(bucket) - start), 1, len(bucket) - start)
            yield bucket[start + above], bucket[start + right]


def _standard(
    flat: Float32[np.ndarray, "pair pixel"],
) -> tuple[Float32[np.ndarray, "pair pixel"], Float32[np.ndarray, " pair"]]:
    """Each row with mean 0 and deviation 1, and its deviation."""
    centred = flat - flat.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1)
    return centred / np.maximum(spread, 1e-6)[:, None], spread
