"""Accuracy against parameters and against arithmetic: ResNet and its descendants beside each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from boxwright.catalogue.entries import Entry
from boxwright.errors import InputError
from boxwright.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

INK, SOFT, LINE = "#17191c", "#5d636c", "#e2e2dc"
COLOURS = (
    "#0a64ad",
    "#d65108",
    "#009e73",
    "#c23a98",
    "#7a5cc4",
    "#b58900",
    "#2b9fb8",
    "#8c564b",
    "#5d636c",
    "#98a90b",
    "#17191c",
)
MARKS = "os^Dv"
RESIDUAL = ("ResNet", "wide ResNet", "ResNeXt", "Inception-ResNet")
"""Drawn strongest: ResNet and its descendants."""
REACH = (7.0, 13.0, 20.0, 29.0)
"""Distances in points at which a label may stand from its point, the nearest first."""
GAP = 1.5
"""Pixels between a name and the nearest line."""
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8))


@dataclass(frozen=True)
class Point:
    """A classifier in the plot: top-1 accuracy in percent, parameters in millions, GFLOPs."""

    name: str
    family: str
    accuracy: float
    parameters: float
    gflops: float


def points(rows: Sequence[Entry]) -> list[Point]:
    """The rows with a published ImageNet accuracy on one central crop of the counted size."""
    found = []
    for row in rows:
        figures = [one for one in row.published if one.metric == "ImageNet" and not one.how]
        if row.kind == "classifier" and figures:
            cost = row.cost
            found.append(Point(row.name, row.family, figures[0].value, cost.parameters / 1e6, cost.gflops))
    return found


def draw(rows: Sequence[Entry], path: Path) -> None:
    """Write the picture.

    Raises:
        InputError: no row has what can be drawn, or the file cannot be written.
    """
    from matplotlib.figure import Figure as Sheet  # an extra that only this needs

    shown = points(rows)
    if not shown:
        raise InputError("no classifier with a published ImageNet accuracy to draw", path=path)
    sheet = Sheet(figsize=(16, 9), facecolor="#ffffff")
    compose(sheet, shown)
    file = BytesIO()
    sheet.savefig(file, format="png", dpi=110)
    write_bytes(path, file.getvalue())


def compose(sheet: Figure, shown: Sequence[Point]) -> list[list[Annotation]]:
    """Both plots with their labels; returns the labels of each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    left, right = sheet.subplots(
        1,
        2,
        sharey=True,
        gridspec_kw={"left": 0.05, "right": 0.985, "bottom": 0.15, "top": 0.9, "wspace": 0.04},
    )
    _lines(left, [(point, point.parameters) for point in shown], "parameters, millions")
    _lines(right, [(point, point.gflops) for point in shown], "GFLOPs an image (a multiply-add is 2)")
    left.set_ylabel("ImageNet top-1, percent, one crop", color=SOFT)
    sheet.suptitle(
        "What accuracy costs: published top-1, counted parameters and GFLOPs",
        x=0.05,
        y=0.96,
        ha="left",
        fontsize=16,
        color=INK,
        fontweight="bold",
    )
    about = "Top-1: torchvision's first weights or the paper's, whichever is of one central crop (boxwright models)"
    sheet.text(0.05, 0.915, about, fontsize=10, color=SOFT)
    handles, labels = left.get_legend_handles_labels()
    sheet.legend(handles, labels, loc="lower center", ncols=min(len(labels), 6), frameon=False)
    FigureCanvasAgg(sheet).draw()  # sizes of texts are known only then
    return [
        _label(left, [(point, point.parameters) for point in shown]),
        _label(right, [(point, point.gflops) for point in shown]),
    ]


def short(name: str) -> str:
    """A name without what the colour says already.

    >>> short("resnet50"), short("wide-resnet50-2"), short("efficientnet-b0"), short("mobilenet-v3-large")
    ('50', '50-2', 'b0', 'v3-large')
    """
    return re.sub(r"^[a-z-]*?(?=(b|v|lite)?[0-9])", "", name)


