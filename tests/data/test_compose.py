"""A scene is what it says: tight boxes, sizes within limits, digits that can be seen."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.data import compose
from boxwright.data.compose import (
    LARGEST,
    LEAST_VISIBLE,
    SMALLEST,
    Scene,
    covering_strip,
    draw_scene,
    turned_ink,
)
from boxwright.data.scenes import load_material

MATERIAL = load_material("train")


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(MATERIAL, np.random.default_rng([5, i])) for i in range(60)]


def test_boxes_are_tight_around_the_visible_ink(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.owner.shape == scene.image.shape[:2] == (320, 320)
        assert set(np.unique(scene.owner)) - {-1} == set(range(len(scene.labels)))
        for k, (left, top, right, bottom) in enumerate(scene.boxes.astype(int)):
            mine = scene.owner == k
            assert mine[top:bottom, left:right].sum() == mine.sum()
            for edge in (
                mine[top, left:right],
                mine[bottom - 1, left:right],
                mine[top:bottom, left],
                mine[top:bottom, right - 1],
            ):
                assert edge.any()


def test_one_to_six_digits_of_24_to_120_pixels(scenes: list[Scene]) -> None:
    counts = {len(scene.labels) for scene in scenes}
    assert counts <= set(range(1, 7)) and {1, 6} <= counts
    boxes = np.concatenate([scene.boxes for scene in scenes])
    longer = (boxes[:, 2:] - boxes[:, :2]).max(-1)
    assert SMALLEST <= longer.min() < 32 and 100 < longer.max() <= LARGEST
    assert boxes.min() >= 0 and boxes.max() <= 320
    assert set(np.concatenate([scene.labels for scene in scenes])) == set(range(10))


def test_digits_hardly_overlap(scenes: list[Scene]) -> None:
    for scene in scenes:
        for a, b in combinations(scene.boxes, 2):
            common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
            assert common <= 0.2 * min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))


def test_digits_stand_out_from_what_surrounds_them(scenes: list[Scene]) -> None:
    luma = np.array([0.299, 0.587, 0.114])
    apart = []
    for scene in scenes:
        grey = scene.image @ luma
        for k, (left, top, right, bottom) in enumerate(scene.boxes.astype(int)):
            window = np.s_[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4]
            ink, rest = scene.owner[window] == k, scene.owner[window] == -1
            apart.append(abs(np.median(grey[window][ink]) - np.median(grey[window][rest])))
    assert np.median(apart) > 90 and np.mean(np.array(apart) < 40) < 0.03


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_cover_hides_between_a_twelfth_and_a_fifth_of_the_ink(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = turned_ink(MATERIAL.glyphs[seed % len(MATERIAL.glyphs)], 80.0, 0.1) > 0.5
    share = (covering_strip(mask, rng) & mask).sum() / mask.sum()
    # A strip along the pixel grid takes or leaves whole rows.
    assert 1 / 12 - 0.01 < share < 1 / 5 + 0.03


def test_a_quarter_or_so_is_partly_covered_and_most_of_it_is_seen(scenes: list[Scene]) -> None:
    visible = np.concatenate([scene.visible for scene in scenes])
    assert LEAST_VISIBLE <= visible.min() < 0.85 and visible.max() == 1.0
    assert 0.15 < (visible < 0.95).mean() < 0.4


def test_too_little_of_a_digit_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(40)
    monkeypatch.setattr(compose, "LEAST_VISIBLE", 0.0)
    least = {seed: draw_scene(MATERIAL, np.random.default_rng(seed)).visible.min() for seed in seeds}
    monkeypatch.setattr(compose, "LEAST_VISIBLE", 0.9)
    again = {seed: draw_scene(MATERIAL, np.random.default_rng(seed)).visible.min() for seed in seeds}
    assert min(least.values()) < 0.9 <= min(again.values())
    assert all(again[seed] == least[seed] for seed in seeds if least[seed] >= 0.9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1286), st.floats(26, 118), st.floats(-15, 15))
def test_ink_is_as_long_as_asked_and_fills_its_frame(which: int, length: float, degrees: float) -> None:
    glyph = MATERIAL.glyphs[which]
    ink = turned_ink(glyph, length, float(np.deg2rad(degrees)))
    assert abs(max(ink.shape) - length) <= 2
    mask = ink > 0.5
    assert mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any()
    assert ink.min() >= 0 and ink.max() == 1


def test_ink_turns_clockwise_by_the_angle_asked() -> None:
    bar = np.zeros((8, 8), np.float32)
    bar[:, 3:5] = 1
    for degrees in (-15.0, 0.0, 15.0):
        ys, xs = np.nonzero(turned_ink(bar, 110.0, np.deg2rad(degrees)) > 0.5)
        # Clockwise, the foot of an upright bar goes to the left, and y points down.
        slope = np.polyfit(ys, xs, 1)[0]
        assert abs(np.rad2deg(np.arctan(-slope)) - degrees) < 1.5
