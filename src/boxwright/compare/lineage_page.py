"""The lineage as a page: a table of one's own runs, the papers' beside it, and both as one picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxwright.compare.lineage import QUESTION, Split
from boxwright.compare.page import DOTS, colours
from boxwright.compare.plots import ABOVE, BELOW, COLOURS, HEIGHT, WIDTH, Dot, scatter
from boxwright.compare.record import Run
from boxwright.compare.summary import Comparison, Row, mean
from boxwright.compare.table import with_spread
from boxwright.evaluate.plots import svg
from boxwright.evaluate.style import INK
from boxwright.files import write_text

PAGE, PICTURE = "lineage.md", "lineage.svg"
_STYLE = f"""{INK}{colours()}{DOTS}
svg{{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-size:11px}}text{{fill:var(--soft)}}
.title{{fill:var(--ink);font-size:15px;font-weight:600}}.back{{fill:var(--card)}}
.frame{{fill:none;stroke:var(--line)}}.grid{{stroke:var(--line);fill:none;stroke-width:.7}}
"""


@dataclass(frozen=True)
class Published:
    """What a paper reached.

    Attributes:
        label: the variant that it is the ancestor of.
        system: as the paper calls it.
        accuracy: 11-point mAP on VOC 2007's test images, trained on VOC 2007; nan where none was published.
        hours: of training; nan likewise.
        proposals, network: seconds an image; what follows is counted with the network.
        on: hardware.
        source: where it stands.
    """

    label: str
    system: str
    accuracy: float
    hours: float
    proposals: float
    network: float
    on: str
    source: str


_NONE = math.nan
PUBLISHED = (
    Published("r-cnn", "R-CNN, VGG-16", 66.0, 84, _NONE, 47.0, "K40", "Girshick 2015, tables 1 and 4"),
    Published("fast-r-cnn", "Fast R-CNN, VGG-16", 66.9, 9.5, 1.51, 0.32, "K40", "Girshick 2015; Ren 2015"),
    Published("faster-r-cnn", "Faster R-CNN, VGG-16", 69.9, _NONE, 0.01, 0.188, "K40", "Ren 2015, table 5"),
    Published("ssd", "SSD300, VGG-16", 68.0, _NONE, 0.0, 1 / 46, "Titan X", "Liu 2016, tables 1 and 7"),
)


def save(comparison: Comparison, splits: Mapping[str, Split], out: Path) -> Path:
    """Write `lineage.md` and the picture that it shows.

    Args:
        comparison: of the lineage's runs.
        splits: by label.
        out: folder.

    Returns:
        the page's path.
    """
    write_text(out / PICTURE, picture(comparison, splits))
    write_text(out / PAGE, page(comparison, splits))
    return out / PAGE


def page(comparison: Comparison, splits: Mapping[str, Split]) -> str:
    """The page as Markdown."""
    machine = ", ".join(f"{key} {value}" for key, value in comparison.machine.items())
    parts = [
        "# The lineage",
        QUESTION
        + " Every step on the same backbone (EfficientNet-Lite0), from the same weights, on the same images; "
        "each judges boxes, and differs in where they come from and how often the network looks.",
        f"Made by `boxwright compare DATA --lineage`; figures of {comparison.data}, {comparison.tested}; {machine}.",
        f"![Accuracy against seconds an image: measured here, and in the papers]({PICTURE})",
        "## Measured",
        _markdown(_HEAD, [_measured(row, splits.get(row.label)) for row in comparison.rows]),
        "Seconds are of one image at a time in eager torch, the detectors in turns, medians; reading and resizing are "
        "not counted. *Proposals*: Selective Search, windows, or what Faster R-CNN does between its pyramid and its "
        "second stage. *Boxes* are what is judged: anchors, windows or regions; *recall* is the part of the objects "
        "that one of them overlaps by half before any is moved.",
        *_told(comparison.rows, splits),
        "## Published",
        _markdown(_PAPERS, [_published(one) for one in PUBLISHED]),
        "mAP on VOC 2007's test images (11 points), trained on VOC 2007; proposals of R-CNN are not in its time.",
        "\n".join(f"- {line}" for line in (comparison.held, *_failures(comparison.rows))),
    ]
    return "\n\n".join(parts) + "\n"


_HEAD = (
    "detector",
    "AP50",
    "AP",
    "training, min",
    "proposals, s",
    "network, s",
    "after, s",
    "in all, s",
    "boxes",
    "recall",
)
_PAPERS = ("system", "mAP", "training, h", "proposals, s", "network and after, s", "on", "source")


def _measured(row: Row, split: Split | None) -> list[str]:
    accuracies = [with_spread(row.values(name), 100, 1) for name in ("AP50", "AP")]
    cells = [row.label, *accuracies, with_spread([value / 60 for value in row.seconds()], 1, 1)]
    if split is None:
        return [*cells, *(["–"] * 6)]
    times = (split.proposals, split.network, split.after, split.seconds)
    return [*cells, *map(_seconds, times), f"{split.priors:,.0f}", f"{split.recall:.3f}"]


def _published(one: Published) -> list[str]:
    plain = [f"{value:g}" if math.isfinite(value) else "–" for value in (one.accuracy, one.hours)]
    return [one.system, *plain, _seconds(one.proposals), _seconds(one.network), one.on, one.source]


def _seconds(value: float) -> str:
    """Three digits; nothing at all as 0.

    >>> _seconds(5.4321), _seconds(0.0123456), _seconds(0.0), _seconds(math.nan)
    ('5.43', '0.0123', '0', '–')
    """
    return "–" if math.isnan(value) else f"{value:.3g}" if value >= 1e-5 else "0"


def _told(rows: Sequence[Row], splits: Mapping[str, Split]) -> list[str]:
    """The lineage's two leaps in one's own numbers, where they were measured."""
    told = []
    if {"r-cnn", "fast-r-cnn"} <= splits.keys():
        old, new = splits["r-cnn"], splits["fast-r-cnn"]
        ratio = (old.network + old.after) / (new.network + new.after)
        told.append(
            f"Fast R-CNN detects {ratio:.0f} times as fast as R-CNN, proposals apart (the paper: 146)."
        )
    if {"fast-r-cnn", "faster-r-cnn"} <= splits.keys():
        ratio = splits["fast-r-cnn"].seconds / splits["faster-r-cnn"].seconds
        told.append(
            f"Faster R-CNN detects {ratio:.1f} times as fast as Fast R-CNN, proposals counted (the papers: 9)."
        )
    spent = {row.label: mean(row.seconds()) for row in rows if row.finished}
    if {"r-cnn", "fast-r-cnn"} <= spent.keys():
        ratio = spent["r-cnn"] / spent["fast-r-cnn"]
        told.append(f"Training Fast R-CNN took 1/{ratio:.1f} of the time of R-CNN (the paper: 1/8.8).")
    return ["\n".join(f"- {line}" for line in told)] if told else []


def _failures(rows: Sequence[Row]) -> list[str]:
    failed: list[tuple[Row, Run]] = [(row, run) for row in rows for run in row.runs if run.failure]
    return [f"{row.label}, seed {run.started.seed} failed: {run.failure}" for row, run in failed]


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *(["---:"] * (len(head) - 1))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def picture(comparison: Comparison, splits: Mapping[str, Split]) -> str:
    """Accuracy against seconds, of one's own runs and of the papers', side by side as one SVG document."""
    number = {row.label: place for place, row in enumerate(comparison.rows)}
    own = [
        Dot(row.label, place, seconds, value, (seconds, seconds), (value, value))
        for row, place in zip(comparison.rows, number.values(), strict=True)
        if row.label in splits and row.finished
        for seconds, value in [(splits[row.label].seconds, 100 * mean(row.values("AP50")))]
    ]
    theirs = [
        Dot(one.system.partition(",")[0], number.get(one.label, COLOURS - 1), *place)
        for one in PUBLISHED
        for seconds in [one.network + (0 if math.isnan(one.proposals) else one.proposals)]
        for place in [(seconds, one.accuracy, (seconds, seconds), (one.accuracy, one.accuracy))]
    ]
    panels = (
        (scatter(own, "seconds an image", "AP50, %"), f"Measured here: {comparison.data}"),
        (scatter(theirs, "seconds an image", "mAP, %"), "The papers: VOC 2007, on GPUs of their years"),
    )
    body = f'<style>{_STYLE}</style><rect class="back" width="100%" height="100%"/>'
    for place, (panel, title) in enumerate(panels):
        left = place * (WIDTH + 90) + 20
        body += f'<text class="title" x="{left}" y="24">{title}</text>'
        body += panel.replace("<svg ", f'<svg x="{left}" y="34" height="{ABOVE + HEIGHT + BELOW:g}" ', 1)
    drawn = svg(
        2 * (WIDTH + 90), ABOVE + HEIGHT + BELOW + 44, body, "Accuracy against seconds an image", "lineage"
    )
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
