"""Reads CSV: a row for each box, with the image's path, the corners (xyxy, pixels) and the class.

The columns are `path,xmin,ymin,xmax,ymax,class` and, where wanted, `split,difficult,crowd,width,height`.
Other usual names of these are understood, and so is a table without a header with its columns in this order.
An image without objects is a row whose box and class are empty. Paths are relative to the table. Classes are
those of `classes.csv` (rows `name,id`) beside it, else the names found, by alphabet, with the ids 0 to C-1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.paths import DataFolder, UnsafePathError
from boxwright.data.formats.reading import Objects, is_usual, read_text, size_of, split_names
from boxwright.data.records import Dataset, Report, Sample

TABLE, CLASSES = "annotations.csv", "classes.csv"
COLUMNS = ("path", "xmin", "ymin", "xmax", "ymax", "class", "split", "difficult", "crowd", "width", "height")
BOX = COLUMNS[1:5]
_ALIASES = {
    "path": ("path", "image_path", "filename", "file_name", "file", "image", "img_path"),
    "xmin": ("xmin", "x_min", "x1", "left"),
    "ymin": ("ymin", "y_min", "y1", "top"),
    "xmax": ("xmax", "x_max", "x2", "right"),
    "ymax": ("ymax", "y_max", "y2", "bottom"),
    "class": ("class", "class_name", "label", "name", "category"),
    "split": ("split", "subset", "set"),
    "difficult": ("difficult",),
    "crowd": ("crowd", "iscrowd", "is_crowd"),
    "width": ("width", "image_width", "img_width"),
    "height": ("height", "image_height", "img_height"),
}
_NAMES = {alias: column for column, aliases in _ALIASES.items() for alias in aliases}
_KNOWN = frozenset(COLUMNS)
_TRUE = frozenset({"1", "true", "yes", "1.0"})


@dataclass(frozen=True)
class _Row:
    """One row of a table: where it stands, and its cells by boxwright's names of the columns."""

    file: Path
    line: int
    split: str
    cells: Mapping[str, str]

    @property
    def where(self) -> str:
        return f"line {self.line}"


def splits(source: Path) -> tuple[str, ...] | None:
    """The splits of a table or a folder of tables (none: an empty tuple), or None if `source` is neither."""
    files = _files(source)
    if not files:
        return None
    return tuple(split_names({row.split for row in _rows(files, lambda _: None)} - {""}))


def read(source: Path, split: str, report: Report) -> Dataset:
    """Read one split of a table, or of a folder with `annotations.csv` or one table for each split.

    Args:
        source: the table or the folder.
        split: one of `splits(source)`, or "" where there are none.
        report: takes what is wrong; the image or the object is then left out.
    """
    files = _files(source)
    assert files, "open_dataset has looked"
    folder = DataFolder(files[0].parent)
    rows = _rows(files, report)
    classes = _classes(folder.root, rows, report)
    raw = split_names({row.split for row in rows} - {""}).get(split, "")
    by_image: dict[Path, list[_Row]] = {}
    missing: set[str] = set()
    for row in rows:
        if raw and not row.split:
            report(finding("record-shape", row.file, row.where, "has no split, though other rows have one"))
        elif row.split == raw and (path := _image(row, folder, missing, report)) is not None:
            by_image.setdefault(path, []).append(row)
    samples = tuple(_sample(path, of_image, classes, report) for path, of_image in by_image.items())
    return Dataset(samples, tuple(classes), tuple(classes.values()), folder.root, split, "csv")


