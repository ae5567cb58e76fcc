"""CVAT's own XML ("CVAT for images 1.1"): one file with all images, boxes and polygons in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from boxwright.data.findings import finding
from boxwright.data.formats.entries import Entry, Thing, files_of
from boxwright.data.formats.trees import parse_any
from boxwright.data.formats.values import number, size_of
from boxwright.data.records import Report
from boxwright.regular import open_regular

_HEAD = 4096
_TURNED = 0.01  # degrees


class Cvat:
    """Reads `annotations.xml`."""

    def files(self, source: Path) -> list[Path]:
        """As `Dialect.files`."""
        return files_of(source, ".xml", _is_cvat)

    def classes(self, files: Sequence[Path]) -> Sequence[str]:
        """In the order of the task's own list of labels."""
        found: list[str] = []
        for file in files:
            root = parse_any(file, lambda _: None)
            names = (
                () if root is None else (e.findtext("name") or "" for e in root.iterfind(".//meta//label"))
            )
            found += [name.strip() for name in names if name.strip()]
        return found

    def entries(self, file: Path, report: Report) -> Iterator[Entry]:
        """As `Dialect.entries`."""
        root = parse_any(file, report)
        for position, image in enumerate(() if root is None else root.iterfind("image"), start=1):
            name, where = image.get("name", ""), f"image {image.get('id', position)}"
            if not name:
                report(finding("record-shape", file, where, "has no name"))
                continue
            size = size_of(image.get("width"), image.get("height"))
            yield Entry(name, where, size, [thing for shape in image if (thing := _thing(shape)) is not None])


def _thing(shape: ET.Element) -> Thing | None:
    """The object of a shape; None for tags of the whole image."""
    label = (shape.get("label") or "").strip()
    if shape.tag in ("box", "ellipse"):
        keys = ("xtl", "ytl", "xbr", "ybr") if shape.tag == "box" else ("cx", "cy", "rx", "ry")
        said = [value for key in keys if (value := number(shape.get(key))) is not None]
        if len(said) != 4:
            return Thing(label, None, problem=f"lacks a number among {', '.join(keys)}")
        if abs(number(shape.get("rotation")) or 0) > _TURNED:
            return Thing(label, None, problem="is a turned rectangle; draw it upright, or as a polygon")
        a, b, c, d = said
        return Thing(label, (a, b, c, d) if shape.tag == "box" else (a - c, b - d, a + c, b + d))
    if shape.tag == "polygon":
        pairs = [point.split(",") for point in (shape.get("points") or "").split(";")]
        points = [(number(p[0]), number(p[1])) for p in pairs if len(p) == 2]
        plain = [(x, y) for x, y in points if x is not None and y is not None]
        if len(plain) < 3 or len(plain) != len(pairs):
            return Thing(label, None, problem="has no polygon that can be read")
        xs, ys = zip(*plain, strict=True)
        flat = [v for point in plain for v in point]
        return Thing(label, (min(xs), min(ys), max(xs), max(ys)), mask=[flat])
    if shape.tag in ("mask", "polyline", "points", "skeleton", "cuboid"):
        return Thing(label, None, problem=f"is a <{shape.tag}>, which has no box")
    return None


def _is_cvat(file: Path) -> bool:
    try:
        with open_regular(file) as opened:
            head = opened.read(_HEAD)
    except OSError:
        return False
    return b"<annotations>" in head and (b"<image " in head or b"<meta>" in head or b"<version>" in head)
