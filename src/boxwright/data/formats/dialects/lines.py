"""Lists of keras-yolo3 and YOLOv4: a line for each image, `image.jpg xmin,ymin,xmax,ymax,class ...` in pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.entries import Entry, Thing, files_of
from boxwright.data.formats.reading import read_text
from boxwright.data.formats.values import number, whole
from boxwright.data.records import Report
from boxwright.images import EXTENSIONS

_NAMES = ("_classes.txt", "classes.txt")
_NUMBER = r"[+-]?\d+(?:\.\d*)?"
_BOX = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{3}},\d+")


class Lines:
    """Reads `_annotations.txt` beside `_classes.txt`."""

    def files(self, source: Path) -> list[Path]:
        """As `Dialect.files`."""
        return files_of(source, ".txt", _is_list)

    def classes(self, files: Sequence[Path]) -> Sequence[str]:
        """The names in the order of the first list of classes that is there."""
        return _names(files[0]) if files else ()

    def entries(self, file: Path, report: Report) -> Iterator[Entry]:
        """As `Dialect.entries`."""
        names = _names(file)
        for row, line in enumerate((read_text(file, report) or "").split("\n"), start=1):
            if not line.strip():
                continue
            words = line.split()
            start = next((i for i, word in enumerate(words) if _BOX.fullmatch(word)), len(words))
            name, boxes = " ".join(words[:start]), words[start:]
            if not name:
                report(finding("record-shape", file, f"line {row}", "names no image"))
                continue
            yield Entry(name, f"line {row}", None, [_thing(word, names) for word in boxes])


def _thing(word: str, names: Sequence[str]) -> Thing:
    *said, label = word.split(",")
    values = [value for part in said if (value := number(part)) is not None]
    index = whole(label)
    if len(values) != 4 or index is None:
        return Thing("", None, problem=f"is {word!r:.60}, not xmin,ymin,xmax,ymax,class")
    if names and not 0 <= index < len(names):
        return Thing("", None, problem=f"has class {index}, and the list of names has {len(names)}")
    left, top, right, bottom = values
    return Thing(names[index] if names else f"class {index}", (left, top, right, bottom))


def _names(file: Path) -> list[str]:
    listing = next((file.parent / name for name in _NAMES if (file.parent / name).is_file()), None)
    text = "" if listing is None else read_text(listing, lambda _: None) or ""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _is_list(file: Path) -> bool:
    """Whether the first lines of a file name images, and one of them has boxes."""
    lines = (read_text(file, lambda _: None) or "").split("\n")[:20] if file.name not in _NAMES else []
    held = [line for line in lines if line.strip()]
    images = [any(ending in line.lower() for ending in EXTENSIONS) for line in held]
    return bool(held) and all(images) and any(_BOX.search(line) for line in held)
