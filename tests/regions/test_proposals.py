from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from boxwright.errors import InputError
from boxwright.regions.proposals import VERSION, Proposals, write

SETTINGS = {"kind": "SelectiveSearch", "strategy": "fast", "seed": 0}


def boxes(count: int, seed: int = 0) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 50, (count, 2, 2)).astype(np.float32)
    return np.concatenate((corners.min(1), corners.max(1)), 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "p.npz"
    names = ["a/1.jpg", "1.jpg", "b/ü 2.png"]
    write(path, SETTINGS, names, [(30, 40), (50, 60), (7, 9)], [boxes(4), boxes(0), boxes(3, 1)])
    return path


def test_what_was_written_is_read(file: Path) -> None:
    found = Proposals.open(file)
    assert found.settings == SETTINGS
    assert len(found) == 3
    np.testing.assert_array_equal(found.boxes("a/1.jpg"), boxes(4))
    assert found.boxes("1.jpg", (50, 60)).shape == (0, 4)
    np.testing.assert_array_equal(found.boxes(Path("b/ü 2.png")), boxes(3, 1))
    assert found.size("b/ü 2.png") == (7, 9)


@given(st.lists(st.integers(0, 5), max_size=6))
def test_any_numbers_of_boxes_come_back(tmp_path_factory: pytest.TempPathFactory, counts: list[int]) -> None:
    path = tmp_path_factory.mktemp("counts") / "p.npz"
    each = [boxes(count, i) for i, count in enumerate(counts)]
    write(path, {}, [f"{i}.jpg" for i in range(len(counts))], [(1, 1)] * len(counts), each)
    found = Proposals.open(path)
    assert found.all_boxes.shape == (sum(counts), 4)
    for i, expected in enumerate(each):
        np.testing.assert_array_equal(found.boxes(f"{i}.jpg"), expected)


def test_a_data_set_may_move(file: Path) -> None:
    found = Proposals.open(file)
    np.testing.assert_array_equal(found.boxes("/somewhere/else/a/1.jpg"), boxes(4))
    # The longest path that is known, so that a picture is never taken for its namesake.
    assert found.boxes(Path("/somewhere/else/1.jpg")).shape == (0, 4)
    assert Path("/data/b/ü 2.png") in found
    assert Path("/data/b/2.png") not in found
    assert 3 not in found


def test_other_images_are_refused(file: Path) -> None:
    found = Proposals.open(file)
    with pytest.raises(InputError, match=r"p\.npz: has no proposals for a/7\.jpg; boxwright propose"):
        found.boxes("a/7.jpg")
    with pytest.raises(InputError, match=r"for a/1\.jpg are of a picture of 40 x 30, but it is 30 x 40"):
        found.boxes("a/1.jpg", (40, 30))
    with pytest.raises(KeyError):
        found.size("a/7.jpg")


def test_what_is_no_such_file_is_named(tmp_path: Path, file: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz: does not exist; make it with boxwright propose"):
        Proposals.open(tmp_path / "none.npz")
    for name, content in (("empty", b""), ("text", b"hello"), ("half", file.read_bytes()[:700])):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(
            InputError, match=rf"{name}\.npz: is damaged or no file of proposals.*; delete it"
        ):
            Proposals.open(path)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(InputError, match=r"other\.npz: is damaged or no file"):
        Proposals.open(tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"cannot be read \(is a folder\)"):
        Proposals.open(tmp_path)


@given(st.data())
def test_a_changed_byte_is_noticed_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "p.npz"
    write(path, SETTINGS, ["a.jpg"], [(3, 4)], [boxes(2)])
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = Proposals.open(path)
    except InputError as error:
        assert str(path) in str(error)
    else:
        np.testing.assert_array_equal(found.boxes("a.jpg"), boxes(2))
        assert found.settings == SETTINGS


def test_another_version_and_contradictions_are_refused(tmp_path: Path, file: Path) -> None:
    with np.load(file) as arrays:
        good = dict(arrays)
    changes = {
        "version": (np.array(VERSION + 1), f"is of version {VERSION + 1}, not {VERSION}"),
        "starts": (np.array([0, 5, 4, 7]), "contradicts itself"),
        "sizes": (np.zeros((2, 2), np.int64), "contradicts itself"),
        "boxes": (np.zeros((6, 4), np.float32), "contradicts itself"),
    }
    for name, (value, line) in changes.items():
        np.savez(tmp_path / "bad.npz", **{**good, name: value})
        with pytest.raises(InputError, match=line):
            Proposals.open(tmp_path / "bad.npz")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", version=np.array([{"a": print}], dtype=object))
    with pytest.raises(InputError, match="is damaged or no file"):
        Proposals.open(tmp_path / "evil.npz")
