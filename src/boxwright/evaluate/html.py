"""The report as one page, readable offline and on paper. Every text that came from outside is escaped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from boxwright.evaluate.plots import interval, percent, score
from boxwright.evaluate.sections import SECTIONS
from boxwright.evaluate.shell import shell
from boxwright.evaluate.style import CSS
from boxwright.markup import escape

if TYPE_CHECKING:
    from boxwright.evaluate.report import Report


def page(report: Report) -> str:
    """The whole page."""
    return shell(
        f"{subject(report)} on {place(report)}",
        CSS,
        _header(report),
        [(anchor, heading, make(report)) for anchor, heading, make in SECTIONS],
        "Made by boxwright eval. The same numbers, and more digits, are in report.json.",
    )


def summary(report: Report) -> str:
    """A few lines for a notebook: the headline and the classes."""
    head = "".join(
        f"<th>{name}</th>"
        for name in ("class", "objects", "AP", "AP50", "precision", "recall", "best threshold")
    )
    lines = "".join(
        f"<tr><td>{escape(row.name)}</td><td>{row.objects}</td><td>{percent(row.ap)}</td>"
        f"<td>{percent(row.ap50)}</td><td>{percent(row.shown.precision)}</td>"
        f"<td>{percent(row.shown.recall)}</td><td>{score(row.best.threshold)}</td></tr>"
        for row in report.classes
    )
    return (
        f"<div><b>{escape(subject(report))}</b> on {escape(place(report))}: "
        f"AP50 <b>{percent(report.coco.ap50)}</b>, AP {percent(report.coco.ap)}, "
        f"VOC AP {percent(report.voc.ap_all)}. {in_words(report)}"
        f"<table><tr>{head}</tr>{lines}</table></div>"
    )


def subject(report: Report) -> str:
    """What was measured, as plain text."""
    return next(
        (report.model[key] for key in ("name", "model", "recipe") if key in report.model), "Detections"
    )


def place(report: Report) -> str:
    """What it was measured on, as plain text."""
    return f"{report.dataset}, {report.split}" if report.split else report.dataset


def in_words(report: Report) -> str:
    """Precision and recall as one sentence."""
    shown = report.shown
    if math.isnan(shown.recall):
        return "There is nothing to find in these images."
    found = f"Of 100 objects it finds <b>{100 * shown.recall:.0f}</b>"
    if math.isnan(shown.precision):
        return f"{found}: no box reaches score {score(report.threshold)}."
    return f"{found}; of 100 boxes it draws, <b>{100 * shown.precision:.0f}</b> are right."


def _header(report: Report) -> str:
    facts = [
        place(report),
        f"{report.images} image{'s' * (report.images != 1)}",
        f"{report.objects} object{'s' * (report.objects != 1)} of {len(report.classes)} "
        f"class{'es' * (len(report.classes) != 1)}",
    ]
    if report.ignored:
        facts.append(f"{report.ignored} more marked difficult or crowd, which do not count")
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in report.notes)
    return (
        f"<h1>{escape(subject(report))}</h1>"
        f'<p class="soft">{escape(" · ".join(facts))}</p>'
        f'<p class="lead">{in_words(report)}</p>{_tiles(report)}{notes}'
    )


def _tiles(report: Report) -> str:
    coco, shown = report.coco, report.shown
    low, high = report.interval
    spread = (
        ""
        if math.isnan(low)
        else f" Other images of this kind would give {percent(low)} to {percent(high)} (95 %)."
    )
    cut = f"at score {score(report.threshold)} and above"
    accuracy = [
        ("Accuracy", value, "", "Of 100 pictures, so many are given their own label first.")
        for name, value in report.accuracy.items()
        if name == "accuracy"
    ]
    tiles = (
        *accuracy,
        (
            "AP50",
            coco.ap50,
            interval(coco.ap50, low, high),
            f"Average precision; a box counts if it overlaps by half (IoU .5).{spread}",
        ),
        ("AP", coco.ap, "", "The same, averaged over IoU .50 to .95: rewards boxes that fit tightly."),
        (
            "VOC AP",
            report.voc.ap_all,
            "",
            f"Pascal VOC's rule, whole area; with 11 points {percent(report.voc.ap11)}.",
        ),
        ("Precision", shown.precision, "", f"Of 100 boxes {cut}, so many are right."),
        ("Recall", shown.recall, "", f"Of 100 objects, boxes {cut} find so many."),
        (
            "F1",
            shown.f1,
            "",
            f"Both in one number. The best that a threshold reaches: {percent(report.best.f1)}.",
        ),
    )
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><div class="name">{name}</div><div class="value">{percent(value)}</div>'
            f'{extra}<p class="why">{why}</p></div>'
            for name, value, extra, why in tiles
        )
        + "</div>"
    )
