from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.data import open_dataset, splits
from boxwright.data.doctor import examine
from boxwright.data.doctor.repair import repair
from boxwright.errors import InputError


def labelled(root: Path, *places: str, count: int = 2) -> Path:
    for place in places:
        (root / place).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng(len(place) + number).integers(
                0, 255, (12, 16 + number, 3), np.uint8
            )
            Image.fromarray(pixels).save(root / place / f"{number}.png")
    return root


def test_a_label_is_an_object_as_large_as_its_picture(tmp_path: Path) -> None:
    data = open_dataset(labelled(tmp_path, "rose", "daisy"))
    assert data.format == "folders"
    assert data.labelled
    assert data.classes == ("daisy", "rose")
    assert [s.labels.tolist() for s in data] == [[0], [0], [1], [1]]
    assert data[1].boxes.tolist() == [[0.0, 0.0, 17.0, 12.0]]
    assert data[1].image_id == "daisy/1"


def test_splits_share_their_classes(tmp_path: Path) -> None:
    labelled(tmp_path, "train/a", "train/b", "valid/b", "valid/c")
    assert splits(tmp_path) == ("train", "val")
    assert open_dataset(tmp_path, "val").classes == ("a", "b", "c")
    assert [int(s.labels[0]) for s in open_dataset(tmp_path, "val")] == [1, 1, 2, 2]


def test_one_folder_of_pictures_is_no_data_set(tmp_path: Path) -> None:
    labelled(tmp_path, "pictures")
    with pytest.raises(InputError, match="a folder of images for each class"):
        open_dataset(tmp_path)


def test_a_broken_picture_is_named_and_left_out_when_mended(tmp_path: Path) -> None:
    source = labelled(tmp_path / "data", "train/a", "train/b")
    (source / "train" / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"0\.png"):
        open_dataset(source, "train")
    assert [f.check for f in examine(source).findings if f.severity == "error"]
    repair(source, tmp_path / "clean")
    assert len(open_dataset(tmp_path / "clean", "train")) == 3
    assert not [f for f in examine(tmp_path / "clean").findings if f.severity == "error"]
