"""Small pictures and large ones: exact, aligned, and the same whenever asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from boxwright.errors import InputError
from boxwright.perceptual import upscale_data
from boxwright.perceptual.upscale_data import Pairs, as_bytes, as_floats, enlarge, shrink, split_by_size


def write(folder: Path, *sizes: tuple[int, int]) -> list[Path]:
    rng = np.random.default_rng(5)
    paths = []
    for number, (height, width) in enumerate(sizes):
        noise = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


@given(st.integers(2, 4), st.integers(0, 3), st.integers(0, 3), st.integers(0, 255))
def test_making_small_keeps_flat_colours_and_cuts_to_multiples(f: int, more: int, wider: int, v: int) -> None:
    image = np.full((3 * f + more % f, 2 * f + wider % f, 3), v, np.uint8)
    found = shrink(image, f)
    assert found.shape == (3, 2, 3) and (found == v).all()
    assert (enlarge(found, f) == v).all()


def test_making_small_is_antialiased() -> None:
    # Stripes of one pixel are grey at half the size: plain interpolation would see white or black only.
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(shrink(stripes, 2)[:, 2:-2].astype(int) - 127).max() <= 1


def test_each_small_pixel_is_the_filter_s_sum(tmp_path: Path) -> None:
    image = np.random.default_rng(2).integers(100, 156, (20, 24, 3), dtype=np.uint8)
    distance = np.abs((np.arange(8) - 3.5) / 2)  # eight pixels around a small one's centre, in small pixels
    near, far = (
        1.5 * distance**3 - 2.5 * distance**2 + 1,
        -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2,
    )
    taps = np.where(distance < 1, near, far)
    taps /= taps.sum()
    wanted = np.einsum("i,j,ijc->c", taps, taps, image[5:13, 7:15].astype(float))
    assert np.abs(shrink(image, 2)[4, 5] - wanted).max() < 1.1


@pytest.mark.parametrize("reduce", [1, 2])
def test_a_patch_is_a_part_of_both_pictures_turned_alike(tmp_path: Path, reduce: int) -> None:
    pairs = Pairs(write(tmp_path, (41 * reduce, 53 * reduce)), 2, reduce)
    small, large = pairs.pair(0)
    assert small.shape == (20, 26, 3) and large.shape == (40, 52, 3)
    assert np.array_equal(small, shrink(large, 2))
    seen = set()
    for number in range(30):
        low, high = pairs.patch(0, 8, np.random.default_rng(number))
        assert low.shape == (3, 8, 8) and high.shape == (3, 16, 16)
        again = pairs.patch(0, 8, np.random.default_rng(number))
        assert np.array_equal(low, again[0]) and np.array_equal(high, again[1])
        places = [
            (turns, mirrored)
            for turns in range(4)
            for mirrored in (False, True)
            if _holds(small, low, turns, mirrored, 1) and _holds(large, high, turns, mirrored, 2)
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 8


def _holds(image: np.ndarray, patch: np.ndarray, turns: int, mirrored: bool, step: int) -> bool:
    square = as_bytes(patch.transpose(1, 2, 0))
    square = np.rot90(square[:, ::-1] if mirrored else square, -turns)
    side = len(square)
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side, 3))[::step, ::step, 0]
    return bool((windows == square).all((2, 3, 4)).any())


def test_middles_lie_on_each_other(tmp_path: Path) -> None:
    pairs = Pairs(write(tmp_path, (30, 66)), 3)
    small, large = pairs.middle(0, 6)
    assert small.shape == (6, 6, 3) and large.shape == (18, 18, 3)
    whole = pairs.pair(0)[1]
    assert np.array_equal(large, whole[6:24, 24:42])
    assert [image.shape for image in pairs.middle(0, 99)] == [(10, 22, 3), (30, 66, 3)]


def test_what_does_not_fit_into_memory_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write(tmp_path, (16, 16), (16, 16))
    monkeypatch.setattr(upscale_data, "_KEPT_BYTES", 16 * 16 * 3 + 8 * 8 * 3)
    pairs = Pairs(paths, 2)
    first, second = pairs.pair(0)[1].copy(), pairs.pair(1)[1].copy()
    for path in paths:
        Image.new("RGB", (16, 16), "red").save(path)
    assert np.array_equal(pairs.pair(0)[1], first)
    assert not np.array_equal(pairs.pair(1)[1], second)


def test_pictures_that_are_too_small_or_none(tmp_path: Path) -> None:
    paths = write(tmp_path, (40, 30), (9, 90))
    assert split_by_size(paths, 10) == ((paths[0],), (paths[1],))
    with pytest.raises(InputError, match=r"1\.png: of its 9 x 90 pixels nothing is left at a 12th"):
        Pairs(paths, 4, 3).pair(1)
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(InputError, match=r"a\.png: not an image"):
        split_by_size([tmp_path / "a.png"], 10)


def test_the_fingerprint_is_of_the_files(tmp_path: Path) -> None:
    paths = write(tmp_path, (16, 16), (20, 16))
    assert Pairs(paths, 2).fingerprint() == Pairs(paths, 4).fingerprint()
    assert Pairs(paths, 2).fingerprint() != Pairs(paths[:1], 2).fingerprint()


def test_floats_and_bytes_are_inverse_and_clipped() -> None:
    image = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(16, 16, 3)
    assert np.array_equal(as_bytes(as_floats(image).transpose(1, 2, 0)), image)
    assert as_bytes(np.array([[[-0.2, 1.3, 0.5]]], np.float32)).tolist() == [[[0, 255, 128]]]
