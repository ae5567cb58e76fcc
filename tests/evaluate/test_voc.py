from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.evaluate.voc import voc_metrics

from .cases import dataset, random_case, result, sample, xyxy


def from_text(truth, found, xywh):
    """Two folders of text files, one per image in name order: class [score] and four numbers."""
    lines = {
        folder: {f.name: [row.split() for row in f.read_text().splitlines()] for f in folder.glob("*.txt")}
        for folder in (truth, found)
    }
    names = sorted({row[0] for rows in lines[truth].values() for row in rows})
    corners = xyxy if xywh else np.asarray
    samples, results = [], []
    for name in sorted(lines[truth]):
        mine = lines[truth][name]
        theirs = [row for row in lines[found].get(name, []) if row[0] in names]
        samples.append(
            sample(
                corners([[float(v) for v in row[1:5]] for row in mine]), [names.index(row[0]) for row in mine]
            )
        )
        results.append(
            result(
                corners([[float(v) for v in row[2:6]] for row in theirs]),
                [float(row[1]) for row in theirs],
                [names.index(row[0]) for row in theirs],
            )
        )
    return dataset(samples, names), results


@pytest.mark.parametrize("iou", [0.1, 0.3, 0.5, 0.75])
def test_the_published_small_case(shared, iou):
    root = shared / "data" / "metrics-reference"
    known = json.loads((root / "expected.json").read_text())["voc_test_case_1"]["asserted_in_source"]
    data, results = from_text(root / "rodm/test_case_1/gts", root / "rodm/test_case_1/dets", xywh=True)
    ours = voc_metrics(data, results, iou=iou, plus_one=True)
    assert ours.ap11 == pytest.approx(known["11_point"][str(iou)], abs=1e-6)
    assert ours.ap_all == pytest.approx(known["every_point"][str(iou)], abs=1e-6)


def test_eighty_five_images_and_thirty_classes(shared):
    root = shared / "data" / "metrics-reference"
    known = json.loads((root / "expected.json").read_text())["cartucho"]
    cartucho = root / "cartucho-map"
    data, results = from_text(cartucho / "ground-truth", cartucho / "detection-results", xywh=False)
    ours = voc_metrics(data, results, plus_one=True)
    assert ours.ap_all == pytest.approx(known["mAP"], abs=1e-6)
    per_class = dict(zip(ours.classes, ours.class_ap_all, strict=True))
    assert per_class == pytest.approx(known["AP_per_class"], abs=1e-6)


def test_by_hand():
    # Of three objects two are found, by the first and the third detection: precision 1 up to recall 1/3, 2/3
    # up to recall 2/3, 0 beyond. Recalls 0, .1, .2, .3 see 1; .4, .5, .6 see 2/3; the other four see 0.
    data = dataset([sample([[0, 0, 50, 50], [100, 0, 150, 50], [200, 0, 250, 50]], [0] * 3)], ["a"])
    found = result([[0, 0, 50, 50], [300, 0, 350, 50], [100, 0, 150, 50]], [0.9, 0.8, 0.7], [0] * 3)
    ours = voc_metrics(data, [found])
    assert ours.ap11 == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    assert ours.ap_all == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)


@pytest.mark.parametrize(("found", "points"), [(2, 3), (3, 3), (4, 5), (6, 6), (10, 11)])
def test_three_and_six_tenths_fall_short_of_their_points_as_they_do_elsewhere(found, points):
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(10)]
    results = [result(boxes[:found], np.linspace(0.9, 0.1, found), [0] * found)]
    assert voc_metrics(dataset([sample(boxes, [0] * 10)], ["a"]), results).ap11 == pytest.approx(points / 11)


def test_the_threshold_itself_counts():
    data = dataset([sample([[0, 0, 100, 100]], [0])], ["a"])
    found = [result([[0, 0, 50, 100]], [0.9], [0])]
    assert voc_metrics(data, found, iou=0.5).ap_all == 1
    assert voc_metrics(data, found, iou=0.501).ap_all == 0


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_difficult_object_that_nothing_came_near_might_as_well_not_be_there(seed):
    data, results = random_case(seed, images=6, classes=2, crowd=0)
    far = [[5000.0, 5000.0, 5100.0, 5100.0]]
    more = replace(
        data,
        samples=tuple(
            sample(
                np.vstack([s.boxes, far]), np.append(s.labels, 1), difficult=[False] * len(s.labels) + [True]
            )
            for s in data
        ),
    )
    assert voc_metrics(more, results) == voc_metrics(data, results)


def test_a_found_difficult_object_neither_helps_nor_hurts():
    boxes = [[0, 0, 50, 50], [100, 0, 150, 50]]
    data = dataset([sample(boxes, [0, 0], difficult=[False, True])], ["a"])
    assert voc_metrics(data, [result(boxes[::-1], [0.9, 0.8], [0, 0])]).ap_all == 1
    assert voc_metrics(data, [result(boxes[:1], [0.8], [0])]).ap_all == 1


def test_only_difficult_objects_have_no_ap():
    data = dataset([sample([[0, 0, 50, 50]], [0], difficult=[True])], ["a"])
    assert np.isnan(voc_metrics(data, [result()]).ap11)


@given(seed=st.integers(0, 10_000), order=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_images_and_of_detections_does_not_matter(seed, order):
    data, results = random_case(seed, images=7, difficult=0.2)
    images = list(range(len(data)))
    order.shuffle(images)
    shuffled = []
    for i in images:
        rows = list(range(len(results[i])))
        order.shuffle(rows)
        shuffled.append(results[i][rows] if rows else results[i])
    same = voc_metrics(data.subset(images), shuffled)
    ours = voc_metrics(data, results)
    np.testing.assert_allclose(same.class_ap_all, ours.class_ap_all)
    np.testing.assert_allclose(same.class_ap11, ours.class_ap11)
