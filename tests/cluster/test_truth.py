from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.cluster.truth import agreement, folder_labels


def test_worked_numbers() -> None:
    found = agreement(["a", "a", "a", "b", "b", "c"], np.array([0, 0, 1, 1, 1, 1]))
    assert found.purity == pytest.approx(4 / 6)
    entropy_labels = -(3 / 6 * log(3 / 6) + 2 / 6 * log(2 / 6) + 1 / 6 * log(1 / 6))
    entropy_clusters = -(2 / 6 * log(2 / 6) + 4 / 6 * log(4 / 6))
    shared = (
        2 / 6 * log(2 * 6 / (3 * 2))
        + 1 / 6 * log(6 / (3 * 4))
        + 2 / 6 * log(2 * 6 / (2 * 4))
        + 1 / 6 * log(6 / 4)
    )
    assert found.nmi == pytest.approx(shared / ((entropy_labels + entropy_clusters) / 2))
    same = agreement(["x", "y", "x"], np.array([1, 0, 1]))
    assert (same.nmi, same.purity, same.rand) == pytest.approx((1, 1, 1))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 3)), min_size=2, max_size=40))
def test_purity_counts_the_commonest(pairs: list[tuple[str, int]]) -> None:
    labels, clusters = zip(*pairs, strict=True)
    best = sum(
        Counter(label for label, own in pairs if own == one).most_common(1)[0][1] for one in set(clusters)
    )
    found = agreement(labels, np.array(clusters))
    assert found.purity == pytest.approx(best / len(pairs))
    renamed = agreement(labels, 7 - np.array(clusters))
    assert renamed.nmi == pytest.approx(found.nmi)


def test_which_folders_are_labels() -> None:
    assert folder_labels(["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"]) == ("cat", "cat", "dog", "dog")
    assert folder_labels(["cat/1.jpg", "cat/2.jpg", "loose.jpg", "dog/1.jpg"]) is None
    assert folder_labels(["2001/1.jpg", "2002/1.jpg", "2003/1.jpg"]) is None  # a folder each says nothing
    assert folder_labels(["images/1.jpg", "images/2.jpg"]) is None
