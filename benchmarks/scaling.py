"""`python -m benchmarks.scaling`: what ten times as many classes, images or objects cost, part by part.

Processor time of each part on a data set and on one with ten times as much of one thing; ratios, in one run. What is
linear costs ten times as much; matching within an image is quadratic in its objects, and nothing else may be.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from boxwright.cli import main as main_command
from boxwright.data import open_dataset
from boxwright.data.augment import Augment
from boxwright.data.classes import ClassChoice, choose_classes, with_classes
from boxwright.data.convert import convert
from boxwright.data.hold_out import hold_out
from boxwright.data.prepare import bare
from boxwright.data.records import Dataset
from boxwright.evaluate.report import evaluate
from boxwright.nms import nms
from boxwright.results import Result
from boxwright.training import loader
from boxwright.training.gate import learnable

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
    Image.new("RGB", (640, 480)).save(root / "images/0.png")
    content = (root / "images/0.png").read_bytes()
    for number in range(1, images):
        (root / f"images/{number}.png").write_bytes(content)
    listed = [{"id": n + 1, "file_name": f"{n}.png", "width": 640, "height": 480} for n in range(images)]
    annotations = [
        {
            "id": n + 1,
            "image_id": n // each + 1,
            "category_id": n % classes + 1,
            "bbox": [
                n % each % 40 * 16,
                n % each // 40 * 19,
                10,
                14,
            ],  # side by side: crowds are a case apart
            "area": 140,
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


def command(*words: object) -> None:
    """A command of the command line, which prints nowhere."""
    with (
        patch.object(sys, "argv", ["boxwright", *map(str, words)]),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
        suppress(SystemExit),
    ):
        main_command()


def set_up(dataset: Dataset) -> None:
    """What a training does with its data before its first step, the network apart."""
    train, val = hold_out(dataset, 0.2, 0)
    shuffled = dataset.classes[::-1]
    train, val = (with_classes(part, shuffled, dataset.ids[::-1]) for part in (train, val))
    learnable(train, val)
    stream = loader.Stream([bare(sample) for sample in train], Augment(), 0, 8, 0, 1)
    for position in range(len(train)):
        stream.job(position)


def suppress_by_class(classes: int) -> None:
    """Twenty candidates of each class, as a detector without a threshold has them."""
    rng = torch.Generator().manual_seed(0)
    boxes = torch.rand((1, 20 * classes, 4), generator=rng) * 100
    boxes[..., 2:] += boxes[..., :2]
    scores = torch.rand((1, 20 * classes), generator=rng)
    nms(boxes, scores, torch.arange(20 * classes)[None] % classes, 0.5, 200)


def faulty(root: Path, out: Path) -> Path:
    """A copy of a data set in which every box reaches beyond its image."""
    shutil.copytree(root, out)
    content = json.loads((out / "annotations.json").read_text())
    for one in content["annotations"]:
        one["bbox"][0] += 635
    (out / "annotations.json").write_text(json.dumps(content))
    return out


def parts(root: Path, out: Path, classes: int) -> dict[str, float]:
    """Seconds of each part."""
    dataset = open_dataset(root)
    found, report = right(dataset), evaluate(dataset, right(dataset))
    first = dataset.classes[0]
    spent = {
        "open": seconds(lambda: open_dataset(root)),
        "check": seconds(lambda: command("check", root)),
        "check, with faults": seconds(lambda: command("check", faulty(root, out / "faulty"))),
        "check --fix": seconds(lambda: command("check", root, "--fix", out / "fixed")),
        "anchors": seconds(lambda: command("anchors", root)),
        "eval": seconds(lambda: evaluate(dataset, found)),
        "report": seconds(lambda: report.save(out / "report")),
        "choose classes": seconds(
            lambda: choose_classes(dataset, ClassChoice(",".join(dataset.classes[1:]), (f"{first}=x",)))
        ),
        "suppress": seconds(lambda: suppress_by_class(classes)),
        "set up training": seconds(lambda: set_up(dataset)),
    }
    for name in ("coco", "voc", "yolo", "csv"):
        spent[f"to {name}"] = seconds(lambda name=name: convert(root, out / name, name))  # type: ignore[misc]
        spent[f"open {name}"] = seconds(lambda name=name: open_dataset(out / name))  # type: ignore[misc]
    return spent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        parts(write(room / "first", 5, 5, 5), room / "first-out", 5)  # what is loaded and compiled once
        for what, sizes in GROWN.items():
            few, many = (
                parts(write(room / f"{what}{n}", *size), room / f"{what}{n}-out", size[1])
                for n, size in enumerate(sizes)
            )
            print(f"ten times as many {what}:")
            for name, spent in many.items():
                print(
                    f"  {name:20} {few[name]:7.2f} s -> {spent:7.2f} s  {spent / max(few[name], LEAST):5.1f} times"
                )


if __name__ == "__main__":
    main()
