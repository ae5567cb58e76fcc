"""The table of broken inputs: each gives one line that names the thing and the way out, exit 2, nothing half-written.

The real command line runs, in this process; what a case must say is written beside how it is made.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

import boxwright.cli
from boxwright.model import create

Case = tuple[str, Callable[[Path], list[str]], str]
"""What is broken; makes it in a folder and returns the arguments; what the line must contain."""


# --- a healthy data set, to be broken ---------------------------------------------------------------------------


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8)).save(path)


def coco(root: Path) -> dict:
    for split in ("train", "val"):
        picture(root / split / "a.jpg")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 40, "width": 50}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}
        ],
        "categories": [{"id": 7, "name": "cat"}],
    }
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return content


def coco_with(change: Callable[[dict], object], verb: str = "anchors") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        content = coco(folder / "data")
        change(content)
        (folder / "data/annotations/instances_train.json").write_text(json.dumps(content))
        return [verb, str(folder / "data")]

    return make


def coco_text(text: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        coco(folder / "data")
        (folder / "data/annotations/instances_train.json").write_text(text)
        return ["anchors", str(folder / "data")]

    return make


VOC = """<annotation><filename>a.jpg</filename><size><width>50</width><height>40</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object></annotation>"""


def voc_text(text: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        root = folder / "data"
        picture(root / "JPEGImages/a.jpg")
        (root / "Annotations").mkdir()
        (root / "Annotations/a.xml").write_text(text)
        (root / "ImageSets/Main").mkdir(parents=True)
        (root / "ImageSets/Main/train.txt").write_text("a\n")
        return ["anchors", str(root)]

    return make


def voc_listing(names: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        arguments = voc_text(VOC)(folder)
        (folder / "data/ImageSets/Main/train.txt").write_text(names)
        return arguments

    return make


def yolo(yaml: str, label: str = "0 0.5 0.5 0.2 0.2\n") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        root = folder / "data"
        picture(root / "images/train/a.jpg")
        (root / "labels/train").mkdir(parents=True)
        (root / "labels/train/a.txt").write_text(label)
        (root / "data.yaml").write_text(yaml)
        return ["anchors", str(root)]

    return make


YAML = "train: images/train\nval: images/train\nnames: [cat]\n"


def table(text: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        picture(folder / "a.jpg")
        (folder / "boxes.csv").write_text(text)
        return ["anchors", str(folder / "boxes.csv")]

    return make


# --- models -----------------------------------------------------------------------------------------------------

_SAVED: dict[str, bytes] = {}


def checkpoint(folder: Path) -> Path:
    """A small real model file, made once."""
    path = folder / "model.safetensors"
    if "bytes" not in _SAVED:
        model = create("ssd320-efficientnet-lite0", classes=["cat"], weights=None)
        _SAVED["bytes"] = model.save(path, half=True).read_bytes()
    path.write_bytes(_SAVED["bytes"])
    return path


def model_bytes(
    change: Callable[[bytes], bytes], name: str = "model.safetensors"
) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        content = change(checkpoint(folder).read_bytes())
        (folder / name).write_bytes(content)
        picture(folder / "a.jpg")
        return ["detect", str(folder / name), str(folder / "a.jpg"), "--out", str(folder / "out")]

    return make


def flip(content: bytes, at: float) -> bytes:
    place = int(len(content) * at)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def pickled(folder: Path) -> list[str]:
    torch.save({"weight": torch.zeros(2)}, folder / "model.pt")
    picture(folder / "a.jpg")
    return ["detect", str(folder / "model.pt"), str(folder / "a.jpg"), "--out", str(folder / "out")]


class Bomb:
    """Runs code when unpickled: the code would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path(self.path),))


def train_from(folder: Path, weights: str) -> list[str]:
    coco(folder / "data")
    start = ["--model", "ssd300-vgg16", "--weights", str(folder / weights)]
    return ["train", str(folder / "data"), *start, "--out", str(folder / "out")]


def evil_weights(folder: Path) -> list[str]:
    torch.save({"x": Bomb(folder / "pwned")}, folder / "vgg.pth")
    return train_from(folder, "vgg.pth")


def foreign_weights(folder: Path) -> list[str]:
    save_file({"conv.weight": np.zeros((1, 1), np.float32)}, folder / "vgg.safetensors")
    return train_from(folder, "vgg.safetensors")


def foreign_tensors(folder: Path) -> list[str]:
    save_file({"conv.weight": np.zeros((1, 1), np.float32)}, folder / "other.safetensors")
    picture(folder / "a.jpg")
    return ["detect", str(folder / "other.safetensors"), str(folder / "a.jpg"), "--out", str(folder / "out")]


# --- images -----------------------------------------------------------------------------------------------------


def image_bytes(content: bytes, name: str = "a.jpg") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(content)
        return ["detect", str(checkpoint(folder)), str(folder / name), "--out", str(folder / "out")]

    return make


