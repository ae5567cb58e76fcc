"""Small data sets in perfect health, one in each format, for tests to break."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64
# Class, and xyxy counted from 0 with an exclusive end.
OBJECTS = (("cat", (4, 6, 30, 26)), ("dog", (20, 10, 60, 40)))
SPLITS = {"train": ("a", "b", "c", "d"), "val": ("e", "f", "g")}


def picture(seed: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Image.Image:
    """A picture unlike that of any other seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC)


def save(path: Path, seed: int | None = None, **options: Any) -> None:
    """The picture of a name (or seed) at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(ord(path.stem[0]) if seed is None else seed).save(path, **options)


def voc(root: Path) -> Path:
    for split, names in SPLITS.items():
        listing = root / "ImageSets" / "Main" / f"{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("\n".join(names) + "\n")
        for name in names:
            save(root / "JPEGImages" / f"{name}.png")
            xml(root / "Annotations" / f"{name}.xml")
    return root


def xml(
    path: Path,
    objects: Any = OBJECTS,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    image: str = "",
    head: str = "",
) -> None:
    """A VOC annotation; corners are counted from 1 and inclusive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [f"{head}<annotation><filename>{image or path.stem + '.png'}</filename>"]
    parts.append(f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>")
    for name, (left, top, right, bottom) in objects:
        corners = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
        parts.append(f"<object><name>{escape(name)}</name><bndbox>{corners}</bndbox></object>")
    path.write_text("".join(parts) + "</annotation>")


def coco(root: Path) -> Path:
    (root / "annotations").mkdir(parents=True)
    for split, names in SPLITS.items():
        images, annotations = [], []
        for number, name in enumerate(names, start=1):
            save(root / split / f"{name}.png")
            images.append({"id": number, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT})
            for kind, (left, top, right, bottom) in OBJECTS:
                box = [left, top, right - left, bottom - top]
                category = {"cat": 7, "dog": 3}[kind]
                identity = len(annotations) + 1
                annotations.append(
                    {"id": identity, "image_id": number, "category_id": category, "bbox": box, "iscrowd": 0}
                    | {"area": box[2] * box[3]}
                )
        categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def change(root: Path, edit: Callable[[dict[str, Any]], object], split: str = "train") -> None:
    """Edit the JSON of a COCO data set."""
    path = root / "annotations" / f"instances_{split}.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def yolo(root: Path) -> Path:
    for split, names in SPLITS.items():
        for name in names:
            save(root / "images" / split / f"{name}.png")
            lines = []
            for kind, (left, top, right, bottom) in OBJECTS:
                x, y = (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT
                lines.append(
                    f"{kind == 'dog':d} {x} {y} {(right - left) / WIDTH} {(bottom - top) / HEIGHT}\n"
                )
            label = root / "labels" / split / f"{name}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("".join(lines))
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n")
    return root


def table(root: Path) -> Path:
    lines = ["path,xmin,ymin,xmax,ymax,class,split,width,height"]
    for split, names in SPLITS.items():
        for name in names:
            save(root / "images" / f"{name}.png")
            for kind, box in OBJECTS:
                lines.append(f"images/{name}.png,{','.join(map(str, box))},{kind},{split},{WIDTH},{HEIGHT}")
    (root / "annotations.csv").write_text("\n".join(lines) + "\n")
    return root


HEALTHY: dict[str, Callable[[Path], Path]] = {"voc": voc, "coco": coco, "yolo": yolo, "csv": table}
