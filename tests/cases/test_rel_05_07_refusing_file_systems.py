from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from boxwright.errors import InputError
from boxwright.files import replacing, write_text


def refuse(code: int) -> Any:
    def call(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS])
def test_links_modes_and_syncs_that_are_refused_cost_nothing(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """exFAT, FAT, Google Drive's and S3's FUSE."""
    path, keep = tmp_path / "a", tmp_path / "a.previous"
    write_text(path, "old")
    monkeypatch.setattr(os, "link", refuse(code))
    monkeypatch.setattr(os, "fsync", refuse(code))
    monkeypatch.setattr(Path, "chmod", refuse(code))
    with replacing(path, keep=keep) as file:
        file.write(b"new")
    assert (path.read_text(), keep.read_text()) == ("new", "old")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.previous"]


def test_a_full_disk_is_still_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refuse(errno.ENOSPC))
    with pytest.raises(InputError, match="disk is full"):
        write_text(tmp_path / "a", "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["n" * 251 + ".jpg", "\u00e9" * 125 + ".jpg"])
def test_the_longest_names_that_a_file_may_have_can_be_written(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
