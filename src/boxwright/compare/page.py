"""The comparison as one page, in the style of the report."""

from __future__ import annotations

import math
from pathlib import Path

from boxwright.compare.plots import COLOURS, Curve, Dot, curves, scatter
from boxwright.compare.record import Run
from boxwright.compare.summary import Comparison, Row, mean, shared, spread
from boxwright.compare.table import cells, failures
from boxwright.evaluate.shell import shell
from boxwright.evaluate.style import CSS
from boxwright.files import write_text
from boxwright.markup import escape

_LIGHT = ("#0a64ad", "#d65108", "#009e73", "#c23a98", "#7a5cc4", "#a07800", "#1f8ea6", "#8c564b", "#5d636c")
_DARK = ("#6cb4f5", "#ff8a4c", "#2fc79b", "#ea7cc8", "#b39df0", "#e0b83a", "#5fcfe6", "#c99a90", "#9ba1ab")


def colours() -> str:
    """Rules for the variants' colours: the class sets `color`, and marks, lines and names take it."""
    light, dark = (
        "".join(f".s{k}{{color:{colour}}}" for k, colour in enumerate(palette))
        for palette in ((*_LIGHT, "#7f8a00"), (*_DARK, "#c5d14a"))
    )
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


DOTS = """.dot{fill:currentColor}.error{stroke:currentColor;stroke-width:1.4;fill:none;stroke-opacity:.65}
.curve{stroke:currentColor;stroke-width:1.6;fill:none;stroke-opacity:.8}
.plot text.name{fill:currentColor;font-weight:600}
"""
STYLE = (
    CSS
    + colours()
    + DOTS
    + """td i.s{display:inline-block;width:10px;height:10px;border-radius:5px;background:currentColor;margin-right:7px}
td.what{min-width:240px;overflow-wrap:anywhere}td.what .soft{font-size:12px;padding-left:17px}
main a{color:var(--accent)}
"""
)


FILE = "compare.html"


def save(comparison: Comparison, out: Path) -> Path:
    """Write `compare.html`.

    Returns:
        its path.
    """
    target = out / FILE
    write_text(target, page(comparison, out))
    return target


def page(comparison: Comparison, out: Path) -> str:
    """The whole page; the runs' own reports are linked relative to `out`."""
    title = f"{len(comparison.rows)} variants on {comparison.data}"
    lead = f'<p class="lead">{escape(comparison.question)}</p>' if comparison.question else ""
    notes = (*comparison.notes, *failures(comparison))
    machine = ", ".join(f"{key} {value}" for key, value in comparison.machine.items())
    return shell(
        title,
        STYLE,
        f'<h1>{escape(title)}</h1><p class="soft">Figures of {escape(comparison.tested)}</p>{lead}'
        f"<p>{escape(comparison.held)}</p>"
        + "".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        (
            ("table", "The table", _table(comparison)),
            ("cost", "Accuracy and what it costs", _plots(comparison)),
            ("learning", "Learning curves", _learning(comparison)),
            ("runs", "Every run", _runs(comparison, out)),
        ),
        f"Made by boxwright compare on {escape(machine)}. The same numbers, and more digits, are in "
        "compare.json and compare.csv.",
    )


def _table(comparison: Comparison) -> str:
    (_, *head), lines = cells(comparison)
    common = shared(comparison.rows)
    rows = ""
    for number, (row, (name, *values)) in enumerate(zip(comparison.rows, lines, strict=True)):
        what = [one for one in row.told() if one not in common and one != row.label]
        rows += (
            f'<tr><td class="text what"><i class="s s{number % COLOURS}"></i><b>{escape(name)}</b>'
            f'<div class="soft">{"<br>".join(escape(one) for one in what)}</div></td>'
            + "".join(f"<td>{escape(value)}</td>" for value in values)
            + "</tr>"
        )
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    all_have = f"<p>All variants: {escape(', '.join(common))}.</p>" if common else ""
    return (
        "<p>Mean and standard deviation over seeds; accuracies in percent; a multiply-add is 2 operations.</p>"
        f'{all_have}<div class="scroll"><table><tr><th>variant</th>{titles}</tr>{rows}</table></div>'
    )


