from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.evaluate.bootstrap import ap_interval
from boxwright.evaluate.coco import coco_of_tables
from boxwright.evaluate.matching import match_coco, overlaps, tables

from .cases import dataset, random_case, result, sample


def interval(data, results, **more):
    rows = tables(data, results)
    return ap_interval(rows, match_coco(rows, overlaps(rows)), **more)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_interval_holds_the_value_that_was_measured(seed):
    # Two classes with many objects: with few, resampling moves the middle away from what was measured.
    data, results = random_case(seed, images=60, classes=2)
    low, high = interval(data, results, draws=60, share=0.99)
    assert low < coco_of_tables(tables(data, results)).ap50 < high


def test_a_draw_of_copies_is_the_data_set_of_copies():
    # With two equal images, every draw holds the same: two copies.
    boxes = [[0, 0, 50, 50], [100, 0, 150, 50]]
    one, found = sample(boxes, [0, 1]), result([boxes[0], [300, 0, 350, 50]], [0.9, 0.8], [0, 0])
    data, results = dataset([one, one]), [found, found]
    low, high = interval(data, results)
    assert low == pytest.approx(high)
    assert low == pytest.approx(coco_of_tables(tables(data, results)).ap50)


def test_more_images_make_it_narrower():
    few, many = random_case(3, images=15, classes=2), random_case(3, images=240, classes=2)
    width = [high - low for low, high in (interval(*few, draws=60), interval(*many, draws=60))]
    assert width[1] < width[0] / 2


def test_the_same_seed_gives_the_same_interval():
    data, results = random_case(1)
    assert interval(data, results, seed=5) == interval(data, results, seed=5)


def test_one_image_or_no_object_has_none():
    assert np.isnan(interval(dataset([sample([[0, 0, 9, 9]], [0])]), [result()])).all()
    assert np.isnan(interval(dataset([sample(), sample()]), [result(), result()])).all()
