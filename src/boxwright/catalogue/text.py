"""The catalogue as text: a table within 100 columns, its sources numbered below."""

from __future__ import annotations

from collections.abc import Sequence

from boxwright.catalogue.entries import COCO_CLASSES, Entry
from boxwright.catalogue.published import UNITS, Figure

HEAD = (
    f"Counted, not copied: parameters with {COCO_CLASSES} classes for detectors; GFLOPs of one image, where a\n"
    "multiply-add is 2 operations (papers often call it 1); a free input is a 640 x 480 photograph."
)
WEIGHTS = (
    "Weights: a packaged model comes with boxwright; a torchvision file is a whole detector of COCO's\n"
    "classes; ImageNet starts the backbone, from an installed package (here) or torchvision's file;\n"
    "unverified layouts are known by their published names, with no outputs to hold them against."
)


def table(rows: Sequence[Entry]) -> str:
    """All rows with heads and sources."""
    sources = list(dict.fromkeys(_source(figure) for row in rows for figure in row.published[:1]))
    lines = [HEAD]
    for kind in ("detector", "classifier"):
        part = [row for row in rows if row.kind == kind]
        if part:
            lines += ["", _line(kind, "input", "M params", "GFLOPs", "weights", "published")]
            lines += [_line(*_cells(row, sources)) for row in part]
    lines += ["", WEIGHTS, "", "Published:"]
    lines += [f" [{number}] {source}" for number, source in enumerate(sources, 1)]
    return "\n".join(lines)


def millions(parameters: int) -> str:
    """Parameters in millions, with three digits that tell.

    >>> millions(11_689_512), millions(269_722)
    ('11.69', '0.270')
    """
    return f"{parameters / 1e6:.2f}" if parameters >= 1e6 else f"{parameters / 1e6:.3f}"


def giga(gflops: float) -> str:
    """GFLOPs, with three digits that tell.

    >>> giga(405.56), giga(3.628), giga(0.0811)
    ('406', '3.63', '0.081')
    """
    return f"{gflops:.0f}" if gflops >= 100 else f"{gflops:.2f}" if gflops >= 1 else f"{gflops:.3f}"


def figure_in_words(figure: Figure) -> str:
    """Such as "COCO AP 35.7 (at 800 px)"."""
    how = f" ({figure.how})" if figure.how else ""
    return f"{figure.metric} {UNITS[figure.metric]} {figure.value:g}{how}"


def _cells(row: Entry, sources: list[str]) -> tuple[str, ...]:
    # Only the first: no more fits into the line, and the rest is in the detail.
    first = [f"{f.metric} {f.value:g} [{sources.index(_source(f)) + 1}]" for f in row.published[:1]]
    return (
        row.name,
        row.input,
        millions(row.cost.parameters),
        giga(row.cost.gflops),
        row.weights[0].origin if row.weights else "none",
        "".join(first),
    )


def _source(figure: Figure) -> str:
    return figure.source + (f"; {figure.how}" if figure.how else "")


def _line(name: str, size: str, parameters: str, gflops: str, weights: str, published: str) -> str:
    return f"{name:32}  {size:>8}  {parameters:>8}  {gflops:>7}  {weights:16}  {published}".rstrip()
