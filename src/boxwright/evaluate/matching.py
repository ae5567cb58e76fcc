"""Objects and detections of a whole data set as columns, and which detection found which object.

Everything in `boxwright.evaluate` but the COCO numbers is a few lines over three things here: the columns
(`tables`), the overlaps worth knowing (`overlaps`: a sparse list, so that 100,000 detections need no loop
over images), and the two rules by which the field pairs detections with objects (`match_coco`, `match_voc`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.results import Result

_CHUNK = 1_000_000
"""Overlaps computed at once: bounds the memory to about 100 MB however crowded the images are."""


@dataclass(frozen=True)
class Tables:
    """All objects and all detections, one row each.

    Detections stand best score first over the whole data set; equal scores stand in ascending order of the
    images' ids (`Dataset.id_order`) and, within one image, in the order of its result, as pycocotools has them.
    Objects stand in the order of the data set.

    Attributes:
        images: how many images there are, those without objects or detections included.
        rank: per image, its place in ascending order of ids.
        classes: the names; a label is an index into this.
        gt_image, gt_box, gt_label, gt_ignore, gt_area: image index, xyxy in pixels, class index, crowd or
            difficult, COCO's area.
        det_image, det_box, det_score, det_label: image index, xyxy in pixels, score, class index.
        det_row: the detection's place in its image's result.
    """

    images: int
    rank: Int64[np.ndarray, " image"]
    classes: tuple[str, ...]
    gt_image: Int64[np.ndarray, " gt"]
    gt_box: Float64[np.ndarray, "gt 4"]
    gt_label: Int64[np.ndarray, " gt"]
    gt_ignore: Bool[np.ndarray, " gt"]
    gt_area: Float64[np.ndarray, " gt"]
    det_image: Int64[np.ndarray, " det"]
    det_box: Float64[np.ndarray, "det 4"]
    det_score: Float64[np.ndarray, " det"]
    det_label: Int64[np.ndarray, " det"]
    det_row: Int64[np.ndarray, " det"]

    def objects(self) -> Int64[np.ndarray, " class"]:
        """Objects of each class, ignored ones left out."""
        return np.bincount(self.gt_label[~self.gt_ignore], minlength=len(self.classes)).astype(np.int64)


def tables(dataset: Dataset, results: Sequence[Result]) -> Tables:
    """The columns of a data set and of what a detector said of its images.

    Args:
        dataset: the ground truth.
        results: one per image, in the same order; `index` counts the data set's classes.

    Raises:
        InputError: there are more or fewer results than images, or a detection has a class that the data set
            lacks, a box that is not finite, or a score that is not.
    """
    if len(results) != len(dataset):
        raise InputError(
            f"{len(results)} results for {len(dataset)} images", hint="give one result per image"
        )
    samples = dataset.samples
    det_image = _owner([len(result) for result in results])
    det_box = _column([result.boxes for result in results], np.float64, (4,))
    det_score = _column([result.scores for result in results], np.float64)
    det_label = _column([result.index for result in results], np.int64)
    det_row = _column([np.arange(len(result)) for result in results], np.int64)
    finite = np.isfinite(det_score) & np.isfinite(det_box).all(axis=1)
    known = (det_label >= 0) & (det_label < len(dataset.classes))
    for fine, what in ((finite, "a box or score that is not finite"), (known, "a class the data set lacks")):
        if not fine.all():
            row = int(np.argmin(fine))
            raise InputError(f"detection {det_row[row]} has {what}", path=samples[det_image[row]].path)
    rank = np.empty(len(dataset), np.int64)
    rank[dataset.id_order()] = np.arange(len(dataset))
    order = np.lexsort((det_row, rank[det_image], -det_score))
    return Tables(
        images=len(dataset),
        rank=rank,
        classes=dataset.classes,
        gt_image=_owner([len(sample.labels) for sample in samples]),
        gt_box=_column([sample.boxes for sample in samples], np.float64, (4,)),
        gt_label=_column([sample.labels for sample in samples], np.int64),
        gt_ignore=_column([sample.ignore for sample in samples], np.bool_),
        gt_area=_column([sample.areas for sample in samples], np.float64),
        det_image=det_image[order],
        det_box=det_box[order],
        det_score=det_score[order],
        det_label=det_label[order],
        det_row=det_row[order],
    )


def _owner(counts: Sequence[int]) -> Int64[np.ndarray, " row"]:
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def _column(parts: Sequence[np.ndarray], dtype: type, shape: tuple[int, ...] = ()) -> np.ndarray:
    column: np.ndarray = np.concatenate([np.zeros((0, *shape), dtype), *parts]).astype(dtype)
    return column


@dataclass(frozen=True)
class Overlaps:
    """Pairs of a detection and an object of the same image, whatever their classes.

    Sorted by detection (best score first), then by IoU, greatest first, then by object.

    Attributes:
        det, gt: rows of `Tables`.
        iou: intersection over union.
        inside: intersection over the detection's area, which is what counts for a crowd.
        same: the classes are the same.
        ignore: the object is crowd or difficult.
    """

    det: Int64[np.ndarray, " pair"]
    gt: Int64[np.ndarray, " pair"]
    iou: Float64[np.ndarray, " pair"]
    inside: Float64[np.ndarray, " pair"]
    same: Bool[np.ndarray, " pair"]
    ignore: Bool[np.ndarray, " pair"]

    def best(
        self, which: Bool[np.ndarray, " pair"], count: int
    ) -> tuple[Int64[np.ndarray, " det"], Float64[np.ndarray, " det"]]:
        """Of each of `count` detections, the object with the greatest IoU among the pairs in `which`.

        Returns:
            its row (-1 where there is none) and the IoU (0 there).
        """
        det, first = np.unique(self.det[which], return_index=True)
        gt, iou = np.full(count, -1, np.int64), np.zeros(count)
        gt[det], iou[det] = self.gt[which][first], self.iou[which][first]
        return gt, iou


def overlaps(rows: Tables, *, floor: float = 0.1, plus_one: bool = False) -> Overlaps:
    """The pairs with IoU >= `floor`; for a crowd or difficult object, or which lie inside it by that much.

    Args:
        rows: objects and detections.
        floor: overlap below which nobody asks.
        plus_one: boxes are inclusive pixel indices, so that width is xmax - xmin + 1 (VOC's devkit). Data
            sets that boxwright reads need it not: their readers have made corners of the indices.
    """
    first, count = _ranges(rows)
    share = np.concatenate([[0], np.cumsum(count)])
    parts = []
    start = 0
    while start < len(count):
        stop = max(int(np.searchsorted(share, share[start] + _CHUNK, side="right")) - 1, start + 1)
        det = np.repeat(np.arange(start, stop), count[start:stop])
        gt = np.arange(len(det)) - np.repeat(share[start:stop] - share[start], count[start:stop])
        gt += np.repeat(first[start:stop], count[start:stop])
        iou, inside = _overlap(rows.det_box[det], rows.gt_box[gt], float(plus_one))
        keep = (iou >= floor) | (rows.gt_ignore[gt] & (inside >= floor))
        parts.append((det[keep], gt[keep], iou[keep], inside[keep]))
        start = stop
    det, gt = (_column([part[k] for part in parts], np.int64) for k in (0, 1))
    iou, inside = (_column([part[k] for part in parts], np.float64) for k in (2, 3))
    order = np.lexsort((gt, -iou, det))
    det, gt, iou, inside = det[order], gt[order], iou[order], inside[order]
    return Overlaps(det, gt, iou, inside, rows.det_label[det] == rows.gt_label[gt], rows.gt_ignore[gt])


def _ranges(rows: Tables) -> tuple[Int64[np.ndarray, " det"], Int64[np.ndarray, " det"]]:
    """Of each detection, the first object of its image and how many there are."""
    count = np.bincount(rows.gt_image, minlength=rows.images)
    first = np.cumsum(count) - count
    return first[rows.det_image], count[rows.det_image]


def _overlap(
    det: Float64[np.ndarray, "pair 4"], gt: Float64[np.ndarray, "pair 4"], one: float
) -> tuple[Float64[np.ndarray, " pair"], Float64[np.ndarray, " pair"]]:
    size = np.minimum(det[:, 2:], gt[:, 2:]) - np.maximum(det[:, :2], gt[:, :2]) + one
    both = np.prod(np.maximum(size, 0), axis=1)
    mine, theirs = (np.prod(np.maximum(box[:, 2:] - box[:, :2] + one, 0), axis=1) for box in (det, gt))
    either = mine + theirs - both
    zero = np.zeros_like(both)
    return (
        np.divide(both, either, out=zero.copy(), where=either > 0),
        np.divide(both, mine, out=zero, where=mine > 0),
    )


@dataclass(frozen=True)
class Match:
    """What became of each detection.

    Attributes:
        gt: the object it found, or -1.
        ignored: it found none but belongs to a crowd or difficult object, so it is no false positive either.
    """

    gt: Int64[np.ndarray, " det"]
    ignored: Bool[np.ndarray, " det"]

    @property
    def hit(self) -> Bool[np.ndarray, " det"]:
        """True positives."""
        found: Bool[np.ndarray, " det"] = self.gt >= 0
        return found

    @property
    def false(self) -> Bool[np.ndarray, " det"]:
        """False positives."""
        wrong: Bool[np.ndarray, " det"] = (self.gt < 0) & ~self.ignored
        return wrong


def match_coco(rows: Tables, pairs: Overlaps, iou: float = 0.5) -> Match:
    """COCO's rule: best score first, each detection takes the best object of its class that is still free.

    One that gets none but lies inside an ignored object by `iou` of its own area (COCO's IoU with a crowd) is
    ignored. Of objects that overlap equally, it takes the last, as pycocotools does. Dropping detections below a
    score changes nothing for those above it.
    """
    wanted = np.flatnonzero(pairs.same & ~pairs.ignore & (pairs.iou >= iou))
    wanted = wanted[np.lexsort((-pairs.gt[wanted], -pairs.iou[wanted], pairs.det[wanted]))]
    gt = claim(pairs.det[wanted], pairs.gt[wanted], len(rows.det_label), len(rows.gt_label))
    crowd = pairs.same & pairs.ignore & (pairs.inside >= iou)
    ignored = np.zeros(len(gt), bool)
    ignored[pairs.det[crowd]] = True
    return Match(gt, ignored & (gt < 0))


def match_voc(rows: Tables, pairs: Overlaps, iou: float = 0.5) -> Match:
    """VOC's rule (devkit, VOCevaldet): each detection answers for the object of its class with the greatest
    IoU.

    If that IoU is below `iou`, or a better score has taken that object, it is a false positive, even if
    another object nearby is free. If the object is difficult (or a crowd), the detection does not count.
    """
    gt, best = pairs.best(pairs.same, len(rows.det_label))
    gt = np.where(best >= iou, gt, -1)
    ignored = (gt >= 0) & rows.gt_ignore[gt] if len(rows.gt_ignore) else np.zeros(len(gt), bool)
    gt = np.where(ignored, -1, gt)
    claims = np.flatnonzero(gt >= 0)
    _, first = np.unique(gt[claims], return_index=True)
    won = np.zeros(len(gt), bool)
    won[claims[first]] = True
    return Match(np.where(won, gt, -1), ignored)


def claim(
    det: Int64[np.ndarray, " pair"], gt: Int64[np.ndarray, " pair"], dets: int, gts: int
) -> Int64[np.ndarray, " det"]:
    """Go through the pairs in order; take each whose detection and object are both still free."""
    found, taken = [-1] * dets, [False] * gts
    for d, g in zip(det.tolist(), gt.tolist(), strict=True):
        if found[d] < 0 and not taken[g]:
            found[d], taken[g] = g, True
    return np.array(found, np.int64)
