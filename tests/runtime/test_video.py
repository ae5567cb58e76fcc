"""Frames come as a player shows them, whatever the display matrix and the container."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from boxwright.errors import InputError
from boxwright.runtime.video import VideoWriter, read_video, turned

av = pytest.importorskip("av")

ONE = 1 << 16
SIGNS = (-1, 1)
MATRICES = [(a, 0, 0, d) for a in SIGNS for d in SIGNS] + [(0, b, c, 0) for b in SIGNS for c in SIGNS]
"""(a, b, c, d) of the quarter turns, plain and mirrored."""


def quarters(size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """A picture whose four quarters are red, green, blue and white."""
    image = np.zeros((*size, 3), np.uint8)
    rows, columns = size[0] // 2, size[1] // 2
    for place, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))):
        row, column = divmod(place, 2)
        image[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns] = colour
    return image


def write(path: Path, matrix: tuple[float, ...] | None, image: np.ndarray, codec: str = "mpeg4") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
        if matrix is not None:
            a, b, c, d = (round(value * ONE) for value in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for _ in range(2)]
        for frame in [*frames, None]:
            for packet in stream.encode(frame):
                container.mux(packet)
    return path


def by_definition(image: np.ndarray, matrix: tuple[int, ...]) -> np.ndarray:
    """Each pixel (p, q) put at (a p + c q, b p + d q), moved so that the least is 0."""
    a, b, c, d = matrix
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    x, y = a * columns + c * rows, b * columns + d * rows
    x, y = x - x.min(), y - y.min()
    shown = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    shown[y, x] = image
    return shown


@pytest.mark.parametrize("matrix", MATRICES)
def test_all_eight_ways_by_definition(matrix: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    for scale in (1, 0.5, 3.0):
        np.testing.assert_array_equal(
            turned(image, tuple(v * scale for v in matrix)), by_definition(image, matrix)
        )


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_containers(tmp_path: Path, suffix: str, matrix: tuple[int, ...]) -> None:
    if suffix == ".mkv" and matrix[0] * matrix[3] - matrix[1] * matrix[2] < 0:
        pytest.skip("Matroska has turns, but no mirroring")
    image = quarters()
    path = write(tmp_path / f"video{suffix}", matrix, image)
    frames = list(read_video(path))
    assert len(frames) == 2
    wanted = by_definition(image, matrix)
    assert frames[0][0].shape == wanted.shape
    assert np.abs(frames[0][0].astype(int) - wanted).mean() < 10


def test_without_a_matrix_nothing_is_turned(tmp_path: Path) -> None:
    image = quarters()
    ((frame, rate), _) = read_video(write(tmp_path / "video.avi", None, image))
    assert rate == 10
    assert np.abs(frame.astype(int) - image).mean() < 10


def test_other_turns_are_refused(tmp_path: Path) -> None:
    turn = math.cos(math.radians(30)), math.sin(math.radians(30))
    path = write(tmp_path / "video.mp4", (turn[0], turn[1], -turn[1], turn[0]), quarters())
    with pytest.raises(InputError, match="turned by other than quarters"):
        list(read_video(path))


def test_what_is_written_is_upright(tmp_path: Path) -> None:
    """Read lying down, written upright: no matrix is left to be applied twice."""
    image = quarters()
    source = write(tmp_path / "phone.mp4", (0, 1, -1, 0), image)
    with (tmp_path / "out.mp4").open("wb+") as file:
        writer = VideoWriter(file, 10, (96, 64))
        for frame, _ in read_video(source):
            writer.write(frame)
        writer.close()
    ((frame, _), _) = read_video(tmp_path / "out.mp4")
    assert np.abs(frame.astype(int) - by_definition(image, (0, 1, -1, 0))).mean() < 12
