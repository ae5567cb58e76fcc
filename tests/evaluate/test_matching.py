from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.evaluate import matching
from boxwright.evaluate.matching import match_coco, match_voc, overlaps, tables

from .cases import dataset, random_case, result, sample


def test_overlaps_by_hand():
    data = dataset([sample([[0, 0, 10, 10], [5, 0, 15, 10]], [0, 1]), sample([[0, 0, 4, 4]], [0])])
    rows = tables(data, [result([[0, 0, 10, 10]], [0.5], [0]), result([[2, 2, 4, 4]], [0.9], [0])])
    pairs = overlaps(rows)
    assert pairs.det.tolist() == [0, 1, 1]  # the second image's detection has the better score
    assert pairs.gt.tolist() == [2, 0, 1]
    np.testing.assert_allclose(pairs.iou, [4 / 16, 1, 50 / 150])
    np.testing.assert_allclose(pairs.inside, [1, 1, 0.5])
    assert pairs.same.tolist() == [True, True, False]


def test_inclusive_pixels_are_one_wider():
    rows = tables(dataset([sample([[0, 0, 9, 9]], [0])]), [result([[5, 0, 14, 9]], [0.5], [0])])
    assert overlaps(rows, plus_one=True).iou == pytest.approx(50 / 150)
    assert overlaps(rows).iou == pytest.approx(36 / 126)


@given(seed=st.integers(0, 10_000), chunk=st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_the_size_of_the_chunks_does_not_matter(seed, chunk):
    rows = tables(*random_case(seed, images=6))
    whole = overlaps(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_CHUNK", chunk)
        parts = overlaps(rows)
    for name in ("det", "gt", "iou", "inside", "same", "ignore"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_boxes_without_area_overlap_with_nothing():
    rows = tables(
        dataset([sample([[5, 5, 5, 5], [9, 9, 3, 3]], [0, 0])]), [result([[5, 5, 5, 5]], [0.5], [0])]
    )
    assert len(overlaps(rows, floor=1e-9).det) == 0


def test_the_two_rules_differ_where_the_best_object_is_taken():
    # The second detection overlaps most with the object that the first has taken, and well with a free one.
    data = dataset([sample([[0, 0, 100, 100], [20, 0, 120, 100]], [0, 0])])
    rows = tables(data, [result([[0, 0, 100, 100], [8, 0, 108, 100]], [0.9, 0.8], [0, 0])])
    pairs = overlaps(rows)
    assert match_coco(rows, pairs).gt.tolist() == [0, 1]
    assert match_voc(rows, pairs).gt.tolist() == [0, -1]
    assert match_voc(rows, pairs).false.tolist() == [False, True]


def test_an_ignored_object_excuses_any_number_of_detections():
    data = dataset([sample([[0, 0, 100, 100]], [0], difficult=[1])])
    rows = tables(
        data, [result([[0, 0, 90, 100], [0, 0, 100, 90], [0, 0, 20, 20]], [0.9, 0.8, 0.7], [0] * 3)]
    )
    pairs = overlaps(rows)
    assert match_coco(rows, pairs).ignored.all()  # COCO asks what share of the detection lies inside
    assert match_voc(rows, pairs).ignored.tolist() == [True, True, False]  # VOC asks for IoU
    assert not match_coco(rows, pairs).hit.any()


def test_an_ordinary_object_goes_before_an_ignored_one():
    data = dataset([sample([[0, 0, 100, 100], [0, 0, 100, 100]], [0, 0], crowd=[1, 0])])
    rows = tables(data, [result([[0, 0, 100, 90]], [0.9], [0])])
    assert match_coco(rows, overlaps(rows)).gt.tolist() == [1]


@given(seed=st.integers(0, 10_000), cut=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_weaker_detections_never_change_what_stronger_ones_found(seed, cut):
    data, results = random_case(seed, images=8, difficult=0.2)
    rows = tables(data, results)
    some = tables(data, [one[one.scores >= np.float32(cut)] for one in results])
    for rule in (match_coco, match_voc):
        whole, part = rule(rows, overlaps(rows)), rule(some, overlaps(some))
        np.testing.assert_array_equal(whole.gt[: len(part.gt)], part.gt)
        np.testing.assert_array_equal(whole.ignored[: len(part.gt)], part.ignored)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_no_object_is_found_twice_and_none_that_is_ignored(seed):
    rows = tables(*random_case(seed, images=8, difficult=0.3))
    pairs = overlaps(rows)
    for match in (match_coco(rows, pairs), match_voc(rows, pairs)):
        found = match.gt[match.hit]
        assert len(np.unique(found)) == len(found)
        assert not rows.gt_ignore[found].any()
        assert not (match.hit & match.ignored).any()
        np.testing.assert_array_equal(rows.gt_label[found], rows.det_label[match.hit])
