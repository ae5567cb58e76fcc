"""Leaving classes out of an evaluation changes nothing for those that stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from boxwright.data.classes import ClassChoice, match_classes
from boxwright.evaluate.coco import coco_metrics

from .cases import random_case


@pytest.mark.parametrize("seed", range(3))
def test_ap_of_a_class_is_the_same_whichever_others_count(seed: int) -> None:
    data, results = random_case(seed)
    whole = coco_metrics(data, results)
    # The model has the classes in another order, one more, lacks the last, and writes them in capitals.
    order = [3, 1, 0, 2]
    names = ["OTHER", *(data.classes[label].upper() for label in order)]
    place = np.array([names.index(name.upper()) if name.upper() in names else 0 for name in data.classes])
    by_model = [replace(one, index=place[one.index]) for one in results]
    got = match_classes(data, names, range(len(names)), ClassChoice("shared"))
    part = coco_metrics(got.dataset, [got.seen(one) for one in by_model])
    assert part.classes == tuple(names[1:])
    np.testing.assert_array_equal(part.class_ap, [whole.class_ap[label] for label in order])
    assert part.ap == pytest.approx(np.mean([whole.class_ap[label] for label in order]), abs=1e-12)
