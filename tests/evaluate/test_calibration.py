from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.evaluate.calibration import calibration
from boxwright.evaluate.coco import evaluator
from boxwright.evaluate.matching import match_coco, overlaps, tables

from .cases import random_case

detections = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50)


@given(detections)
def test_bins_hold_every_detection_and_the_error_is_bounded(rows):
    score, hit = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    ours = calibration(score, hit)
    assert sum(ours.count) == len(rows)
    assert abs(ours.bias) <= ours.ece + 1e-12 <= 1 + 1e-9
    assert ours.bias == pytest.approx(score.mean() - hit.mean())
    for low, high, count, mean in zip(ours.edges, ours.edges[1:], ours.count, ours.score, strict=False):
        assert count == 0 or low - 1e-12 <= mean <= high + 1e-12


def test_hotcoco_agrees():
    rows = tables(*random_case(7, images=60, crowd=0))
    match = match_coco(rows, overlaps(rows))
    ours = calibration(rows.det_score[~match.ignored], match.hit[~match.ignored])
    theirs = evaluator(rows).calibration()
    assert ours.ece == pytest.approx(theirs["ece"], abs=1e-6)
    assert list(ours.count) == [one["count"] for one in theirs["bins"]]


def test_scores_that_keep_their_word_have_no_error():
    score = np.repeat([0.25, 0.75], 4)
    hit = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    assert calibration(score, hit).ece == pytest.approx(0)
    assert calibration(score, ~hit).ece == pytest.approx(0.5)


def test_the_edges_belong_to_the_bin_below_and_0_to_the_first():
    assert calibration(np.array([0.0, 0.1, 0.3, 1.0]), np.ones(4, bool)).count[:3] == (2, 0, 1)


def test_no_detections():
    nothing = calibration(np.zeros(0), np.zeros(0, bool))
    assert np.isnan(nothing.ece)
    assert sum(nothing.count) == 0
