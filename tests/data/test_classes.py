from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from boxwright.data.classes import with_classes
from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError


def labelled(*labels: int) -> Dataset:
    count = len(labels)
    no = np.zeros(count, np.bool_)
    sample = Sample(
        Path("a.jpg"), None, np.ones((count, 4)), np.array(labels, np.int64), no, no, np.ones(count)
    )
    return Dataset((sample,), ("cat", "dog", "owl"), (7, 3, 90), Path())


def test_names_decide() -> None:
    got = with_classes(labelled(2, 0, 2), ("owl", "bee", "cat"), (1, 2, 3))
    assert got[0].labels.tolist() == [0, 2, 0]
    assert (got.classes, got.ids) == (("owl", "bee", "cat"), (1, 2, 3))


def test_a_class_that_no_object_has_may_be_missing() -> None:
    assert with_classes(labelled(0), ("cat",), (1,))[0].labels.tolist() == [0]


def test_an_object_of_a_missing_class_is_named() -> None:
    with pytest.raises(InputError, match=r"a\.jpg: .*'dog'.*did you mean dogs"):
        with_classes(labelled(0, 1), ("cat", "dogs"), (1, 2))
