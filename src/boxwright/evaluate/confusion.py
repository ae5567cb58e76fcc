"""What is taken for what, with background as a class of its own: forgotten objects and invented ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from boxwright.evaluate.matching import Match, Overlaps, Tables, claim


@dataclass(frozen=True)
class Confusion:
    """The cells of a confusion matrix that are not 0: of thousands of classes few are taken for one another.

    Attributes:
        classes: how many there are; this number is background's.
        cells: (truth, prediction, count) of each, in the matrix's order.
    """

    classes: int
    cells: tuple[tuple[int, int, int], ...]

    def matrix(self, chosen: Sequence[int] | None = None) -> Int64[np.ndarray, "row column"]:
        """Counts [truth, prediction] of some classes, all if not given; the last row and column are background.

        What was taken for a class that is not chosen is left out.
        """
        shown = range(self.classes) if chosen is None else chosen
        place = {label: row for row, label in enumerate([*shown, self.classes])}
        found = np.zeros((len(place), len(place)), np.int64)
        for truth, said, count in self.cells:
            if truth in place and said in place:
                found[place[truth], place[said]] = count
        return found

    def worst(self, most: int) -> list[int]:
        """The classes with most mistakes, as truth or as prediction, in their order."""
        mistakes = np.zeros(self.classes + 1, np.int64)
        for truth, said, count in self.cells:
            if truth != said:
                mistakes[[truth, said]] += count
        order = np.argsort(-mistakes[:-1], kind="stable")
        return sorted(order[:most].tolist())


def confuse(rows: Tables, pairs: Overlaps, match: Match, *, threshold: float, iou: float = 0.5) -> Confusion:
    """What is taken for what at one score threshold.

    Detections that found an object of their own class (`match`) come first, so that the diagonal holds
    exactly the true positives of precision and recall at that threshold. What is left over is then paired
    across classes, greatest IoU first. An object with no partner is background's column ("missed"), a
    detection with none background's row ("invented"); ignored objects and detections are nowhere.
    """
    classes = len(rows.classes)
    kept = rows.det_score >= threshold
    gt = np.where(kept, match.gt, -1)
    free_det, free_gt = kept & match.false, ~rows.gt_ignore
    free_gt[gt[gt >= 0]] = False
    across = free_det[pairs.det] & free_gt[pairs.gt] & (pairs.iou >= iou) & ~pairs.ignore
    order = np.flatnonzero(across)[np.argsort(-pairs.iou[across], kind="stable")]
    taken = claim(pairs.det[order], pairs.gt[order], len(gt), len(free_gt))
    gt = np.where(taken >= 0, taken, gt)
    counted = kept & (match.hit | match.false)
    truth = np.where(gt >= 0, np.append(rows.gt_label, classes)[gt], classes)[counted]
    forgotten = ~rows.gt_ignore
    forgotten[gt[gt >= 0]] = False
    missed = rows.gt_label[forgotten]
    truth, said = np.append(truth, missed), np.append(rows.det_label[counted], np.full(len(missed), classes))
    cells, counts = np.unique(np.stack([truth, said]), axis=1, return_counts=True)
    return Confusion(classes, tuple(map(tuple, np.vstack([cells, counts]).T.tolist())))
