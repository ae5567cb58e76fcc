from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boxwright.data import open_dataset
from boxwright.data.doctor import examine
from boxwright.data.doctor.repair import common_classes, repair, turned
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.exif import upright

from ..patients import HEALTHY, OBJECTS, WIDTH, change, coco, save, voc, xml
from .ailments import AILMENTS, Ailment


def contents(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("ailment", AILMENTS, ids=lambda ailment: f"{ailment.check}-{ailment.format}")
def test_a_clean_copy_has_no_errors_and_the_source_is_as_it_was(ailment: Ailment, tmp_path: Path) -> None:
    root = HEALTHY[ailment.format](tmp_path / "data")
    ailment.harm(root)
    before = contents(root)
    out = tmp_path / "clean"
    if ailment.check in ("yaml-syntax", "yaml-shape", "csv-shape", "labels-missing", "label-keypoints"):
        with pytest.raises(InputError, match="nothing is left"):
            repair(root, out)
        assert not out.exists()
    else:
        repaired = repair(root, out)
        after = examine(out)
        assert after.errors == ()
        assert after.format == ailment.format
        assert repaired.images == sum(numbers.images for numbers in after.statistics.values())
        assert repaired.objects == sum(numbers.objects for numbers in after.statistics.values())
    assert contents(root) == before


@given(st.sampled_from(sorted(HEALTHY)), st.data())
@settings(max_examples=25)
def test_a_clean_copy_of_several_ailments_together_has_no_errors(format: str, data: st.DataObject) -> None:
    possible = [ailment for ailment in AILMENTS if ailment.format == format]
    chosen = data.draw(st.lists(st.sampled_from(possible), min_size=2, max_size=6, unique=True))
    with tempfile.TemporaryDirectory() as folder:
        root, out = HEALTHY[format](Path(folder) / "data"), Path(folder) / "clean"
        for ailment in chosen:
            # Another ailment may have taken its file away, or made it unreadable.
            with suppress(OSError, AssertionError, ValueError, LookupError, TypeError):
                ailment.harm(root)
        try:
            repair(root, out)
        except InputError as error:
            assert "nothing is left" in str(error) or "is no data set" in str(error)
            assert not out.exists()
        else:
            assert examine(out).errors == ()


@pytest.mark.parametrize("format", HEALTHY)
def test_a_healthy_data_set_comes_back_whole(format: str, tmp_path: Path) -> None:
    root = HEALTHY[format](tmp_path / "data")
    repaired = repair(root, tmp_path / "clean")
    assert (repaired.images_left_out, repaired.objects_left_out) == (0, 0)
    for split in ("train", "val"):
        old, new = open_dataset(root, split), open_dataset(tmp_path / "clean", split)
        assert (old.classes, old.ids) == (new.classes, new.ids)
        for a, b in zip(old, new, strict=True):
            assert a.path.read_bytes() == b.path.read_bytes()
            np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-6)
            assert a.labels.tolist() == b.labels.tolist()


