from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.evaluate.curves import curve
from boxwright.evaluate.thresholds import at, best, pooled

cases = st.lists(st.tuples(st.integers(0, 10).map(lambda n: n / 10), st.booleans()), max_size=30)


def make(rows, extra=1):
    rows = sorted(rows, key=lambda row: -row[0])
    score, hit = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], bool)
    return curve(score, hit, int(hit.sum()) + extra)


@given(cases)
def test_no_threshold_is_better_than_the_best(rows):
    points = make(rows)
    if not any(hit for _, hit in rows):
        assert np.isnan(best(points).threshold)
        return
    top = best(points)
    every = [at(points, float(t)).f1 for t in np.linspace(0, 1, 101)]
    assert top.f1 == pytest.approx(max(every))
    again = at(points, top.threshold)
    assert (again.precision, again.recall) == pytest.approx((top.precision, top.recall))
    assert again.f1 == pytest.approx(top.f1)


def test_equal_scores_cannot_be_parted():
    top = best(make([(0.5, True), (0.5, False), (0.4, False)]))
    assert top.threshold == pytest.approx(0.45)
    assert top.precision == 0.5


def test_by_hand():
    # Of 4 objects, 3 found by scores .9 .8 .6, with false positives at .7 and .5.
    points = make([(0.9, True), (0.8, True), (0.7, False), (0.6, True), (0.5, False)])
    assert best(points).threshold == pytest.approx(0.55)
    assert best(points).f1 == pytest.approx(2 * 3 / (4 + 4))
    now = at(points, 0.75)
    assert (now.precision, now.recall, now.f1) == pytest.approx((1, 0.5, 2 / 3))


def test_nothing_to_find_and_nothing_found():
    assert np.isnan(at(make([(0.5, False)], extra=0), 0.4).recall)
    assert at(make([(0.5, False)], extra=0), 0.4).precision == 0
    nothing = at(make([], extra=2), 0.4)
    assert np.isnan(nothing.precision)
    assert (nothing.recall, nothing.f1) == (0, 0)


def test_pooled_counts_detections_not_classes():
    score, hit = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True])
    one = pooled(score, hit, np.array([True, True, False, True]), [curve(score[:1], hit[:1], 3)] * 2)
    assert one.objects == 6
    assert one.precision.tolist() == [1, 0.5, 2 / 3]
