"""Writes CSV: `annotations.csv`, `classes.csv` and the images."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from boxwright.data.formats.tables import CLASSES, COLUMNS, TABLE
from boxwright.data.formats.writers.placing import (
    Images,
    Watch,
    as_splits,
    image_names,
    place,
    plain,
    quietly,
    size_of,
)
from boxwright.data.records import Dataset, Sample
from boxwright.files import spreadsheet_cell, write_text


def write(
    data: Dataset | Sequence[Dataset], folder: Path, *, images: Images = "copy", watch: Watch = quietly
) -> None:
    """Write a data set, or its splits, with the images.

    Args:
        data: the data set, or one for each split, all with the same classes.
        folder: where to write; all images go to `folder/images`.
        images: "copy" or "link" them.
        watch: passes the images on as they are written, and shows it.
    """
    splits = as_splits(data)
    names = image_names(splits)
    rows: list[Sequence[object]] = [COLUMNS]
    for split in splits:
        for sample in watch(split, "writing"):
            place(sample.path, folder / "images" / names[sample.path], images)
            rows += _rows(sample, f"images/{names[sample.path]}", split)
    write_text(folder / CLASSES, _text(list(zip(splits[0].classes, splits[0].ids, strict=True))))
    write_text(folder / TABLE, _text(rows))


def _rows(sample: Sample, name: str, split: Dataset) -> Iterator[Sequence[object]]:
    """A row for each object, in the order of COLUMNS; one with an empty box if there is none."""
    height, width = size_of(sample) or ("", "")
    if not len(sample.labels):
        yield (name, "", "", "", "", "", split.split, "", "", width, height)
    for position, label in enumerate(sample.labels.tolist()):
        box = [plain(value) for value in sample.boxes[position].tolist()]
        flags = int(sample.difficult[position]), int(sample.crowd[position])
        yield (name, *box, split.classes[label], split.split, *flags, width, height)


def _text(rows: Sequence[Sequence[object]]) -> str:
    """RFC 4180, whose line ends also make the writer quote a cell that has either half of one."""
    file = io.StringIO(newline="")
    safe = ([spreadsheet_cell(cell) for cell in row] for row in rows)
    csv.writer(file, lineterminator="\r\n").writerows(safe)
    return file.getvalue()
