"""`python -m benchmarks.scaling`: what ten times as many classes, images or objects cost, part by part.

Processor time of each part on a data set and on one with ten times as much of one thing; ratios, in one run. What is
linear costs ten times as much; matching within an image is quadratic in its objects, and nothing else may be.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from boxwright.data import open_dataset
from boxwright.data.convert import convert
from boxwright.data.doctor import examine
from boxwright.data.records import Dataset
from boxwright.evaluate.report import evaluate
from boxwright.results import Result

GROWN = {
    "classes": ((40, 2000, 50), (40, 20_000, 50)),
    "images": ((200, 10, 3), (2000, 10, 3)),
    "objects an image": ((10, 10, 100), (10, 10, 1000)),
}
"""(images, classes, objects an image), and the same with ten times as much of one."""
LEAST = 0.05
"""Seconds below which a time says nothing."""


def write(root: Path, images: int, classes: int, each: int) -> Path:
    """A COCO data set of small grey pictures."""
    (root / "images").mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(root / "images/0.png")
    content = (root / "images/0.png").read_bytes()
    for number in range(1, images):
        (root / f"images/{number}.png").write_bytes(content)
    listed = [{"id": n + 1, "file_name": f"{n}.png", "width": 64, "height": 48} for n in range(images)]
    annotations = [
        {
            "id": n + 1,
            "image_id": n // each + 1,
            "category_id": n % classes + 1,
            "bbox": [n % 40, 6, 10, 20],
            "area": 200,
            "iscrowd": 0,
        }
        for n in range(images * each)
    ]
    categories = [{"id": n + 1, "name": f"class {n}"} for n in range(classes)]
    held = {"images": listed, "annotations": annotations, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(held))
    return root


def right(dataset: Dataset) -> list[Result]:
    """Every object found, with scores that fall."""
    ids = np.array(dataset.ids)
    return [
        Result(
            sample.boxes.astype(np.float32),
            np.linspace(0.9, 0.1, len(sample.labels), dtype=np.float32),
            ids[sample.labels],
            sample.labels,
            tuple(dataset.classes[label] for label in sample.labels),
            sample.size or (1, 1),
        )
        for sample in dataset
    ]


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def parts(root: Path, out: Path) -> dict[str, float]:
    """Seconds of each part."""
    dataset = open_dataset(root)
    found, report = right(dataset), evaluate(dataset, right(dataset))
    spent = {
        "open": seconds(lambda: open_dataset(root)),
        "check": seconds(lambda: examine(root, fast=True)),
        "eval": seconds(lambda: evaluate(dataset, found)),
        "report": seconds(lambda: report.save(out / "report")),
    }
    for name in ("coco", "voc", "yolo", "csv"):
        spent[f"to {name}"] = seconds(lambda name=name: convert(root, out / name, name))  # type: ignore[misc]
    return spent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        parts(write(room / "first", 5, 5, 5), room / "first-out")  # what is loaded and compiled once
        for what, sizes in GROWN.items():
            few, many = (
                parts(write(room / f"{what}{n}", *size), room / f"{what}{n}-out")
                for n, size in enumerate(sizes)
            )
            print(f"ten times as many {what}:")
            for name, spent in many.items():
                print(
                    f"  {name:8} {few[name]:7.2f} s -> {spent:7.2f} s  {spent / max(few[name], LEAST):5.1f} times"
                )


if __name__ == "__main__":
    main()