def _files(source: Path) -> list[Path]:
    """The tables of a data set: the one asked for, `annotations.csv`, or all whose columns fit."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".csv" else []
    if (source / TABLE).is_file():
        return [source / TABLE]
    tables = sorted(file for file in source.glob("*.csv") if file.name != CLASSES)
    return [file for file in tables if _rows([file], lambda _: None)]


def _rows(files: Sequence[Path], report: Report) -> list[_Row]:
    """All rows; a table without that column is a split by its name, if usual or one of several."""
    rows: list[_Row] = []
    for file in files:
        named = file.stem if len(files) > 1 or is_usual(file.stem) else ""
        rows += [
            _Row(file, line, cells.get("split", "").strip() or named, cells)
            for line, cells in _cells(file, report)
        ]
    return rows


def _cells(file: Path, report: Report) -> list[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row of a table."""
    text = read_text(file, report)
    if text is None:
        return []
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    columns: list[str] | None = None
    found: list[tuple[int, dict[str, str]]] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            if columns is None:
                columns = _header(cells)
                if columns is None:
                    columns = list(COLUMNS[: len(cells)])
                elif set(COLUMNS[:6]) <= set(columns):
                    continue
                else:
                    wanted = f"the first line must name {','.join(COLUMNS[:6])}, not {first!r:.80}"
                    report(finding("csv-shape", file, f"line {reader.line_num}", wanted))
                    return []
            found.append((reader.line_num, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        report(finding("csv-syntax", file, f"line {reader.line_num}", f"is not CSV ({error})"))
    return found


def _header(cells: Sequence[str]) -> list[str] | None:
    """What the columns mean if these cells are names of columns; None if they are a row already."""
    if len(cells) >= 6 and all(_is_number(cell) or not cell.strip() for cell in cells[1:5]):
        return None
    columns: list[str] = []
    for cell in cells:
        meant = _NAMES.get(cell.strip().lower(), cell.strip())
        columns.append(meant if meant not in columns else cell.strip())
    return columns


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _classes(root: Path, rows: Sequence[_Row], report: Report) -> dict[str, int]:
    """Ids by name, in the order of `classes.csv`; without that file, by alphabet."""
    file = root / CLASSES
    if not file.is_file():
        found = sorted({name for row in rows if (name := row.cells.get("class", ""))})
        return {name: position for position, name in enumerate(found)}
    classes: dict[str, int] = {}
    reader = csv.reader(io.StringIO(read_text(file, report) or "", newline=""))
    try:
        for row, cells in enumerate(filter(any, reader), start=1):
            name, said = cells[0], cells[1].strip() if len(cells) > 1 else str(len(classes))
            digits = said.removeprefix("-")
            if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
                if row > 1:  # the first may be a header
                    report(
                        finding(
                            "record-shape", file, f"line {row}", f"class {name!r} has no whole number as id"
                        )
                    )
            elif name in classes or int(said) in classes.values():
                report(
                    finding(
                        "id-duplicate", file, f"line {row}", f"class {name!r} or id {said} is there twice"
                    )
                )
            else:
                classes[name] = int(said)
    except csv.Error as error:
        report(finding("csv-syntax", file, f"line {reader.line_num}", f"is not CSV ({error})"))
    return classes


def _image(row: _Row, folder: DataFolder, missing: set[str], report: Report) -> Path | None:
    name = row.cells.get("path", "")
    if name in missing:
        return None
    try:
        path = folder.find(name, [folder.root, folder.root / "images"])
    except UnsafePathError as error:
        report(finding("path-escape", row.file, row.where, str(error)))
        return None
    if path is None:
        missing.add(name)
        report(
            finding(
                "image-missing", row.file, row.where, f"{name!r:.80} is neither in {folder.root} nor images"
            )
        )
    return path


def _sample(path: Path, rows: Sequence[_Row], classes: Mapping[str, int], report: Report) -> Sample:
    index = {name: position for position, name in enumerate(classes)}
    objects = Objects(report, rows[0].file, _size(rows[0], report))
    for row in rows:
        corners, name = [row.cells.get(column, "").strip() for column in BOX], row.cells.get("class", "")
        if not any(corners) and not name:
            continue
        if not all(map(_is_number, corners)):
            report(
                finding(
                    "box-shape", row.file, row.where, f"has box {','.join(corners)!r:.80}, not four numbers"
                )
            )
        elif name not in index:
            what = f"class {name!r:.80} is not in {CLASSES}" if name else "the box has no class"
            report(finding("class-unknown", row.file, row.where, what))
        else:
            left, top, right, bottom = map(float, corners)
            objects.add(
                (left, top, right, bottom),
                index[name],
                where=row.where,
                crowd=row.cells.get("crowd", "").strip().lower() in _TRUE,
                difficult=row.cells.get("difficult", "").strip().lower() in _TRUE,
                attributes={k: v for k, v in row.cells.items() if k not in _KNOWN and k and v},
            )
    return objects.sample(path, path.stem)


def _size(row: _Row, report: Report) -> tuple[int, int] | None:
    said = row.cells.get("width", "").strip(), row.cells.get("height", "").strip()
    if not any(said):
        return None
    size = size_of(*(float(value) if _is_number(value) else None for value in said))
    if size is None:
        report(finding("size-invalid", row.file, row.where, f"says {said[0]!r:.40} x {said[1]!r:.40}"))
    return size
