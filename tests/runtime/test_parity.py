from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.nms import nms
from boxwright.runtime.parity import Candidates, Reference, Row, Rule, Tolerance, compare, judge

# Two of class 0 that overlap by 0.68, one of class 1 in the same place, one far away, and one of a low score.
BOXES = np.array(
    [[0, 0, 10, 10], [1, 1, 10, 10], [0, 0, 10, 10], [20, 20, 29, 29], [40, 0, 44, 9]], np.float32
)
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.04], np.float32)
LABELS = np.array([0, 0, 1, 0, 0], np.int64)
ALL = Row(BOXES, SCORES, LABELS)
CANDIDATES = Candidates(ALL, LABELS)
RIGHT = [0, 2, 3]
RULE = Rule(floor=0.05, candidates=10, iou=0.5, detections=5)
IMAGES = [np.full((3, 8, 8), i, np.float32) for i in range(4)]


def kept(which: list[int], boxes: float = 0, scores: float = 0) -> Row:
    return Row(BOXES[which] + np.float32(boxes), SCORES[which] + np.float32(scores), LABELS[which])


def faults(row: Row, rule: Rule = RULE) -> int:
    return judge(CANDIDATES, row, rule, Tolerance()).faults


def test_the_right_choice_has_no_faults_and_its_rounding_is_measured() -> None:
    found = judge(CANDIDATES, kept(RIGHT, boxes=0.04, scores=5e-5), RULE, Tolerance())
    assert found.faults == 0
    assert found.box == pytest.approx(0.04, abs=1e-5) and found.score == pytest.approx(5e-5, abs=1e-6)


@pytest.mark.parametrize(
    "row",
    [
        kept(RIGHT, boxes=0.06),
        kept(RIGHT, scores=2e-4),
        kept(RIGHT, scores=float("nan")),
        kept([0, 3]),  # the other class's box is missing
        kept([0, 2]),
        kept([]),
        kept([0, 1, 2, 3]),  # not suppressed
        kept([1, 2, 3]),  # the worse one of two suppressed the better
        kept([2, 0, 3]),  # not in the order of scores
        Row(BOXES[RIGHT], SCORES[RIGHT], 1 - LABELS[RIGHT]),
    ],
)
def test_every_wrong_choice_is_seen(row: Row) -> None:
    assert faults(row) > 0


def test_the_number_of_detections_and_of_candidates_is_the_rule_s() -> None:
    assert faults(kept([0, 2]), Rule(0.05, 10, 0.5, 2)) == 0
    assert faults(kept([0, 3]), Rule(0.05, 10, 0.5, 2)) > 0
    # Of class 0 only the two best are candidates: the third is not missing, and must not be there.
    assert faults(kept([0, 2]), Rule(0.05, 2, 0.5, 5)) == 0
    assert faults(kept([0, 2, 3]), Rule(0.05, 2, 0.5, 5)) == 1
    assert (
        faults(kept([0, 2, 3]), Rule(0.65, 10, 0.5, 5)) == 0
    )  # 3 is a candidate of the reference, near the floor


def test_candidates_of_a_level_compete_with_all_its_classes() -> None:
    """The first three stand on one level, the others on the next; of each level one or two reach suppression."""
    levels = np.array([0, 0, 0, 1, 1])
    for rule, right, by_class in (
        (Rule(0.05, 1, 0.5, 5), [0, 3], [0, 2]),
        (Rule(0.01, 2, 0.5, 5), [0, 3, 4], [0, 2]),
    ):
        for pools, own, other in ((levels, right, by_class), (LABELS, by_class, right)):
            candidates = Candidates(ALL, pools)
            assert judge(candidates, kept(own), rule, Tolerance()).faults == 0
            # What the other choice has more and what it lacks: each is a fault.
            wrong = len({*own} ^ {*other})
            assert judge(candidates, kept(other), rule, Tolerance()).faults == wrong


