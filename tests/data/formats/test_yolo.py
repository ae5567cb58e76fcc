from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from boxwright.data import open_dataset, splits
from boxwright.data.formats.options import ReadOptions
from boxwright.data.open import read_split
from boxwright.data.records import Finding
from boxwright.errors import InputError

from ..patients import HEIGHT, WIDTH, save, yolo


def checks(source: Path, split: str = "train") -> list[str]:
    found: list[Finding] = []
    read_split(source, split, found.append)
    return [finding.check for finding in found]


def test_fractions_by_hand(tmp_path: Path) -> None:
    source = yolo(tmp_path)
    (source / "labels/train/a.txt").write_text("1 0.5 0.5 0.25 0.5\n\n0 .125 .25 .25 .5\r\n")
    sample = open_dataset(source, "train")[0]
    assert sample.size == (HEIGHT, WIDTH) == (48, 64)
    assert sample.boxes.tolist() == [[24, 12, 40, 36], [0, 0, 16, 24]]
    assert sample.labels.tolist() == [1, 0] and sample.image_id == "a"


def test_exif_turns_the_image_that_fractions_mean(tmp_path: Path) -> None:
    source = yolo(tmp_path)
    (source / "images/train/a.png").unlink()
    save(source / "images/train/a.jpg", seed=1, exif=_orientation(6))
    (source / "labels/train/a.txt").write_text("0 0.5 0.5 1 1\n")
    sample = open_dataset(source, "train")[0]
    assert sample.size == (WIDTH, HEIGHT) and sample.boxes.tolist() == [[0, 0, HEIGHT, WIDTH]]


def _orientation(value: int) -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def test_polygons_are_boxes_with_masks(tmp_path: Path) -> None:
    source = yolo(tmp_path)
    (source / "labels/train/a.txt").write_text("0 0.25 0.25 0.75 0.5 0.5 0.75\n1 0.5 0.5 0.5 0.5\n")
    sample = open_dataset(source, "train")[0]
    assert sample.boxes[0].tolist() == [16, 12, 48, 36]
    assert sample.masks == ([[16, 12, 48, 24, 32, 36]], None)


@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("0 0.5 0.5 0.5", "label-line"),
        ("0 0.5 0.5 0.5 0.5 0.9", "label-line"),
        ("0 0.5 0.5 0.5 0.5 0.5 0.5 0.5", "label-line"),
        ("cat 0.5 0.5 0.5 0.5", "label-line"),
        ("0,0.5,0.5,0.5,0.5", "label-line"),
        ("7 0.5 0.5 0.5 0.5", "class-unknown"),
        ("-1 0.5 0.5 0.5 0.5", "class-unknown"),
        ("0.5 0.5 0.5 0.5 0.5", "class-unknown"),
        ("nan 0.5 0.5 0.5 0.5", "class-unknown"),
        ("0 nan 0.5 0.5 0.5", "box-nan"),
        ("0 0.5 0.5 inf 0.5", "box-nan"),
        ("0 0.5 0.5 0 0.5", "box-no-area"),
        ("0 0.5 0.5 -0.5 0.5", "box-swapped"),
        ("0 1.5 0.5 0.5 0.5", "box-off-image"),
        ("0 0.9 0.5 0.5 0.5", "box-outside"),
        ("0 24 12 40 36", "box-not-normalised"),
    ],
)
def test_each_bad_line_is_one_finding(line: str, check: str, tmp_path: Path) -> None:
    source = yolo(tmp_path)
    label = source / "labels/train/a.txt"
    label.write_text(f"1 0.5 0.5 0.5 0.5\n{line}\n")
    found: list[Finding] = []
    dataset = read_split(source, "train", found.append)
    assert [(f.check, f.file, f.where) for f in found] == [(check, str(label), "line 2")]
    assert len(dataset[0].labels) == 1 + (check == "box-outside")


def test_images_and_labels_without_each_other(tmp_path: Path) -> None:
    source = yolo(tmp_path)
    (source / "labels/train/a.txt").unlink()
    (source / "images/train/b.png").unlink()
    (source / "images/train/c.png").write_bytes(b"no image")
    (source / "labels/train/classes.txt").write_text("cat\n")
    assert checks(source) == ["label-missing", "image-unreadable", "label-without-image"]
    dataset = open_dataset(source, "train", policy="skip")
    assert [s.path.name for s in dataset] == ["a.png", "d.png"] and len(dataset[0].labels) == 0
    with pytest.raises(InputError, match=r"c\.png.*image-unreadable"):
        open_dataset(source, "train")


