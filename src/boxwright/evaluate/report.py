"""Everything that one evaluation found, as one record: printed, written as JSON, shown as a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boxwright.data.records import Dataset
from boxwright.evaluate import thresholds
from boxwright.evaluate.accuracy import label_metrics
from boxwright.evaluate.bootstrap import ap_interval
from boxwright.evaluate.calibration import Calibration, calibration
from boxwright.evaluate.coco import CocoMetrics, coco_of_tables
from boxwright.evaluate.confusion import Confusion, confuse
from boxwright.evaluate.curves import RECALLS, Curve, class_curves
from boxwright.evaluate.errors_tide import TideErrors, blame, tide_errors
from boxwright.evaluate.examples import Evidence, Example, choose
from boxwright.evaluate.matching import Match, Tables, match_coco, overlaps, tables
from boxwright.evaluate.plain import from_plain, to_plain
from boxwright.evaluate.thresholds import Operating
from boxwright.evaluate.voc import VocMetrics, voc_of_tables
from boxwright.files import write_text
from boxwright.regular import real_path
from boxwright.results import Result

PROTOCOL = (
    "COCO: the twelve numbers by hotcoco; 101 recall points, IoU .50:.95, at most 100 detections per image "
    "and class, crowd and difficult objects neither missed nor found.",
    "VOC: IoU .5, 11-point and all-point AP, difficult objects neither missed nor found.",
    "Precision, recall, F1, confusion and calibration: IoU .5; best score first, each detection takes the "
    "best object of its class that is still free.",
    "TIDE (Bolya et al. 2020): an object counts as found from IoU .5, as background up to .1; each kind of "
    "error put right on its own.",
    "Interval of AP50: bootstrap over images, 200 draws, middle 95 %.",
)
_SIZES = (("small", 0, 32**2), ("medium", 32**2, 96**2), ("large", 96**2, math.inf))


@dataclass(frozen=True)
class ClassRow:
    """One class: `best` is its own threshold with the best F1, `shown` what the report's threshold gives."""

    name: str
    objects: int
    ap: float
    ap50: float
    best: Operating
    shown: Operating
    precision50: tuple[float, ...]
    precision75: tuple[float, ...]


