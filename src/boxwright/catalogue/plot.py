"""Accuracy against parameters and against arithmetic: ResNet and its descendants beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from boxwright.catalogue.entries import Entry
from boxwright.errors import InputError
from boxwright.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
)
MARKS = "os^Dv"
REACH = (7.0, 13.0, 20.0, 29.0)
"""Distances in points at which a label may stand from its point, the nearest first."""
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
    handles, labels = left.get_legend_handles_labels()
    sheet.legend(handles, labels, loc="lower center", ncols=min(len(labels), 6), frameon=False)
    FigureCanvasAgg(sheet).draw()  # sizes of texts are known only then
    return [
        _label(left, [(point, point.parameters) for point in shown]),
        _label(right, [(point, point.gflops) for point in shown]),
    ]


def short(name: str, family: str) -> str:
    """A name without what the colour says already.

    >>> short("resnet50", "ResNet"), short("resnext50-32x4d", "ResNeXt"), short("efficientnet-b0", "EfficientNet")
    ('50', '50-32x4d', 'b0')
    """
    bare = family.lower().replace(" v1", "").replace("pre-activation ", "preact-").replace(" ", "-")
    return name.removeprefix(bare).removesuffix("-v1").strip("-") or name


def _lines(axes: Axes, rows: Sequence[tuple[Point, float]], what: str) -> None:
    for number, family in enumerate(dict.fromkeys(point.family for point, _ in rows)):
        members = [(x, point.accuracy) for point, x in rows if point.family == family]
        axes.plot(
            [x for x, _ in members],
            [y for _, y in members],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKS[number // len(COLOURS) % len(MARKS)],
            markersize=5,
            linewidth=1.4,
            label=family,
        )
    axes.set_xscale("log")
    axes.set_xlabel(what, color=SOFT)
    axes.grid(color=LINE, linewidth=0.8)
    axes.tick_params(colors=SOFT)
    axes.margins(0.06)
    for side in axes.spines.values():
        side.set_color(LINE)


def _label(axes: Axes, rows: Sequence[tuple[Point, float]]) -> list[Annotation]:
    """Each point's short name, where it lies on no other name, on no point and not outside the plot.

    A name goes to the nearest free place beside its point; the crowded ones choose first. One that finds no
    place at all is left out, which the table makes up for.
    """
    from matplotlib.transforms import Bbox

    sheet = axes.get_figure()
    assert sheet is not None
    canvas = sheet.canvas.get_renderer()  # type: ignore[attr-defined]
    places = axes.transData.transform([(x, point.accuracy) for point, x in rows])
    unit = sheet.dpi / 72
    taken = [Bbox.from_bounds(x - 3 * unit, y - 3 * unit, 6 * unit, 6 * unit) for x, y in places]
    families = list(dict.fromkeys(point.family for point, _ in rows))

    def crowd(number: int) -> float:
        distances = sorted(float(((places - places[number]) ** 2).sum(1)[k]) for k in range(len(rows)))
        return sum(distances[1:4])

    made = []
    for number in sorted(range(len(rows)), key=crowd):
        point, x = rows[number]
        for reach, side in ((reach, side) for reach in REACH for side in SIDES):
            label = axes.annotate(
                short(point.name, point.family),
                (x, point.accuracy),
                xytext=(side[0] * reach, side[1] * reach),
                textcoords="offset points",
                fontsize=8.5,
                ha="left" if side[0] > 0 else "right" if side[0] < 0 else "center",
                va="bottom" if side[1] > 0 else "top" if side[1] < 0 else "center",
                color=COLOURS[families.index(point.family) % len(COLOURS)],
                arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.5} if reach > REACH[1] else None,
            )
            # The text alone: a leader line may pass over others.
            box = _text_box(label, canvas)
            frame = axes.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                made.append(label)
                break
            label.remove()
    return made


def _text_box(label: Annotation, canvas: object) -> object:
    from matplotlib.text import Text

    label.update_positions(canvas)
    return Text.get_window_extent(label, canvas)
