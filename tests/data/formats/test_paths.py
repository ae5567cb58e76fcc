from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.data.formats.paths import DataFolder, UnsafePathError, is_image

ESCAPES = [
    "../../etc/passwd",
    "a/../../../b.png",
    "/etc/passwd",
    "\\\\server\\share\\a.png",
    "C:\\x.png",
    "c:x.png",
    "..\\..\\windows\\win.ini",
    "a\0.png",
    "",
    "  ",
    "x" * 300 + ".png",
    "d/" * 2500 + "a.png",
    "\ud800.png",
]


@pytest.mark.parametrize("name", ESCAPES, ids=lambda name: repr(name[:20]))
def test_names_that_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafePathError):
        DataFolder(tmp_path).file(name)
    with pytest.raises(UnsafePathError):
        DataFolder(tmp_path).find(name, [tmp_path, tmp_path / "images"])


def test_symbolic_links_lead_out_unless_they_are_not_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    for folder in (outside, root / "real"):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"")
    (root / "file.png").symlink_to(outside / "a.png")
    (root / "folder").symlink_to(outside)
    (root / "fine.png").symlink_to(root / "real" / "a.png")
    (root / "near").symlink_to(root / "real")
    for name in ("file.png", "folder/a.png"):
        assert DataFolder(root).file(name).is_file()
    folder = DataFolder(root, follow_links=False)
    for name in ("file.png", "folder/a.png"):
        with pytest.raises(UnsafePathError, match="symbolic link"):
            folder.file(name)
    for name in ("fine.png", "near/a.png"):
        assert folder.file(name).is_file()


def test_the_data_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.png").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert DataFolder(tmp_path / "link").file("a.png") == tmp_path / "link/a.png"


def test_names_relative_to_an_inner_folder_may_climb_as_far_as_the_root(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"")
    folder = DataFolder(tmp_path)
    inner = tmp_path / "annotations"
    assert folder.file("../images/a.png", inner) == tmp_path / "images/a.png"
    assert folder.find("../images/a.png", [tmp_path, inner]) == tmp_path / "images/a.png"
    assert folder.find("images\\a.png", [tmp_path]) == tmp_path / "images/a.png"
    assert folder.find("b.png", [tmp_path, inner]) is None
    assert folder.find("images", [tmp_path]) is None
    assert folder.find("images", [tmp_path], folders=True) == tmp_path / "images"
    with pytest.raises(UnsafePathError):
        folder.file("../../images/a.png", inner)


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.sampled_from(["..", ".", "a", "b c", "", "\\", "C:", "~", "ü"]), min_size=1, max_size=7)
)
def test_whatever_is_accepted_lies_in_the_folder(
    parts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = Path("/data/set").absolute()
    try:
        found = DataFolder(root).file("/".join(parts))
    except UnsafePathError:
        return
    assert found.is_relative_to(root) and ".." not in found.parts


def test_what_counts_as_an_image() -> None:
    assert is_image(Path("a.JPG")) and is_image(Path("x/a.b.png"))
    assert not is_image(Path("._a.jpg")) and not is_image(Path("a.txt")) and not is_image(Path("png"))
