from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.evaluate.coco import coco_of_tables
from boxwright.evaluate.curves import class_curves, curve
from boxwright.evaluate.matching import match_coco, overlaps, tables

from .cases import random_case

hits = st.lists(st.booleans(), max_size=40)


def falling(hit):
    return curve(np.linspace(1, 0, len(hit)), np.array(hit, bool), sum(hit) + 2)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_ap50_by_our_curves_is_ap50_by_hotcoco(seed):
    rows = tables(*random_case(seed, images=12, crowd=0.2, difficult=0.1))
    match = match_coco(rows, overlaps(rows))
    curves = class_curves(rows.det_label, rows.det_score, match.hit, ~match.ignored, rows.objects())
    np.testing.assert_allclose([c.ap_coco() for c in curves], coco_of_tables(rows).class_ap50, atol=1e-9)


@given(hits)
def test_the_three_averages_lie_between_nothing_and_the_recall_reached(hit):
    points = falling(hit)
    reached = points.recall.max(initial=0)
    assert 0 <= points.ap_all() <= reached + 1e-12
    # A sample of recalls may overrate the reached recall by one point.
    assert 0 <= points.ap_coco() <= reached + 1 / 101
    assert 0 <= points.ap_11() <= reached + 1 / 11


@given(hits.filter(bool))
def test_a_false_positive_at_the_end_changes_nothing(hit):
    before, after = falling(hit), falling([*hit, False])
    assert after.ap_all() == pytest.approx(before.ap_all())
    assert after.ap_coco() == pytest.approx(before.ap_coco())


@given(hits.filter(lambda hit: True in hit))
def test_turning_a_false_positive_into_a_hit_never_hurts(hit):
    score = np.linspace(1, 0, len(hit))
    for place, right in enumerate(hit):
        if not right:
            better = np.array(hit)
            better[place] = True
            objects = len(hit) + 1
            assert curve(score, better, objects).ap_all() >= curve(score, np.array(hit), objects).ap_all()


def test_without_objects_or_detections():
    none = np.zeros(0)
    assert np.isnan(curve(none, none.astype(bool), 0).ap_coco())
    assert curve(none, none.astype(bool), 3).ap_coco() == 0
    assert curve(none, none.astype(bool), 3).ap_all() == 0
