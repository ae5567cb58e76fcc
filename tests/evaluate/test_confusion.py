from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.evaluate.confusion import Confusion, confuse
from boxwright.evaluate.matching import match_coco, overlaps, tables

from .cases import dataset, random_case, result, sample


def matrix(data, results, threshold=0.5):
    rows = tables(data, results)
    pairs = overlaps(rows)
    return rows, confuse(rows, pairs, match_coco(rows, pairs), threshold=threshold).matrix()


def test_by_hand():
    data = dataset([sample([[0, 0, 50, 50], [100, 0, 150, 50], [200, 0, 250, 50]], [0, 1, 1])], ["a", "b"])
    found = result(
        [[0, 0, 50, 50], [100, 0, 150, 50], [300, 0, 350, 50], [200, 0, 250, 50]],
        [0.9, 0.8, 0.7, 0.4],
        [0, 0, 1, 1],
    )
    # Found; taken for a; (too weak to count, so missed); invented.
    assert matrix(data, [found])[1].tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert matrix(data, [found], 0.3)[1].tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_an_object_found_by_its_own_class_is_not_confused_with_a_better_score_of_another():
    data = dataset([sample([[0, 0, 50, 50]], [0])], ["a", "b"])
    found = result([[0, 0, 50, 50], [0, 0, 50, 45]], [0.9, 0.6], [1, 0])
    assert matrix(data, [found])[1].tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


@given(seed=st.integers(0, 10_000), threshold=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_rows_count_objects_and_columns_count_detections(seed, threshold):
    data, results = random_case(seed, images=8, difficult=0.2)
    rows, counts = matrix(data, results, threshold)
    match = match_coco(rows, overlaps(rows))
    kept = rows.det_score >= threshold
    classes = len(rows.classes)
    np.testing.assert_array_equal(counts[:-1].sum(axis=1), rows.objects())
    counted = kept & ~match.ignored
    np.testing.assert_array_equal(
        counts[:, :-1].sum(axis=0), np.bincount(rows.det_label[counted], minlength=classes)
    )
    right = np.bincount(rows.det_label[kept & match.hit], minlength=classes)
    np.testing.assert_array_equal(np.diag(counts)[:-1], right)
    assert counts[-1, -1] == 0


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_nothing(threshold):
    assert matrix(dataset([sample()]), [result()], threshold)[1].sum() == 0


def test_some_classes_of_many():
    """Class 1 is taken for 3 twice, 3 is invented once, 0 is right, 4 is missed."""
    found = Confusion(20_000, ((0, 0, 9), (1, 3, 2), (2, 2, 5), (4, 20_000, 1), (20_000, 3, 1)))
    assert found.worst(3) == [1, 3, 4]
    assert found.matrix([1, 3]).tolist() == [[0, 2, 0], [0, 0, 0], [0, 1, 0]]
