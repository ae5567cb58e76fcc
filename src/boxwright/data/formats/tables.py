"""Reads CSV: a row for each box, with the image's path, the box and the class.

boxwright's own columns are `path,xmin,ymin,xmax,ymax,class` and, where wanted, `split,difficult,crowd,width,height`;
`table_columns` says which others are understood. An image without objects is a row whose box and class are empty.
Paths are relative to the table. Classes are those of `classes.csv` (rows `name,id`) beside it, else the names found,
by alphabet, with the ids 0 to C-1.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.data.findings import finding
from boxwright.data.formats import conventions
from boxwright.data.formats.locate import ImageFinder
from boxwright.data.formats.notes import Note, ignore
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.paths import is_image
from boxwright.data.formats.reading import (
    Objects,
    is_usual,
    read_text,
    scaled_up,
    size_of_file,
    split_in,
    split_names,
)
from boxwright.data.formats.table_columns import COLUMNS, ONLY_CLASS, Columns, Corners, columns_of
from boxwright.data.formats.values import flag, number, size_of, whole
from boxwright.data.records import Dataset, Report, Sample
from boxwright.files import spreadsheet_text

__all__ = ["CLASSES", "COLUMNS", "TABLE", "read", "splits"]

TABLE, CLASSES = "annotations.csv", "classes.csv"
_ENDINGS = frozenset({".csv", ".tsv"})
_FOLDERS = frozenset({"annotations", "annotation", "labels", "csv"})
_KNOWN = frozenset({*COLUMNS, "x", "y", "w", "h", "cx", "cy", "bbox", "via", "via class"})


@dataclass(frozen=True)
class _Row:
    """One row of a table: where it stands, what its columns are, and its cells by boxwright's names of them."""

    file: Path
    line: int
    split: str
    columns: Columns
    cells: Mapping[str, str]

    @property
    def where(self) -> str:
        return f"line {self.line}"


def splits(source: Path, note: Note = ignore) -> tuple[str, ...] | None:
    """The splits of a table or a folder of tables (none: an empty tuple), or None if `source` is neither."""
    files = _files(source, note)
    if not files:
        return None
    return tuple(split_names({row.split for row in _rows(files, lambda _: None)} - {""}, words=True))


def read(source: Path, split: str, report: Report, options: ReadOptions = DEFAULT) -> Dataset:
    """Read one split of a table, or of a folder with `annotations.csv` or one table for each split.

    Args:
        source: the table or the folder.
        split: one of `splits(source)`, or "" where there are none.
        report: takes what is wrong; the image or the object is then left out.
        options: where the images are.
    """
    files = _files(source, ignore)
    assert files, "open_dataset has looked"
    folder = options.folder(source if source.is_dir() else source.parent)
    rows = _rows(files, report)
    if rows and not {"class", "via class"} & set(rows[0].columns.names):
        message = f"has no column of classes: all objects are of one, called {ONLY_CLASS!r}"
        report(finding("class-list", rows[0].file, "", message))
    classes = _classes(
        files[0].parent if (files[0].parent / CLASSES).is_file() else folder.root, rows, report
    )
    raw = split_names({row.split for row in rows} - {""}, words=True).get(split, "")
    finder = ImageFinder(folder, options, report)
    by_image: dict[Path, list[_Row]] = {}
    found: dict[tuple[str, Path], Path | None] = {}
    for row in rows:
        if raw and not row.split:
            report(finding("record-shape", row.file, row.where, "has no split, though other rows have one"))
        elif row.split == raw:
            key = row.cells.get("path", ""), row.file.parent
            if key not in found:
                bare = not is_image(Path(key[0]))
                found[key] = finder.find(key[0], _bases(row, folder.root), row.file, row.where, bare=bare)
            if (path := found[key]) is not None:
                by_image.setdefault(path, []).append(row)
    scaled = _scaled(by_image, report)
    index = {name: position for position, name in enumerate(classes)}
    samples = tuple(_sample(path, several, index, scaled, report) for path, several in by_image.items())
    return Dataset(samples, tuple(classes), tuple(classes.values()), folder.root, split, "csv")