@pytest.mark.parametrize(
    ("names", "classes", "ids"),
    [
        ("[cat, dog]", ("cat", "dog"), (0, 1)),
        ("{3: x, 0: cat, 1: dog}", ("x", "cat", "dog"), (3, 0, 1)),
        ("{'0': cat, '1': dog}", ("cat", "dog"), (0, 1)),
        ("[1, 2.5]", ("1", "2.5"), (0, 1)),
    ],
)
def test_names(names: str, classes: tuple[str, ...], ids: tuple[int, ...], tmp_path: Path) -> None:
    source = yolo(tmp_path)
    (source / "data.yaml").write_text(f"train: images/train\nnames: {names}\n")
    dataset = open_dataset(source, "train")
    assert (dataset.classes, dataset.ids) == (classes, ids)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("names: !!python/object/apply:os.system ['touch pwned']", "yaml-syntax"),
        ("names: [a\n", "yaml-syntax"),
        ("names: {[a]: b}", "yaml-syntax"),
        ("when: 2026-99-99\nnames: [cat]", "yaml-syntax"),
        ("=: =\nnames: =", "yaml-syntax"),
        ("[" * 100_000, "yaml-syntax"),
        ("- " * 100_000, "yaml-syntax"),
        ("#" * 2_000_000, "yaml-syntax"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nnames: *b", "yaml-syntax"),
        ("", "yaml-shape"),
        ("[1, 2]", "yaml-shape"),
        ("train: images/train", "yaml-shape"),
        ("train: images/train\nnames: 5", "yaml-shape"),
        ("train: images/train\nnames: []", "yaml-shape"),
        ("train: images/train\nnames: [yes, no]", "yaml-shape"),
        ("train: images/train\nnames: [[a], b]", "yaml-shape"),
        ("train: images/train\nnames: {a: b}", "yaml-shape"),
        ("train: images/train\nnames: {-1: b}", "yaml-shape"),
        ("names: [cat, dog]", "yaml-shape"),
        ("train: 7\nnames: [cat, dog]", "yaml-shape"),
        ("train: /etc\nnames: [cat, dog]", "split-missing"),
        ("train: ../../etc\nnames: [cat, dog]", "split-missing"),
        ("train: 'C:\\x'\nnames: [cat, dog]", "split-missing"),
        ("path: /etc\ntrain: nowhere\nnames: [cat, dog]", "split-missing"),
        ("train: nowhere\nnames: [cat, dog]", "split-missing"),
        ("train: images/train\nnames: [cat, cat]", "class-duplicate"),
        ("train: images/train\nnc: 3\nnames: [cat, dog]", "class-count"),
    ],
)
def test_each_bad_data_yaml_is_one_finding(
    text: str, check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = yolo(tmp_path)
    monkeypatch.chdir(tmp_path)
    (source / "data.yaml").write_text(text)
    there = splits(source)
    found: list[Finding] = []
    read_split(source, there[0] if there else "", found.append)
    kinds = [f.check for f in found if f.check != "class-unknown"]
    assert kinds == [check] and found[0].file == str(source / "data.yaml")
    assert not (tmp_path / "pwned").exists()


def test_a_missing_folder_is_named_with_what_was_tried(tmp_path: Path) -> None:
    source = yolo(tmp_path)
    (source / "data.yaml").write_text("path: inner\ntrain: pictures\nnames: [cat, dog]\n")
    with pytest.raises(InputError, match=r"tried .*inner/pictures, .*/pictures"):
        open_dataset(source)


def test_layouts(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    head = "names: [cat, dog]\n"
    file = source / "data.yaml"
    # Roboflow's dots, a path on another machine, several folders, a path in the folder, the file itself.
    for text in (
        "train: ../images/train\n",
        "path: /content/set\ntrain: images/train\n",
        "path: images\ntrain: train\n",
        "path: .\ntrain: [images/train]\n",
    ):
        file.write_text(text + head)
        assert len(open_dataset(source, "train")) == len(open_dataset(file, "train")) == 4
    file.write_text("train: [images/train, images/val]\n" + head)
    assert len(open_dataset(source, "train")) == 7
    file.write_text("train: images\n" + head)
    assert [len(s.labels) for s in open_dataset(source)] == [2] * 7
    (source / "list.txt").write_text("./images/val/e.png\nimages/train/a.png\n\nimages/train/a.png\n")
    file.write_text("train: list.txt\n" + head)
    assert [s.path.name for s in open_dataset(source)] == ["e.png", "a.png"]
    assert checks(source) == ["image-duplicate"]
    (source / "list.txt").write_text("images/train/zz.png\n../../x.png\n/etc/passwd\n")
    assert checks(source) == ["image-missing", "path-escape", "path-escape"]
    file.rename(source / "other.yaml")
    assert splits(source) == ("train",)


def test_symbolic_links_out_of_the_folder_are_followed_unless_refused(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set")
    save(tmp_path / "secret.png", seed=1)
    (tmp_path / "secret.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (source / "images/train/a.png").unlink()
    (source / "images/train/a.png").symlink_to(tmp_path / "secret.png")
    assert open_dataset(source, "train")[0].path.name == "a.png"
    with pytest.raises(InputError, match=r"symbolic link|no image|none of"):
        open_dataset(source, "train", follow_links=False)
    (source / "labels/val/e.txt").unlink()
    (source / "labels/val/e.txt").symlink_to(tmp_path / "secret.txt")
    assert checks(source, "val") == []
    found: list[Finding] = []
    read_split(source, "val", found.append, options=ReadOptions(follow_links=False))
    assert found[0].check == "path-escape"


def test_the_same_truth_in_yolo_and_voc(shared: Path, tmp_path: Path) -> None:
    mini = shared / "data/voc2012-mini"
    names = (mini / "other_formats/yolo_format/obj.names").read_text().split()
    shutil.copytree(mini / "JPEGImages", tmp_path / "images")
    shutil.copytree(mini / "other_formats/yolo_format/obj_train_data", tmp_path / "labels")
    (tmp_path / "data.yaml").write_text(f"train: images\nnames: {names}\n")
    voc = open_dataset(mini)
    truth = {sample.image_id: sample for sample in voc}
    dataset = open_dataset(tmp_path)
    assert dataset.findings == () and sum(len(s.labels) for s in dataset) == 273
    for sample in dataset:
        other = truth[sample.image_id]
        ours = sorted(
            [dataset.classes[n], *b] for n, b in zip(sample.labels, sample.boxes.tolist(), strict=True)
        )
        theirs = sorted([voc.classes[n], *b] for n, b in zip(other.labels, other.boxes.tolist(), strict=True))
        # Its makers left out VOC's "-1" and rounded to a millionth.
        for one, two in zip(ours, theirs, strict=True):
            assert one[0] == two[0] and one[1:] == pytest.approx([two[1] + 1, two[2] + 1, *two[3:]], abs=0.01)
