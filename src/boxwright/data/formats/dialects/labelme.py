"""LabelMe (and X-AnyLabeling): a JSON file beside each image, with shapes told by their points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from boxwright.data.findings import finding
from boxwright.data.formats.dialects import _json
from boxwright.data.formats.entries import Entry, Thing, files_of
from boxwright.data.formats.json_kinds import json_kind
from boxwright.data.formats.values import number, size_of
from boxwright.data.records import Report


class LabelMe:
    """Reads one JSON file for each image."""

    def files(self, source: Path) -> list[Path]:
        """As `Dialect.files`."""
        return files_of(source, ".json", lambda file: json_kind(file) == "labelme")

    def classes(self, files: Sequence[Path]) -> Sequence[str]:
        """None: they go by alphabet."""
        return ()

    def entries(self, file: Path, report: Report) -> Iterator[Entry]:
        """As `Dialect.entries`."""
        held = _json.mapping(_json.content(file, report))
        name = held.get("imagePath")
        if not isinstance(name, str):
            report(finding("record-shape", file, "imagePath", "is no name of an image"))
            return
        size = size_of(held.get("imageWidth"), held.get("imageHeight"))
        yield Entry(name, "", size, [_thing(_json.mapping(one)) for one in _json.listed(held.get("shapes"))])


def _thing(shape: dict[str, Any]) -> Thing:
    label, kind = shape.get("label"), shape.get("shape_type", "polygon")
    name = label if isinstance(label, str) else ""
    pairs = [
        point for point in _json.listed(shape.get("points")) if isinstance(point, list) and len(point) == 2
    ]
    points = [
        (x, y) for x, y in ((number(x), number(y)) for x, y in pairs) if x is not None and y is not None
    ]
    if kind == "circle" and len(points) == 2:
        (x, y), (a, b) = points
        radius = ((x - a) ** 2 + (y - b) ** 2) ** 0.5
        return Thing(name, (x - radius, y - radius, x + radius, y + radius))
    if len(points) < 2 or kind not in ("rectangle", "polygon", "rotation"):
        return Thing(name, None, problem=f"is a {kind!r:.20} of {len(points)} points, which has no box")
    xs, ys = zip(*points, strict=True)
    flat = [[v for point in points for v in point]] if kind == "polygon" and len(points) > 2 else None
    return Thing(name, (min(xs), min(ys), max(xs), max(ys)), mask=flat)