def _bases(row: _Row, root: Path) -> list[Path]:
    """Where a row's image may be."""
    places = (row.file.parent, row.file.parent / "images", root, root / "images")
    named = [
        place / name for name in {row.split, split_in(row.split)} - {""} for place in (root, root / "images")
    ]
    return list(dict.fromkeys((*places, *named)))


def _files(source: Path, note: Note) -> list[Path]:
    """The tables of a data set: the one asked for, `annotations.csv`, or all whose columns fit, at one level."""
    if source.is_file():
        return [source] if source.suffix.lower() in _ENDINGS else []
    if not source.is_dir():
        return []
    if (source / TABLE).is_file():
        return [source / TABLE]
    inner = sorted(place for place in source.iterdir() if place.is_dir())
    levels = (
        [source],
        [place for place in inner if is_usual(place.name)],
        [place for place in inner if place.name.lower() in _FOLDERS],
    )
    for level in levels:
        files = [file for folder in level for file in sorted(folder.iterdir())]
        tables = [file for file in files if file.suffix.lower() in _ENDINGS and file.name != CLASSES]
        fitting = []
        for file in tables:
            why = _first_row(file)
            if isinstance(why, str):
                note(file, why)
            else:
                fitting.append(file)
        if fitting:
            return fitting
    return []


def _rows(files: Sequence[Path], report: Report) -> list[_Row]:
    """All rows; a table without that column is a split by its name, if it says one, or is one of several."""
    rows: list[_Row] = []
    files_of = Counter(split_in(file.stem) for file in files)
    for file in files:
        named = split_in(file.stem) or (file.parent.name if is_usual(file.parent.name) else "")
        named = named or (file.stem if len(files) > 1 else "")
        if files_of[split_in(file.stem)] > 1:
            named = file.parent.name if is_usual(file.parent.name) else file.stem
        for line, columns, cells in _cells(file, report):
            rows.append(_Row(file, line, cells.get("split", "").strip() or named, columns, cells))
    return rows


def _first_row(file: Path) -> Columns | str:
    """What the columns of a table are, or why it is none of boxes."""
    problems: list[str] = []
    text = read_text(file, lambda found: problems.append(found.message))
    if text is None:
        return problems[0]
    try:
        reader, _, comma = _reader(text)
        first = next((cells for cells in reader if any(cells)), None)
    except csv.Error as error:
        return f"is not CSV ({error})"
    return "is empty" if first is None else columns_of(first, decimal_comma=comma)


def _reader(text: str) -> tuple[Any, str, bool]:
    """A reader of rows, the first line, and whether a comma may be a number's point. Excel may name its separator."""
    first, _, rest = text.lstrip("\ufeff\r\n").partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        separator, text = first.strip()[4], rest
    else:
        separator = max(",;\t", key=first.count)
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=separator, skipinitialspace=True), first, separator != ","


def _cells(file: Path, report: Report) -> list[tuple[int, Columns, dict[str, str]]]:
    """(line, columns, cells by column) of each row of a table."""
    text = read_text(file, report)
    if text is None:
        return []
    reader, first, comma = _reader(text)
    columns: Columns | None = None
    found: list[tuple[int, Columns, dict[str, str]]] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            if columns is None:
                meant = columns_of(cells, decimal_comma=comma)
                if isinstance(meant, str):
                    wanted = f"{meant}; the first line must name {','.join(COLUMNS[:6])}, not {first.strip()!r:.80}"
                    report(finding("csv-shape", file, f"line {reader.line_num}", wanted))
                    return []
                columns = meant
                if columns.header:
                    continue
            plain = (spreadsheet_text(cell.strip()) for cell in cells)
            found.append((reader.line_num, columns, dict(zip(columns.names, plain, strict=False))))
    except csv.Error as error:
        report(finding("csv-syntax", file, f"line {reader.line_num}", f"is not CSV ({error})"))
    return found


