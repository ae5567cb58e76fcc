from __future__ import annotations

import numpy as np
import pytest

from boxwright.runtime.parity import Tolerance, compare

BOXES = np.array([[0, 0, 9, 9], [10, 10, 19, 19], [0, 0, 0, 0]], np.float32)
SCORES = np.array([0.9, 0.6, 0.0], np.float32)
LABELS = np.array([0, 1, 0], np.int64)
IMAGES = [np.full((3, 8, 8), i, np.float32) for i in range(4)]


class Says:
    """The same answer for every image, except for what is changed."""

    def __init__(
        self,
        boxes: np.ndarray = BOXES,
        scores: np.ndarray = SCORES,
        labels: np.ndarray = LABELS,
        valid: tuple[bool, ...] = (True, True, False),
        only_first: bool = False,
    ) -> None:
        self.answer = (boxes, scores, labels, np.array(valid))
        self.only_first = only_first

    def run(
        self, images: np.ndarray, sizes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        boxes, scores, labels, valid = (np.stack([part] * len(images)) for part in self.answer)
        if self.only_first:
            valid[1:] = False
        return boxes, scores, labels, valid


def judge(other: Says, reference: Says | None = None) -> tuple[bool, int]:
    parity = compare(reference or Says(), other, IMAGES, multiple=1, tolerance=Tolerance())
    return parity.holds, parity.unmatched


def test_equal_engines_agree_on_every_image_in_batches_of_one_and_three() -> None:
    parity = compare(Says(), Says(), IMAGES, multiple=1, tolerance=Tolerance())
    assert parity.holds and parity.unmatched == 0 and parity.box == parity.score == 0
    assert parity.images == 4 and parity.detections == 2 * (4 + 6)


@pytest.mark.parametrize(
    "other",
    [
        Says(boxes=BOXES + np.float32(0.06)),
        Says(boxes=BOXES * [[1, 1, 1, 1.01]]),
        Says(scores=SCORES + np.float32(2e-4)),
        Says(labels=1 - LABELS),
        Says(valid=(True, False, False)),
        Says(valid=(False, False, False)),
        Says(valid=(True, True, True), scores=SCORES + np.array([0, 0, 0.3], np.float32)),
        Says(only_first=True),  # a graph that detects on the first image of a batch alone
    ],
)
def test_what_differs_is_seen(other: Says) -> None:
    holds, unmatched = judge(other)
    assert not holds and unmatched > 0


def test_small_differences_and_the_order_of_equals_are_allowed() -> None:
    assert judge(Says(boxes=BOXES + np.float32(0.04), scores=SCORES + np.float32(5e-5))) == (True, 0)
    tied = np.array([0.5, 0.5, 0], np.float32)
    swap = [1, 0, 2]
    assert judge(Says(BOXES[swap], tied, LABELS[swap]), Says(scores=tied)) == (True, 0)


def test_the_last_place_of_a_full_list_may_go_to_either_of_two_equals() -> None:
    def full(last: int) -> Says:
        boxes = np.array([[0, 0, 9, 9], [last, 10, last + 9, 19]], np.float32)
        return Says(boxes, np.array([0.9, 0.3], np.float32), np.array([0, 0]), (True, True))

    assert judge(full(20), full(10)) == (True, 0)
    assert judge(Says(BOXES, SCORES, LABELS), full(10))[0] is False


def test_no_detections_at_all_agree() -> None:
    none = Says(valid=(False, False, False))
    parity = compare(none, none, IMAGES, multiple=1, tolerance=Tolerance())
    assert parity.holds and parity.detections == 0
