"""Label Studio's own JSON: a list of tasks, each with an image and results in percent of it."""

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

_TURNED = 0.01  # degrees


class LabelStudio:
    """Reads an export of the kind "JSON"; of several annotations of a task the last that was not cancelled."""

    def files(self, source: Path) -> list[Path]:
        """As `Dialect.files`."""
        return files_of(source, ".json", lambda file: json_kind(file) == "labelstudio")

    def classes(self, files: Sequence[Path]) -> Sequence[str]:
        """None: they go by alphabet."""
        return ()

    def entries(self, file: Path, report: Report) -> Iterator[Entry]:
        """As `Dialect.entries`."""
        for position, held in enumerate(_json.listed(_json.content(file, report)), start=1):
            task, where = _json.mapping(held), f"task {position}"
            data = _json.mapping(task.get("data"))
            name = data.get("image") or next((v for v in data.values() if isinstance(v, str)), None)
            if not isinstance(name, str):
                report(finding("record-shape", file, where, "names no image under data"))
                continue
            made = [
                _json.mapping(one) for one in _json.listed(task.get("annotations", task.get("completions")))
            ]
            kept = [one for one in made if not one.get("was_cancelled")]
            results = [_json.mapping(one) for one in _json.listed(kept[-1].get("result") if kept else [])]
            sizes = (size_of(r.get("original_width"), r.get("original_height")) for r in results)
            size = next((said for said in sizes if said is not None), None)
            yield Entry(name, where, size, [thing for one in results if (thing := _thing(one)) is not None])


def _thing(result: dict[str, Any]) -> Thing | None:
    """The object of a result; None if it is none (a choice, a rating, a text)."""
    kind, value = result.get("type"), _json.mapping(result.get("value"))
    if kind not in ("rectanglelabels", "polygonlabels", "rectangle", "polygon"):
        return None
    labels = _json.listed(value.get("rectanglelabels", value.get("polygonlabels", value.get("labels"))))
    label = labels[0] if labels and isinstance(labels[0], str) else ""
    if "points" in value:
        points = [
            [number(v) for v in point] for point in _json.listed(value["points"]) if isinstance(point, list)
        ]
        plain = [(x, y) for x, y in (p for p in points if len(p) == 2) if x is not None and y is not None]
        if len(plain) < 3 or len(plain) != len(points):
            return Thing(label, None, problem="has no polygon that can be read")
        xs, ys = zip(*plain, strict=True)
        return Thing(label, (min(xs) / 100, min(ys) / 100, max(xs) / 100, max(ys) / 100), fractions=True)
    said = _json.numbers(value, "x", "y", "width", "height")
    if said is None:
        return Thing(label, None, problem="has no x, y, width, height")
    x, y, width, height = said
    if abs(number(value.get("rotation")) or 0) > _TURNED:
        return Thing(label, None, problem="is a turned rectangle; draw it upright, or as a polygon")
    return Thing(label, (x / 100, y / 100, (x + width) / 100, (y + height) / 100), fractions=True)
