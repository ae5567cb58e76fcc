from __future__ import annotations

import os
from pathlib import Path

import pytest

from boxwright.cluster.pictures import list_pictures
from boxwright.data.scenes import write_scenes
from boxwright.errors import InputError


def test_a_folder_a_pattern_and_an_image(folder: Path) -> None:
    (folder / "notes.txt").write_text("no picture")
    (folder / "film.mp4").write_bytes(b"")
    (folder / "._0.png").write_bytes(b"")
    found = list_pictures(folder)
    assert found.root == folder
    assert [one.path for one in found.files] == sorted(f"kind{n % 3}/{n}.png" for n in range(9))
    first = found.files[0]
    about = found.file(first).stat()
    assert (first.length, first.modified) == (about.st_size, about.st_mtime_ns // 10**6)
    some = list_pictures(folder / "*" / "[0-3].png")
    assert some.root == folder
    assert [one.path for one in some.files] == ["kind0/0.png", "kind0/3.png", "kind1/1.png", "kind2/2.png"]
    assert [one.path for one in list_pictures(folder / "kind0/0.png").files] == ["0.png"]
    assert len(list_pictures(folder, without=folder / "kind1").files) == 6


def test_a_relative_folder_has_an_absolute_root(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    found = list_pictures(Path(folder.name))
    assert found == list_pictures(folder)
    monkeypatch.chdir(os.sep)
    assert found.file(found.files[0]).exists()


def test_a_data_set_s_split(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "data", train=3, val=2, test=0, size=(160, 160))
    assert len(list_pictures(data, "val").files) == 2
    assert len(list_pictures(data, "all").files) == 5
    assert all(list_pictures(data, "all").file(one).exists() for one in list_pictures(data, "all").files)
    with pytest.raises(InputError, match="no split 'dev'"):
        list_pictures(data, "dev")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing: does not exist; name a folder"):
        list_pictures(tmp_path / "nothing")
    with pytest.raises(InputError, match="no images in this folder"):
        list_pictures(tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="no images here; name a folder with images"):
        list_pictures(tmp_path)
