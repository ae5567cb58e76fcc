"""The embedded data set: the same bytes again, held-out material, a COCO folder, all of it or nothing."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from boxwright.data import open_dataset, splits
from boxwright.data.compose import Material, draw_scene
from boxwright.data.scenes import _find, load_material, write_scenes
from boxwright.errors import InputError
from boxwright.images import read_image

COUNTS = {"train": 4, "val": 2, "test": 3}


@pytest.fixture(scope="module")
def material() -> dict[str, Material]:
    return {split: load_material(split) for split in ("train", "val", "test")}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes") / "a", **COUNTS)


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_others(folder: Path, tmp_path: Path) -> None:
    again = content(write_scenes(tmp_path / "again", **COUNTS))
    assert again == content(folder)
    other = content(write_scenes(tmp_path / "other", **COUNTS, seed=1))
    assert other.keys() == again.keys()
    assert all(other[name] != again[name] for name in again)


def test_fewer_scenes_are_the_first_of_more(folder: Path, tmp_path: Path) -> None:
    few = content(write_scenes(tmp_path / "few", train=2, val=0, test=1))
    whole = content(folder)
    assert set(few) == {"annotations/instances_train.json", "annotations/instances_test.json"} | {
        "train/000000.jpg",
        "train/000001.jpg",
        "test/000000.jpg",
    }
    assert all(few[name] == whole[name] for name in few if name.endswith(".jpg"))


def test_held_out_digits_and_photographs_are_never_trained_on(material: dict[str, Material]) -> None:
    for one, other in combinations(material.values(), 2):
        assert not set(one.photographs) & set(other.photographs)
        assert not {g.tobytes() for g in one.glyphs} & {g.tobytes() for g in other.glyphs}
        pictures = {p.tobytes() for p in one.photographs.values()}
        assert not pictures & {p.tobytes() for p in other.photographs.values()}
    assert sum(len(m.labels) for m in material.values()) == 1797
    for part in material.values():
        assert np.bincount(part.labels, minlength=10).min() >= 20
        assert part.glyphs.max() == 1.0 and part.glyphs.min() == 0.0


def test_it_reads_back_as_the_data_set_it_says_it_is(folder: Path) -> None:
    assert sorted(splits(folder)) == ["test", "train", "val"]
    for split, count in COUNTS.items():
        dataset = open_dataset(folder, split)
        assert len(dataset) == count and dataset.classes == tuple("0123456789") and not dataset.findings
        assert dataset.ids == tuple(range(10))
        for sample in dataset:
            assert read_image(sample.path).shape == (320, 320, 3) and sample.size == (320, 320)
            area = np.prod(sample.boxes[:, 2:] - sample.boxes[:, :2], -1)
            assert len(sample.labels) and (sample.areas > 0).all() and (sample.areas < area).all()


def test_the_written_pictures_are_the_scenes(folder: Path, material: dict[str, Material]) -> None:
    scene = draw_scene(material["val"], np.random.default_rng([0, 1, 1]))
    sample = open_dataset(folder, "val")[1]
    np.testing.assert_array_equal(sample.boxes, scene.boxes)
    np.testing.assert_array_equal(sample.labels, scene.labels)
    np.testing.assert_array_equal(sample.areas, np.bincount(scene.owner[scene.owner >= 0]))
    assert abs(read_image(sample.path).astype(int) - scene.image).mean() < 6


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_scenes(
        tmp_path / "a", train=2, val=1, test=0, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_break_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "a", train=3, val=0, test=0, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_content_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="has content already; choose a new folder"):
        write_scenes(tmp_path, train=1)
    assert content(tmp_path) == {"mine.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    assert json.loads(
        (
            write_scenes(tmp_path / "empty", train=1, val=0, test=0) / "annotations/instances_train.json"
        ).read_text()
    )["images"] == [{"id": 1, "file_name": "train/000000.jpg", "height": 320, "width": 320}]


def test_bad_arguments_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 160"):
        write_scenes(tmp_path / "a", size=(100, 320))
    with pytest.raises(InputError, match=r"need nothing_such; pip install"):
        _find(("nothing_such", "data"), "x.png")
    with pytest.raises(InputError, match="photograph is missing"):
        _find(("skimage", "data"), "nothing_such.png")
