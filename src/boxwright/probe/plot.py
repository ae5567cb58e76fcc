"""The probe's curves: a column for each change, a row for each way to look at a map, a line for each tap."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from boxwright.files import write_bytes
from boxwright.probe.changes import CHANGES, Change
from boxwright.probe.run import Probed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, LINE = "#17191c", "#5d636c", "#e2e2dc"
BASELINES = {"pixels": ("#c0392b", "--"), "mean colour": ("#c0392b", ":"), "histogram": ("#b58900", "--")}
ROWS = {"flatten": "maps, value by value", "mean": "each channel's mean", "max": "each channel's largest"}
TOP = 1.6
"""Of the upright axis; what moves further leaves the panel."""


def draw(probed: Probed, path: Path) -> None:
    """Write the curves as a PNG.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure as Sheet  # an extra that only this needs

    taps: dict[str, list[str]] = {}
    for one in probed.representations:
        if one.name not in BASELINES:
            tap, pool = one.name.split(" ")
            taps.setdefault(pool, []).append(tap)
    sheet = Sheet(figsize=(2.35 * len(CHANGES) + 0.6, 2.5 * len(taps) + 1.4), facecolor="#ffffff")
    below, above = 0.9 / sheet.get_figheight(), 1 - 0.75 / sheet.get_figheight()
    grid = {"left": 0.045, "right": 0.99, "bottom": below, "top": above, "wspace": 0.08, "hspace": 0.12}
    panels = sheet.subplots(
        len(taps), len(CHANGES), sharex="col", sharey=True, squeeze=False, gridspec_kw=grid
    )
    for row, (pool, names) in enumerate(taps.items()):
        for panel, change in zip(panels[row], CHANGES, strict=True):
            for name, (colour, dash) in BASELINES.items():
                _curve(panel, probed, name, change, name, colour, dash)
            for number, tap in enumerate(names):
                shade = colormaps["viridis"](0.95 - 0.9 * number / max(1, len(names) - 1))
                _curve(panel, probed, f"{tap} {pool}", change, tap, shade, "-")
            _frame(panel, change)
            if row == 0:
                panel.set_title(change.name, fontsize=11, color=INK)
            if row == len(taps) - 1:
                panel.set_xlabel(change.unit, fontsize=9, color=SOFT)
        panels[row][0].set_ylabel(f"moved\n{ROWS[pool]}", fontsize=9, color=SOFT)
    handles, labels = panels[0][0].get_legend_handles_labels()
    sheet.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=9)
    about = f"{probed.network}, {probed.pictures} pictures at {probed.size} px"
    sheet.suptitle(
        f"How far a change moves a picture, in distances of two pictures: {about}",
        x=0.045,
        ha="left",
        fontsize=12,
        color=INK,
    )
    file = BytesIO()
    sheet.savefig(file, format="png", dpi=100)
    write_bytes(path, file.getvalue())


def _curve(
    panel: Axes, probed: Probed, name: str, change: Change, label: str, colour: object, dash: str
) -> None:
    points = {change.none: 0.0}
    points |= {
        strength: probed.figure(name, change.name, strength).moved for strength in change.fitting(probed.size)
    }
    across = sorted(points)
    width = 1.3 if name in BASELINES else 1.6
    panel.plot(
        across, [points[x] for x in across], dash, color=colour, linewidth=width, marker=".", label=label
    )


def _frame(panel: Axes, change: Change) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if change.none:  # factors: twice as much is as far as half as much
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_locator(FixedLocator(sorted((change.none, *change.strengths))))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.2f}".rstrip("0").rstrip(".")))
    panel.set_ylim(0, TOP)
    panel.axhline(1, color=SOFT, linewidth=0.8)
    panel.grid(color=LINE, linewidth=0.8)
    panel.tick_params(labelsize=8, colors=SOFT)
    for side in panel.spines.values():
        side.set_color(LINE)
