"""What is taken for what, with background as a class of its own: forgotten objects and invented ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from boxwright.evaluate.matching import Match, Overlaps, Tables, claim


def confusion_matrix(
    rows: Tables, pairs: Overlaps, match: Match, *, threshold: float, iou: float = 0.5
) -> Int64[np.ndarray, "row column"]:
    """Counts [truth, prediction] at one score threshold; the last row and column are background.

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
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    np.add.at(matrix, (truth, rows.det_label[counted]), 1)
    forgotten = ~rows.gt_ignore
    forgotten[gt[gt >= 0]] = False
    matrix[:classes, classes] = np.bincount(rows.gt_label[forgotten], minlength=classes)
    return matrix
