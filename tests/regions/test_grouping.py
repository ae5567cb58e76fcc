from __future__ import annotations

import inspect

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from boxwright.regions import kernels
from boxwright.regions.grouping import hierarchies
from boxwright.regions.segmentation import segment, smooth
from boxwright.regions.similarity import WHOLE, Regions, describe_pixels, describe_regions

MEASURES = ("CTSF", "TSF", "F", "S", "C", "T", "CT")


def regions_of(seed: int, height: int, width: int, min_size: int = 2) -> Regions:
    rng = np.random.default_rng(seed)
    planes = rng.integers(0, 4, (2, height, width)).astype(np.float32) * 80  # few values: many ties
    labels = segment(planes, 60, min_size, sigma=0)
    return describe_regions(labels, int(labels.max()) + 1, describe_pixels(planes, smooth(planes, 0.8)))


def naive(regions: Regions, area: int, letters: str) -> list[list[int]]:
    """Algorithm 1 of the paper with sets, all similarities made anew before each merge."""
    count = len(regions.size)
    alive = {
        i: (regions.colour[i], regions.texture[i], int(regions.size[i]), regions.boxes[i])
        for i in range(count)
    }
    touching = {frozenset(pair) for pair in regions.pairs.tolist()}
    boxes = regions.boxes.tolist()
    while len(alive) > 1:

        def similarity(pair: tuple[int, int]) -> float:
            (c1, t1, s1, b1), (c2, t2, s2, b2) = (alive[i] for i in pair)
            value = 0.0
            for letter, one, other in (("C", c1, c2), ("T", t1, t2)):
                if letter in letters:
                    value += int(np.minimum(one, other).sum(dtype=np.int64)) / WHOLE
            if "S" in letters:
                value += 1 - (s1 + s2) / area
            if "F" in letters:
                wide = int(max(b1[2], b2[2]) - min(b1[0], b2[0]))
                high = int(max(b1[3], b2[3]) - min(b1[1], b2[1]))
                value += 1 - (wide * high - s1 - s2) / area
            return value

        pairs = sorted((min(pair), max(pair)) for pair in touching)
        a, b = max(pairs, key=lambda pair: (similarity(pair), -pair[0], -pair[1]))
        c1, t1, s1, b1 = alive.pop(a)
        c2, t2, s2, b2 = alive.pop(b)
        total = s1 + s2
        mix = lambda x, y: (x * (s1 / total) + y * (s2 / total)).astype(np.int32)  # noqa: B023, E731
        box = np.concatenate((np.minimum(b1[:2], b2[:2]), np.maximum(b1[2:], b2[2:])))
        alive[count] = (mix(c1, c2), mix(t1, t2), total, box)
        touching = {frozenset(count if i in (a, b) else i for i in pair) for pair in touching}
        touching = {pair for pair in touching if len(pair) == 2}
        boxes.append(box.tolist())
        count += 1
    return boxes


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 7), st.sampled_from(MEASURES))
def test_equals_the_naive_algorithm(seed: int, height: int, width: int, letters: str) -> None:
    regions = regions_of(seed, height, width)
    (found,) = hierarchies(regions, height * width, (letters,))
    assert found.tolist() == naive(regions, height * width, letters)


@pytest.mark.parametrize("letters", MEASURES)
def test_n_regions_make_2n_minus_1(letters: str) -> None:
    regions = regions_of(5, 60, 70)
    count = len(regions.size)
    assert count > 100
    before = regions.colour.copy(), regions.size.copy()
    (boxes,) = hierarchies(regions, 60 * 70, (letters,))
    assert len(boxes) == 2 * count - 1
    assert boxes[-1].tolist() == [0, 0, 70, 60]
    np.testing.assert_array_equal(boxes[:count], regions.boxes)
    # The regions themselves serve the next measure, and stay as they were.
    np.testing.assert_array_equal(regions.colour, before[0])
    np.testing.assert_array_equal(regions.size, before[1])


def test_every_merged_box_is_around_two_before_it() -> None:
    (boxes,) = hierarchies(regions_of(1, 20, 20), 400, ("CTSF",))
    count = (len(boxes) + 1) // 2
    for i in range(count, len(boxes)):
        low = np.minimum(boxes[:i, None, :2], boxes[None, :i, :2])
        high = np.maximum(boxes[:i, None, 2:], boxes[None, :i, 2:])
        assert (np.concatenate((low, high), -1) == boxes[i]).all(-1).any()


def test_alike_neighbours_go_together_first() -> None:
    # Dark, light, light, dark in a row: the light ones are one, then all; by size alone the small ones are.
    labels = np.repeat(np.arange(4, dtype=np.int32), [3, 6, 6, 3])[None].repeat(4, 0)
    planes = np.repeat(np.array([20.0, 200, 200, 40], np.float32), [3, 6, 6, 3])[None, None].repeat(4, 1)
    regions = describe_regions(labels, 4, describe_pixels(planes, planes))
    by_colour, by_size = hierarchies(regions, 72, ("C", "S"))
    assert by_colour[4].tolist() == [3, 0, 15, 4]
    assert by_size[4].tolist() == [0, 0, 9, 4]


def test_compiled_and_plain_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = regions_of(9, 14, 16)
    compiled = hierarchies(regions, 224, MEASURES)
    monkeypatch.setattr(kernels, "compiled", inspect.unwrap)
    for one, other in zip(compiled, hierarchies(regions, 224, MEASURES), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_region_is_its_own_hierarchy() -> None:
    regions = describe_regions(
        np.zeros((2, 3), np.int32), 1, describe_pixels(*[np.zeros((3, 2, 3), np.float32)] * 2)
    )
    assert [tree.tolist() for tree in hierarchies(regions, 6, ("CTSF", "F"))] == [[[0, 0, 3, 2]]] * 2