def _classes(root: Path, rows: Sequence[_Row], report: Report) -> dict[str, int]:
    """Ids by name, in the order of `classes.csv`; without that file, by alphabet."""
    file = root / CLASSES
    if not file.is_file():
        found = sorted({name for row in rows if (name := row.columns.label(row.cells))})
        return {name: position for position, name in enumerate(found)}
    classes: dict[str, int] = {}
    taken: set[int] = set()
    reader = csv.reader(io.StringIO(read_text(file, report) or "", newline=""), skipinitialspace=True)
    try:
        for row, cells in enumerate(filter(any, reader), start=1):
            name = spreadsheet_text(cells[0].strip())
            said = whole(cells[1]) if len(cells) > 1 else len(classes)
            if said is None or abs(said) >= 2**63:
                if row > 1:  # the first may be a header
                    message = f"class {name!r:.80} has no whole number as id"
                    report(finding("record-shape", file, f"line {row}", message))
            elif name in classes or said in taken:
                message = f"class {name!r:.80} or id {said} is there twice"
                report(finding("id-duplicate", file, f"line {row}", message))
            else:
                classes[name] = said
                taken.add(said)
    except csv.Error as error:
        report(finding("csv-syntax", file, f"line {reader.line_num}", f"is not CSV ({error})"))
    return classes


def _scaled(by_image: Mapping[Path, Sequence[_Row]], report: Report) -> frozenset[Path]:
    """The tables whose boxes are in fractions though their columns do not say so; each is reported."""
    found = set()
    tables: dict[Path, list[tuple[Corners, _Row]]] = {}
    for rows in by_image.values():
        for row in rows:
            if not row.columns.fractions and (corners := row.columns.corners(row.cells)) is not None:
                tables.setdefault(row.file, []).append((corners, row))
    for file, boxes in tables.items():
        sizes = [size_of(row.cells.get("width"), row.cells.get("height")) for _, row in boxes]
        if conventions.are_fractions(np.array([corners for corners, _ in boxes], np.float64), sizes):
            message = f"all {len(boxes)} boxes are in [0, 1]: fractions of the image, where pixels are meant"
            report(finding("box-fractions", file, "", message))
            found.add(file)
    return frozenset(found)


def _sample(
    path: Path, rows: Sequence[_Row], index: Mapping[str, int], scaled: frozenset[Path], report: Report
) -> Sample:
    objects = Objects(report, rows[0].file, _size(rows[0], report))
    for row in rows:
        told, name, corners = row.columns.told(row.cells), row.columns.label(row.cells), None
        if not told and not name:
            continue
        corners = row.columns.corners(row.cells)
        if corners is not None and (row.columns.fractions or row.file in scaled):
            size = objects.size or size_of_file(path)
            corners = None if size is None else scaled_up(corners, size)
        crowd, difficult = flag(row.cells.get("crowd")), flag(row.cells.get("difficult"))
        if corners is None:
            objects.lose("box-shape", row.where, f"has box {told!r:.80}, not four numbers")
        elif name not in index:
            what = f"class {name!r:.80} is not in {CLASSES}" if name else "the box has no class"
            objects.lose("class-unknown", row.where, what)
        elif crowd is None or difficult is None:
            objects.lose("record-shape", row.where, "says neither 0 nor 1 under crowd or difficult")
        else:
            objects.add(
                corners,
                index[name],
                where=row.where,
                crowd=crowd,
                difficult=difficult,
                attributes={k: v for k, v in row.cells.items() if k not in _KNOWN and k and v},
            )
    return objects.sample(path, path.stem)


def _size(row: _Row, report: Report) -> tuple[int, int] | None:
    said = row.cells.get("width", "").strip(), row.cells.get("height", "").strip()
    if not any(said):
        return None
    size = size_of(*(number(value) for value in said))
    if size is None:
        report(finding("size-invalid", row.file, row.where, f"says {said[0]!r:.40} x {said[1]!r:.40}"))
    return size
