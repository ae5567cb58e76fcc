from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.evaluate.coco import evaluator
from boxwright.evaluate.errors_tide import KINDS, blame, tide_errors
from boxwright.evaluate.matching import match_coco, overlaps, tables

from .cases import dataset, random_case, result, sample

OBJECT = [0, 0, 100, 100]


def errors(data, results):
    rows = tables(data, results)
    return tide_errors(rows, overlaps(rows))


def kinds(data, results):
    rows = tables(data, results)
    pairs = overlaps(rows)
    found = blame(rows, pairs, match_coco(rows, pairs))
    return ["right" if k < 0 else KINDS[k] for k in found.kind], found.missed.tolist()


@pytest.mark.parametrize(
    ("box", "label", "kind", "missed"),
    [
        (OBJECT, 0, "right", False),
        ([0, 0, 100, 50], 0, "right", False),  # IoU .5 itself is enough
        ([0, 0, 100, 40], 0, "localisation", False),
        ([0, 0, 100, 10], 0, "localisation", False),  # IoU .1 itself
        (OBJECT, 1, "classification", False),
        ([0, 0, 100, 40], 1, "both", True),
        ([0, 0, 100, 9], 0, "background", True),
        ([300, 0, 400, 100], 1, "background", True),
    ],
)
def test_each_kind_by_one_detection(box, label, kind, missed):
    data = dataset([sample([OBJECT], [0])])
    assert kinds(data, [result([box], [0.9], [label])]) == ([kind], [missed])


def test_a_second_detection_of_a_found_object_is_a_duplicate():
    data = dataset([sample([OBJECT], [0])])
    found = result([OBJECT, [0, 0, 100, 60]], [0.9, 0.8], [0, 0])
    assert kinds(data, [found]) == (["right", "duplicate"], [False])


def test_ignored_objects_excuse_and_are_never_missed():
    data = dataset([sample([OBJECT], [0], crowd=[1])])
    assert kinds(data, [result([[0, 0, 50, 50]], [0.9], [0])]) == (["right"], [False])
    assert kinds(data, [result([OBJECT], [0.9], [1])])[0] == ["background"]


def test_worked_numbers():
    # Class 0: two objects, one found (.9), one misplaced (.6); class 1: one object, whose box got
    # label 0 (.8). AP50 of class 0: precision 1 up to recall 1/2, never more: 51 of 101 points. Class 1: 0.
    there = [200, 0, 300, 100]
    other = [400, 0, 500, 100]
    data = dataset([sample([OBJECT, there, other], [0, 0, 1])], ["a", "b"])
    found = result([OBJECT, other, [200, 0, 300, 40]], [0.9, 0.8, 0.6], [0, 0, 0])
    ours = errors(data, [found])
    half = 51 / 101
    assert ours.ap50 == pytest.approx(half / 2)
    assert ours.counts == dict.fromkeys(KINDS, 0) | {"classification": 1, "localisation": 1}
    # Right label: class 1 has AP 1, and the detection no longer stands in the way of class 0's.
    assert ours.delta["classification"] == pytest.approx((half + 1) / 2 - half / 2)
    # Right box: the third of class 0's three detections is a hit at recall 1 with precision 2/3.
    assert ours.delta["localisation"] == pytest.approx((50 * 2 / 3 / 101) / 2)
    assert [ours.delta[k] for k in ("both", "duplicate", "background", "missed")] == [0, 0, 0, 0]


def test_finding_what_was_missed_is_worth_its_share_of_recall():
    data = dataset([sample([OBJECT, [200, 0, 300, 100]], [0, 0])], ["a"])
    ours = errors(data, [result([OBJECT], [0.9], [0])])
    assert ours.counts["missed"] == 1
    assert ours.delta["missed"] == pytest.approx(1 - 51 / 101)


def test_a_class_that_was_missed_altogether_costs_its_whole_ap():
    data = dataset([sample([OBJECT, [200, 0, 300, 100]], [0, 1])], ["a", "b"])
    ours = errors(data, [result([OBJECT], [0.9], [0])])
    assert ours.delta["missed"] == pytest.approx(0.5)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_hotcocos_tide_agrees_where_there_is_no_crowd(seed):
    # With crowds it does not: hotcoco lets a false positive overlap with a crowd as if it were an object.
    rows = tables(*random_case(seed, images=25, crowd=0, classes=3))
    ours = tide_errors(rows, overlaps(rows))
    theirs = evaluator(rows).tide_errors()
    short = dict(zip(KINDS, ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"), strict=True))
    assert ours.ap50 == pytest.approx(theirs["ap_base"], abs=1e-9)
    for kind, name in short.items():
        assert ours.counts[kind] == theirs["counts"][name], kind
        assert ours.delta[kind] == pytest.approx(theirs["delta_ap"][name], abs=1e-9), kind


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_every_false_positive_has_one_kind_and_perfection_none(seed):
    data, results = random_case(seed, images=8, difficult=0.1)
    rows = tables(data, results)
    pairs = overlaps(rows)
    match = match_coco(rows, pairs)
    assert ((blame(rows, pairs, match).kind >= 0) == match.false).all()
    perfect = [result(s.boxes[~s.ignore], [0.5] * int((~s.ignore).sum()), s.labels[~s.ignore]) for s in data]
    ours = errors(data, perfect)
    assert sum(ours.counts.values()) == 0
    assert sum(ours.delta.values()) == 0
