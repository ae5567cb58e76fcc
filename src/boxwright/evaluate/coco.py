"""COCO's twelve numbers, and AP per class, computed in memory by hotcoco.

The protocol is COCO's own (cocodataset.org, "Detection evaluation"; pycocotools' COCOeval): precision at 101
recall points, averaged over classes and over IoU .50, .55, ... .95; at most 100 detections per image and
class; objects under 32 x 32 pixels of area are small, over 96 x 96 large. The tests hold the numbers to
pycocotools'.

Crowd regions are COCO's: never missed, and a detection that lies mostly inside one is not counted. Objects
that VOC calls difficult are given to the evaluator as crowd, which is the nearest thing COCO knows; VOC's own
rule (`boxwright.evaluate.voc`) asks for IoU rather than for lying inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float64

from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.evaluate.matching import Tables, tables
from boxwright.results import Result

NAMES = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "APsmall",
    "ap_medium": "APmedium",
    "ap_large": "APlarge",
    "ar1": "AR1",
    "ar10": "AR10",
    "ar100": "AR100",
    "ar_small": "ARsmall",
    "ar_medium": "ARmedium",
    "ar_large": "ARlarge",
}
"""The twelve numbers: field of `CocoMetrics` -> the name that papers and report.json use."""


@dataclass(frozen=True)
class CocoMetrics:
    """COCO's twelve numbers, each in [0, 1]; nan where no object could have been found (None in JSON).

    Attributes:
        ap: average precision, mean over classes and IoU .50:.95; `ap50` and `ap75` at one IoU.
        ap_small, ap_medium, ap_large: `ap` over objects of one size.
        ar1, ar10, ar100: average recall with at most 1, 10, 100 detections per image.
        ar_small, ar_medium, ar_large: `ar100` over objects of one size.
        classes: the data set's classes.
        class_ap, class_ap50: AP and AP50 of each; nan for a class without objects.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    classes: tuple[str, ...]
    class_ap: tuple[float, ...]
    class_ap50: tuple[float, ...]

    def numbers(self) -> dict[str, float]:
        """The twelve numbers by the names that papers use: {"AP": ..., "AP50": ..., "APsmall": ...}."""
        return {name: float(getattr(self, field)) for field, name in NAMES.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **{name: _or_none(values[field]) for field, name in NAMES.items()},
            "per_class": [
                {"name": name, "AP": _or_none(ap), "AP50": _or_none(ap50)}
                for name, ap, ap50 in zip(self.classes, self.class_ap, self.class_ap50, strict=True)
            ],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CocoMetrics:
        """Read what `to_dict` wrote."""
        rows = values["per_class"]
        return cls(
            **{field: _or_nan(values[name]) for field, name in NAMES.items()},
            classes=tuple(row["name"] for row in rows),
            class_ap=tuple(_or_nan(row["AP"]) for row in rows),
            class_ap50=tuple(_or_nan(row["AP50"]) for row in rows),
        )


def coco_metrics(dataset: Dataset, results: Sequence[Result]) -> CocoMetrics:
    """COCO's twelve numbers for what a detector said of a data set's images.

    Args:
        dataset: the ground truth; crowd and difficult objects are neither missed nor found.
        results: one per image, in the same order; boxes in original pixels.

    Raises:
        InputError: the results do not fit the data set (see `boxwright.evaluate.matching.tables`).
    """
    return coco_of_tables(tables(dataset, results))


def coco_of_tables(rows: Tables) -> CocoMetrics:
    """`coco_metrics` of columns that exist already."""
    precision, recall = _accumulate(rows)
    average, all_areas, most = (
        precision.mean(axis=1),
        0,
        2,
    )  # [iou, class, area, limit]; -1 where there is no object
    return CocoMetrics(
        ap=_mean(average[:, :, all_areas, most]),
        ap50=_mean(average[0, :, all_areas, most]),
        ap75=_mean(average[5, :, all_areas, most]),
        ap_small=_mean(average[:, :, 1, most]),
        ap_medium=_mean(average[:, :, 2, most]),
        ap_large=_mean(average[:, :, 3, most]),
        ar1=_mean(recall[:, :, all_areas, 0]),
        ar10=_mean(recall[:, :, all_areas, 1]),
        ar100=_mean(recall[:, :, all_areas, most]),
        ar_small=_mean(recall[:, :, 1, most]),
        ar_medium=_mean(recall[:, :, 2, most]),
        ar_large=_mean(recall[:, :, 3, most]),
        classes=rows.classes,
        class_ap=tuple(_mean(average[:, k, all_areas, most]) for k in range(len(rows.classes))),
        class_ap50=tuple(_mean(average[:1, k, all_areas, most]) for k in range(len(rows.classes))),
    )


def _accumulate(
    rows: Tables,
) -> tuple[Float64[np.ndarray, "10 101 class 4 3"], Float64[np.ndarray, "10 class 4 3"]]:
    """COCO's precision [iou, recall point, class, area, limit] and recall [iou, class, area, limit]."""
    if not rows.images or not rows.classes:
        empty = len(rows.classes)
        return np.full((10, 101, empty, 4, 3), -1.0), np.full((10, empty, 4, 3), -1.0)
    evaluation = evaluator(rows)
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"]), np.asarray(evaluation.eval["recall"])


def evaluator(rows: Tables) -> Any:
    """An evaluated hotcoco.COCOeval over these columns; ids of images, classes and annotations count from 1.

    COCO marks an unmatched detection with annotation id 0, so an object with id 0 would never count as found
    (cocodataset/cocoapi#332): the file's own ids stay out of it.

    Raises:
        InputError: hotcoco is not installed.
    """
    try:
        import hotcoco
    except ImportError as error:
        raise InputError("evaluation needs hotcoco", hint='pip install "boxwright[train]"') from error

    truth = hotcoco.COCO.from_arrays(
        [{"id": image + 1, "width": 0, "height": 0} for image in range(rows.images)],
        [{"id": label + 1, "name": name} for label, name in enumerate(rows.classes)],
        rows.rank[rows.gt_image] + 1,
        rows.gt_label + 1,
        _xywh(rows.gt_box),
        ids=np.arange(1, len(rows.gt_label) + 1),
        area=rows.gt_area,
        iscrowd=rows.gt_ignore.astype(np.int64),
    )
    # Numbered in ascending order of the file's ids: where scores are equal, the order of the images decides.
    order = np.lexsort((rows.det_row, rows.rank[rows.det_image]))
    found = np.column_stack(
        [rows.rank[rows.det_image] + 1, _xywh(rows.det_box), rows.det_score, rows.det_label + 1]
    ).astype(np.float64)[order]
    evaluation = hotcoco.COCOeval(truth, truth.load_res(found), "bbox")
    evaluation.evaluate()
    return evaluation


def _xywh(boxes: Float64[np.ndarray, "box 4"]) -> Float64[np.ndarray, "box 4"]:
    """COCO's corner, width and height, to a ten-thousandth of a pixel.

    That is float32's own precision at 1000 pixels. Rounding gives back the width that an annotation or
    results file stated, so that the rounding of a corner does not decide on an IoU of exactly .5.
    """
    return np.round(np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]), 4)


def _mean(values: np.ndarray) -> float:
    """Mean of what was computed; nan when nothing was (COCO writes -1 for both)."""
    computed = values[values > -1]
    return float(computed.mean()) if computed.size else math.nan


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
