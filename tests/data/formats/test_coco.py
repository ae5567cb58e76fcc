from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxwright.data import open_dataset, splits
from boxwright.data.open import read_split
from boxwright.data.records import Finding
from boxwright.errors import InputError

from ..patients import change, coco, save

Edit = Callable[[dict[str, Any]], object]


def put(key: str, value: Any, of: str = "annotations") -> Edit:
    return lambda content: content[of][0].update({key: value})


def drop(key: str, of: str = "annotations") -> Edit:
    return lambda content: content[of][0].pop(key)


def checks(source: Path, split: str = "train") -> list[str]:
    found: list[Finding] = []
    read_split(source, split, found.append)
    return [finding.check for finding in found]


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        (put("bbox", [1, 2, 0, 5]), "box-no-area"),
        (put("bbox", [9, 9, -4, 5]), "box-swapped"),
        (put("bbox", [float("nan"), 2, 3, 5]), "box-nan"),
        (put("bbox", [float("inf"), 2, float("-inf"), 5]), "box-nan"),
        (put("bbox", [10**400, 2, 3, 5]), "box-nan"),
        (put("bbox", [64, 0, 5, 5]), "box-off-image"),
        (put("bbox", [60, 0, 5, 5]), "box-outside"),
        (put("bbox", [1, 2, 3]), "box-shape"),
        (put("bbox", [1, 2, 3, "x"]), "box-shape"),
        (put("bbox", [1, 2, 3, True]), "box-shape"),
        (put("bbox", None), "box-shape"),
        (drop("bbox"), "box-shape"),
        (put("category_id", 99), "class-unknown"),
        (put("category_id", "7th"), "class-unknown"),
        (put("iscrowd", "maybe"), "record-shape"),
        (put("segmentation", [[1, 2, 3]]), "outline-unreadable"),
        (put("segmentation", {"size": [9, 9], "counts": [81]}), "outline-unreadable"),
        (put("category_id", [7]), "class-unknown"),
        (drop("category_id"), "class-unknown"),
        (put("image_id", 99), "image-unknown"),
        (put("image_id", {}), "image-unknown"),
        (drop("image_id"), "image-unknown"),
        (put("id", 2), "id-duplicate"),
        (put("id", [2]), "record-shape"),
        (lambda c: c["annotations"].append(3), "record-shape"),
        (put("id", 2, "images"), "id-duplicate"),
        (put("file_name", "b.png", "images"), "image-duplicate"),
        (put("file_name", "nowhere.png", "images"), "image-missing"),
        (put("file_name", 7, "images"), "record-shape"),
        (put("file_name", "../../etc/passwd", "images"), "path-escape"),
        (put("file_name", "/etc/passwd", "images"), "path-escape"),
        (put("file_name", "C:\\a.png", "images"), "image-inexact"),
        (put("file_name", "A.PNG", "images"), "image-inexact"),
        (put("file_name", "a\0.png", "images"), "path-escape"),
        (put("file_name", "a" * 5000, "images"), "path-escape"),
        (put("file_name", "\ud800", "images"), "path-escape"),
        (put("width", -3, "images"), "size-invalid"),
        (put("width", "9" * 400, "images"), "size-invalid"),
        (lambda c: c["images"].append(None), "record-shape"),
        (lambda c: c["categories"].append({"id": 7, "name": "owl"}), "id-duplicate"),
        (lambda c: c["categories"].append({"id": 9, "name": "cat"}), "class-duplicate"),
        (lambda c: c["categories"].append({"id": "9th", "name": "owl"}), "record-shape"),
        (lambda c: c["categories"].append({"id": 2**70, "name": "owl"}), "record-shape"),
        (lambda c: c["categories"].append({"id": 9}), "record-shape"),
        (lambda c: c["categories"].append({"id": 9, "name": "\ud800"}), "record-shape"),
    ],
)
def test_each_defect_is_found_and_stepped_over(edit: Edit, check: str, tmp_path: Path) -> None:
    source = coco(tmp_path)
    change(source, edit)
    found = checks(source)
    assert check in found and set(found) <= {check, "image-unknown"}
    assert checks(source, "val") == []


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("", "json-syntax"),
        ("{", "json-syntax"),
        ("[" * 200_000, "json-syntax"),
        ('{"images": ' + "9" * 5000 + "}", "json-syntax"),
        ("[]", "json-shape"),
        ("{}", "json-shape"),
        ('{"images": [], "annotations": {}, "categories": []}', "json-shape"),
        ("\xff", "file-unreadable"),
    ],
)
def test_files_that_are_no_coco(text: str, check: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(text.encode("latin-1"))
    assert checks(file, "") == [check]
    with pytest.raises(InputError, match=check):
        open_dataset(file, policy="skip")


def test_what_may_be_missing_is_not_missed(tmp_path: Path) -> None:
    source = coco(tmp_path)

    def edit(content: dict[str, Any]) -> None:
        for entry in content["annotations"]:
            del entry["iscrowd"], entry["area"], entry["id"]
        for entry in content["images"]:
            del entry["width"], entry["height"]

    change(source, edit)
    dataset = open_dataset(source, "train")
    assert dataset.findings == () and dataset[0].size is None
    assert dataset[0].areas.tolist() == [26 * 20, 40 * 30] and not dataset[0].crowd.any()
    assert dataset[0].object_ids == ()


def test_everything_else_is_kept(tmp_path: Path) -> None:
    source = coco(tmp_path)
    rle = {"size": [48, 64], "counts": [3, 4]}
    change(source, put("segmentation", rle))
    change(source, lambda c: c["annotations"][0].update(id=0, iscrowd=1, area=7.5, score=0.5))
    change(source, lambda c: c["images"][0].update(license=4, coco_url="http://x"))
    change(source, lambda c: c["categories"][0].update(supercategory="animal"))
    change(source, lambda c: c.update(info={"year": 1}, licenses=[{"id": 4}]))
    dataset = open_dataset(source, "train")
    sample = dataset[0]
    assert (sample.masks, sample.object_ids, sample.areas[0]) == ((rle, None), (0, 2), 7.5)
    assert sample.crowd.tolist() == sample.ignore.tolist() == [True, False]
    assert sample.attributes == ({"score": 0.5}, {})
    assert sample.extra == {"license": 4, "coco_url": "http://x"} and sample.image_id == 1
    assert dataset.info["licenses"] == [{"id": 4}]
    assert dataset.info["categories"] == {7: {"supercategory": "animal"}, 3: {}}


def test_classes_keep_order_and_ids(tmp_path: Path) -> None:
    source = coco(tmp_path)
    change(source, lambda c: c["categories"].append({"id": 90, "name": "owl"}))
    dataset = open_dataset(source, "train")
    assert (dataset.classes, dataset.ids) == (("cat", "dog", "owl"), (7, 3, 90))
    assert dataset[0].labels.tolist() == [0, 1]


def test_widths_are_added_as_decimals(tmp_path: Path) -> None:
    source = coco(tmp_path)
    change(source, put("bbox", [0.1, 0.2, 0.2, 24.7]))
    assert open_dataset(source, "train")[0].boxes[0].tolist() == [0.1, 0.2, 0.3, 24.9]


def test_layouts(tmp_path: Path) -> None:
    source = coco(tmp_path / "own")
    content = (source / "annotations/instances_train.json").read_text()

    official = tmp_path / "official"
    shutil.copytree(source / "train", official / "train2017")
    (official / "annotations").mkdir()
    (official / "annotations/instances_train2017.json").write_text(content)
    (official / "annotations/captions_train2017.json").write_text("{}")
    assert splits(official) == ("train",) and len(open_dataset(official, "train")) == 4

    roboflow = tmp_path / "roboflow"
    for split in ("train", "valid"):
        shutil.copytree(source / "train", roboflow / split)
        (roboflow / split / "_annotations.coco.json").write_text(content)
    assert splits(roboflow) == ("train", "val")
    assert open_dataset(roboflow, "val")[0].path.parent.name == "valid"

    several = tmp_path / "several"
    for split in ("train2017", "val2017"):
        shutil.copytree(source / "train", several / "images" / split)
        (several / f"annotations_{split}.json").write_text(content)
    (several / "notes.json").write_text("{}")
    assert splits(several) == ("train", "val")
    assert open_dataset(several, "val")[0].path.parent.name == "val2017"

    together = tmp_path / "together"
    shutil.copytree(source / "train", together / "images")
    (together / "annotations.json").write_text(content)
    assert splits(together) == () and len(open_dataset(together)) == 4
    (together / "annotations").mkdir()
    (together / "annotations.json").rename(together / "annotations/instances_default.json")
    assert splits(together) == () and len(open_dataset(together)) == 4

    beside = tmp_path / "beside"
    shutil.copytree(source / "train", beside)
    (beside / "my boxes.json").write_text(content)
    assert len(open_dataset(beside)) == len(open_dataset(beside / "my boxes.json")) == 4
    assert len(open_dataset(source / "annotations/instances_val.json")) == 3
    assert splits(source / "annotations/instances_val.json") == ("val",)

    named = tmp_path / "named"
    shutil.copytree(source / "train", named / "images/train")
    (named / "train.json").write_text(content.replace('"a.png"', '"images/train/a.png"'))
    assert len(open_dataset(named, "train")) == 4


def test_a_symbolic_link_out_of_the_folder_is_followed_unless_refused(tmp_path: Path) -> None:
    source = coco(tmp_path / "set")
    save(tmp_path / "secret.png", seed=1)
    (source / "train/a.png").unlink()
    (source / "train/a.png").symlink_to(tmp_path / "secret.png")
    assert open_dataset(source, "train")[0].path.name == "a.png"
    with pytest.raises(InputError, match=r"symbolic link|no image|none of"):
        open_dataset(source, "train", follow_links=False)


def test_the_same_truth_in_coco_and_voc(shared: Path, tmp_path: Path) -> None:
    mini = shared / "data/voc2012-mini"
    (tmp_path / "images").symlink_to(tmp_path / "own")
    shutil.copytree(mini / "JPEGImages", tmp_path / "own")
    voc = {sample.path.name: sample for sample in open_dataset(mini)}
    names = open_dataset(mini).classes
    for version in ("coco_format_v1/instances_default.json", "coco_format_v2/instances_v2.json"):
        shutil.copy(mini / "other_formats" / version, tmp_path / "a.json")
        dataset = open_dataset(tmp_path / "a.json")
        assert len(dataset) == 100 and sum(len(s.labels) for s in dataset) == 273
        for sample in dataset:
            other = voc[sample.path.name]
            ours = sorted(
                [dataset.classes[n], *b] for n, b in zip(sample.labels, sample.boxes.tolist(), strict=True)
            )
            theirs = sorted([names[n], *b] for n, b in zip(other.labels, other.boxes.tolist(), strict=True))
            # Its makers left out VOC's "-1": their boxes begin one pixel further right and below.
            for one, two in zip(ours, theirs, strict=True):
                assert one[0] == two[0] and one[1:] == pytest.approx(
                    [two[1] + 1, two[2] + 1, *two[3:]], abs=0.01
                )


def test_real_coco(shared: Path) -> None:
    dataset = open_dataset(shared / "data/coco-mini", "val")
    content = json.loads((shared / "data/coco-mini/annotations/instances_val.json").read_text())
    assert len(dataset) == 284 and dataset.findings == ()
    assert sum(int(s.crowd.sum()) for s in dataset) == 24
    assert dataset.ids == tuple(c["id"] for c in content["categories"]) and dataset.ids[-1] == 90
    assert sum(len(s.labels) == 0 for s in dataset) == 2
