"""One way to break a healthy data set for each check, and nothing else with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..patients import HEIGHT, OBJECTS, WIDTH, change, picture, save, xml


@dataclass(frozen=True)
class Ailment:
    """What `harm` does to a data set of `format`, and the checks that must find it, `check` first of all."""

    check: str
    format: str
    harm: Callable[[Path], object]
    consequences: frozenset[str] = frozenset()


def _write(path: str, content: str | bytes) -> Callable[[Path], object]:
    """Replace a file."""
    return lambda root: (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())


def _append(path: str, content: str) -> Callable[[Path], object]:
    return lambda root: (root / path).write_text((root / path).read_text() + content)


def _replace(path: str, old: str, new: str) -> Callable[[Path], object]:
    def harm(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return harm


def _coco(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda root: change(root, edit)


def _box(*bbox: Any) -> Callable[[Path], object]:
    """A COCO box, x y width height, in place of the first."""
    return _coco(lambda content: content["annotations"][0].update(bbox=list(bbox)))


def _voc_objects(
    *more: tuple[str, tuple[float, float, float, float]], name: str = "a"
) -> Callable[[Path], object]:
    return lambda root: xml(root / "Annotations" / f"{name}.xml", [*OBJECTS, *more])


def _cut(root: Path) -> None:
    path = root / "JPEGImages" / "a.png"
    path.write_bytes(path.read_bytes()[:-400])


def _lying(root: Path) -> None:
    """A picture stored on its side, annotated as stored."""
    exif = Image.Exif()
    exif[0x0112] = 6
    save(root / "JPEGImages" / "a.png", exif=exif)


def _mirrored(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 2
    save(root / "JPEGImages" / "a.png", exif=exif)


def _jpeg_called_png(root: Path) -> None:
    picture(1).save(root / "JPEGImages" / "a.png", "JPEG")


def _another_ending(root: Path) -> None:
    (root / "JPEGImages" / "a.png").unlink()
    save(root / "JPEGImages" / "a.bmp")


def _case(root: Path) -> None:
    save(root / "train" / "A.png", seed=1)
    change(root, lambda content: content["images"][1].update(file_name="A.png"))
    (root / "train" / "b.png").unlink()


def _shared(root: Path) -> None:
    save(root / "images" / "train" / "a.bmp", seed=1)


def _without_objects(root: Path) -> None:
    xml(root / "Annotations" / "a.xml", ())


def _pixels(root: Path, source: str, target: str) -> None:
    shutil.copyfile(root / source, root / target)


def _brighter(source: str, target: str) -> Callable[[Path], object]:
    def harm(root: Path) -> None:
        pixels = np.asarray(Image.open(root / source)).astype(int)
        Image.fromarray(np.clip(pixels + 12, 0, 255).astype(np.uint8)).save(root / target)

    return harm


def _imbalance(root: Path) -> None:
    """Fifty cats more for each image, none like another; the dogs are as they were."""
    cats = [("cat", (i, j, i + 4 + i % 3, j + 5)) for i in range(0, 50, 2) for j in range(0, 40, 2)]
    for name in "abcdefg":
        xml(root / "Annotations" / f"{name}.xml", [*OBJECTS, *cats[:60]])


def _conflict(root: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        for category in content["categories"]:
            category["name"] = {"cat": "dog", "dog": "cat"}[category["name"]]

    change(root, edit, split="val")


def _no_dog_in_val(root: Path) -> None:
    for name in "efg":
        xml(root / "Annotations" / f"{name}.xml", OBJECTS[:1])


def _pose(root: Path) -> None:
    """Boxes with six keypoints in each, and nothing in data.yaml that says so."""
    for label in (root / "labels").rglob("*.txt"):
        label.write_text(
            "0 0.5 0.5 0.3 0.4 " + " ".join(f"{0.4 + i / 50} {0.4 + i / 40}" for i in range(6)) + "\n"
        )


def _fractions(root: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        for entry in content["annotations"]:
            entry["bbox"] = [v / side for v, side in zip(entry["bbox"], (WIDTH, HEIGHT) * 2, strict=True)]

    change(root, edit)


def _corners(root: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        for entry in content["annotations"]:
            entry["bbox"] = [30, 20, 60, 40] if entry["category_id"] == 7 else [25, 21, 62, 44]

    change(root, edit)


_NO_LABELS = frozenset({"label-missing", "image-without-objects", "class-unused"})
_XML, _LIST = "Annotations/a.xml", "ImageSets/Main/train.txt"
_JSON, _LABEL = "annotations/instances_train.json", "labels/train/a.txt"

AILMENTS = (
    # Files that cannot be read at all. What the other split still shows is a consequence.
    Ailment("file-unreadable", "yolo", _write(_LABEL, b"\xff\xfe\xff"), frozenset({"image-without-objects"})),
    Ailment("json-syntax", "coco", _write(_JSON, "{"), frozenset({"split-empty"})),
    Ailment("json-shape", "coco", _write(_JSON, "[]"), frozenset({"split-empty"})),
    Ailment(
        "yaml-syntax",
        "yolo",
        _append("data.yaml", "a: !!python/name:os.system\n"),
        frozenset({"split-empty"}),
    ),
    Ailment("yaml-shape", "yolo", _replace("data.yaml", "[cat, dog]", "5"), frozenset({"split-empty"})),
    Ailment("csv-syntax", "csv", _append("annotations.csv", "x" * 140_000 + "\n")),
    Ailment("csv-shape", "csv", _replace("annotations.csv", "xmin", "left_side"), frozenset({"split-empty"})),
    Ailment("xml-doctype", "voc", lambda r: xml(r / _XML, head='<!DOCTYPE a [<!ENTITY b "b">]>')),
    Ailment("xml-syntax", "voc", _write(_XML, "<annotation>")),
    Ailment("xml-shape", "voc", _write(_XML, "<note/>")),
    Ailment(
        "path-escape",
        "coco",
        _coco(lambda c: c["images"][0].update(file_name="../../secret.png")),
        frozenset({"image-unlisted"}),
    ),
    # Records that contradict each other.
    Ailment("record-shape", "coco", _coco(lambda c: c["annotations"].append(5))),
    Ailment("label-line", "yolo", _append(_LABEL, "0 0.5 0.5\n")),
    Ailment("id-duplicate", "coco", _coco(lambda c: c["annotations"][1].update(id=1))),
    Ailment("class-unknown", "coco", _coco(lambda c: c["annotations"][0].update(category_id=99))),
    Ailment("class-unknown", "yolo", _append(_LABEL, "2 0.5 0.5 0.2 0.2\n")),
    Ailment(
        "class-duplicate", "yolo", _replace("data.yaml", "nc: 2\nnames: [cat, dog]", "names: [cat, dog, dog]")
    ),
    Ailment("class-count", "yolo", _replace("data.yaml", "nc: 2", "nc: 3")),
    Ailment("class-list", "voc", lambda root: (root / "labels.txt").write_text("cat\n")),
    Ailment("image-unknown", "coco", _coco(lambda c: c["annotations"][0].update(image_id=99))),
    Ailment("image-duplicate", "voc", _append(_LIST, "a\n")),
    Ailment(
        "split-missing",
        "yolo",
        _replace("data.yaml", "images/val", "images/gone"),
    ),
    Ailment("image-missing", "voc", lambda root: (root / "JPEGImages/a.png").unlink()),
    Ailment("image-missing", "coco", lambda root: (root / "train/a.png").unlink()),
    Ailment("image-unreadable", "voc", _write("JPEGImages/a.png", "no picture")),
    Ailment("annotation-missing", "voc", _append(_LIST, "z\n")),
    Ailment(
        "label-missing", "yolo", lambda root: (root / _LABEL).unlink(), frozenset({"image-without-objects"})
    ),
    Ailment("label-without-image", "yolo", _write("labels/train/z.txt", "0 0.5 0.5 0.2 0.2\n")),
    Ailment("labels-missing", "yolo", lambda root: shutil.rmtree(root / "labels"), _NO_LABELS),
    Ailment(
        "label-keypoints", "yolo", _pose, frozenset({"label-line", "image-without-objects", "class-unused"})
    ),
    Ailment("file-passed-over", "coco", _write("annotations/captions_train.json", '{"caption": 1}')),
    Ailment("image-inexact", "coco", _coco(lambda c: c["images"][0].update(file_name="A.PNG"))),
    Ailment("outline-unreadable", "coco", _coco(lambda c: c["annotations"][0].update(segmentation=[[1, 2]]))),
    Ailment("filename-differs", "voc", lambda root: xml(root / _XML, image="b.png")),
    Ailment("size-invalid", "coco", _coco(lambda c: c["images"][0].update(width=0))),
    # Boxes.
    Ailment("box-shape", "coco", _box(1, 2, 3)),
    Ailment("box-nan", "coco", _box(1, 2, float("nan"), 4)),
    Ailment("box-swapped", "voc", _voc_objects(("cat", (40, 6, 10, 26)))),
    Ailment("box-no-area", "coco", _box(10, 10, 0, 5)),
    Ailment("box-off-image", "coco", _box(WIDTH + 5, 10, 9, 9)),
    Ailment("box-not-normalised", "yolo", _append(_LABEL, "0 30 20 10 10\n")),
    Ailment("box-fractions", "coco", _fractions),
    Ailment("box-corners", "coco", _corners),
    Ailment("box-outside", "voc", _voc_objects(("cat", (30, 10, WIDTH + 9, 30)))),
    # Image files against what is said of them.
    Ailment("image-empty", "voc", _write("JPEGImages/a.png", b"")),
    Ailment("image-truncated", "voc", _cut),
    Ailment("size-differs", "voc", lambda root: xml(root / _XML, size=(HEIGHT * 2, WIDTH * 2))),
    Ailment("exif-rotated", "voc", _lying),
    Ailment("exif-orientation", "voc", _mirrored),
    Ailment("extension-differs", "voc", _jpeg_called_png),
    Ailment("extension-mixed", "voc", _another_ending),
    Ailment("name-case", "coco", _case),
    Ailment("name-shared", "yolo", _shared, frozenset({"extension-mixed"})),
    Ailment("image-unlisted", "coco", lambda root: save(root / "train" / "z.png")),
    Ailment("annotation-unlisted", "voc", lambda root: xml(root / "Annotations" / "z.xml")),
    Ailment("image-without-objects", "voc", _without_objects),
    # Odd boxes.
    Ailment("voc-zero-based", "voc", _voc_objects(("cat", (-1, 5, 9, 12))), frozenset({"box-outside"})),
    Ailment("box-tiny", "voc", _voc_objects(("cat", (10, 10, 11, 30)))),
    Ailment("box-whole-image", "voc", _voc_objects(("cat", (0, 0, WIDTH, HEIGHT)))),
    Ailment("box-duplicate", "voc", _voc_objects(OBJECTS[0])),
    Ailment("box-two-classes", "voc", _voc_objects(("dog", OBJECTS[0][1]))),
    # Classes and splits.
    Ailment("class-conflict", "coco", _conflict),
    Ailment("class-similar", "voc", lambda r: [_voc_objects(("Cat", (1, 1, 9, 9)), name=n)(r) for n in "ae"]),
    Ailment(
        "class-unused", "yolo", _replace("data.yaml", "nc: 2\nnames: [cat, dog]", "names: [cat, dog, cow]")
    ),
    Ailment("class-missing", "voc", _no_dog_in_val),
    Ailment("class-imbalance", "voc", _imbalance),
    Ailment("split-empty", "voc", _write("ImageSets/Main/test.txt", "")),
    Ailment("split-overlap", "voc", _append("ImageSets/Main/val.txt", "a\n")),
    # The same picture twice.
    Ailment("leak-identical", "voc", lambda root: _pixels(root, "JPEGImages/a.png", "JPEGImages/e.png")),
    Ailment("leak-near", "voc", _brighter("JPEGImages/a.png", "JPEGImages/e.png")),
    Ailment("image-identical", "coco", lambda root: _pixels(root, "train/a.png", "train/b.png")),
    Ailment("image-near", "coco", _brighter("train/a.png", "train/b.png")),
)