@dataclass(frozen=True)
class Report:
    """What one evaluation found; numbers are shares in [0, 1], nan where there is nothing to measure.

    Attributes:
        dataset: the data set's name; `root` its folder, `split` which part of it.
        images, objects, ignored: how many there are; ignored objects (crowd, difficult) count apart.
        sizes: objects that count, by COCO's classes of area (small, medium, large).
        model: what is known of the model (name, recipe, file, ...).
        protocol: how the numbers were made.
        accuracy: top-1 and top-5 of labelled images, by name; empty for boxes.
        coco, voc, tide, calibration: see there.
        interval: between which AP50 (`coco.ap50`) may be expected on other images of the same kind.
        threshold: the score from which detections count below; `shown` is what it gives over all classes.
        best: the threshold with the best F1 over all classes, on these very images.
        sweep: what other thresholds give.
        classes: one row each; `precision50` and `precision75` are precision at 101 recalls, by IoU.
        confusion: what is taken for what at `threshold`.
        examples: images to look at.
        speed: figures of speed by name, where they were taken.
        notes: what a reader should know before believing the numbers.
    """

    dataset: str
    root: str
    split: str
    images: int
    objects: int
    ignored: int
    sizes: dict[str, int]
    model: dict[str, str]
    protocol: tuple[str, ...]
    accuracy: dict[str, float]
    coco: CocoMetrics
    interval: tuple[float, float]
    voc: VocMetrics
    tide: TideErrors
    calibration: Calibration
    threshold: float
    shown: Operating
    best: Operating
    sweep: tuple[Operating, ...]
    classes: tuple[ClassRow, ...]
    confusion: Confusion
    examples: tuple[Example, ...]
    speed: dict[str, float]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """The whole report as JSON; `from_json` is the inverse."""
        return json.dumps(to_plain(self), indent=1, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote."""
        return from_plain(cls, json.loads(text))

    def save(self, folder: str | Path) -> Path:
        """Write `report.html` and `report.json` into `folder`.

        Pictures are read from the data set's images; one that cannot be read any more is left out.

        Returns:
            the path of the page.
        """
        from boxwright.evaluate.html import page

        target = Path(folder) / "report.html"
        write_text(target, page(self))
        write_text(target.with_suffix(".json"), self.to_json() + "\n")
        return target

    def _repr_html_(self) -> str:
        from boxwright.evaluate.html import summary

        return summary(self)


def evaluate(
    dataset: Dataset,
    results: Sequence[Result],
    *,
    model_facts: Mapping[str, str] | None = None,
    threshold: float | None = None,
    speed: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Measure what a detector said of a data set's images.

    Args:
        dataset: the ground truth.
        results: one per image, in the same order, with all detections that the detector can give: average
            precision needs the weak ones too.
        model_facts: what to say of the model.
        threshold: the score from which a detection counts where one number must be chosen (precision, recall,
            confusion, pictures). None takes the one with the best F1 on these very images, and says so.
        speed: figures of speed to show.
        notes: what else a reader should know.

    Raises:
        InputError: the results do not fit the data set.
    """
    rows = tables(dataset, results)
    pairs = overlaps(rows)
    match = match_coco(rows, pairs, 0.5)
    counted = ~match.ignored
    curves = class_curves(rows.det_label, rows.det_score, match.hit, counted, rows.objects())
    strict = match_coco(rows, pairs, 0.75)
    tight = class_curves(rows.det_label, rows.det_score, strict.hit, ~strict.ignored, rows.objects())
    together = thresholds.pooled(rows.det_score, match.hit, counted, curves)
    best = thresholds.best(together)
    chosen = threshold if threshold is not None else (0.5 if math.isnan(best.threshold) else best.threshold)
    coco = coco_of_tables(rows)
    return Report(
        dataset=real_path(dataset.root).name or "data",
        root=str(dataset.root),
        split=dataset.split,
        images=rows.images,
        objects=int(rows.objects().sum()),
        ignored=int(rows.gt_ignore.sum()),
        sizes=_sizes(rows),
        model={key: str(value) for key, value in (model_facts or {}).items()},
        protocol=PROTOCOL,
        accuracy=label_metrics(dataset, results),
        coco=coco,
        interval=ap_interval(rows, match),
        voc=voc_of_tables(rows, pairs),
        tide=tide_errors(rows, pairs),
        calibration=calibration(rows.det_score[counted], match.hit[counted]),
        threshold=float(chosen),
        shown=thresholds.at(together, chosen),
        best=best,
        sweep=tuple(thresholds.at(together, step / 50) for step in range(51)),
        classes=_classes(coco, curves, tight, chosen),
        confusion=confuse(rows, pairs, match, threshold=chosen),
        examples=choose(Evidence(dataset, rows, pairs, match, blame(rows, pairs, match), chosen)),
        speed={key: float(value) for key, value in (speed or {}).items()},
        notes=(*notes, *_notes(dataset, rows, match, threshold)),
    )


def _classes(
    coco: CocoMetrics, curves: Sequence[Curve], tight: Sequence[Curve], threshold: float
) -> tuple[ClassRow, ...]:
    return tuple(
        ClassRow(
            name=name,
            objects=curves[k].objects,
            ap=coco.class_ap[k],
            ap50=coco.class_ap50[k],
            best=thresholds.best(curves[k]),
            shown=thresholds.at(curves[k], threshold),
            precision50=_points(curves[k]),
            precision75=_points(tight[k]),
        )
        for k, name in enumerate(coco.classes)
    )


def _points(curve: Curve) -> tuple[float, ...]:
    """Precision at COCO's 101 recalls, to the four decimals that a plot can show."""
    return tuple(np.round(curve.at(RECALLS), 4).tolist()) if curve.objects else ()


def _sizes(rows: Tables) -> dict[str, int]:
    area = rows.gt_area[~rows.gt_ignore]
    return {name: int(np.sum((area >= low) & (area < high))) for name, low, high in _SIZES}


def _notes(dataset: Dataset, rows: Tables, match: Match, threshold: float | None) -> list[str]:
    notes = []
    if threshold is None:
        notes.append(
            "The score threshold was chosen on these very images, so precision and recall flatter a little."
        )
    absent = [name for name, count in zip(rows.classes, rows.objects(), strict=True) if not count]
    if absent:
        named = ", ".join(absent[:8]) + (f" and {len(absent) - 8} more" if len(absent) > 8 else "")
        notes.append(f"No object to find of: {named}. These classes have no AP and are in no mean.")
    if len(rows.det_score) and float(rows.det_score.min()) > 0.1:
        notes.append(
            f"No detection has a score under {rows.det_score.min():.2f}. If weaker ones were left out before "
            "evaluation, AP and recall are lower than they need be."
        )
    dropped = sum(finding.severity == "error" for finding in dataset.findings)
    if dropped:
        notes.append(f"The reader of the data set found {dropped} defects; boxwright check lists them.")
    return notes