def test_at_the_end_of_a_pool_rounding_may_take_the_one_or_the_other() -> None:
    near = Row(BOXES[[0, 3, 4]], np.array([0.9, 0.5, 0.49995], np.float32), LABELS[[0, 3, 4]])
    candidates, rule = Candidates(near, np.zeros(3, np.int64)), Rule(0.05, 2, 0.5, 5)
    for last in (1, 2):
        assert judge(candidates, near.where(np.array([0, last])), rule, Tolerance()).faults == 0


def test_of_equal_scores_either_may_win() -> None:
    tied = Row(BOXES, np.array([0.9, 0.9, 0.7, 0.6, 0], np.float32), LABELS)
    for winner in (0, 1):
        row = Row(BOXES[[winner, 2, 3]], tied.scores[[winner, 2, 3]], LABELS[[winner, 2, 3]])
        assert judge(Candidates(tied, LABELS), row, RULE, Tolerance()).faults == 0


corner = st.integers(0, 9)
boxes_ = st.tuples(corner, corner, st.integers(1, 6), st.integers(1, 6))
candidate = st.tuples(boxes_, st.sampled_from([0.1, 0.3, 0.5, 0.7]), st.integers(0, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(candidate, min_size=1, max_size=12), st.sampled_from([0.2, 0.45, 0.7]), st.integers(1, 8))
def test_what_nms_keeps_has_no_faults_and_without_its_best_it_has(
    some: list[tuple[tuple[int, int, int, int], float, int]], iou: float, k: int
) -> None:
    boxes = np.array([[x, y, x + w, y + h] for (x, y, w, h), _, _ in some], np.float32)
    scores, labels = np.array([row[1] for row in some], np.float32), np.array([row[2] for row in some])
    index = nms(*(torch.from_numpy(a)[None] for a in (boxes, scores, labels)), iou, k)[0].numpy()
    index = index[index >= 0]
    rule = Rule(0.05, 20, iou, k)
    everything = Candidates(Row(boxes, scores, labels), labels)
    assert (
        judge(everything, Row(boxes[index], scores[index], labels[index]), rule, Tolerance(iou=1e-6)).faults
        == 0
    )
    rest = index[1:]
    alone = ~(
        (np.delete(scores, index[0]) >= scores[index[0]]) & (np.delete(labels, index[0]) == labels[index[0]])
    )
    if alone.all():  # nothing of its class is as good, so nothing can stand in its place
        assert judge(everything, Row(boxes[rest], scores[rest], labels[rest]), rule, Tolerance()).faults > 0


class Says:
    """The same answer for every image."""

    def __init__(self, row: Row, only_first: bool = False) -> None:
        self.row, self.only_first = row, only_first

    def run(
        self, images: np.ndarray, sizes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        parts = (self.row.boxes, self.row.scores, self.row.labels, np.ones(len(self.row.scores), np.bool_))
        boxes, scores, labels, valid = (np.stack([part] * len(images)) for part in parts)
        if self.only_first:
            valid[1:] = False
        return boxes, scores, labels, valid


def offers(candidates: Candidates) -> Reference:
    """The same candidates for every image."""
    return lambda images, sizes: [candidates] * len(images)


def test_every_image_is_compared_alone_and_in_threes() -> None:
    parity = compare(offers(CANDIDATES), Says(kept(RIGHT)), IMAGES, RULE)
    assert parity.holds and parity.faults == 0 and parity.images == 4 and parity.detections == 3 * (4 + 6)


def test_a_graph_that_sees_only_the_first_image_of_a_batch_is_refused() -> None:
    parity = compare(offers(CANDIDATES), Says(kept(RIGHT), only_first=True), IMAGES, RULE)
    assert not parity.holds and parity.faults == 4 * 4  # four images, four candidates above the floor


def test_no_detections_at_all_agree() -> None:
    none = Row(BOXES[:0], SCORES[:0], LABELS[:0])
    parity = compare(offers(Candidates(none, none.labels)), Says(none), IMAGES, RULE)
    assert parity.holds and parity.detections == 0
