from __future__ import annotations

import json
from pathlib import Path

import pytest

from boxwright.data import open_dataset
from boxwright.errors import InputError
from boxwright.training import train
from data.patients import change, coco, yolo


def test_training_without_an_object_stops_before_the_first_step(tmp_path: Path) -> None:
    source = yolo(tmp_path / "data")
    for label in (source / "labels").rglob("*.txt"):
        label.write_text("")
    images = open_dataset(source, "train")
    with pytest.raises(InputError, match="nothing to learn: no image has an object on 4 training images"):
        train("ssd320-efficientnet-lite0", images, val=open_dataset(source, "val"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_label_folders_in_capitals_and_names_with_both_endings_are_found(tmp_path: Path) -> None:
    source = yolo(tmp_path / "data")
    (source / "labels").rename(source / "Labels")
    for label in (source / "Labels/val").glob("*.txt"):
        label.rename(label.with_name(f"{label.stem}.png.txt"))
    assert [len(sample.labels) for split in ("train", "val") for sample in open_dataset(source, split)] == [
        2
    ] * 7


def test_missing_labels_are_named_with_the_places_that_were_looked_at(tmp_path: Path) -> None:
    source = yolo(tmp_path / "data")
    (source / "labels").rename(source / "marks")
    with pytest.raises(
        InputError, match=r"not one image has a label file; for a\.png looked for labels/train/"
    ):
        open_dataset(source, "train")


def test_objects_that_are_all_crowd_teach_nothing(tmp_path: Path) -> None:
    source = coco(tmp_path / "data")
    change(source, lambda content: [entry.update(iscrowd="1") for entry in content["annotations"]])
    with pytest.raises(InputError, match=r"all 8 objects are crowd or difficult"):
        train(
            "ssd320-efficientnet-lite0",
            open_dataset(source, "train"),
            val=open_dataset(source, "val"),
            out=tmp_path / "out",
        )
    assert json.loads((source / "annotations/instances_train.json").read_text())["images"]
