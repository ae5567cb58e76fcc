"""What the probe found as text: a table, an answer in words, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict, fields
from pathlib import Path

from boxwright.evaluate.plain import to_plain
from boxwright.files import write_text
from boxwright.probe.changes import CHANGES, Change
from boxwright.probe.measure import Figure
from boxwright.probe.run import Probed

QUESTIONS = (
    ("place", ("shift", "rotation")),
    ("size", ("scale",)),
    ("colour", ("hue", "grey")),
    ("light", ("brightness", "contrast")),
)
"""What each change asks whether features care for."""
LITTLE, MUCH = 0.25, 0.75
"""Moved less than the first, a representation hardly cares; from the second on it cares much."""

HEAD = (
    "Moved: distance that the change moves a picture, over the median distance of two pictures (0: does not care;\n"
    "1: as far as another picture); then how many percent are still nearest to their own original."
)


def table(probed: Probed) -> str:
    """A line for each representation, a column for each change at its typical strength."""
    columns = [(change, typical(change, probed)) for change in CHANGES]
    width = max(len(one.name) for one in probed.representations) + 2
    lines = [HEAD, "", " " * width + "".join(f"{change.name:>12}" for change, _ in columns)]
    lines.append(" " * width + "".join(f"{strength_in_words(*column):>12}" for column in columns))
    for one in probed.representations:
        cells = [_cell(probed.figure(one.name, change.name, strength)) for change, strength in columns]
        lines.append(f"{one.name:{width}}" + "".join(f"{cell:>12}" for cell in cells))
    said = f"{probed.network}; {probed.pictures} pictures at {probed.size} px, seed {probed.seed}"
    return "\n".join([*lines, "", said])


def typical(change: Change, probed: Probed) -> float:
    """The strength that is quoted: the usual one, or the strongest that the window has room for."""
    return min(change.typical, change.fitting(probed.size)[-1])


def strength_in_words(change: Change, strength: float) -> str:
    """Short, for a table's head.

    >>> [strength_in_words(change, change.typical) for change in CHANGES]
    ['16 px', 'x1.25', '15°', '90°', '100%', '+0.15', 'x0.5']
    """
    number = f"{strength:.2f}".rstrip("0").rstrip(".")
    marks = {"shift": f"{number} px", "grey": f"{100 * strength:.0f}%", "brightness": f"{strength:+.2f}"}
    usual = f"x{number}" if change.none else f"{number}°"
    return marks.get(change.name, usual)


def answer(probed: Probed) -> str:
    """Whether the deepest pooled features care for place, size, colour and light, in words and figures.

    The representation is the last tap by its mean; by its largest values, or as a flat map, where the mean was not
    asked for. Each change counts at its typical strength.
    """
    tap = probed.representations[-1].name.split(" ")[0]
    known = [one.name for one in probed.representations]
    last = next(f"{tap} {pool}" for pool in ("mean", "max", "flatten") if f"{tap} {pool}" in known)
    lines = [f"Does {probed.network} care? As {last}, and in brackets raw pixels:"]
    for question, names in QUESTIONS:
        said, most = [], []
        for change in CHANGES:
            if change.name in names:
                strength = typical(change, probed)
                own, raw = (probed.figure(name, change.name, strength) for name in (last, "pixels"))
                said.append(
                    f"{change.name} {strength_in_words(change, strength)} moved {_number(own.moved)}, "
                    f"found {own.found:.0%} ({_number(raw.moved)}, {raw.found:.0%})"
                )
                most.append(own.moved)
        lines.append(f"  {question}: {in_words(max(most))}; {'; '.join(said)}")
    return "\n".join(lines)


def in_words(moved: float) -> str:
    """How much a representation cares that moved so far.

    >>> in_words(0.1), in_words(0.5), in_words(0.9), in_words(math.nan)
    ('hardly', 'somewhat', 'much', 'nothing can be said')
    """
    if math.isnan(moved):
        return "nothing can be said"
    return "hardly" if moved < LITTLE else "somewhat" if moved < MUCH else "much"


def as_json(probed: Probed) -> str:
    """All that was measured, on one line; what cannot be said is null."""
    return json.dumps(to_plain(probed), ensure_ascii=False, allow_nan=False)


FILES = ("probe.json", "probe.csv", "probe.txt")
"""What `save` writes."""


def save(probed: Probed, out: Path) -> None:
    """Write `probe.json`, `probe.csv` (a line for each figure) and `probe.txt` (the table and the answer)."""
    write_text(out / "probe.json", as_json(probed) + "\n")
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Figure)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in probed.figures)
    write_text(out / "probe.csv", text.getvalue())
    write_text(out / "probe.txt", f"{table(probed)}\n\n{answer(probed)}\n")


def _cell(figure: Figure) -> str:
    return f"{_number(figure.moved)} {100 * figure.found:3.0f}%"


def _number(moved: float) -> str:
    return "–" if math.isnan(moved) else f"{moved:.2f}"
