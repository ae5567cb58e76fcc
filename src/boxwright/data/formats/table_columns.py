"""What the columns of a table of boxes mean, by the names that the common tools give them.

A box is told by its corners, by corner and size, by one cell with four numbers in brackets, or by VGG Image
Annotator's cell of JSON; in pixels, or in fractions of the image where the tool is known to write those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from boxwright.data.formats.values import number

Corners = tuple[float, float, float, float]
Shape = Literal["corners", "corner and size", "centre and size", "bracketed", "via"]

COLUMNS = ("path", "xmin", "ymin", "xmax", "ymax", "class", "split", "difficult", "crowd", "width", "height")
_ALIASES = {
    "path": "path image_path filename file_name file image img_path img image_name imagename image_file "
    "image_filename filepath file_path image_id imageid img_name img_id",
    "xmin": "xmin x_min x1 left bbox_xmin box_xmin x0",
    "ymin": "ymin y_min y1 top bbox_ymin box_ymin y0",
    "xmax": "xmax x_max x2 right bbox_xmax box_xmax",
    "ymax": "ymax y_max y2 bottom bbox_ymax box_ymax",
    "x": "x bbox_x box_x x_left",
    "y": "y bbox_y box_y y_top",
    "w": "w bbox_width box_width bbox_w box_w",
    "h": "h bbox_height box_height bbox_h box_h",
    "cx": "cx x_center xcenter x_centre center_x",
    "cy": "cy y_center ycenter y_centre center_y",
    "bbox": "bbox box boxes bounding_box",
    "via": "region_shape_attributes",
    "via class": "region_attributes",
    "class": "class class_name label name category labelname label_name classname category_name cls class_id "
    "category_id label_id object_class",
    "split": "split subset set partition ml_use",
    "difficult": "difficult",
    "crowd": "crowd iscrowd is_crowd isgroupof",
    "width": "width image_width img_width imagewidth",
    "height": "height image_height img_height imageheight",
}
_NAMES = {alias: column for column, aliases in _ALIASES.items() for alias in aliases.split()}
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SHAPES: tuple[tuple[Shape, tuple[str, ...]], ...] = (
    ("corners", _CORNERS),
    ("corner and size", ("x", "y", "w", "h")),
    ("centre and size", ("cx", "cy", "w", "h")),
    ("bracketed", ("bbox",)),
    ("via", ("via",)),
)
_OPEN_IMAGES = frozenset({"imageid", "labelname", "isgroupof"})
_AUTOML = frozenset({"TRAIN", "TRAINING", "VALIDATION", "VALIDATE", "TEST", "UNASSIGNED"})
_FOUR = re.compile(r"[\[({]?\s*([^\])}]*?)\s*[\])}]?")
_GAP = re.compile(r"[,;\s]+")


@dataclass(frozen=True)
class Columns:
    """What the cells of a row are.

    Attributes:
        names: of the cells, in boxwright's words; what has no meaning here keeps its own name.
        shape: how the box is told.
        fractions: boxes are in fractions of the image, as the tool that writes such tables does.
        header: the first row names the columns, and is no row.
        decimal_comma: numbers are written 5,5.
    """

    names: tuple[str, ...]
    shape: Shape
    fractions: bool = False
    header: bool = True
    decimal_comma: bool = False

    @property
    def box_cells(self) -> tuple[str, ...]:
        """The cells that tell the box."""
        return dict(_SHAPES)[self.shape]

    def corners(self, cells: Mapping[str, str]) -> Corners | None:
        """The box of a row, xyxy in the table's unit; None if it is not four numbers."""
        if self.shape == "via":
            return _via_box(cells.get("via", ""))
        if self.shape == "bracketed":
            match = _FOUR.fullmatch(cells.get("bbox", "").strip())
            parts = _GAP.split(match[1]) if match is not None and match[1] else []
        else:
            parts = [cells.get(name, "") for name in self.box_cells]
        values = [v for v in (number(self._plain(part)) for part in parts) if v is not None]
        if len(values) != 4:
            return None
        first, second, third, fourth = values
        if self.shape == "corners":
            return first, second, third, fourth
        if self.shape == "centre and size":
            return first - third / 2, second - fourth / 2, first + third / 2, second + fourth / 2
        return first, second, first + third, second + fourth

    def told(self, cells: Mapping[str, str]) -> str:
        """The cells of the box as they stand, for messages; "" if they are empty."""
        said = [cells.get(name, "").strip() for name in self.box_cells]
        empty = not any(said) or (self.shape == "via" and said[0] in ("{}", ""))
        return "" if empty else ",".join(said)

    def label(self, cells: Mapping[str, str]) -> str:
        """The name of the object's class; "" if there is none."""
        if "class" in self.names:
            return cells.get("class", "").strip()
        if "via class" in self.names:
            return _via_class(cells.get("via class", ""))
        return ONLY_CLASS if self.told(cells) else ""

    def _plain(self, cell: str) -> str:
        return cell.replace(",", ".") if self.decimal_comma and cell.count(",") == 1 else cell


