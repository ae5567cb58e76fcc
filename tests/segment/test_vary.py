from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.errors import InputError
from boxwright.segment.settings import VarySettings
from boxwright.segment.vary import displacements, moved, moved_labels, relit, window_places

STILL = VarySettings(
    elastic=0, rotate=0, scale=(1, 1), flip=False, flip_vertical=False, brightness=0, contrast=0
)
WILD = VarySettings(elastic=10, rotate=180, scale=(0.5, 2), flip=True, flip_vertical=True)


def picture(seed: int = 0, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    return np.random.default_rng(seed).random((3, *size), dtype=np.float32)


@given(seed=st.integers(0, 50), margin=st.integers(0, 5))
def test_without_deviation_a_window_is_a_part_of_the_picture(seed: int, margin: int) -> None:
    source, side = picture(), 20
    places = window_places((40, 50), side, margin, STILL, np.random.default_rng(seed))
    np.testing.assert_array_equal(places, np.rint(places))
    top, left = (int(places[axis, margin, margin]) for axis in (0, 1))
    inner = side - 2 * margin
    assert 0 <= top <= 40 - inner and 0 <= left <= 50 - inner
    mirrored = np.pad(source, [(0, 0), (margin, margin), (margin, margin)], mode="reflect")
    np.testing.assert_array_equal(moved(source, places), mirrored[:, top : top + side, left : left + side])


def test_every_place_is_reached() -> None:
    draws = [window_places((8, 8), 6, 0, STILL, np.random.default_rng(seed))[:, 0, 0] for seed in range(200)]
    assert {tuple(map(int, place)) for place in draws} == {(y, x) for y in range(3) for x in range(3)}


@given(seed=st.integers(0, 50))
def test_elastic_by_nothing_changes_nothing(seed: int) -> None:
    assert (displacements(30, 20, np.random.default_rng(seed), 0.0) == 0).all()


@given(seed=st.integers(0, 50), height=st.integers(3, 60), width=st.integers(3, 60), grid=st.integers(2, 5))
def test_displacements_go_through_the_grid_s_points(seed: int, height: int, width: int, grid: int) -> None:
    height, width = ((n - 1) * (grid - 1) + 1 for n in (height, width))  # points on whole pixels
    found = displacements(height, width, np.random.default_rng(seed), 10.0, grid)
    drawn = np.random.default_rng(seed).normal(0, 10, (2, grid, grid))
    step = ((height - 1) // (grid - 1), (width - 1) // (grid - 1))
    np.testing.assert_allclose(found[:, :: step[0], :: step[1]], drawn, atol=1e-9)
    # Smooth: no step between neighbours is much longer than the points lie apart.
    assert np.abs(np.diff(found, axis=1)).max() <= 6 * np.abs(drawn).max() / step[0]


def test_the_field_s_deviation_is_the_one_asked_for() -> None:
    rng = np.random.default_rng(0)
    corners = [displacements(9, 9, rng, 10.0)[:, [0, 4, 8]][..., [0, 4, 8]] for _ in range(500)]
    assert np.std(corners) == pytest.approx(10, rel=0.03)


@given(seed=st.integers(0, 200))
def test_masks_keep_their_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array([0, 3, 7, 255], np.uint8), (40, 50))
    places = window_places((40, 50), 24, 4, WILD, rng)
    found = moved_labels(labels, places)
    assert found.dtype == np.uint8 and found.shape == (24, 24)
    assert set(np.unique(found)) <= {0, 3, 7, 255}


@given(seed=st.integers(0, 200))
def test_picture_and_mask_move_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Smooth enough that a pixel's value tells its place, whichever neighbour is taken.
    rows = np.linspace(0, 200, 80)[:, None].repeat(90, 1)
    places = window_places(rows.shape, 32, 0, WILD, rng)
    values, labels = (
        moved(rows.astype(np.float32)[None], places)[0],
        moved_labels(rows.astype(np.uint8), places),
    )
    assert np.abs(values - labels).max() < 4


def test_one_seed_one_window() -> None:
    one, two, other = (
        window_places((40, 50), 24, 0, WILD, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1


def test_flips_and_quarter_turns_are_exact() -> None:
    source = picture(size=(21, 21))
    flipping = replace(STILL, flip=True)
    whole = [
        moved(source, window_places((21, 21), 21, 0, flipping, np.random.default_rng(seed)))
        for seed in range(12)
    ]
    kinds = [source, source[:, :, ::-1]]
    assert {next(i for i, kind in enumerate(kinds) if np.array_equal(kind, one)) for one in whole} == {0, 1}


def test_scale_enlarges() -> None:
    places = window_places((40, 50), 20, 0, replace(STILL, scale=(2.0, 2.0)), np.random.default_rng(0))
    assert np.ptp(places[0]) == pytest.approx(9.5) and np.ptp(places[1]) == pytest.approx(9.5)


def test_light_stays_in_range_and_can_be_left_alone() -> None:
    source = picture()
    np.testing.assert_allclose(relit(source, STILL, np.random.default_rng(0)), source, atol=1e-6)
    bright = replace(STILL, brightness=0.5, contrast=0.9)
    lit = relit(source, bright, np.random.default_rng(3))
    assert lit.dtype == np.float32 and lit.min() >= 0 and lit.max() <= 1
    assert np.abs(lit - source).mean() > 0.05


def test_settings_are_checked() -> None:
    for bad in (
        {"elastic": -1.0},
        {"grid": 1},
        {"scale": (2.0, 1.0)},
        {"scale": (0.0, 1.0)},
        {"contrast": 2.0},
    ):
        with pytest.raises(InputError, match="vary"):
            VarySettings(**bad)
