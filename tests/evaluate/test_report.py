from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boxwright.evaluate import Report, evaluate
from boxwright.evaluate.plain import to_plain

from .cases import dataset, random_case, result, sample


def numbers(report):
    """What must not depend on the order of anything."""
    plain = to_plain(report)
    return {key: plain[key] for key in ("coco", "voc", "tide", "shown", "best", "classes", "confusion")}


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (isinstance(a, float) and isinstance(b, float) and abs(a - b) < 1e-9)


@given(seed=st.integers(0, 10_000), order=st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_the_order_of_images_and_of_detections_does_not_matter(seed, order):
    data, results = random_case(seed, images=8, difficult=0.1, classes=3)
    images = list(range(len(data)))
    order.shuffle(images)
    shuffled = []
    for image in images:
        rows = list(range(len(results[image])))
        order.shuffle(rows)
        shuffled.append(results[image][np.array(rows, np.int64)])
    assert close(numbers(evaluate(data.subset(images), shuffled)), numbers(evaluate(data, results)))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_perfect_detections_are_perfect(seed):
    data, _ = random_case(seed, images=8, difficult=0.2, classes=2)
    results = [
        result(s.boxes[~s.ignore], np.linspace(0.9, 0.6, int((~s.ignore).sum())), s.labels[~s.ignore])
        for s in data
    ]
    report = evaluate(data, results)
    if not report.objects:
        assert math.isnan(report.coco.ap)
        return
    for value in (report.coco.ap, report.voc.ap11, report.voc.ap_all, report.shown.f1, *report.interval):
        assert value == pytest.approx(1)
    assert sum(report.tide.counts.values()) == 0
    assert sum(report.tide.delta.values()) == 0
    matrix = report.confusion.matrix()
    assert matrix.sum() == np.trace(matrix) == report.objects
    assert {one.kind for one in report.examples} == {"typical"}


@given(seed=st.integers(0, 10_000))
@settings(max_examples=5, deadline=None)
def test_json_gives_the_report_back(seed):
    report = evaluate(*random_case(seed, images=6, classes=7), model_facts={"name": "x"}, speed={"s": 0.5})
    text = report.to_json()
    assert json.loads(text)["coco"]["AP50"] == (None if math.isnan(report.coco.ap50) else report.coco.ap50)
    assert Report.from_json(text).to_json() == text


def test_the_matrix_agrees_with_precision_and_recall():
    report = evaluate(*random_case(5, images=40), threshold=0.4)
    matrix = report.confusion.matrix()
    right = np.diag(matrix)[:-1].sum()
    assert right / matrix[:-1].sum() == pytest.approx(report.shown.recall)
    assert right / matrix[:, :-1].sum() == pytest.approx(report.shown.precision)
    for k, row in enumerate(report.classes):
        assert matrix[k].sum() == row.objects
        assert matrix[k, k] / matrix[k].sum() == pytest.approx(row.shown.recall)


def test_notes_say_what_flatters_and_what_is_absent():
    data, results = random_case(2, images=10, classes=2)
    wider = replace(data, classes=(*data.classes, "unicorn"), ids=(*data.ids, 99))
    assert any("chosen on these very images" in note for note in evaluate(wider, results).notes)
    noted = evaluate(wider, results, threshold=0.5, notes=["one more"]).notes
    assert noted[0] == "one more"
    assert "unicorn" in noted[1]
    assert not any("chosen on these" in note for note in noted)
    strong = [one[one.scores > 0.4] for one in results]
    assert any("No detection has a score under" in note for note in evaluate(data, strong).notes)


@pytest.mark.parametrize(
    ("data", "results"),
    [
        (dataset([sample()]), [result()]),
        (dataset([sample([[0, 0, 9, 9]], [0])]), [result()]),
        (dataset([sample()]), [result([[0, 0, 9, 9]], [0.5], [0])]),
        (dataset([sample([[0, 0, 9, 9]], [0], difficult=[1])]), [result([[0, 0, 9, 9]], [0.5], [0])]),
    ],
    ids=["nothing at all", "nothing detected", "nothing to detect", "only a difficult one"],
)
def test_nothing_makes_a_report_too(data, results, tmp_path):
    report = evaluate(data, results)
    assert Report.from_json(report.to_json()).to_json() == report.to_json()
    assert report.save(tmp_path).stat().st_size > 5_000


def test_saving_writes_both_files_the_same_every_time(tmp_path):
    Image.new("RGB", (640, 480), (90, 120, 60)).save(tmp_path / "image.jpg")
    data, results = random_case(4, images=5)
    data = replace(data, root=tmp_path, samples=tuple(replace(s, path=tmp_path / "image.jpg") for s in data))
    first, second = (evaluate(data, results).save(tmp_path / name) for name in ("a", "b"))
    assert first.name == "report.html"
    for suffix in (".html", ".json"):
        assert first.with_suffix(suffix).read_bytes() == second.with_suffix(suffix).read_bytes()
    again = Report.from_json(first.with_suffix(".json").read_text()).save(tmp_path / "c")
    assert again.read_bytes() == first.read_bytes()
    assert sorted(path.name for path in Path(tmp_path / "a").iterdir()) == ["report.html", "report.json"]


def test_ten_times_as_many_classes_are_at_most_ten_times_as_much_to_write():
    """A matrix of all pairs would be a hundred times as much."""
    data, results = random_case(3, images=12, classes=7)

    def written(classes: int) -> int:
        names = (*data.classes, *(f"class {number}" for number in range(len(data.classes), classes)))
        wider = replace(data, classes=names, ids=tuple(range(1, classes + 1)))
        return len(evaluate(wider, results).to_json())

    assert written(2000) < 11 * written(200)
