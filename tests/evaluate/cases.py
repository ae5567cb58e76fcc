"""Data sets and detections that the evaluation's tests are about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.data.records import Dataset, Sample
from boxwright.results import Result


def sample(
    boxes: Any = (), labels: Any = (), difficult: Any = None, crowd: Any = None, **more: Any
) -> Sample:
    """An annotated image; boxes xyxy."""
    xyxy = np.asarray(boxes, np.float64).reshape(-1, 4)
    none = np.zeros(len(xyxy), bool)
    return Sample(
        path=more.pop("path", Path("image.jpg")),
        size=more.pop("size", (480, 640)),
        boxes=xyxy,
        labels=np.asarray(labels, np.int64).reshape(-1),
        crowd=none if crowd is None else np.asarray(crowd, bool),
        difficult=none if difficult is None else np.asarray(difficult, bool),
        areas=np.asarray(more.pop("areas", np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1)), np.float64),
        **more,
    )


def result(boxes: Any = (), scores: Any = (), labels: Any = (), **more: Any) -> Result:
    """Detections on one image; boxes xyxy."""
    index = np.asarray(labels, np.int64).reshape(-1)
    return Result(
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
        scores=np.asarray(scores, np.float32).reshape(-1),
        labels=index,
        index=index,
        names=tuple(str(i) for i in index),
        size=more.pop("size", (480, 640)),
        **more,
    )


def dataset(samples: Any, classes: Any = ("a", "b", "c")) -> Dataset:
    """Images with classes 0, 1, ..."""
    return Dataset(tuple(samples), tuple(classes), tuple(range(len(classes))), Path())


def xyxy(xywh: Any) -> np.ndarray:
    """Corner, width, height -> corners."""
    boxes = np.asarray(xywh, np.float64).reshape(-1, 4)
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def from_coco(annotated: Any, detected: Any) -> tuple[Dataset, list[Result]]:
    """A pair of COCO files' contents, images in the order of their ids, as COCO's evaluator takes them."""
    ids = [c["id"] for c in annotated["categories"]]
    samples, results = [], []
    for image in sorted(annotated["images"], key=lambda row: row["id"]):
        mine = [a for a in annotated["annotations"] if a["image_id"] == image["id"]]
        theirs = [d for d in detected if d["image_id"] == image["id"]]
        samples.append(
            sample(
                xyxy([a["bbox"] for a in mine]),
                [ids.index(a["category_id"]) for a in mine],
                crowd=[a.get("iscrowd", 0) for a in mine],
                areas=[a["area"] for a in mine],
            )
        )
        results.append(
            result(
                xyxy([d["bbox"] for d in theirs]),
                [d["score"] for d in theirs],
                [ids.index(d["category_id"]) for d in theirs],
            )
        )
    return dataset(samples, [c["name"] for c in annotated["categories"]]), results


def voc2012_mini(shared: Path) -> tuple[Dataset, list[Result]]:
    """A hundred photographs and a detector's output, which leaves out two photographs without detections."""
    root = shared / "data" / "voc2012-mini"
    annotated = json.loads((root / "other_formats/coco_format_v2/instances_v2.json").read_text())
    detected = json.loads((root / "detections/coco_format/coco_dets.json").read_text())
    image = {row["file_name"]: row["id"] for row in annotated["images"]}
    label = {row["name"]: row["id"] for row in annotated["categories"]}
    their_image = {row["id"]: image[row["file_name"]] for row in detected["images"]}
    their_label = {row["id"]: label[row["name"]] for row in detected["categories"]}
    found = [
        d | {"image_id": their_image[d["image_id"]], "category_id": their_label[d["category_id"]]}
        for d in detected["annotations"]
    ]
    return from_coco(annotated, found)


def random_case(
    seed: int, images: int = 30, classes: int = 5, crowd: float = 0.1, difficult: float = 0.0
) -> tuple[Dataset, list[Result]]:
    """Objects, and detections that are those objects moved, mislabelled, doubled, forgotten and invented."""
    rng = np.random.default_rng(seed)
    samples, results = [], []
    for _ in range(images):
        count = int(rng.integers(0, 9))
        corner = rng.uniform(0, 400, (count, 2))
        boxes = np.hstack([corner, corner + rng.uniform(8, 200, (count, 2))])
        labels = rng.integers(0, classes, count)
        samples.append(
            sample(boxes, labels, crowd=rng.random(count) < crowd, difficult=rng.random(count) < difficult)
        )
        copies = rng.integers(0, 3, count)
        moved = np.repeat(boxes, copies, axis=0)
        moved = moved + rng.normal(0, 0.08, moved.shape) * np.tile(moved[:, 2:] - moved[:, :2], 2)
        named = np.repeat(labels, copies)
        named = np.where(rng.random(len(named)) < 0.15, rng.integers(0, classes, len(named)), named)
        extra = int(rng.integers(0, 4))
        lost = rng.uniform(0, 500, (extra, 2))
        found = np.vstack([moved, np.hstack([lost, lost + rng.uniform(8, 120, (extra, 2))])])
        label = np.concatenate([named, rng.integers(0, classes, extra)])
        order = np.argsort(-(score := rng.random(len(found))))
        results.append(result(found[order], score[order], label[order]))
    return dataset(samples, [f"class {i}" for i in range(classes)]), results
