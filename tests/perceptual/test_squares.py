from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from boxwright.errors import InputError
from boxwright.perceptual.squares import Squares, find_pictures, hold_back, middle, varied


def ramp(height: int, width: int) -> np.ndarray:
    """Red grows to the right, green downwards: a place can be read from its colour."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width).round()[None]
    image[..., 1] = np.linspace(0, 255, height).round()[:, None]
    return image


def test_the_middle_of_a_wide_picture() -> None:
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = (255, 128, 0)
    square = middle(image, 10)
    assert square.shape == (3, 10, 10)
    assert square.dtype == np.float32
    np.testing.assert_allclose(square.mean((1, 2)), [1, 128 / 255, 0])


@given(
    st.integers(8, 60),
    st.integers(8, 60),
    st.sampled_from((16, 32)),
    st.floats(0.3, 1),
    st.integers(0, 2**31),
)
def test_a_varied_square_is_a_part_of_the_picture_in_its_own_shape(
    height: int, width: int, size: int, least: float, seed: int
) -> None:
    image = ramp(height, width)
    square = varied(image, size, least, flip=False, rng=np.random.default_rng(seed))
    assert square.shape == (3, size, size)
    assert square.min() >= 0
    assert square.max() <= 1
    # Across and down, as much of the ramp as a square has of each side; resizing loses half a pixel at either end.
    across = (square[0, :, -1] - square[0, :, 0]).mean() * width
    down = (square[1, -1] - square[1, 0]).mean() * height
    side = min(height, width)
    assert least * side - 4 - side / size <= across <= side + 2
    assert across == pytest.approx(down, abs=0.1 * side + 2)


def test_what_is_varied_is_a_function_of_the_generator() -> None:
    image = ramp(40, 50)
    a, b = (varied(image, 16, 0.5, True, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    many = [varied(image, 16, 0.5, True, np.random.default_rng(seed)) for seed in range(40)]
    mirrored = [square[0, :, 0].mean() > square[0, :, -1].mean() for square in many]
    assert 10 < sum(mirrored) < 30
    whole = [varied(image, 16, 1.0, True, np.random.default_rng(seed)) for seed in range(8)]
    straight = middle(image, 16)
    assert all(
        np.array_equal(square, straight) or np.array_equal(square, straight[:, :, ::-1]) for square in whole
    )


@given(st.integers(2, 60), st.floats(0.01, 0.99) | st.integers(1, 59), st.integers(0, 9))
def test_what_is_held_out_and_what_is_not_are_all_and_apart(count: int, held: float, seed: int) -> None:
    paths = [Path(f"{i:02}.png") for i in range(count)]
    if held >= count:
        with pytest.raises(InputError, match="cannot be held out"):
            hold_back(paths, held, seed)
        return
    if round(held * count if held < 1 else held) >= count:
        return
    learned, test = hold_back(paths, held, seed)
    assert sorted(learned + test) == paths
    assert list(learned) == sorted(learned)
    assert list(test) == sorted(test)
    assert len(test) == max(1, round(held * count if held < 1 else held))
    assert (learned, test) == hold_back(paths, held, seed)


def test_pictures_of_a_folder_at_any_depth(tmp_path: Path) -> None:
    for name in ("b/2.png", "a.jpg", "b/c/1.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ramp(9, 9)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._a.jpg").write_bytes(b"left by another system")
    names = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path)]
    assert names == ["a.jpg", "b/2.png", "b/c/1.PNG"]
    with pytest.raises(InputError, match="no images in this folder"):
        find_pictures(_made(tmp_path / "empty"))
    with pytest.raises(InputError, match=r"a\.jpg: is no folder"):
        find_pictures(tmp_path / "a.jpg")


def test_squares_of_files_small_and_large(tmp_path: Path) -> None:
    """A large picture is shrunk once, and then gives the squares that the whole one would."""
    Image.fromarray(ramp(400, 640)).save(tmp_path / "large.png")
    Image.fromarray(ramp(12, 20)).save(tmp_path / "small.png")
    paths = find_pictures(tmp_path)
    squares = Squares(paths, 32, least=0.5)
    assert squares.middles().shape == (2, 3, 32, 32)
    direct = middle(ramp(400, 640), 32)
    np.testing.assert_allclose(squares.middle(0), direct, atol=0.02)
    np.testing.assert_array_equal(squares.middle(1), middle(ramp(12, 20), 32))
    again = squares.varied(0, np.random.default_rng(0))
    np.testing.assert_array_equal(squares.varied(0, np.random.default_rng(0)), again)
    assert squares.fingerprint() == Squares(paths, 16).fingerprint()
    Image.fromarray(ramp(13, 21)).save(tmp_path / "small.png")
    assert squares.fingerprint() != Squares(paths[:1], 32).fingerprint()


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"broken\.png: "):
        Squares(find_pictures(tmp_path), 16).middle(0)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
