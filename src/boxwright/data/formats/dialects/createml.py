"""Apple's CreateML: a list of images, each with labels and boxes told by their centre and size in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.dialects import _json
from boxwright.data.formats.entries import Entry, Thing, files_of
from boxwright.data.formats.json_kinds import json_kind
from boxwright.data.records import Report


class CreateML:
    """Reads `_annotations.createml.json`."""

    def files(self, source: Path) -> list[Path]:
        """As `Dialect.files`."""
        return files_of(source, ".json", lambda file: json_kind(file) == "createml")

    def classes(self, files: Sequence[Path]) -> Sequence[str]:
        """None: they go by alphabet."""
        return ()

    def entries(self, file: Path, report: Report) -> Iterator[Entry]:
        """As `Dialect.entries`."""
        for position, held in enumerate(_json.listed(_json.content(file, report)), start=1):
            entry, where = _json.mapping(held), f"image {position}"
            name = entry.get("image") or entry.get("imagefilename")
            if not isinstance(name, str):
                report(finding("record-shape", file, where, "has no name under image"))
                continue
            things = [
                _thing(_json.mapping(one))
                for one in _json.listed(entry.get("annotations", entry.get("annotation")))
            ]
            yield Entry(name, where, None, things)


def _thing(held: dict[str, object]) -> Thing:
    label = held.get("label")
    said = _json.numbers(held.get("coordinates"), "x", "y", "width", "height")
    if said is None:
        return Thing(label if isinstance(label, str) else "", None, problem="has no x, y, width, height")
    x, y, width, height = said
    box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return Thing(label if isinstance(label, str) else "", box)
