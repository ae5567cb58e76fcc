"""Average precision as Pascal VOC defines it: one IoU, difficult objects out of the game.

Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge", section 4.2, and the devkit's
VOCevaldet: 11 recall points until 2009, the whole area from 2010 on. Where two scores are equal, the order of
the images' ids decides: the devkit's sort is stable over images listed by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from boxwright.data.records import Dataset
from boxwright.evaluate.curves import class_curves, mean
from boxwright.evaluate.matching import Overlaps, Tables, match_voc, overlaps, tables
from boxwright.results import Result


@dataclass(frozen=True)
class VocMetrics:
    """VOC's AP, in [0, 1]; nan where there is no object that counts.

    Attributes:
        iou: a detection counts from this IoU on.
        ap11: mean over classes of the 11-point AP.
        ap_all: mean over classes of the all-point AP.
        classes: the data set's classes.
        class_ap11, class_ap_all: of each class.
    """

    iou: float
    ap11: float
    ap_all: float
    classes: tuple[str, ...]
    class_ap11: tuple[float, ...]
    class_ap_all: tuple[float, ...]


def voc_metrics(
    dataset: Dataset, results: Sequence[Result], *, iou: float = 0.5, plus_one: bool = False
) -> VocMetrics:
    """VOC's AP for what a detector said of a data set's images.

    Args:
        dataset: the ground truth; difficult objects (and crowds) are neither missed nor found.
        results: one per image, in the same order.
        iou: how much a detection must overlap with an object to find it.
        plus_one: boxes are inclusive pixel indices (the devkit's own), not corners. Data sets that boxwright
            reads hold corners already.

    Raises:
        InputError: the results do not fit the data set (see `boxwright.evaluate.matching.tables`).
    """
    rows = tables(dataset, results)
    return voc_of_tables(rows, overlaps(rows, floor=iou, plus_one=plus_one), iou)


def voc_of_tables(rows: Tables, pairs: Overlaps, iou: float = 0.5) -> VocMetrics:
    """`voc_metrics` of columns that exist already; `pairs` must reach down to `iou`."""
    match = match_voc(rows, pairs, iou)
    curves = class_curves(rows.det_label, rows.det_score, match.hit, ~match.ignored, rows.objects())
    ap11, ap_all = [c.ap_11() for c in curves], [c.ap_all() for c in curves]
    return VocMetrics(iou, mean(ap11), mean(ap_all), rows.classes, tuple(ap11), tuple(ap_all))
