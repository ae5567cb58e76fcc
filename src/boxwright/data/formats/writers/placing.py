"""What every writer does: take the splits in order, name the images, put them in their place."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Literal

from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError
from boxwright.images import image_size

Images = Literal["copy", "link"]
"""Whether images are copied or hard-linked (copied all the same where the file system cannot link)."""

Watch = Callable[[Iterable[Sample], str], Iterable[Sample]]
"""Passes images on and shows a person how many are done of what ("writing")."""

# Separators, drive letters, control characters (line ends in lists of names), what is no Unicode; and a dot
# in front, which hides a file.
_UNFIT = re.compile(r"[\x00-\x1f\x7f\\/:\ud800-\udfff]|^\.")
_LONGEST = 240


def quietly(samples: Iterable[Sample], what: str) -> Iterable[Sample]:
    """The `Watch` that shows nothing."""
    return samples


def as_splits(data: Dataset | Sequence[Dataset]) -> tuple[Dataset, ...]:
    """The data sets to write, one for each split.

    Raises:
        ValueError: there is none, two have the same split, or they differ in classes.
    """
    splits = (data,) if isinstance(data, Dataset) else tuple(data)
    if len({safe(split.split).casefold() for split in splits}) < len(splits):
        raise ValueError(f"several data sets of one split: {[split.split for split in splits]}")
    if len({(split.classes, split.ids) for split in splits}) != 1:
        raise ValueError("the splits of a data set must have the same classes and ids")
    return splits


def safe(name: str) -> str:
    """A name that is one part of a path on any system: no separators, no control characters, not hidden.

    >>> safe("../a:b")
    '_._a_b'
    """
    return _UNFIT.sub("_", name)


def image_names(splits: Sequence[Dataset]) -> dict[Path, str]:
    """For each image a file name whose stem no other image has, whatever the case: its own where possible.

    One stem for one image, because VOC and YOLO name an image's annotation file by its stem.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in dict.fromkeys(sample.path for split in splits for sample in split):
        stem, suffix = safe(path.stem), safe("x" + path.suffix)[1:]
        if len(stem.encode()) > _LONGEST:
            stem = stem.encode()[: _LONGEST - 40].decode(errors="ignore")
        longer = f"{safe(path.parent.name)}_{stem}"
        options = chain(
            [stem, longer if len(longer.encode()) <= _LONGEST else stem], (f"{stem}_{n}" for n in count(2))
        )
        chosen = next(option for option in options if _key(option) not in taken)
        taken.add(_key(chosen))
        names[path] = chosen + suffix
    return names


def _key(stem: str) -> str:
    """What file systems that fold case, or compose accents, make of a name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())


def place(source: Path, target: Path, how: Images) -> None:
    """Bring an image to `target`, byte for byte; nothing to do if it is there already."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):
        return
    if not source.is_file():
        raise InputError("does not exist", path=source, hint="boxwright check lists what is missing")
    if how == "link":
        try:
            os.link(source, target)
            return
        except OSError:
            pass  # another file system, or one without links
    shutil.copyfile(source, target)


def size_of(sample: Sample) -> tuple[int, int] | None:
    """(height, width) as the annotation says, else from the image, else None."""
    return sample.size if sample.size is not None else real_size(sample)


def real_size(sample: Sample) -> tuple[int, int] | None:
    """(height, width) from the image, or None if it cannot be decoded."""
    try:
        return image_size(sample.path)
    except InputError:
        return None


def plain(value: float) -> float | int:
    """A whole number without its ".0".

    >>> plain(3.0), plain(3.5)
    (3, 3.5)
    """
    return int(value) if float(value).is_integer() else float(value)
