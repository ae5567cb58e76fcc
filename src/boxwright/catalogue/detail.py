"""One model of the catalogue in detail: where its levels look, what boxes lie on them, what its settings mean."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from boxwright.backbones.classifiers import CLASSIFIERS, ClassifierSpec
from boxwright.catalogue.counting import input_size
from boxwright.catalogue.entries import COCO_CLASSES, Entry
from boxwright.catalogue.text import figure_in_words, giga, millions
from boxwright.features import FeatureSpec
from boxwright.recipes import RECIPES, Recipe

WIDTH = 100


@dataclass(frozen=True)
class Level:
    """A feature map.

    Attributes:
        name: the tap's, or the level's number.
        channels: of the map.
        stride: pixels between neighbouring cells.
        first_centre: (row, column) of the first cell's receptive field's centre, in pixels.
        cells: (rows, columns) for the counted input.
        shapes: (width, height) of the boxes on every cell, in pixels of the input.
    """

    name: str
    channels: int
    stride: int
    first_centre: tuple[float, float]
    cells: tuple[int, int]
    shapes: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Setting:
    """A setting as `--set` knows it.

    Attributes:
        name: such as "model.size".
        value: of this recipe.
        meaning: what it is.
    """

    name: str
    value: str
    meaning: str


def levels(name: str) -> tuple[Level, ...]:
    """A recipe's levels with their priors, or a classifier's taps."""
    if name in CLASSIFIERS:
        return tuple(_taps(CLASSIFIERS[name]))
    with torch.device("meta"):
        parts = RECIPES[name].build(COCO_CLASSES, RECIPES[name].settings)
    dense = parts.net.dense
    if dense is None:
        return ()
    size = input_size(parts.preprocess)
    shapes = dense.priors.shapes
    return tuple(
        _level(str(number), spec, size, own)
        for number, (spec, own) in enumerate(zip(dense.neck.specs, shapes, strict=True), 1)
    )


def settings(recipe: Recipe) -> Iterator[Setting]:
    """What can be changed about a recipe, with the values it has: its own settings, augmentation and training."""
    for group, record in (("model", recipe.settings), ("augment", recipe.augment), ("train", recipe.train)):
        # A record explains its own fields; those that it inherits are explained where they are.
        kinds = reversed(type(record).__mro__)
        meanings = {k: v for kind in kinds for k, v in attributes(kind.__doc__ or "").items()}
        for field in fields(record):
            value = _text(getattr(record, field.name))
            yield Setting(f"{group}.{field.name}", value, meanings.get(field.name, ""))


def attributes(docstring: str) -> dict[str, str]:
    """The meanings that a docstring's "Attributes:" gives, by name; names that share one line share it.

    >>> attributes(\"\"\"A box.
    ...
    ...     Attributes:
    ...         width, height: in pixels,
    ...             both of them.
    ...         label: its name.
    ... \"\"\")
    {'width': 'in pixels, both of them.', 'height': 'in pixels, both of them.', 'label': 'its name.'}
    """
    found: dict[str, str] = {}
    names: list[str] = []
    _, _, listed = docstring.partition("Attributes:\n")
    for line in textwrap.dedent(listed).splitlines():
        if not line.strip():
            break
        begins = re.match(r"([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)", line)
        if begins:
            names = begins[1].split(", ")
            found |= dict.fromkeys(names, begins[2].strip())
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def text(entry: Entry) -> str:
    """Everything about one model, within 100 columns."""
    lines = [entry.name, *_wrapped(entry.summary)]
    if entry.source:
        lines += _wrapped(entry.source)
    cost = entry.cost
    lines += [
        "",
        f"input {entry.input} px, {millions(cost.parameters)} million parameters ({cost.parameters:,}), "
        f"{giga(cost.gflops)} GFLOPs (multiply-add = 2)",
        "",
        "weights:",
        *(line for one in entry.weights for line in _wrapped(f"{one.origin}: {one.what}", "  ")),
        *([] if entry.weights else ["  none; it starts fresh"]),
    ]
    if entry.published:
        lines += ["", "published:"]
        for figure in entry.published:
            lines += _wrapped(f"{figure_in_words(figure)}: {figure.source}", "  ")
    lines += ["", *_level_table(levels(entry.name))]
    if entry.name in RECIPES:
        lines += ["", "settings (--set NAME=VALUE):"]
        for one in settings(RECIPES[entry.name]):
            lines += _wrapped(f"{one.name}={one.value}", "  ") + _wrapped(one.meaning, "      ")
    return "\n".join(lines)


def _taps(spec: ClassifierSpec) -> Iterator[Level]:
    with torch.device("meta"):
        specs: Sequence[FeatureSpec] = spec.trunk(spec.taps).specs  # type: ignore[assignment]
    for tap, one in zip(spec.taps, specs, strict=True):
        yield _level(tap, one, (spec.size, spec.size))


def _level(
    name: str, spec: FeatureSpec, size: tuple[int, int], shapes: tuple[tuple[float, float], ...] = ()
) -> Level:
    height, width = size
    return Level(
        name,
        spec.channels,
        spec.stride,
        (spec.first_centre(height), spec.first_centre(width)),
        (spec.cells(height), spec.cells(width)),
        shapes,
    )


def _level_table(rows: Sequence[Level]) -> Iterator[str]:
    boxes = any(row.shapes for row in rows)
    yield f"{'level' if boxes else 'tap':8} channels  stride  first centre      cells" + (
        "    priors  width x height on every cell" if boxes else ""
    )
    for row in rows:
        centre = " x ".join(f"{value:g}" for value in dict.fromkeys(row.first_centre))
        cells = f"{row.cells[0]} x {row.cells[1]}"
        line = f"{row.name:8} {row.channels:8}  {row.stride:6}  {centre:>12}  {cells:>9}"
        if not boxes:
            yield line
            continue
        line += f"  {row.cells[0] * row.cells[1] * len(row.shapes):8}  "
        listed = ", ".join(f"{w:.0f}x{h:.0f}" for w, h in row.shapes)
        first, *more = textwrap.wrap(listed, WIDTH - len(line))
        yield line + first
        yield from (" " * len(line) + part for part in more)
    if boxes:
        yield f"{sum(row.cells[0] * row.cells[1] * len(row.shapes) for row in rows)} priors in all"


def _wrapped(line: str, indent: str = "") -> list[str]:
    return textwrap.wrap(line, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _text(value: Any) -> str:
    """A value as `--set` reads it.

    >>> _text(((2.0, 3.0), (2.0,))), _text(True), _text(0.0010)
    ('2,3;2', 'true', '0.001')
    """
    if isinstance(value, tuple):
        return (";" if value and isinstance(value[0], tuple) else ",").join(_text(one) for one in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
