from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

import numpy as np
import pytest

from boxwright.errors import InputError
from boxwright.evaluate.coco import NAMES, CocoMetrics, coco_metrics

from .cases import dataset, from_coco, random_case, result, sample, voc2012_mini


def by_pycocotools(data: Any, results: Any) -> dict[str, float]:
    """The twelve numbers by the original; nan where it says -1."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = []
    for image, one in enumerate(data):
        for box, label, crowd, area in zip(one.boxes, one.labels, one.ignore, one.areas, strict=True):
            x1, y1, x2, y2 = map(float, box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
    found = []
    for image, one in enumerate(results):
        for box, score, label in zip(one.boxes.astype(float), one.scores, one.index, strict=True):
            x1, y1, x2, y2 = map(float, box)
            found.append(
                {
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": float(score),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i} for i in range(len(data))],
            "categories": [{"id": i, "name": n} for i, n in enumerate(data.classes)],
            "annotations": annotations,
        }
        truth.createIndex()
        detected = COCO()
        if found:
            detected = truth.loadRes(found)
        else:  # loadRes refuses an empty list
            detected.dataset = truth.dataset | {"annotations": []}
            detected.createIndex()
        evaluation = COCOeval(truth, detected, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {
        name: float(value) if value > -1 else float("nan")
        for name, value in zip(NAMES.values(), evaluation.stats, strict=True)
    }


def same(ours: CocoMetrics, theirs: dict[str, float], tolerance: float = 1e-6) -> None:
    assert list(ours.numbers()) == list(theirs)
    np.testing.assert_allclose(list(ours.numbers().values()), list(theirs.values()), atol=tolerance, rtol=0)


def test_the_hundred_images_that_cocos_own_example_evaluates(shared):
    root = shared / "data" / "metrics-reference"
    known = json.loads((root / "expected.json").read_text())["coco_val2014_fakebbox100"]
    truth, found = (json.loads((root / known[side]).read_text()) for side in ("gt", "dt"))
    ours = coco_metrics(*from_coco(truth, found))
    same(ours, known["stats"])
    per_class = dict(zip(ours.classes, ours.class_ap, strict=True))
    for name, value in known["AP_per_class"].items():
        assert per_class[name] == pytest.approx(value, abs=1e-6), name


def test_real_detections_on_real_photographs(shared):
    data, results = voc2012_mini(shared)
    assert sum(map(len, results)) == 452
    same(coco_metrics(data, results), by_pycocotools(data, results))


@pytest.mark.parametrize("seed", range(4))
def test_random_data_with_crowd_and_difficult(seed):
    data, results = random_case(seed, crowd=0.2, difficult=0.1)
    same(coco_metrics(data, results), by_pycocotools(data, results))


def test_more_than_a_hundred_detections_of_an_image():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 600, (150, 2))
    boxes = np.hstack([corner, corner + rng.uniform(5, 120, (150, 2))])
    scores = np.sort(rng.random(150))[::-1]
    data = dataset([sample(boxes, np.zeros(150))])
    results = [result(boxes, scores, np.zeros(150))]
    ours = coco_metrics(data, results)
    assert ours.ar100 == pytest.approx(100 / 150)
    same(ours, by_pycocotools(data, results))


def test_the_first_object_counts_though_a_file_may_number_it_0():
    data = dataset([sample([[10, 10, 60, 60]], [0], object_ids=(0,))])
    assert coco_metrics(data, [result([[10, 10, 60, 60]], [0.9], [0])]).ap == pytest.approx(1)


@pytest.mark.parametrize(
    ("data", "results"),
    [
        (dataset([sample([[0, 0, 9, 9]], [1]), sample()]), [result(), result()]),
        (dataset([sample(), sample()]), [result(), result()]),
        (dataset([sample(), sample()]), [result([[0, 0, 9, 9]], [0.5], [2]), result()]),
        (dataset([sample([[0, 0, 9, 9]], [1], crowd=[1])]), [result([[0, 0, 9, 9]], [0.5], [1])]),
    ],
    ids=["nothing detected", "nothing at all", "nothing to detect", "only a crowd"],
)
def test_nothing_is_no_special_case(data, results):
    same(coco_metrics(data, results), by_pycocotools(data, results))


def test_no_images_and_no_classes_have_no_numbers():
    for empty in (coco_metrics(dataset([]), []), coco_metrics(dataset([sample()], []), [result()])):
        assert all(np.isnan(list(empty.numbers().values())))
        assert json.loads(json.dumps(empty.to_dict(), allow_nan=False))["AP"] is None


def test_a_class_without_objects_has_no_ap_and_leaves_the_mean_alone():
    data = dataset([sample([[0, 0, 50, 50]], [0])])
    ours = coco_metrics(data, [result([[0, 0, 50, 50], [0, 0, 9, 9]], [0.9, 0.8], [0, 1])])
    assert ours.ap == pytest.approx(1)
    assert ours.class_ap[0] == pytest.approx(1)
    assert np.isnan(ours.class_ap[1])


def test_an_unmatched_detection_lowers_ap50_as_by_hand():
    # Two objects; best first: a hit, a miss, a hit. Precision 1 up to recall .5 (51 of 101 points), then 2/3.
    data = dataset([sample([[0, 0, 50, 50], [100, 0, 150, 50]], [0, 0])])
    found = result([[0, 0, 50, 50], [300, 0, 350, 50], [100, 0, 150, 50]], [0.9, 0.8, 0.7], [0, 0, 0])
    assert coco_metrics(data, [found]).ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_json_gives_the_same_numbers_back_and_prints_nothing(capfd):
    data, results = random_case(1)
    ours = coco_metrics(data, results)
    assert CocoMetrics.from_dict(json.loads(json.dumps(ours.to_dict(), allow_nan=False))) == ours
    assert capfd.readouterr() == ("", "")


def test_results_that_do_not_fit_say_so():
    data = dataset([sample()])
    with pytest.raises(InputError, match="0 results for 1 images"):
        coco_metrics(data, [])
    with pytest.raises(InputError, match=r"image\.jpg.*class the data set lacks"):
        coco_metrics(data, [result([[0, 0, 9, 9]], [0.5], [3])])
    with pytest.raises(InputError, match="not finite"):
        coco_metrics(data, [result([[0, 0, 9, np.nan]], [0.5], [0])])


def test_without_hotcoco_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    with pytest.raises(InputError, match=r"needs hotcoco; pip install"):
        coco_metrics(*random_case(0))
