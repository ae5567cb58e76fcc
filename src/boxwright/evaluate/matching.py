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

_CHUNK = 4_000_000
"""Overlaps computed at once: bounds the memory to a few hundred MB however crowded the images are."""


@dataclass(frozen=True)
class Tables:
    """All objects and all detections, one row each.

    Detections stand best score first over the whole data set; equal scores keep the order of the images and,
    within one image, of its result. Objects stand in the order of the data set.

    Attributes:
        images: how many images there are, those without objects or detections included.
        classes: the names; a label is an index into this.
        gt_image, gt_box, gt_label, gt_ignore, gt_area: image index, xyxy in pixels, class index, crowd or
            difficult, COCO's area.
        det_image, det_box, det_score, det_label: image index, xyxy in pixels, score, class index.
        det_row: the detection's place in its image's result.
    """

    images: int
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
    order = np.argsort(-det_score, kind="stable")
    return Tables(
        images=len(dataset),
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
    return np.concatenate([np.zeros((0, *shape), dtype), *parts]).astype(dtype)
