"""Where detections go, one image at a time: pictures, JSON lines, CSV, COCO results. Torch-free.

Each sink is a context manager; a file appears when its block ends well, and not before.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from boxwright.draw import PICTURES, class_colour, draw_boxes, write_picture
from boxwright.errors import InputError
from boxwright.files import replacing, spreadsheet_cell
from boxwright.outputs import Outputs, Unwritten, refuse_other
from boxwright.regular import real_path
from boxwright.results import Result
from boxwright.runtime.sources import Item
from boxwright.runtime.video import VideoWriter


class Sink(Protocol):
    """Takes results in order."""

    def take(self, item: Item, result: Result) -> None:
        """Write one image's detections."""
        ...

    def skip(self, item: Item, error: InputError) -> None:
        """Note an image that could not be read."""
        ...


class Pictures:
    """The images with their boxes drawn in, in a folder; a video becomes one MP4.

    Args:
        folder: made when it is needed.
        overwrite: replace files there that boxwright did not write.

    Attributes:
        unwritten: the pictures and videos that could not be written; the others are.
    """

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self.folder, self.unwritten = folder, Unwritten()
        self._outputs = Outputs(folder, overwrite=overwrite)
        self._video: tuple[Path, VideoWriter] | None = None
        self._left_out: Path | None = None
        self._open = ExitStack()

    def __enter__(self) -> Pictures:
        self._outputs.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                self._finish_video()
            else:
                self._open.__exit__(kind, error, trace)  # type: ignore[arg-type]
        finally:
            self._outputs.__exit__()

    def take(self, item: Item, result: Result) -> None:
        """Draw one image; a result without its image is a defect."""
        if result.image is None:
            raise ValueError("pictures need results that keep their images")
        colours = [class_colour(int(index)) for index in result.index]
        drawn = draw_boxes(result.image, result.boxes, result.names, result.scores, colours)
        if item.frame is None:
            self._finish_video()
            suffix = "" if item.output.suffix.lower() in PICTURES else ".png"
            target = self.folder / f"{item.output}{suffix}"
            with self.unwritten.noted():
                self._guard(target, item.path)
                write_picture(self._outputs.claim(target), drawn)
            return
        target = self.folder / f"{item.output}{'' if item.output.suffix.lower() == '.mp4' else '.mp4'}"
        if target == self._left_out:
            return
        if self._video is None or self._video[0] != target:
            self._finish_video()
            self._left_out = target
            with self.unwritten.noted():
                self._guard(target, item.path)
                file = self._open.enter_context(replacing(self._outputs.claim(target)))
                self._video, self._left_out = (target, VideoWriter(file, item.rate, result.size)), None
        if self._video is not None:
            self._video[1].write(drawn)

    def skip(self, item: Item, error: InputError) -> None:
        """Nothing to draw."""

    def _finish_video(self) -> None:
        if self._video is not None:
            video, self._video = self._video[1], None
            with self.unwritten.noted(), self._open:
                video.close()

    @staticmethod
    def _guard(target: Path, source: Path) -> None:
        if real_path(target) == real_path(source):
            raise InputError("its picture would replace it", path=source, hint="choose another --out")


class JsonLines:
    """One JSON object per image and line; an unreadable image has "path" and "error".

    Args:
        say: receives each line, without its end.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say

    def take(self, item: Item, result: Result) -> None:
        """Write the result's line."""
        self._write(_numbered(item) | {k: v for k, v in result.to_dict().items() if k != "path"})

    def skip(self, item: Item, error: InputError) -> None:
        """Write the error's line."""
        self._write(_numbered(item) | {"error": error.message})

    def _write(self, values: dict[str, object]) -> None:
        self._say(json.dumps(values))


class CsvTable:
    """One row per detection: path, frame (of a video), x1, y1, x2, y2, score, label, name."""

    COLUMNS = ("path", "frame", "x1", "y1", "x2", "y2", "score", "label", "name")

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._write([self.COLUMNS])

    def take(self, item: Item, result: Result) -> None:
        """Write the rows of one image."""
        frame = "" if item.frame is None else item.frame
        self._write(
            [
                spreadsheet_cell(str(item.path)),
                frame,
                *found["box"],
                found["score"],
                found["label"],
                spreadsheet_cell(found["name"]),
            ]
            for found in result.to_dict()["detections"]
        )

    def skip(self, item: Item, error: InputError) -> None:
        """An unreadable image has no rows."""

    def _write(self, rows: object) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
        self._file.write(text.getvalue().encode())


_TABLE = (",".join(CsvTable.COLUMNS).encode(),)
_RESULTS = (b'[\n{"image_id"', b"[]")
"""How our files of detections begin."""


class CocoResults:
    """COCO's list of results, as its evaluation reads it: image_id, category_id, bbox (x, y, w, h), score.

    The id of an image is its file's name without suffix, as a number where it is one (COCO's own files); a
    `file_name` stands beside it, and for a video the number of the frame.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._before = "["

    def take(self, item: Item, result: Result) -> None:
        """Write one image's detections."""
        stem = item.path.stem
        about = {"image_id": int(stem) if stem.isdecimal() else stem, "file_name": str(item.path)}
        if item.frame is not None:
            about["frame"] = item.frame
        for found in result.to_dict()["detections"]:
            x1, y1, x2, y2 = found["box"]
            bbox = [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)]
            row = {**about, "category_id": found["label"], "bbox": bbox, "score": found["score"]}
            self._file.write(f"{self._before}\n{json.dumps(row)}".encode())
            self._before = ","

    def skip(self, item: Item, error: InputError) -> None:
        """An unreadable image has no results."""

    def end(self) -> None:
        """Close the list."""
        self._file.write(b"[]\n" if self._before == "[" else b"\n]\n")


@contextmanager
def table_file(path: Path, *, overwrite: bool = False) -> Iterator[CsvTable]:
    """A CSV file; a file that is there is replaced if it is such a table, or if `overwrite` says so."""
    refuse_other(path, _TABLE, overwrite=overwrite)
    with replacing(path) as file:
        yield CsvTable(file)


@contextmanager
def coco_file(path: Path, *, overwrite: bool = False) -> Iterator[CocoResults]:
    """A JSON file of COCO results; a file that is there is replaced if it is such a list, or as `table_file`."""
    refuse_other(path, _RESULTS, overwrite=overwrite)
    with replacing(path) as file:
        results = CocoResults(file)
        yield results
        results.end()


def _numbered(item: Item) -> dict[str, object]:
    path: dict[str, object] = {"path": str(item.path)}
    return path if item.frame is None else path | {"frame": item.frame}
