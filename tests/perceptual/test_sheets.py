from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxwright.perceptual.sheets import as_images, in_rows, sheet, spaced


def test_bytes_are_rounded_and_cut_off() -> None:
    picture = np.array([-0.2, 0.0, 0.4999, 0.5, 1.0, 1.7], np.float32).reshape(1, 1, 2, 3).repeat(3, 1)
    [image] = as_images(picture)
    assert image.shape == (2, 3, 3)
    assert image[..., 0].tolist() == [[0, 0, 127], [128, 255, 255]]


def test_a_sheet_shows_each_pixel_in_its_place() -> None:
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 255, (5, 6, 6, 3), dtype=np.uint8))
    plain = sheet(in_rows(images, 3), scale=3)
    assert plain.shape == (2 * 18 + 2, 3 * 18 + 4, 3)
    for i, image in enumerate(images):
        y, x = i // 3 * 20, i % 3 * 20
        np.testing.assert_array_equal(plain[y : y + 18 : 3, x : x + 18 : 3], image)
    assert (plain[20:, 40:] == 255).all()
    named = sheet([("drawn", images[:3]), ("", images[3:])], scale=3)
    left = named.shape[1] - plain.shape[1]
    assert left > 20
    np.testing.assert_array_equal(named[:, left:], plain)
    assert (named[:18, :left] < 128).any()
    assert (named[20:, :left] == 255).all()


@given(st.integers(1, 200), st.integers(1, 30))
def test_some_of_many_are_different_and_spread(count: int, shown: int) -> None:
    indices = spaced(count, shown)
    assert len(set(indices)) == len(indices) == min(count, shown)
    assert indices == sorted(indices)
    assert indices[0] == 0
    assert indices[-1] == (count - 1 if shown > 1 else 0)
    if len(indices) > 1:
        assert np.ptp(np.diff(indices)) <= 1