def test_the_copy_of_a_copy_is_the_same(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    xml(root / "Annotations" / "a.xml", [*OBJECTS, ("cat", (30, 10, WIDTH + 9, 30))])
    repair(root, tmp_path / "once")
    repair(tmp_path / "once", tmp_path / "twice")
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")


def test_boxes_are_clipped_and_doubles_dropped(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    xml(root / "Annotations" / "a.xml", [*OBJECTS, ("cat", (30, 10, WIDTH + 9, 30)), OBJECTS[0]])
    repaired = repair(root, tmp_path / "clean")
    assert (repaired.images_left_out, repaired.objects_left_out) == (0, 1)
    sample = open_dataset(tmp_path / "clean", "train")[0]
    assert sample.boxes.tolist() == [[4, 6, 30, 26], [20, 10, 60, 40], [30, 10, WIDTH, 30]]


def test_a_leaking_picture_stays_where_it_measures(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    (root / "JPEGImages" / "e.png").write_bytes((root / "JPEGImages" / "a.png").read_bytes())
    (root / "ImageSets/Main/train.txt").write_text("a\nb\nc\nd\nf\n")
    repair(root, tmp_path / "clean")
    splits = {s: [x.path.stem for x in open_dataset(tmp_path / "clean", s)] for s in ("train", "val")}
    assert splits == {"train": ["b", "c", "d"], "val": ["e", "f", "g"]}


def test_a_split_that_is_others_together_stays_so(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    (root / "ImageSets/Main/all.txt").write_text("a\nb\nc\nd\ne\nf\ng\n")
    (root / "JPEGImages" / "b.png").write_bytes(b"")
    (root / "JPEGImages" / "e.png").write_bytes((root / "JPEGImages" / "a.png").read_bytes())
    repair(root, tmp_path / "clean")
    names = [sample.path.stem for sample in open_dataset(tmp_path / "clean", "all")]
    assert names == ["c", "d", "e", "f", "g"]


def test_two_images_of_one_id_are_both_left_out(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    change(root, lambda content: content["images"][1].update(id=1))
    repair(root, tmp_path / "clean")
    assert [s.path.stem for s in open_dataset(tmp_path / "clean", "train")] == ["c", "d"]


def test_conflicting_class_lists_become_one(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")

    def swap(content: dict) -> None:
        for category in content["categories"]:
            category["name"] = {"cat": "dog", "dog": "cat"}[category["name"]]

    change(root, swap, split="val")
    repair(root, tmp_path / "clean")
    train, val = (open_dataset(tmp_path / "clean", split) for split in ("train", "val"))
    assert train.classes == val.classes == ("cat", "dog")
    assert train.ids == val.ids == (1, 2)
    assert [train.classes[i] for i in train[0].labels] == ["cat", "dog"]
    assert [val.classes[i] for i in val[0].labels] == ["dog", "cat"]


def dataset(classes: tuple[str, ...], ids: tuple[int, ...]) -> Dataset:
    return Dataset((), classes, ids, Path("data"))


def test_sparse_ids_are_kept_where_splits_agree() -> None:
    parts = [dataset(("cat", "dog"), (7, 90)), dataset(("dog", "cow"), (90, 3))]
    assert common_classes(parts) == (("cat", "dog", "cow"), (7, 90, 3))
    assert common_classes([dataset(("cat",), (7,)), dataset(("cat",), (8,))]) == (("cat",), (1,))


@pytest.mark.parametrize("target", ["data/inside", "data", "file"])
def test_targets_that_would_touch_something_are_refused(target: str, tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    (tmp_path / "file").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=target):
        repair(root, tmp_path / target)
    assert contents(tmp_path) == before


def test_a_single_json_file_may_have_its_clean_copy_beside_it(tmp_path: Path) -> None:
    root = coco(tmp_path / "data")
    repair(root / "annotations" / "instances_val.json", root / "clean")
    assert examine(root / "clean").errors == ()
    assert len(open_dataset(root / "clean")) == 3


@given(st.integers(1, 8), st.tuples(*[st.integers(0, 7)] * 2), st.tuples(*[st.integers(1, 5)] * 2))
def test_turning_boxes_is_turning_their_pixels(
    turn: int, corner: tuple[int, int], extent: tuple[int, int]
) -> None:
    height, width = 12, 17
    top, left = corner
    bottom, right = min(height, top + extent[0]), min(width, left + extent[1])
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    (x0, y0, x1, y1) = turned(np.array([[left, top, right, bottom]], float), (height, width), turn)[0].astype(
        int
    )
    shown = upright(pixels, turn)
    assert shown[y0:y1, x0:x1].min() == 255 and shown.sum() == pixels.sum() == 255 * 3 * (y1 - y0) * (x1 - x0)


def test_boxes_made_before_exif_turned_the_picture_are_turned(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    exif = Image.Exif()
    exif[0x0112] = 6
    save(root / "JPEGImages" / "a.png", exif=exif)
    repair(root, tmp_path / "clean")
    sample = open_dataset(tmp_path / "clean", "train")[0]
    # Stored 48 high and 64 wide, shown turned right: x is 48 - y, y is x.
    assert sample.boxes.tolist() == [[22, 4, 42, 30], [8, 20, 38, 60]]
    assert sample.size == (64, 48)