ONLY_CLASS = "object"
"""The class of all objects of a table that has no column of classes."""


def columns_of(cells: Sequence[str], *, decimal_comma: bool) -> Columns | str:
    """What the columns are, from the first row; or, as a phrase, why this is no table of boxes.

    Args:
        cells: of the first row.
        decimal_comma: cells are divided by something else, so that a comma in a number is its point.

    >>> columns_of(["image_id", "x", "y", "w", "h", "class"], decimal_comma=False).shape
    'corner and size'
    >>> columns_of(["a.jpg", "1", "2", "3", "4", "cat"], decimal_comma=False).header
    False
    >>> columns_of(["a", "b"], decimal_comma=False)
    'has the columns a, b: none tells a box (xmin, ymin, xmax, ymax) and none an image (path)'
    """
    if (found := _without_header(cells)) is not None:
        return found
    names: list[str] = []
    for cell in cells:
        plain = cell.strip()
        meant = _NAMES.get(re.sub(r"[\s-]+", "_", plain.lower()), plain)
        names.append(meant if meant not in names else plain)
    if not {"w", "h"} & set(names) and {"x", "y"} <= set(names):
        # Beside x and y, and without w and h, width and height are the box's own.
        names = [{"width": "w", "height": "h"}.get(name, name) for name in names]
    if "class" not in names and "name" in names:
        names[names.index("name")] = "class"
    shape = next((shape for shape, wanted in _SHAPES if set(wanted) <= set(names)), None)
    missing = [] if shape else ["none tells a box (xmin, ymin, xmax, ymax)"]
    missing += [] if "path" in names else ["none an image (path)"]
    if missing or shape is None:
        shown = ", ".join(cell.strip()[:20] for cell in cells[:12])
        return f"has the columns {shown}: {' and '.join(missing)}"
    fractions = {cell.strip().lower() for cell in cells} >= _OPEN_IMAGES
    return Columns(tuple(names), shape, fractions, decimal_comma=decimal_comma)


def _without_header(cells: Sequence[str]) -> Columns | None:
    """The columns of a table that begins with a row: boxwright's own order, or that of Google's AutoML."""
    said = [cell.strip() for cell in cells]
    if len(said) >= 9 and said[0].upper() in _AUTOML:
        corners = ["xmin", "ymin", "", "", "xmax", "ymax", "", ""]
        return Columns(("split", "path", "class", *corners)[: len(said)], "corners", True, header=False)
    if len(said) >= 6 and all(number(cell) is not None or not cell for cell in said[1:5]):
        return Columns(COLUMNS[: len(said)], "corners", header=False)
    return None


def _json(cell: str) -> dict[str, Any]:
    try:
        held = json.loads(cell) if cell.strip() else {}
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _via_box(cell: str) -> Corners | None:
    return via_corners(_json(cell))


def _via_class(cell: str) -> str:
    return via_label(_json(cell))


def via_corners(shape: Mapping[str, Any]) -> Corners | None:
    """The box around a shape of VGG Image Annotator, xyxy in pixels; None if it is none that has a box.

    >>> via_corners({"name": "rect", "x": 5, "y": 6, "width": 25, "height": 30})
    (5.0, 6.0, 30.0, 36.0)
    """
    kind = shape.get("name")
    read = {key: number(value) for key, value in shape.items() if not isinstance(value, list)}
    if kind in ("polygon", "polyline"):
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        points = [[number(v) for v in part] if isinstance(part, list) else [None] for part in (xs, ys)]
        x, y = ([v for v in part if v is not None] for part in points)
        if len(x) != len(points[0]) or len(y) != len(points[1]) or len(x) != len(y) or not x:
            return None
        return min(x), min(y), max(x), max(y)
    wanted = {"rect": ("x", "y", "width", "height"), "circle": ("cx", "cy", "r", "r")}.get(
        str(kind), ("cx", "cy", "rx", "ry")
    )
    values = [v for v in (read.get(key) for key in wanted) if v is not None]
    if len(values) != 4 or kind not in ("rect", "circle", "ellipse"):
        return None
    first, second, third, fourth = values
    if kind == "rect":
        return first, second, first + third, second + fourth
    return first - third, second - fourth, first + third, second + fourth


def via_label(attributes: Mapping[str, Any]) -> str:
    """The class that a region of VGG Image Annotator says: its attribute of that name, or its only one."""
    plain = {key: value.strip() for key, value in attributes.items() if isinstance(value, str)}
    for key in plain:
        if _NAMES.get(key.lower()) == "class" or key.lower() == "type":
            return plain[key]
    return next(iter(plain.values())) if len(plain) == 1 else ""
