"""The comparison as text: for a terminal, for documents, and as JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boxwright.catalogue.text import giga, millions
from boxwright.compare.record import Run
from boxwright.compare.summary import Comparison, mean, spread
from boxwright.evaluate.plain import to_plain
from boxwright.files import write_text


def cells(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """The table's head and its lines, as text."""
    head = [
        "model",
        *comparison.metrics,
        "ms an image",
        "M params",
        "GFLOPs",
        "training min",
        "images/s",
        "runs",
    ]
    lines = []
    for row in comparison.rows:
        failed = sum(bool(run.failure) for run in row.runs)
        lines.append(
            [
                row.label,
                *(with_spread(row.values(metric), 100, 1) for metric in comparison.metrics),
                f"{row.speed.ms:.1f}{'' if not row.speed.note else ' *'}" if row.speed else "–",
                millions(row.parameters),
                giga(row.gflops),
                with_spread([value / 60 for value in row.seconds()], 1, 1),
                f"{row.pace():.1f}" if row.finished else "–",
                f"{len(row.finished)}" + (f" ({failed} failed)" if failed else ""),
            ]
        )
    return head, lines


def with_spread(values: Sequence[float], scale: float, digits: int) -> str:
    """Mean and standard deviation.

    >>> with_spread([0.51, 0.53], 100, 1), with_spread([0.5], 100, 1), with_spread([], 100, 1)
    ('52.0 ± 1.4', '50.0', '–')
    """
    if not values:
        return "–"
    text = f"{scale * mean(values):.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {scale * spread(values):.{digits}f}"


def plain(comparison: Comparison) -> str:
    """The table for a terminal."""
    head, lines = cells(comparison)
    widths = [max(len(line[k]) for line in [head, *lines]) for k in range(len(head))]
    shown = [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [head, *lines]
    ]
    return "\n".join(
        [f"{comparison.data}: {comparison.tested}", *shown, *failures(comparison), comparison.held]
    )


def markdown(comparison: Comparison) -> str:
    """The table for documents."""
    head, lines = cells(comparison)
    table = [head, ["---", *(["---:"] * (len(head) - 1))], *lines]
    body = ["| " + " | ".join(line) + " |" for line in table]
    said = [comparison.question] if comparison.question else []
    said += [f"Figures of {comparison.data}, {comparison.tested}; mean ± standard deviation over seeds."]
    end = [comparison.held, *comparison.notes, *failures(comparison)]
    return "\n".join([*said, "", *body, "", *(f"- {line}" for line in end), ""])


def failures(comparison: Comparison) -> list[str]:
    """A line for each run that failed."""
    return [
        f"{row.label}, seed {run.started.seed} failed: {run.failure}"
        for row in comparison.rows
        for run in row.runs
        if run.failure
    ]


FILES = ("compare.json", "compare.csv", "compare.md")
"""What `save` writes."""


def save(comparison: Comparison, out: Path) -> None:
    """Write `compare.json`, `compare.csv` (a line for each run) and `compare.md`."""
    values = to_plain(comparison)
    for row, shown in zip(comparison.rows, values["rows"], strict=True):
        shown["runs"] = [_run_values(run) for run in row.runs]
        numbers = {name: row.values(name) for name in comparison.metrics}
        shown["figures"] = {
            name: to_plain({"mean": mean(own), "sd": spread(own)}) for name, own in numbers.items()
        }
    write_text(out / "compare.json", json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(out / "compare.csv", _csv(comparison))
    write_text(out / "compare.md", markdown(comparison))


def _run_values(run: Run) -> dict[str, Any]:
    result = to_plain(run.result) if run.result is not None else {}
    return {
        "seed": run.started.seed,
        **result,
        "images_per_second": to_plain(run.images_per_second),
        "failure": run.failure,
        "curve": [list(point) for point in run.curve],
    }


def _csv(comparison: Comparison) -> str:
    """A line for each run; what is of the variant stands in all of its lines."""
    text = io.StringIO()
    names = ("model", "recipe", "seed", *comparison.metrics, "ms", "parameters", "gflops")
    names += ("seconds", "images_per_second", "failure")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in comparison.rows:
        shared = {
            "model": row.label,
            "recipe": row.recipe,
            "parameters": row.parameters,
            "gflops": row.gflops,
        }
        if row.speed is not None:
            shared["ms"] = row.speed.ms
        for run in row.runs:
            line: dict[str, Any] = {**shared, "seed": run.started.seed, "failure": run.failure}
            if run.result is not None:
                line |= {name: run.result.figures.get(name, "") for name in comparison.metrics}
                line |= {"seconds": run.result.seconds, "images_per_second": run.images_per_second}
            writer.writerow(line)
    return text.getvalue()
