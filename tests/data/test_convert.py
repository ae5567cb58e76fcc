from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from boxwright.data import open_dataset, splits
from boxwright.data.convert import convert
from boxwright.data.formats.options import ReadOptions
from boxwright.data.formats.writers import write
from boxwright.data.losses import losses
from boxwright.data.records import Dataset
from boxwright.errors import InputError

from .patients import HEALTHY, change, coco, voc
from .strategies import FORMATS, assert_same, build, facts, held, plans


def read_back(folder: Path) -> list[Dataset]:
    return [open_dataset(folder, split) for split in splits(folder)] or [open_dataset(folder)]


@pytest.mark.parametrize("to", FORMATS)
@settings(max_examples=30, deadline=None)
@given(plan=plans())
def test_writing_and_reading_gives_all_that_the_format_can_hold(to: str, plan: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "데이터 ü")
        parts = build(plan, Path(folder, "s"))
        write(parts, target, to)
        assert_same(facts(read_back(target)), held(facts(parts), to))


@pytest.mark.parametrize(("first", "second"), list(product(FORMATS, FORMATS)))
@settings(max_examples=8, deadline=None)
@given(plan=plans())
def test_every_pair_of_formats_hands_on_all_that_both_can_hold(
    first: str, second: str, plan: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        between, target = Path(folder, "between"), Path(folder, "target")
        parts = build(plan, Path(folder, "s"))
        write(parts, between, first)
        done = convert(between, target, second, images="link")
        assert done.findings == () or {f.check for f in done.findings} == {"box-outside"}
        assert_same(facts(read_back(target)), held(held(facts(parts), first), second))


@pytest.mark.parametrize(("kind", "to"), list(product(FORMATS, FORMATS)))
def test_a_healthy_data_set_survives_there_and_back(kind: str, to: str, tmp_path: Path) -> None:
    source = HEALTHY[kind](tmp_path / "source")
    convert(source, tmp_path / "there", to)
    convert(tmp_path / "there", tmp_path / "back", kind)
    for split in splits(source):
        for one, other in zip(
            open_dataset(source, split), open_dataset(tmp_path / "back", split), strict=True
        ):
            assert one.path.name == other.path.name and one.path.read_bytes() == other.path.read_bytes()
            assert one.boxes == pytest.approx(other.boxes, abs=1e-9)


def test_real_coco_comes_back_value_for_value(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/coco-mini"
    assert convert(source, tmp_path / "out", "coco", only=["val"], images="link").lost == {}
    old = json.loads((source / "annotations/instances_val.json").read_text())
    new = json.loads((tmp_path / "out/annotations/instances_val.json").read_text())
    for key in ("info", "licenses", "categories"):
        assert new[key] == old[key]
    assert {i["id"]: i for i in new["images"]} == {i["id"]: i for i in old["images"]}
    wanted = {a["id"]: {**a} for a in old["annotations"]}
    for annotation in wanted.values():
        if not annotation["segmentation"]:
            del annotation["segmentation"]
    assert {a["id"]: a for a in new["annotations"]} == wanted


def test_real_voc_comes_back_value_for_value(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/bccd"
    assert convert(source, tmp_path / "out", "voc", only=["test"]).lost == {}
    for one, other in zip(open_dataset(source, "test"), open_dataset(tmp_path / "out", "test"), strict=True):
        assert (one.boxes == other.boxes).all() and one.attributes == other.attributes
        assert one.extra == other.extra and one.size == other.size


def test_sparse_ids_come_back_unchanged(tmp_path: Path) -> None:
    source = coco(tmp_path / "source")
    for split in ("train", "val"):
        change(source, lambda c: c["categories"].append({"id": 90, "name": "owl"}), split)
    for to in ("coco", "yolo", "csv"):
        convert(source, tmp_path / to, to)
        dataset = open_dataset(tmp_path / to, "val")
        assert (dataset.classes, dataset.ids) == (("cat", "dog", "owl"), (7, 3, 90))
    convert(source, tmp_path / "anew", "yolo", renumber=True)
    assert open_dataset(tmp_path / "anew").ids == (0, 1, 2)


def test_losses_are_counted(tmp_path: Path) -> None:
    source = coco(tmp_path / "source")

    def edit(content: dict) -> None:
        content["annotations"][0] |= {
            "segmentation": [[1, 2, 3, 4, 5, 6]],
            "iscrowd": 1,
            "area": 1,
            "score": [1],
        }
        content["info"] = {"year": 2026}

    change(source, edit)
    parts = [open_dataset(source, split) for split in splits(source)]
    assert losses(parts, "coco") == {}
    ids = {"ids of objects": 14, "ids of images": 7, "class ids": 2}
    flat = {
        "masks": 1,
        "areas that are not the box's": 1,
        "attributes of objects": 1,
        "details of the data set": 1,
    }
    assert losses(parts, "voc") == ids | flat | {"crowd flags (written as difficult)": 1}
    del ids["class ids"]
    assert losses(parts, "csv") == ids | flat
    assert losses(parts, "yolo") == ids | flat | {"crowd flags": 1}


def test_polygons_travel_between_yolo_and_coco(tmp_path: Path) -> None:
    source = HEALTHY["yolo"](tmp_path / "source")
    for label in source.rglob("labels/*/*.txt"):
        label.write_text("1 0.25 0.25 0.75 0.25 0.5 0.75\n")
    done = convert(source, tmp_path / "coco", "coco")
    assert done.lost == {}
    sample = open_dataset(tmp_path / "coco", "train")[0]
    assert sample.masks == ([[16, 12, 48, 12, 32, 36]],)
    assert sample.boxes.tolist() == [[16, 12, 48, 36]]
    assert convert(tmp_path / "coco", tmp_path / "back", "yolo").lost == {
        "ids of objects": 7,
        "ids of images": 7,
    }
    assert (tmp_path / "back/labels/train/a.txt").read_text() == "1 0.25 0.25 0.75 0.25 0.5 0.75\n"


def test_the_source_is_only_read_and_the_target_appears_whole(tmp_path: Path) -> None:
    source = voc(tmp_path / "source")
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in source.rglob("*") if f.is_file()}
    (source / "JPEGImages/g.png").rename(tmp_path / "away.png")
    with pytest.raises(InputError, match="image-missing"):
        convert(source, tmp_path / "out", "coco")
    dataset = open_dataset(source, "val", policy="skip")
    gone = replace(dataset[0], path=tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"gone\.png: does not exist"):
        write(replace(dataset, samples=(*dataset.samples, gone)), tmp_path / "out", "coco")
    assert {p.name for p in tmp_path.iterdir()} == {"source", "away.png"}
    (tmp_path / "away.png").rename(source / "JPEGImages/g.png")
    convert(source, tmp_path / "out", "coco")
    assert {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in source.rglob("*") if f.is_file()} == before


def test_a_target_that_holds_something_is_refused_and_an_empty_one_is_not(tmp_path: Path) -> None:
    source = voc(tmp_path / "source")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        convert(source, tmp_path / "full", "coco")
    assert (tmp_path / "full/file").read_text() == "mine"
    with pytest.raises(InputError, match="inside the data set"):
        convert(source, source / "out", "coco")
    (tmp_path / "empty").mkdir()
    assert convert(source, tmp_path / "empty", "coco").splits == {"train": (4, 8), "val": (3, 6)}
    with pytest.raises(InputError, match="did you mean coco"):
        convert(source, tmp_path / "x", "cocoo")
    with pytest.raises(InputError, match="splits there: train, val"):
        convert(source, tmp_path / "x", "coco", only=["test"])


def test_linked_images_share_their_bytes_on_disk(tmp_path: Path) -> None:
    source = voc(tmp_path / "source")
    convert(source, tmp_path / "linked", "yolo", images="link")
    convert(source, tmp_path / "copied", "yolo")
    assert (tmp_path / "linked/images/train/a.png").samefile(source / "JPEGImages/a.png")
    assert not (tmp_path / "copied/images/train/a.png").samefile(source / "JPEGImages/a.png")


def test_bad_entries_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    source = coco(tmp_path / "source")
    change(source, lambda c: c["annotations"][0].update(category_id=99))
    change(source, lambda c: c["annotations"][1].update(bbox=[1, 1, 0, 5]))
    with pytest.raises(InputError, match="category 99"):
        convert(source, tmp_path / "out", "csv")
    done = convert(source, tmp_path / "out", "csv", policy="skip")
    assert done.left_out == {"class-unknown": 1, "box-no-area": 1}
    assert done.splits["train"] == (4, 6)


def test_a_flag_for_zero_based_voc_belongs_to_the_source_or_else_the_target(tmp_path: Path) -> None:
    source = HEALTHY["csv"](tmp_path / "source")
    convert(source, tmp_path / "zero", "voc", options=ReadOptions(voc_zero_based=True))
    shifted = open_dataset(tmp_path / "zero", "train")[0].boxes
    assert (shifted == open_dataset(source, "train")[0].boxes - 1).all()
    convert(tmp_path / "zero", tmp_path / "one", "voc", options=ReadOptions(voc_zero_based=True))
    assert (open_dataset(tmp_path / "one", "train")[0].boxes == open_dataset(source, "train")[0].boxes).all()


def test_splits_that_list_different_classes_share_one_list(tmp_path: Path) -> None:
    source = coco(tmp_path / "source")
    change(source, lambda c: c["categories"].insert(0, {"id": 1, "name": "owl"}), "val")
    convert(source, tmp_path / "out", "yolo")
    train, val = open_dataset(tmp_path / "out", "train"), open_dataset(tmp_path / "out", "val")
    assert train.classes == val.classes == ("cat", "dog", "owl")
    assert np.array_equal(val.counts(), [3, 3, 0]) and np.array_equal(train.counts(), [4, 4, 0])
    change(source, lambda c: c["categories"][0].update(id=3, name="fox"), "train")
    change(source, lambda c: c["categories"].pop(), "train")
    with pytest.raises(InputError, match=r"class 3 is 'fox' in one split and 'dog'"):
        convert(source, tmp_path / "out2", "yolo", policy="skip")
