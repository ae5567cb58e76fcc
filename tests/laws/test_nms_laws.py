"""What holds of suppression for any boxes: equality with the plain rule, and what follows from the rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.nms import by_rounds, nms

# Whole numbers on a small grid make equal scores, equal boxes, boxes without area and overlaps of exactly the
# threshold common.
corners = st.integers(0, 6)
boxes_ = st.tuples(corners, corners, corners, corners).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
candidates = st.lists(
    st.tuples(boxes_, st.sampled_from([-np.inf, np.nan, -1.0, 0.0, 0.25, 0.5, 0.75]), st.integers(0, 2)),
    min_size=1,
    max_size=16,
)
thresholds = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.75, 1.0])
Case = list[tuple[tuple[int, int, int, int], float, int]]


def plain(case: Case, iou: float, k: int) -> list[int]:
    """The rule, as it is said."""

    def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> np.float32:
        shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
        return np.float32(shared) / np.float32(union) if union else np.float32(0)

    left = [i for i, (_, score, _) in enumerate(case) if score > -np.inf]
    kept: list[int] = []
    while left:
        best = max(left, key=lambda i: (case[i][1], -i))
        kept.append(best)
        left = [
            i
            for i in left
            if i != best
            and (case[i][2] != case[best][2] or not overlap(case[i][0], case[best][0]) > np.float32(iou))
        ]
    return (kept + [-1] * k)[:k]


def tensors(*cases: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    longest = max(map(len, cases))
    padded = [case + [((0, 0, 6, 6), -np.inf, 0)] * (longest - len(case)) for case in cases]
    boxes, scores, groups = ([[row[part] for row in case] for case in padded] for part in range(3))
    return torch.tensor(boxes).float(), torch.tensor(scores), torch.tensor(groups)


@pytest.mark.parametrize("suppress", [nms, by_rounds], ids=["compiled", "rounds"])
@settings(max_examples=60, deadline=None)
@given(st.lists(candidates, min_size=1, max_size=3), thresholds, st.integers(1, 18))
def test_equals_the_plain_rule(suppress: object, cases: list[Case], iou: float, k: int) -> None:
    result = suppress(*tensors(*cases), iou, k)  # type: ignore[operator]
    assert result.tolist() == [plain(case, iou, k) for case in cases]


@settings(max_examples=40, deadline=None)
@given(candidates, thresholds)
def test_a_smaller_k_is_a_prefix(case: Case, iou: float) -> None:
    whole = nms(*tensors(case), iou, len(case))
    for k in range(len(case)):
        assert torch.equal(nms(*tensors(case), iou, k), whole[:, :k])


@settings(max_examples=40, deadline=None)
@given(candidates, thresholds)
def test_what_was_kept_is_kept_again(case: Case, iou: float) -> None:
    kept = [case[i] for i in nms(*tensors(case), iou, len(case))[0].tolist() if i >= 0]
    if kept:
        assert nms(*tensors(kept), iou, len(kept)).tolist() == [list(range(len(kept)))]


@settings(max_examples=40, deadline=None)
@given(candidates, thresholds, st.integers(1, 3))
def test_groups_do_not_meet(case: Case, iou: float, k: int) -> None:
    together = [i for i in nms(*tensors(case), iou, len(case))[0].tolist() if i >= 0]
    for group in range(3):
        alone = [(box, score if g == group else -np.inf, 0) for box, score, g in case]
        expected = [i for i in nms(*tensors(alone), iou, len(case))[0].tolist() if i >= 0]
        assert [i for i in together if case[i][2] == group] == expected
