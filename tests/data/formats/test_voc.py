from __future__ import annotations

from pathlib import Path

import pytest

from boxwright.data import open_dataset, splits
from boxwright.data.open import read_split
from boxwright.data.records import Finding
from boxwright.errors import InputError

from ..patients import save, voc

OBJECT = "<object><name>cat</name>{}</object>"
BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def loose(root: Path, inner: str, name: str = "a") -> Path:
    save(root / f"{name}.png")
    (root / f"{name}.xml").write_text(f"<annotation>{inner}</annotation>")
    return root


def boxed(*corners: object, more: str = "") -> str:
    return OBJECT.format(BOX.format(*corners) + more)


def checks(source: Path, split: str = "") -> list[str]:
    found: list[Finding] = []
    read_split(source, split, found.append)
    return [finding.check for finding in found]


def test_corners_are_inclusive_and_counted_from_one_by_hand(tmp_path: Path) -> None:
    # xmin=1, xmax=3 covers the columns 0, 1 and 2: from 0 to 3, three pixels wide.
    source = loose(tmp_path, boxed(1, 2, 3, 2) + boxed(1.5, 1.1, 20.25, 10))
    assert open_dataset(source)[0].boxes.tolist() == [[0, 1, 3, 2], [0.5, 0.1, 20.25, 10]]
    assert open_dataset(source)[0].areas[0] == 3
    zero = open_dataset(source, voc_zero_based=True)[0].boxes.tolist()
    assert zero == [[1, 2, 4, 3], [1.5, 1.1, 21.25, 11]]


def test_missing_and_odd_fields_are_no_fault(tmp_path: Path) -> None:
    rest = (
        "<pose>Left</pose><truncated>1</truncated><part><name>head</name></part>"
        "<part><name>tail</name></part><difficult/>"
    )
    source = loose(
        tmp_path, boxed(" 1\n", 1, 9, 9, more=rest) + boxed(1, 1, 9, 9, more="<difficult> 1 </difficult>")
    )
    sample = open_dataset(source)[0]
    assert sample.size is None and sample.difficult.tolist() == [False, True] and not sample.crowd.any()
    parts = [{"name": "head"}, {"name": "tail"}]
    assert sample.attributes == ({"pose": "Left", "truncated": 1, "part": parts}, {})
    assert sample.image_id == "a" and sample.object_ids == () and sample.masks == ()


@pytest.mark.parametrize(
    ("inner", "check"),
    [
        (boxed(5, 5, 4, 9), "box-no-area"),
        (boxed(9, 5, 4, 9), "box-swapped"),
        (boxed("nan", 5, 4, 9), "box-nan"),
        (boxed("1e999999999", 5, 4, 9), "box-nan"),
        (boxed("x", 5, 4, 9), "box-shape"),
        (boxed("", 5, 4, 9), "box-shape"),
        (boxed("sNaN", 5, 4, 9), "box-shape"),
        (OBJECT.format("<bndbox/>"), "box-shape"),
        (OBJECT.format(""), "box-shape"),
        ("<object/>", "record-shape"),
        ("<size><width>30</width><height>20</height></size>" + boxed(31, 1, 40, 9), "box-off-image"),
        ("<size><width>30</width><height>20</height></size>" + boxed(0, 1, 31, 9), "box-outside"),
        ("<size><width>0</width><height>20</height></size>", "size-invalid"),
        ("<filename>b.jpg</filename>", "filename-differs"),
        ("<filename>../../etc/passwd</filename>", "filename-differs"),
        ("<filename>/etc/passwd</filename>", "filename-differs"),
    ],
)
def test_each_defect_is_one_finding(inner: str, check: str, tmp_path: Path) -> None:
    source = loose(tmp_path, inner)
    assert checks(source) == [check]


def test_unusable_boxes_never_reach_training(tmp_path: Path) -> None:
    source = loose(tmp_path, boxed(1, 1, 9, 9) + boxed(9, 1, 2, 9) + boxed("inf", 1, 2, 9))
    dataset = open_dataset(source)
    assert dataset[0].boxes.tolist() == [[0, 0, 9, 9]]
    assert [(f.check, f.where) for f in dataset.findings] == [
        ("box-swapped", "object 2 (cat)"),
        ("box-nan", "object 3 (cat)"),
    ]
    assert dataset.findings[0].file == str(source / "a.xml")


