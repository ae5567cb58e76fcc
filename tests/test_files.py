from __future__ import annotations

import io
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from boxwright.errors import InputError
from boxwright.files import read_arrays, replacing, sweep, write_text

ARRAYS = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.array("text"), "c": np.zeros((0, 2))}


def read(path: Path, *names: str) -> dict[str, np.ndarray]:
    return read_arrays(path, names or ("a", "b", "c"), kind="file of letters", again="write it again")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arrays") / "x.npz"
    np.savez(path, **ARRAYS)
    return path


def test_arrays_come_back(archive: Path) -> None:
    for name, value in read(archive).items():
        np.testing.assert_array_equal(value, ARRAYS[name])
        assert value.dtype == ARRAYS[name].dtype
    assert list(read(archive, "b")) == ["b"]


@given(st.data())
def test_a_damaged_archive_is_named_or_says_the_same(archive: Path, data: st.DataObject) -> None:
    content = bytearray(archive.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path = archive.with_name("y.npz")
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), place]))])
    try:
        found = read(path)
    except InputError as error:
        assert str(error).startswith(f"{path}: is damaged or no file of letters (")
        assert str(error).endswith("); delete it and write it again")
    else:
        for name, value in found.items():
            np.testing.assert_array_equal(value, ARRAYS[name])


def test_what_is_no_such_archive_is_named(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz: does not exist; write it again"):
        read(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"cannot be read \(is a folder\)"):
        read(tmp_path)
    with pytest.raises(InputError, match="no file of letters"):
        read(archive, "a", "d")
    np.savez(tmp_path / "evil.npz", a=np.array([{"a": print}], dtype=object))
    with pytest.raises(InputError, match="no file of letters"):
        read(tmp_path / "evil.npz", "a")


def test_only_what_a_kill_left_is_swept(tmp_path: Path) -> None:
    names = sorted([".hidden.part", "mine.part", ".x.npz.ABCDEFGH.part", "x.npz"])
    for name in names:
        write_text(tmp_path / name, name)
    with pytest.raises(InputError, match=r"x\.npz: cannot be written"), replacing(tmp_path / "x.npz"):
        assert len(list(tmp_path.iterdir())) == len(names) + 1
        sweep(tmp_path)  # as if the process that writes were no more
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    sweep(tmp_path / "no folder")


@pytest.mark.parametrize("shape", ["(9999999999,)", "(3, 5)", "(-12,)", "()", "(1,) * 400"])
def test_an_array_is_as_large_as_its_file(tmp_path: Path, shape: str) -> None:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": (3, 4)})
    claimed = content.getvalue().replace(b"(3, 4)", shape.encode())
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", claimed + bytes(48))
    with pytest.raises(InputError, match=r"a\.npz: is damaged or no file of letters"):
        read(tmp_path / "a.npz", "a")


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.zeros(5 << 20))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", content.getvalue())
    with pytest.raises(InputError, match=r"a\.npy claims 41943168 bytes of"):
        read(tmp_path / "a.npz", "a")
