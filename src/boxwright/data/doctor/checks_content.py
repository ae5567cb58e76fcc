"""The doctor's checks of what is annotated: odd boxes, classes and splits against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from boxwright.data.doctor.examined import Examined, few, groups
from boxwright.data.findings import finding
from boxwright.data.formats.reading import box_fault
from boxwright.data.records import Dataset, Finding, Sample

_TINY = 2.0  # pixels
_WHOLE = 0.99  # of the width and of the height
_IMBALANCE = 50


def objects(data: Examined) -> Iterator[Finding]:
    """Boxes that could be read and are odd, and images that have none."""
    for part, sample in data.unique():
        if len(sample.labels) == 0:
            yield finding("image-without-objects", sample.path, "", "has no object")
            continue
        size = data.size(sample)
        sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
        for index in np.flatnonzero((sides < _TINY).any(axis=1)).tolist():
            width, height = sides[index].tolist()
            yield data.odd("box-tiny", part, sample, index, f"is {width:.4g} x {height:.4g} pixels")
        if size is not None:
            for index in np.flatnonzero((sides >= _WHOLE * np.array(size[::-1])).all(axis=1)).tolist():
                yield data.odd("box-whole-image", part, sample, index, "covers the image")
        if sample.size is None and size is not None:
            for index, box in enumerate(sample.boxes.tolist()):
                fault = box_fault(box, size)
                if fault is not None:
                    message = f"does not fit the image of {size[1]} x {size[0]} pixels"
                    yield data.odd(fault[0], part, sample, index, message)
        yield from _same_boxes(data, part, sample)


def _same_boxes(data: Examined, part: Dataset, sample: Sample) -> Iterator[Finding]:
    first: dict[tuple[float, ...], int] = {}
    for index, box in enumerate(np.round(sample.boxes, 2).tolist()):
        other = first.setdefault(tuple(box), index)
        if other == index:
            continue
        if sample.labels[index] == sample.labels[other]:
            yield data.odd("box-duplicate", part, sample, index, "is there twice")
        else:
            names = " and ".join(part.classes[sample.labels[i]] for i in (other, index))
            yield data.odd("box-two-classes", part, sample, index, f"is {names}")


def origin(data: Examined) -> Iterator[Finding]:
    """Whether VOC files seem to count pixels from 0: read as counting from 1, their boxes begin at -1."""
    if data.format != "voc":
        return
    boxes = [sample.boxes for _, sample in data.unique()]
    early = sum(int((part[:, :2] == -1).any(axis=1).sum()) for part in boxes)
    if early:
        total = sum(map(len, boxes))
        message = f"{early} of {total} boxes begin at 0; if pixels count from 0 here, say --voc-zero-based"
        yield finding("voc-zero-based", data.root, "", message)


def classes(data: Examined) -> Iterator[Finding]:
    """Names, ids and numbers of objects, split against split."""
    named: dict[int, str] = {}
    total: Counter[str] = Counter()
    held: dict[str, set[str]] = {}
    for split, part in data.parts.items():
        for identity, name in zip(part.ids, part.classes, strict=True):
            if named.setdefault(identity, name) != name:
                message = (
                    f"class {identity} is {name!r} in {split!r} and {named[identity]!r} in an earlier split"
                )
                yield finding("class-conflict", part.root, f"split {split}", message)
        present: Counter[str] = Counter()
        for label, count in enumerate(part.counts().tolist()):
            present[part.classes[label]] += count
        total.update(present)
        held[split] = {name for name, count in present.items() if count}
    for group in groups(sorted(total), lambda name: "".join(filter(str.isalnum, name.casefold())) or name):
        yield finding("class-similar", data.root, "", f"classes {' and '.join(map(repr, group))}")
    unused = [name for name, count in total.items() if not count]
    if unused:
        yield finding("class-unused", data.root, "", f"no object of {few(unused)}")
    everywhere = set().union(*held.values())
    for split, present_names in held.items():
        missing = sorted(everywhere - present_names)
        if missing and data.parts[split].samples:
            yield finding(
                "class-missing", data.parts[split].root, f"split {split}", f"no object of {few(missing)}"
            )
    counts = [(count, name) for name, count in total.items() if count]
    if counts and max(counts)[0] >= _IMBALANCE * min(counts)[0]:
        (most, common), (least, rare) = max(counts), min(counts)
        yield finding("class-imbalance", data.root, "", f"{most} of {common!r}, {least} of {rare!r}")


def splits(data: Examined) -> Iterator[Finding]:
    """Splits without images, and images in two of them."""
    for split, part in data.parts.items():
        if not part.samples:
            where = f"split {split}" if split else ""
            yield finding("split-empty", part.root, where, "no image can be used")
    for (one, first), (two, second) in combinations(data.parts.items(), 2):
        paths = {sample.path for sample in first}
        for sample in second:
            if sample.path in paths:
                yield finding("split-overlap", sample.path, "", f"is in {one!r} and in {two!r}")
