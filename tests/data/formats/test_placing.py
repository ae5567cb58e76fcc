from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.data import open_dataset
from boxwright.data.formats.writers import write
from boxwright.data.formats.writers.placing import as_splits, image_names, safe
from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError

from ..patients import save
from ..strategies import FORMATS, folded

NONE = np.zeros((0, 4))
FLAGS = np.zeros(0, bool)


def picture(path: Path) -> Sample:
    return Sample(path, (48, 64), NONE, np.zeros(0, np.int64), FLAGS, FLAGS, np.zeros(0))


def holding(paths: list[Path], split: str = "train") -> Dataset:
    return Dataset(tuple(map(picture, paths)), ("cat",), (1,), Path("/data"), split)


def test_names_stay_unless_stems_collide() -> None:
    paths = [
        Path(p)
        for p in ("/d/x/a.png", "/d/y/a.png", "/d/x/A.jpg", "/d/z/é.png", "/d/w/e\u0301.png", "/e/y/a.png")
    ]
    assert list(image_names([holding(paths)]).values()) == [
        "a.png",
        "y_a.png",
        "x_A.jpg",
        "é.png",
        "w_e\u0301.png",
        "a_2.png",
    ]


def test_an_image_in_two_splits_has_one_name() -> None:
    path = Path("/d/a.png")
    assert image_names([holding([path]), holding([path], "val")]) == {path: "a.png"}


paths = st.text("aAé/.\\: \n\0é\ud800", min_size=1, max_size=8).map(lambda name: Path("/d", f"x{name}.png"))


@settings(max_examples=60)
@given(chosen=st.lists(paths | st.just(Path("/d", "y" * 251 + ".png")), max_size=8))
def test_written_names_are_distinct_plain_and_short(chosen: list[Path]) -> None:
    names = image_names([holding(chosen)])
    assert set(names) == set(chosen)
    stems = [folded(Path(name).stem) for name in names.values()]
    assert len(set(stems)) == len(stems)
    for name in names.values():
        assert name == safe(name) and "/" not in name and len(name.encode()) <= 255
        assert not name.startswith(".") and Path(name).name == name


@pytest.mark.parametrize("to", FORMATS)
def test_colliding_names_survive_in_every_format(to: str, tmp_path: Path) -> None:
    for number, folder in enumerate(("x", "y", "z")):
        save(tmp_path / folder / "a.png", seed=number)
    parts = [
        holding([tmp_path / "x/a.png", tmp_path / "y/a.png"]),
        holding([tmp_path / "z/a.png"], "val"),
    ]
    write(parts, tmp_path / "out", to)
    back = [s.path.read_bytes() for s in open_dataset(tmp_path / "out")]
    assert sorted(back) == sorted((tmp_path / f / "a.png").read_bytes() for f in "xyz")


@pytest.mark.parametrize("to", FORMATS)
def test_no_split_name_leads_out_of_the_folder(to: str, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    write(holding([tmp_path / "a.png"], "../../x"), tmp_path / "out", to)
    assert {p.name for p in tmp_path.iterdir()} == {"a.png", "out"}
    assert len(open_dataset(tmp_path / "out")) == 1


def test_splits_must_agree() -> None:
    one = holding([])
    with pytest.raises(ValueError, match="several data sets of one split"):
        as_splits([one, one])
    with pytest.raises(ValueError, match="same classes"):
        as_splits([one, replace(one, split="val", classes=("dog",))])
    with pytest.raises(ValueError, match="same classes"):
        as_splits([])


def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"out: (exists|cannot be written)"):
        write(holding([tmp_path / "a.png"]), tmp_path / "a.png" / "out", "coco")
    with pytest.raises(InputError, match=r"a\.png: exists"):
        write(holding([tmp_path / "a.png"]), tmp_path / "a.png", "coco")