def cut_jpeg(folder: Path) -> list[str]:
    picture(folder / "whole.jpg")
    content = (folder / "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    return image_bytes(content[: len(content) // 2])(folder)


def bomb_png() -> bytes:
    """A PNG of a few bytes that says it is 60000 x 60000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def train(*arguments: str, breaking: Callable[[Path], object] | None = None) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        coco(folder / "data")
        if breaking is not None:
            breaking(folder)
        given = [argument.format(folder=folder) for argument in arguments]
        if "--out" not in given:
            given += ["--out", str(folder / "out")]
        return ["train", str(folder / "data"), *given]

    return make


def words(*arguments: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        coco(folder / "data")
        if any("{model}" in argument for argument in arguments):
            checkpoint(folder)
        return [
            a.format(folder=folder, data=folder / "data", model=folder / "model.safetensors")
            for a in arguments
        ]

    return make


def occupied(folder: Path) -> list[str]:
    coco(folder / "data")
    (folder / "dst").mkdir()
    (folder / "dst/mine.txt").write_text("mine")
    return ["convert", str(folder / "data"), str(folder / "dst"), "--to", "yolo"]


def other_classes(folder: Path) -> list[str]:
    content = coco(folder / "data")
    content["categories"][0]["name"] = "cats"
    (folder / "data/annotations/instances_val.json").write_text(json.dumps(content))
    (folder / "data/annotations/instances_train.json").write_text(json.dumps(content))
    return [
        "eval",
        str(checkpoint(folder)),
        str(folder / "data"),
        "--split",
        "val",
        "--out",
        str(folder / "out"),
    ]


CASES: list[Case] = [
    # data sets
    ("no such data set", words("anchors", "{folder}/nowhere"), "nowhere"),
    ("an empty folder", lambda f: (f.joinpath("data").mkdir(), ["anchors", str(f / "data")])[1], "data"),
    (
        "a file of no known kind",
        lambda f: (f.joinpath("x.doc").write_text("x"), ["anchors", str(f / "x.doc")])[1],
        "x.doc",
    ),
    ("COCO that is not JSON", coco_text("{nonsense"), "instances_train.json"),
    ("COCO cut short", coco_text('{"images": [{"id": 1,'), "instances_train.json"),
    ("COCO that is a list", coco_text("[]"), "instances_train.json"),
    ("COCO without images", coco_with(lambda c: c.pop("images")), "instances_train.json"),
    ("COCO without categories", coco_with(lambda c: c.pop("categories")), "instances_train.json"),
    ("COCO with an unknown class", coco_with(lambda c: c["annotations"][0].update(category_id=9)), "9"),
    ("COCO with an unknown image", coco_with(lambda c: c["annotations"][0].update(image_id=9)), "9"),
    (
        "COCO with an image twice",
        coco_with(lambda c: c["images"].append(c["images"][0])),
        "instances_train.json",
    ),
    (
        "COCO with a box of three",
        coco_with(lambda c: c["annotations"][0].update(bbox=[1, 2, 3])),
        "instances_train.json",
    ),
    (
        "COCO that leaves its folder",
        coco_with(lambda c: c["images"][0].update(file_name="../../etc/passwd")),
        "etc/passwd",
    ),
    (
        "COCO with an absolute path",
        coco_with(lambda c: c["images"][0].update(file_name="/etc/passwd")),
        "/etc/passwd",
    ),
    ("COCO with a Windows path", coco_with(lambda c: c["images"][0].update(file_name="C:\\x.jpg")), "x.jpg"),
    ("COCO without any box", coco_with(lambda c: c["annotations"].clear()), "no objects"),
    ("VOC cut short", voc_text(VOC[:100]), "a.xml"),
    ("VOC with a DOCTYPE", voc_text('<!DOCTYPE x [<!ENTITY e "x">]>' + VOC), "DOCTYPE"),
    ("VOC with a word for a number", voc_text(VOC.replace("<xmin>5", "<xmin>five")), "a.xml"),
    ("VOC with a nameless object", voc_text(VOC.replace("<name>cat</name>", "")), "a.xml"),
    ("VOC that lists what is not there", voc_listing("a\nb\n"), "b"),
    ("VOC that lists a way out", voc_listing("../../../etc/passwd\n"), "etc/passwd"),
    ("YOLO with code in its YAML", yolo("!!python/object/apply:os.system ['true']"), "data.yaml"),
    ("YOLO without names", yolo("train: images/train\n"), "names"),
    ("YOLO with a folder that is not there", yolo(YAML.replace("images/train", "images/nowhere")), "nowhere"),
    ("YOLO with an unknown class", yolo(YAML, "5 0.5 0.5 0.2 0.2\n"), "a.txt"),
    ("YOLO with four numbers", yolo(YAML, "0 0.5 0.5 0.2\n"), "a.txt"),
    ("YOLO with a word", yolo(YAML, "0 half 0.5 0.2 0.2\n"), "a.txt"),
    ("CSV with unknown columns", table("foo,bar\n1,2\n"), "boxes.csv"),
    (
        "CSV with a word for a number",
        table("path,xmin,ymin,xmax,ymax,class\na.jpg,five,1,10,10,cat\n"),
        "boxes.csv",
    ),
    (
        "CSV that leaves its folder",
        table("path,xmin,ymin,xmax,ymax,class\n../../../secret.jpg,1,1,10,10,cat\n"),
        "../../../secret.jpg",
    ),
    ("an empty CSV", table(""), "boxes.csv"),
    ("a split that is not there", words("anchors", "{data}", "--split", "tset"), "train"),
    # images
    ("a text called .jpg", image_bytes(b"hello"), "a.jpg"),
    ("an empty image", image_bytes(b""), "a.jpg"),
    ("half a JPEG", cut_jpeg, "a.jpg"),
    ("a decompression bomb", image_bytes(bomb_png(), "bomb.png"), "bomb.png"),
    ("no such image", words("detect", "{model}", "{folder}/none.jpg", "--out", "{folder}/out"), "none.jpg"),
    (
        "a truncated image in training",
        train(breaking=lambda f: (f / "data/train/a.jpg").write_bytes(b"\xff\xd8\xff")),
        "a.jpg",
    ),
    ("a missing image in training", train(breaking=lambda f: (f / "data/train/a.jpg").unlink()), "a.jpg"),
    # models
    (
        "no such model",
        words("detect", "{folder}/no.safetensors", "{data}", "--out", "{folder}/out"),
        "no.safetensors",
    ),
    ("a flipped bit in the weights", model_bytes(lambda b: flip(b, 0.7)), "model.safetensors"),
    (
        "a flipped bit in the description",
        model_bytes(lambda b: b.replace(b"efficientnet", b"efficientNet", 1)),
        "model.safetensors",
    ),
    ("half a model", model_bytes(lambda b: b[: len(b) // 2]), "model.safetensors"),
    ("an empty model", model_bytes(lambda b: b""), "model.safetensors"),
    ("a web page called .safetensors", model_bytes(lambda b: b"<!DOCTYPE html><html>"), "model.safetensors"),
    ("a header of 2^60 bytes", model_bytes(lambda b: struct.pack("<Q", 2**60) + b[8:]), "model.safetensors"),
    ("a pickle", pickled, "model.pt"),
    ("another library's tensors", foreign_tensors, "other.safetensors"),
    ("an ONNX of rubbish", model_bytes(lambda b: b"rubbish", "model.onnx"), "model.onnx"),
    (
        "an unknown packaged model",
        words("detect", "blod-cells", "{data}", "--out", "{folder}/out"),
        "blod-cells",
    ),
    ("weights that run code", evil_weights, "vgg.pth"),
    ("weights of another network", foreign_weights, "vgg.safetensors"),
    # arguments
    ("an unknown verb", words("trian"), "trian"),
    ("an unknown option", words("train", "{data}", "--outt", "x"), "--outt"),
    ("an unknown recipe", train("--model", "ssd300-vg16"), "did you mean ssd300-vgg16"),
    ("an unknown setting", train("--set", "train.learning=1"), "learning"),
    ("a setting of the wrong kind", train("--set", "train.lr=fast"), "train.lr"),
    ("a learning rate of 0", train("--lr", "0"), "train.lr"),
    ("a batch of 0", train("--batch", "0"), "--batch"),
    ("a device that is not there", train("--device", "cuda:9"), "cuda"),
    ("a resume of nothing", train("--resume"), "out"),
    ("a score of 2", words("detect", "{model}", "{data}", "--score", "2", "--out", "{folder}/out"), "score"),
    ("an unknown target format", words("convert", "{data}", "{folder}/dst", "--to", "tfrecord"), "tfrecord"),
    ("a target folder with content", occupied, "dst"),
    ("an unknown check", words("check", "{data}", "--only", "nonsense"), "nonsense"),
    ("classes that are not the model's", other_classes, "cats"),
    (
        "an export of nothing",
        words("export", "{folder}/no.safetensors", "--images", "{data}"),
        "no.safetensors",
    ),
]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("make", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_input_is_one_line_and_exit_2(
    make: Callable[[Path], list[str]],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = make(tmp_path)
    before = snapshot(tmp_path)
    monkeypatch.setattr(sys, "argv", ["boxwright", *arguments])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        boxwright.cli.main()
    printed = capfd.readouterr().err
    assert stopped.value.code == 2, printed
    assert "Traceback" not in printed
    lines = [line for line in printed.splitlines() if line.startswith("boxwright: ")]
    assert len(lines) == 1, printed
    assert says in lines[0]
    assert len(lines[0]) < 600
    # Nothing half-written, nothing lost.
    after = snapshot(tmp_path)
    assert {name: after.get(name) for name in before} == before
    assert not [name for name in after if name.endswith((".part", ".tmp")) or "pwned" in name]
    assert not (tmp_path / "out").is_dir() or not list((tmp_path / "out").rglob("*.safetensors"))


def test_the_evil_weights_would_run(tmp_path: Path) -> None:
    """The case of weights that run code can fail: unpickled without care, they do leave their mark."""
    evil_weights(tmp_path)
    torch.load(tmp_path / "vgg.pth", weights_only=False)
    assert (tmp_path / "pwned").exists()


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 40
    assert len({name for name, *_ in CASES}) == len(CASES)
