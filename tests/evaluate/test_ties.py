"""Where scores tie, numbers are pycocotools' to the last digit, whatever the order of a file.

pycocotools goes through images in ascending order of ids (`np.unique`), sorts detections stably, and gives a
detection the last of the objects that overlap with it equally. Every case here is full of ties: a handful of
scores, and boxes on a coarse grid.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.data.open import open_dataset
from boxwright.data.records import Dataset
from boxwright.evaluate.coco import NAMES, coco_metrics
from boxwright.evaluate.curves import class_curves
from boxwright.evaluate.matching import match_coco, overlaps, tables
from boxwright.evaluate.report import evaluate
from boxwright.evaluate.voc import voc_metrics
from boxwright.results import Result

from .cases import result, sample, xyxy

CLASSES = ("a", "b")


def case(seed: int, ids: list[Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO file's content and a results file's, the images' ids being `ids` in the order of the file."""
    rng = np.random.default_rng(seed)

    def box() -> list[float]:
        return [float(v) for v in (*rng.integers(0, 4, 2) * 10, *rng.integers(1, 4, 2) * 20)]

    annotations, found = [], []
    for image in ids:
        for _ in range(rng.integers(0, 5)):
            xywh = box()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(rng.integers(1, 3)),
                    "bbox": xywh,
                    "area": xywh[2] * xywh[3],
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
        for _ in range(rng.integers(0, 8)):
            near = [a for a in annotations if a["image_id"] == image]
            known = near and rng.random() < 0.6
            chosen = near[int(rng.integers(len(near)))] if known else None
            found.append(
                {
                    "image_id": image,
                    "category_id": chosen["category_id"] if chosen else int(rng.integers(1, 3)),
                    "bbox": chosen["bbox"] if chosen else box(),
                    "score": float(rng.integers(1, 4)) / 4,  # exact in float32
                }
            )
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200} for i in ids],
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
        "annotations": annotations,
    }
    return content, found


def by_pycocotools(content: dict[str, Any], found: list[dict[str, Any]]) -> tuple[list[float], Any]:
    """The twelve numbers, -1 for none, and precision [iou, recall, class, area, limit]."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth, detected = COCO(), COCO()
        truth.dataset = json.loads(json.dumps(content))
        truth.createIndex()
        if found:
            detected = truth.loadRes(json.loads(json.dumps(found)))
        else:  # loadRes refuses an empty list
            detected.dataset = truth.dataset | {"annotations": []}
            detected.createIndex()
        evaluation = COCOeval(truth, detected, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return list(evaluation.stats), evaluation.eval["precision"]


def as_records(content: dict[str, Any], found: list[dict[str, Any]]) -> tuple[Dataset, list[Result]]:
    """The same as boxwright's records, images in the order of the file."""
    samples, results = [], []
    for image in content["images"]:
        mine = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        theirs = [d for d in found if d["image_id"] == image["id"]]
        samples.append(
            sample(
                xyxy([a["bbox"] for a in mine]),
                [a["category_id"] - 1 for a in mine],
                crowd=[a["iscrowd"] for a in mine],
                image_id=image["id"],
            )
        )
        results.append(
            result(
                xyxy([d["bbox"] for d in theirs]),
                [d["score"] for d in theirs],
                [d["category_id"] - 1 for d in theirs],
            )
        )
    data = Dataset(tuple(samples), CLASSES, (1, 2), samples[0].path, format="coco")
    return data, results


NUMBERS = st.lists(st.integers(0, 2000), min_size=1, max_size=12, unique=True)
TEXTS = st.lists(
    st.text("0a9Zé_", min_size=1, max_size=3).map("x".__add__), min_size=1, unique=True, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), ids=NUMBERS | TEXTS)
def test_numbers_are_pycocotools_to_the_last_digit(seed: int, ids: list[Any]) -> None:
    content, found = case(seed, ids)
    theirs, precision = by_pycocotools(content, found)
    ours = coco_metrics(*as_records(content, found))
    values = [-1.0 if np.isnan(v) else v for v in ours.numbers().values()]
    assert dict(zip(NAMES.values(), values, strict=True)) == pytest.approx(
        dict(zip(NAMES.values(), theirs, strict=True)), abs=1e-12, rel=0
    )
    # The curves of the report go through the same points: IoU .5, all areas, up to 100 detections per image.
    data, results = as_records(content, found)
    rows = tables(data, results)
    match = match_coco(rows, overlaps(rows), 0.5)
    curves = class_curves(rows.det_label, rows.det_score, match.hit, ~match.ignored, rows.objects())
    for label, one in enumerate(curves):
        if one.objects:
            points = one.at(np.linspace(0, 1, 101))
            np.testing.assert_allclose(points, precision[0, :, label, 0, 2], atol=1e-12, rtol=0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), ids=NUMBERS | TEXTS, order=st.randoms(use_true_random=False))
def test_no_number_of_a_report_depends_on_the_order_of_the_file(
    seed: int, ids: list[Any], order: random.Random
) -> None:
    content, found = case(seed, ids)
    shuffled = {**content, "images": order.sample(content["images"], len(ids))}
    one = evaluate(*as_records(content, found), threshold=0.4)
    other = evaluate(*as_records(shuffled, found), threshold=0.4)
    mine, theirs = json.loads(one.to_json()), json.loads(other.to_json())
    for name in set(mine) - {"examples"}:
        assert mine[name] == theirs[name], name


def test_ids_that_are_numbers_count_as_numbers() -> None:
    data, _ = as_records(*case(0, [10, 9, 100]))
    assert data.id_order().tolist() == [1, 0, 2]
    data, _ = as_records(*case(0, ["b", 10, "a", 9]))
    assert data.id_order().tolist() == [3, 1, 2, 0]


def test_voc_takes_equal_scores_in_the_order_of_ids() -> None:
    """One class, one object, two detections of one score: first found, then invented, or the other way."""
    hit = sample([[0, 0, 10, 10]], [0], image_id=2), result([[0, 0, 10, 10]], [0.5], [0])
    false = sample(image_id=10), result([[0, 0, 10, 10]], [0.5], [0])
    for pair in ((hit, false), (false, hit)):
        data = Dataset(tuple(s for s, _ in pair), ("a",), (0,), hit[0].path)
        assert voc_metrics(data, [r for _, r in pair]).ap_all == 1.0


def test_a_file_gives_the_same_ids_in_any_order(tmp_path) -> None:
    from PIL import Image

    content, _ = case(3, [30, 4, 100])
    (tmp_path / "annotations").mkdir()
    for image in content["images"]:
        Image.new("RGB", (200, 200)).save(tmp_path / image["file_name"])
    orders = []
    for images in (content["images"], content["images"][::-1]):
        path = tmp_path / "annotations" / "all.json"
        path.write_text(json.dumps({**content, "images": images}))
        data = open_dataset(path)
        orders.append([data[i].image_id for i in data.id_order().tolist()])
    assert orders == [[4, 30, 100]] * 2