def _plots(comparison: Comparison) -> str:
    metric = comparison.metrics[0]
    speed = scatter(
        [_dot(row, number, metric, *_speed(row)) for number, row in enumerate(comparison.rows) if row.speed],
        "milliseconds an image",
        f"{metric}, %",
    )
    minutes = scatter(
        [_dot(row, k, metric, *_minutes(row)) for k, row in enumerate(comparison.rows) if row.finished],
        "training, minutes",
        f"{metric}, %",
    )
    shown = (("Against speed", speed), ("Against training time", minutes))
    figures = [f"<figure><h3>{name}</h3>{plot}</figure>" for name, plot in shown if plot]
    if not figures:
        return ""
    return (
        "<p>Bars: one standard deviation over seeds; for speed, the middle half of the rounds.</p>"
        f'<div class="{"two" if len(figures) > 1 else "narrow"}">{"".join(figures)}</div>'
    )


def _dot(row: Row, number: int, metric: str, x: float, low: float, high: float) -> Dot:
    values = row.values(metric)
    middle, sd = 100 * mean(values), 100 * spread(values)
    wide = 0.0 if math.isnan(sd) else sd
    return Dot(row.label, number, x, middle, (low, high), (middle - wide, middle + wide))


def _speed(row: Row) -> tuple[float, float, float]:
    assert row.speed is not None
    return row.speed.ms, row.speed.low, row.speed.high


def _minutes(row: Row) -> tuple[float, float, float]:
    minutes = [seconds / 60 for seconds in row.seconds()]
    middle, sd = mean(minutes), spread(minutes)
    wide = 0.0 if math.isnan(sd) else sd
    return middle, max(middle - wide, 0.0), middle + wide


def _learning(comparison: Comparison) -> str:
    lines = [
        Curve(
            f"{row.label}, seed {run.started.seed}",
            number,
            tuple((epoch, 100 * value) for epoch, value in run.curve),
        )
        for number, row in enumerate(comparison.rows)
        for run in row.runs
    ]
    plot = curves(lines, "on validation images, %")
    if not plot:
        return ""
    keys = "".join(
        f'<span class="key solid s{number % COLOURS}"><i></i>{escape(row.label)}</span>'
        for number, row in enumerate(comparison.rows)
    )
    return (
        "<p>The figure that chooses each run's best weights, at every validation; a line for each run.</p>"
        f'<p>{keys}</p><figure class="narrow">{plot}</figure>'
    )


def _runs(comparison: Comparison, out: Path) -> str:
    titles = "".join(
        f"<th>{name}</th>" for name in ("run", *comparison.metrics, "training min", "iterations")
    )
    rows = "".join(_run(run, comparison, out) for row in comparison.rows for run in row.runs)
    return f'<div class="scroll"><table><tr>{titles}<th class="text">pages</th></tr>{rows}</table></div>'


def _run(run: Run, comparison: Comparison, out: Path) -> str:
    name = f"{run.started.label}, seed {run.started.seed}"
    first = f'<tr><td class="name" title="{escape(name)}">{escape(name)}</td>'
    if run.result is None:
        why = f"failed: {run.failure}" if run.failure else "not finished"
        return f'{first}<td class="text" colspan="{len(comparison.metrics) + 3}">{escape(why)}</td></tr>'
    result = run.result
    values = "".join(f"<td>{100 * result.figures.get(key, math.nan):.1f}</td>" for key in comparison.metrics)
    place = escape(run.folder.relative_to(out).as_posix())
    links = " · ".join(
        f'<a href="{place}/{file}">{what}</a>'
        for what, file in (("test", "test/report.html"), ("validation", "report.html"))
        if (run.folder / file).exists()
    )
    return (
        f"{first}{values}<td>{result.seconds / 60:.1f}</td><td>{result.iterations}</td>"
        f'<td class="text">{links}</td></tr>'
    )