def _lines(axes: Axes, rows: Sequence[tuple[Point, float]], what: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for number, family in enumerate(_families(rows)):
        members = [(x, point.accuracy) for point, x in rows if point.family == family]
        axes.plot(
            [x for x, _ in members],
            [y for _, y in members],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKS[number // len(COLOURS) % len(MARKS)],
            markersize=6 if family in RESIDUAL else 4.5,
            linewidth=2.4 if family in RESIDUAL else 1.1,
            label=family,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(what, color=SOFT)
    axes.grid(color=LINE, linewidth=0.8)
    axes.tick_params(which="both", colors=SOFT)
    axes.margins(0.06)
    for side in axes.spines.values():
        side.set_color(LINE)


def _label(axes: Axes, rows: Sequence[tuple[Point, float]]) -> list[Annotation]:
    """Each point's short name where it lies on no other name, on no point or line, and not outside the plot.

    A name goes to the nearest free place around its point, and over a line if there is none; the crowded ones
    choose first. One that would lie on another is left out: the table has it.
    """
    sheet = axes.get_figure()
    assert sheet is not None
    canvas: RendererBase = sheet.canvas.get_renderer()  # type: ignore[attr-defined]
    families = _families(rows)
    places = axes.transData.transform([(x, point.accuracy) for point, x in rows])
    distances = np.sort(np.linalg.norm(places[:, None] - places[None], axis=-1), axis=1)
    strokes = np.concatenate([_stroke(places, rows, family) for family in families])
    # Boxes as (left, bottom, right, top) in pixels: points, then the names that have their place.
    taken = np.concatenate((places - 3, places + 3), axis=1)
    frame = axes.get_window_extent()
    made = []
    for number in np.argsort(distances[:, 1:4].sum(1)).tolist():
        point, x = rows[number]
        alone = sum(other.family == point.family for other, _ in rows) == 1
        tried: list[tuple[int, Annotation, np.ndarray]] = []
        for reach, side in ((reach, side) for reach in REACH for side in SIDES):
            label = axes.annotate(
                point.name if alone else short(point.name),
                (x, point.accuracy),
                xytext=(side[0] * reach, side[1] * reach),
                textcoords="offset points",
                fontsize=9,
                ha="left" if side[0] > 0 else "right" if side[0] < 0 else "center",
                va="bottom" if side[1] > 0 else "top" if side[1] < 0 else "center",
                color=COLOURS[families.index(point.family) % len(COLOURS)],
                arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.5} if reach > REACH[1] else None,
            )
            box = _text_box(label, canvas)
            inside = frame.contains(*box[:2]) and frame.contains(*box[2:])
            if inside and not np.any((taken[:, :2] < box[2:]).all(1) & (taken[:, 2:] > box[:2]).all(1)):
                crossed = int(((strokes > box[:2] - GAP) & (strokes < box[2:] + GAP)).all(1).sum())
                tried.append((crossed, label, box))
                if not crossed:
                    break
            else:
                label.remove()
        if tried:
            _, best, box = min(tried, key=lambda one: one[0])
            for _, label, _ in tried:
                if label is not best:
                    label.remove()
            taken = np.concatenate((taken, box[None]))
            made.append(best)
    return made


def _families(rows: Sequence[tuple[Point, float]]) -> list[str]:
    return list(dict.fromkeys(point.family for point, _ in rows))


def _stroke(
    places: Float[np.ndarray, "row 2"], rows: Sequence[tuple[Point, float]], family: str
) -> Float[np.ndarray, "dot 2"]:
    """Dots along a family's line."""
    own = places[[point.family == family for point, _ in rows]]
    steps = np.linspace(0, 1, 100)[:, None]
    return np.concatenate([own, *(a + steps * (b - a) for a, b in pairwise(own))])


def _text_box(label: Annotation, canvas: RendererBase) -> Float[np.ndarray, "4"]:
    """(left, bottom, right, top) in pixels of the text alone: a leader line may pass over others."""
    from matplotlib.text import Text

    label.update_positions(canvas)
    return np.array(Text.get_window_extent(label, canvas).extents)
