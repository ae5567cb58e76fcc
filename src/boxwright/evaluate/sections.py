"""The sections of the report's page, in their order: each a heading and a function of the report."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from boxwright.evaluate import plots
from boxwright.evaluate.errors_tide import KINDS
from boxwright.evaluate.examples import Example
from boxwright.evaluate.pictures import Picture, pictures
from boxwright.evaluate.plots import bar, percent, score
from boxwright.markup import escape

if TYPE_CHECKING:
    from boxwright.evaluate.report import Report

_ERRORS = {
    "missed": ("finding what it misses", "objects that no box comes near, or only boxes of the wrong kind"),
    "localisation": ("better boxes", "right class, but the box overlaps by less than half"),
    "classification": ("right names", "a good box around an object of another class"),
    "background": (
        "drawing no boxes where nothing is",
        "nothing annotated within reach; look at them: some may be objects that the annotator left out",
    ),
    "duplicate": ("one box per object", "an object that a surer box has found already"),
    "both": ("better boxes with right names", "wrong class and too little overlap at once"),
}
"""What would be won by putting each kind right, and what it is."""

_KEYS = {
    "found": "annotated object",
    "lost": "object that was not found",
    "right": "detection that is right",
    "wrong": "detection that is wrong",
}
"""What the colours of the pictures stand for."""


def _typical(report: Report) -> str:
    chosen = [one for one in report.examples if one.kind == "typical"]
    if not chosen:
        return ""
    return (
        "<p>Not the best ones: six at even distances when all images are sorted by F1, the worst first. "
        f"Boxes from score {score(report.threshold)} on.</p>{_keys('right', 'wrong', 'lost')}"
        f"{_gallery(report, chosen, large=True)}"
    )


def _losses(report: Report) -> str:
    tide = report.tide
    if math.isnan(tide.ap50):
        return ""
    order = sorted(KINDS, key=lambda kind: -tide.delta[kind])
    most = max(max(tide.delta.values()), 0.01)
    rows = "".join(
        f'<tr><td class="name">{kind.capitalize()}</td><td class="text">'
        f"<b>{percent(tide.delta[kind])}</b> points of AP50 would be won by {_ERRORS[kind][0]}"
        f'<div class="soft">{_ERRORS[kind][1]}</div></td>'
        f'<td class="wide">{bar(tide.delta[kind], "loss", most)}</td><td>{tide.counts[kind]} '
        f"{'objects' if kind == 'missed' else 'boxes'}</td></tr>"
        for kind in order
    )
    return (
        f"<p>AP50 is {percent(tide.ap50)}. Each kind of error is put right on its own, all detections "
        "counted, weak ones too; the gains do not add up to 100.</p>"
        '<table><tr><th>error</th><th class="text">what it costs</th><th></th><th>how many</th></tr>'
        f"{rows}</table>"
    )


def _threshold(report: Report) -> str:
    data = report.calibration
    direction = "too high" if data.bias > 0 else "too low"
    gap = (
        f"Scores are {100 * abs(data.bias):.1f} points {direction} on average"
        if abs(data.bias) >= 0.01
        else "On average, scores are neither too high nor too low"
    )
    return (
        '<div class="two"><figure><h3>Where to cut</h3>'
        f"{plots.sweep(report.sweep, report.threshold)}<figcaption>"
        '<span class="key solid"><i class="vright"></i>precision</span>'
        '<span class="key solid"><i class="vfound"></i>recall</span>'
        '<span class="key dash"><i class="ink"></i>F1</span><br>'
        f"This report cuts at {score(report.threshold)}. F1 is best at {score(report.best.threshold)}: "
        f"precision {percent(report.best.precision)}, recall {percent(report.best.recall)}."
        "</figcaption></figure><figure><h3>Do scores mean what they say?</h3>"
        f"{plots.reliability(data)}<figcaption>"
        '<span class="key"><i class="vright"></i>share that is right</span>'
        '<span class="key solid"><i class="vwrong"></i>mean score, the share it promises</span><br>'
        f"{gap}; the mean gap over all bins (ECE) is {percent(data.ece)} points."
        "</figcaption></figure></div>"
    )


def _classes(report: Report) -> str:
    rows = "".join(
        f'<tr><td class="name" title="{escape(row.name)}">{escape(row.name)}</td><td>{row.objects}</td>'
        f"<td>{percent(row.ap50)} {bar(row.ap50)}</td><td>{percent(row.ap)} {bar(row.ap)}</td>"
        f"<td>{percent(row.shown.precision)}</td><td>{percent(row.shown.recall)}</td>"
        f"<td>{percent(row.shown.f1)}</td><td>{score(row.best.threshold)}</td><td>{percent(row.best.f1)}</td></tr>"
        for row in report.classes
    )
    curves = "".join(
        f"<figure>{plots.precision_recall(row.precision50, row.precision75, row.name)}"
        f'<figcaption><span title="{escape(row.name)}">{escape(row.name)}</span>'
        f"<span>{percent(row.ap50)}</span></figcaption></figure>"
        for row in sorted(report.classes, key=lambda row: -_or_zero(row.ap50))
        if row.objects
    )
    cut = score(report.threshold)
    return (
        '<div class="scroll"><table><tr><th>class</th><th>objects</th><th>AP50</th><th>AP</th>'
        f"<th>precision<br>from {cut}</th><th>recall<br>from {cut}</th><th>F1<br>from {cut}</th>"
        f"<th>own best<br>threshold</th><th>F1<br>there</th></tr>{rows}</table></div>"
        "<h3>Precision (up) over recall (right)</h3>"
        '<p><span class="key solid"><i class="accent"></i>IoU .5</span>'
        '<span class="key dash"><i class="grey"></i>IoU .75: boxes that fit better</span></p>'
        f'<div class="curves{" few" if len(report.classes) <= 8 else ""}">{curves}</div>'
    )


_MAPPED = 80
"""Classes of a confusion matrix that is drawn; more could not be read."""


def _confusion(report: Report) -> str:
    names = [row.name for row in report.classes]
    labels = [*names, "background"]
    size = len(names)
    cells = report.confusion.cells
    pairs = sorted(
        ((n, truth, said) for truth, said, n in cells if truth != said and truth < size and said < size),
        key=lambda entry: -entry[0],
    )
    listed = "".join(
        f"<li>{count} {escape(labels[truth])} taken for {escape(labels[said])}</li>"
        for count, truth, said in pairs[:8]
    )
    missed = sum(n for _, said, n in cells if said == size)
    invented = sum(n for truth, _, n in cells if truth == size)
    shown = report.confusion.worst(_MAPPED)
    drawn = plots.heat_map(report.confusion.matrix(shown).tolist(), [names[label] for label in shown])
    some = f"<p>Of {size} classes the {_MAPPED} with most mistakes.</p>" if size > _MAPPED else ""
    return (
        f"{some}"
        f"<p>Rows are what is there, columns what was said, from score {score(report.threshold)} on; "
        "background stands for nothing. The stronger a cell, the greater its share of its row (in the last "
        f'row: of the boxes of that class).</p><div class="beside">{drawn}'
        f"<ul><li>{missed} objects not found</li><li>{invented} boxes where nothing is annotated</li>"
        f"{listed}</ul></div>"
    )


def _sizes(report: Report) -> str:
    coco = report.coco
    rows = "".join(
        f"<tr><td>{name}</td><td>{report.sizes[name]}</td><td>{percent(ap)} {bar(ap)}</td>"
        f"<td>{percent(ar)} {bar(ar)}</td></tr>"
        for name, ap, ar in (
            ("small", coco.ap_small, coco.ar_small),
            ("medium", coco.ap_medium, coco.ar_medium),
            ("large", coco.ap_large, coco.ar_large),
        )
    )
    return (
        "<p>Small is under 32 × 32 pixels of the original image, large from 96 × 96 on.</p>"
        '<div class="scroll narrow"><table><tr><th>size</th><th>objects</th><th>AP</th>'
        f"<th>recall, AR100</th></tr>{rows}</table></div>"
    )


def _false_positives(report: Report) -> str:
    chosen = [one for one in report.examples if one.kind == "false positive"]
    if not chosen:
        return ""
    parts = "".join(
        f"<h3>{kind.capitalize()}: {_ERRORS[kind][1]}</h3>{_gallery(report, mine)}"
        for kind in KINDS
        if (mine := [one for one in chosen if one.error == kind])
    )
    return (
        "<p>The best scores of each kind of error in turn, at most three from one image. "
        f"Annotated objects are drawn too.</p>{_keys('wrong', 'found', 'lost')}{parts}"
    )


def _misses(report: Report) -> str:
    chosen = [one for one in report.examples if one.kind == "missed"]
    if not chosen:
        return ""
    return (
        "<p>Of each class in turn, the largest objects that no box from score "
        f"{score(report.threshold)} on found, at most three from one image.</p>"
        f"{_keys('lost', 'right', 'wrong')}{_gallery(report, chosen)}"
    )


def _numbers(report: Report) -> str:
    numbers = "".join(
        f"<dt>{name}</dt><dd>{percent(value)}</dd>" for name, value in report.coco.numbers().items()
    )
    voc = (
        f"<dt>VOC AP, all points</dt><dd>{percent(report.voc.ap_all)}</dd>"
        f"<dt>VOC AP, 11 points</dt><dd>{percent(report.voc.ap11)}</dd>"
    )
    facts = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in report.model.items())
    speed = "".join(f"<dt>{escape(key)}</dt><dd>{value:.3g}</dd>" for key, value in report.speed.items())
    protocol = "".join(f"<li>{escape(line)}</li>" for line in report.protocol)
    return (
        f'<div class="two"><div><h3>COCO and VOC</h3><dl>{numbers}{voc}</dl></div>'
        f"<div><h3>Model</h3><dl>{facts or '<dt>not stated</dt><dd></dd>'}{speed}</dl>"
        f"<h3>How they were made</h3><ul>{protocol}</ul></div></div>"
    )


def _keys(*kinds: str) -> str:
    keys = "".join(f'<span class="key"><i class="{kind}"></i>{_KEYS[kind]}</span>' for kind in kinds)
    return f"<p>{keys}</p>"


def _gallery(report: Report, chosen: Sequence[Example], *, large: bool = False) -> str:
    figures = "".join(
        f"<figure>{_image(picture, one)}<figcaption><b>{escape(one.title)}</b>{escape(one.reason)}"
        f'<div class="file">{escape(Path(one.image).name)}</div></figcaption></figure>'
        for one, picture in zip(chosen, pictures(Path(report.root), chosen), strict=True)
    )
    return f'<div class="gallery{" large" if large else ""}">{figures}</div>'


def _image(picture: Picture | None, example: Example) -> str:
    if picture is None:
        return f'<div class="gone">{escape(example.image)} cannot be read</div>'
    data = base64.b64encode(picture.content).decode()
    return (
        f'<img src="data:image/jpeg;base64,{data}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(f"{example.title}: {example.reason}")}">'
    )


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


SECTIONS: tuple[tuple[str, str, Callable[[Report], str]], ...] = (
    ("typical", "Typical images", _typical),
    ("losses", "What costs the most", _losses),
    ("classes", "Classes", _classes),
    ("threshold", "Scores and thresholds", _threshold),
    ("confusion", "What is taken for what", _confusion),
    ("sizes", "Small and large objects", _sizes),
    ("wrong", "Surest false positives", _false_positives),
    ("missed", "Largest misses", _misses),
    ("numbers", "All numbers", _numbers),
)
"""Anchor, heading and content; a section without content is left out."""
