"""VGG Image Annotator's JSON: images by key, each with regions; the class is an attribute of a region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from boxwright.data.findings import finding
from boxwright.data.formats.dialects import _json
from boxwright.data.formats.entries import Entry, Thing, files_of
from boxwright.data.formats.json_kinds import json_kind
from boxwright.data.formats.table_columns import via_corners, via_label
from boxwright.data.records import Report


class Via:
    """Reads `via_region_data.json`, and projects of version 2."""

    def files(self, source: Path) -> list[Path]:
        """As `Dialect.files`."""
        return files_of(source, ".json", lambda file: json_kind(file) == "via")

    def classes(self, files: Sequence[Path]) -> Sequence[str]:
        """None: they go by alphabet."""
        return ()

    def entries(self, file: Path, report: Report) -> Iterator[Entry]:
        """As `Dialect.entries`."""
        held = _json.mapping(_json.content(file, report))
        for key, image in _json.mapping(held.get("_via_img_metadata", held)).items():
            entry, where = _json.mapping(image), f"image {key[:60]!r}"
            name = entry.get("filename")
            if not isinstance(name, str):
                report(finding("record-shape", file, where, "has no filename"))
                continue
            yield Entry(
                name, where, None, [_thing(_json.mapping(one)) for one in _json.listed(entry.get("regions"))]
            )


def _thing(region: dict[str, Any]) -> Thing:
    label = via_label(_json.mapping(region.get("region_attributes")))
    box = via_corners(_json.mapping(region.get("shape_attributes")))
    return Thing(label, box, problem="" if box is not None else "is no rectangle, circle, ellipse or polygon")