def test_the_name_of_the_file_beats_the_filename_inside(tmp_path: Path) -> None:
    source = loose(tmp_path, "<filename>C:\\Users\\me\\a.jpg</filename>")
    assert open_dataset(source)[0].path.name == "a.png" and checks(source) == []
    save(tmp_path / "other.png")
    (tmp_path / "z.xml").write_text("<annotation><filename>other.png</filename></annotation>")
    assert [s.path.name for s in open_dataset(source)] == ["a.png", "other.png"]


def test_every_split_numbers_classes_alike(tmp_path: Path) -> None:
    source = voc(tmp_path)
    (source / "ImageSets/Main/test.txt").write_text("")
    save(source / "JPEGImages/x.png")
    (source / "Annotations/x.xml").write_text(
        f"<annotation>{boxed(1, 1, 5, 5).replace('cat', 'ant')}</annotation>"
    )
    for split in ("train", "val"):
        assert open_dataset(source, split).classes == ("ant", "cat", "dog")
    (source / "labels.txt").write_text("dog\ncat\nant\nowl\n")
    assert open_dataset(source, "val").classes == ("dog", "cat", "ant", "owl")
    assert open_dataset(source, "val").ids == (0, 1, 2, 3)
    (source / "labels.txt").write_text("dog\ncat\n")
    dataset = open_dataset(source, "val")
    assert dataset.classes == ("ant", "cat", "dog") and [f.check for f in dataset.findings] == ["class-list"]


def test_lists_of_images(tmp_path: Path) -> None:
    source = voc(tmp_path)
    main = source / "ImageSets/Main"
    (main / "trainval.txt").write_text("a\n")
    (main / "cat_train.txt").write_text("a  1\nb -1\n")
    (main / "minival.txt").write_text("e  1\r\ne\nf.png\n\n")
    assert splits(source) == ("train", "val", "minival")
    assert checks(source, "minival") == ["image-duplicate"]
    assert [s.image_id for s in open_dataset(source, "minival")] == ["e", "f"]
    for name in ("train.txt", "val.txt"):
        (main / name).unlink()
    assert splits(source) == ("trainval", "minival")
    for line, check in (
        ("nothing", "annotation-missing"),
        ("../../x", "path-escape"),
        ("/etc/x", "path-escape"),
    ):
        (main / "trainval.txt").write_text(f"a\n{line}\n")
        assert checks(source, "trainval") == [check]
    with pytest.raises(InputError, match=r"trainval.txt: line 2: .*path-escape"):
        open_dataset(source, "trainval", policy="skip")


def test_a_symbolic_link_out_of_the_folder_is_followed_unless_refused(tmp_path: Path) -> None:
    source = voc(tmp_path / "set")
    save(tmp_path / "secret.png", seed=1)
    (source / "JPEGImages/a.png").unlink()
    (source / "JPEGImages/a.png").symlink_to(tmp_path / "secret.png")
    assert open_dataset(source, "train")[0].path.name == "a.png"
    with pytest.raises(InputError, match=r"symbolic link|no image|none of"):
        open_dataset(source, "train", follow_links=False)


def test_loose_files_find_images_beside_them_and_in_sibling_folders(tmp_path: Path) -> None:
    for name in ("JPEGImages", "images"):
        root = tmp_path / name
        save(root / name / "a.png")
        (root / "xml").mkdir()
        (root / "xml/a.xml").write_text(f"<annotation>{boxed(1, 1, 5, 5)}</annotation>")
        assert open_dataset(root / "xml")[0].path == root / name / "a.png"
        assert splits(root / "xml") == ()
    for split in ("train", "valid"):
        loose(tmp_path / "roboflow" / split, boxed(1, 1, 5, 5), name=split[0])
    assert splits(tmp_path / "roboflow") == ("train", "val")
    voc(tmp_path / "VOCdevkit/VOC2012")
    assert splits(tmp_path / "VOCdevkit") == ("train", "val")


def test_real_sets(shared: Path) -> None:
    bccd = shared / "data/bccd"
    assert splits(bccd) == ("train", "val", "test")
    whole = open_dataset(bccd)
    assert len(whole) == 205 + 87 + 72
    assert dict(zip(whole.classes, whole.counts().tolist(), strict=True)) == {
        "Platelets": 361,
        "RBC": 4155,
        "WBC": 372,
    }
    by_name = {sample.image_id: sample for sample in whole}
    # One pixel under inclusive corners: not without area.
    assert [504 - 1, 337 - 1, 504, 337] in by_name["BloodImage_00338"].boxes.tolist()
    mini = open_dataset(shared / "data/voc2012-mini")
    assert (len(mini), len(mini.classes), sum(len(s.labels) for s in mini)) == (100, 20, 273)
    assert mini.findings == ()
