from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from boxwright.errors import InputError
from boxwright.runtime.sources import Sources
from boxwright.runtime.video import VideoWriter


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    for name in ("b.png", "a.JPG", "sub/ü 图.webp", "sub/a.jpg", "sub/deep/c.tiff", "notes.txt", "._a.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def names(sources: Sources) -> list[str]:
    return [item.path.as_posix() for item in sources]


def outputs(sources: Sources) -> list[str]:
    return [item.output.as_posix() for item in sources]


def test_a_folder_gives_its_images_sorted_at_any_depth(tree: Path) -> None:
    sources = Sources([str(tree)])
    expected = ["a.JPG", "b.png", "sub/a.jpg", "sub/ü 图.webp", "sub/deep/c.tiff"]
    assert outputs(sources) == expected
    assert names(sources) == [str(tree / name) for name in expected]
    assert sources.total == 5


def test_the_folder_of_results_is_not_searched(tree: Path) -> None:
    assert outputs(Sources(["."], without=Path("sub"))) == ["a.JPG", "b.png"]


def test_patterns_files_and_lists_come_in_the_order_given(tree: Path) -> None:
    assert names(Sources(["b.png", "sub/*.jpg", "**/c.*"])) == ["b.png", "sub/a.jpg", "sub/deep/c.tiff"]
    listed = Sources(["-", "b.png"], ["sub/ü 图.webp\r\n", "\n", "sub/deep\n", "*.JPG"])
    assert listed.total is None
    assert names(listed) == ["sub/ü 图.webp", "sub/deep/c.tiff", "a.JPG", "b.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tree: Path) -> None:
    (tree / "x[1].png").touch()
    assert names(Sources(["x[1].png"])) == ["x[1].png"]


def test_no_two_images_have_one_output(tree: Path) -> None:
    twice = Sources(["a.JPG", "sub/a.jpg", "sub", "a.JPG"])
    assert outputs(twice) == ["a.JPG", "a-2.jpg", "a-3.jpg", "ü 图.webp", "deep/c.tiff", "a-4.JPG"]


def test_a_missing_file_is_left_to_be_reported_in_its_turn(tree: Path) -> None:
    assert names(Sources(["nowhere.jpg", "b.png", "nul\0.png"])) == ["nowhere.jpg", "b.png", "nul\0.png"]


@pytest.mark.parametrize(
    ("argument", "says"), [("empty", "no images in this folder"), ("*.gif", "no files match")]
)
def test_an_empty_folder_or_pattern_is_refused_before_anything_runs(
    tree: Path, argument: str, says: str
) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match=says):
        Sources(["b.png", argument])


def film(path: Path, frames: int = 6, size: tuple[int, int] = (48, 65)) -> Path:
    """A video whose frame i has brightness 40 i."""
    with path.open("wb") as file:
        writer = VideoWriter(file, 12.5, size)
        for number in range(frames):
            writer.write(np.full((*size, 3), 40 * number, np.uint8))
        writer.close()
    return path


def test_a_video_gives_its_frames(tmp_path: Path) -> None:
    sources = Sources([str(film(tmp_path / "größe.mp4"))])
    items = list(sources)
    assert sources.total is None
    assert [item.frame for item in items] == list(range(6))
    for item in items:
        assert isinstance(item.image, np.ndarray) and item.image.shape == (48, 64, 3) and item.rate == 12.5
        assert abs(float(item.image.mean()) - 40 * (item.frame or 0)) < 4


def test_a_damaged_video_gives_what_can_be_read_and_then_its_error(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"this is no video" * 99)
    [item] = Sources([str(tmp_path / "no.mp4")])
    assert isinstance(item.image, InputError) and "no.mp4: the video cannot be decoded" in str(item.image)
