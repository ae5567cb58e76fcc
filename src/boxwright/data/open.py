"""Opening a data set whatever its format: detection, splits, and what counts as too broken to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from boxwright.data.findings import CHECKS
from boxwright.data.formats import coco, folders, tables, voc, yolo
from boxwright.data.formats.reading import split_rank
from boxwright.data.records import Dataset, Finding, Report, Sample
from boxwright.errors import InputError

Policy = Literal["error", "skip"]

# In the order in which a folder is tried: a data.yaml is the surest sign, folders of mere pictures the weakest.
_FINDERS = (
    ("yolo", yolo.splits),
    ("voc", voc.splits),
    ("coco", coco.splits),
    ("csv", tables.splits),
    ("folders", folders.splits),
)


def splits(path: str | Path) -> tuple[str, ...]:
    """The names of a data set's splits: train, val, test, then others; empty if it is not split.

    Raises:
        InputError: there is no data set at `path`.
    """
    return detect(Path(path))[1]


def open_dataset(
    path: str | Path, split: str | None = None, policy: Policy = "error", *, voc_zero_based: bool = False
) -> Dataset:
    """Read a data set in any of the formats.

    Args:
        path: a data-set folder (COCO, Pascal VOC, YOLO or CSV), a folder of loose VOC XML files, a COCO JSON
            file, a YOLO `data.yaml`, a CSV file, or a folder with a folder of pictures for each class.
        split: one of `splits(path)`; None for everything (an image that is in several splits comes once).
        policy: what to do about a missing image, an unknown class or the like: "error" stops at the first,
            "skip" leaves out the image or the object and lists it in the data set's `findings`.
        voc_zero_based: the VOC files count pixels from 0, not from 1.

    Returns:
        The images and their objects. Boxes that cannot be trained on (not finite, swapped, of no area, wholly
        outside) are left out and listed in `findings`, whatever the policy.

    Raises:
        InputError: no data set, an unknown split, or files that contradict themselves; names the file.
    """
    path = Path(path)
    kind, names = detect(path)
    check_split(path, [] if split is None else [split], names)
    parts = []
    for name in [split] if split is not None else names or [""]:
        findings: list[Finding] = []
        part = read_split(path, name, stopping(findings, policy), kind=kind, voc_zero_based=voc_zero_based)
        parts.append(replace(part, findings=tuple(findings)))
    dataset = parts[0] if len(parts) == 1 else merged(parts)
    if not dataset.samples:
        which = f" in split {split!r}" if split else ""
        raise InputError(
            f"has no images{which}", path=path, hint="boxwright check says what is wrong with it"
        )
    return dataset


def read_split(
    path: Path, split: str, report: Report, *, kind: str | None = None, voc_zero_based: bool = False
) -> Dataset:
    """Read one split and report everything that is wrong with it, stopping at nothing.

    Args:
        path: as in `open_dataset`.
        split: one of `splits(path)`, or "" where there are none.
        report: takes each finding.
        kind: the format, if it is known; otherwise it is detected.
        voc_zero_based: the VOC files count pixels from 0, not from 1.
    """
    kind = kind or detect(path)[0]
    if kind == "voc":
        return voc.read(path, split, report, zero_based=voc_zero_based)
    readers = {"coco": coco.read, "yolo": yolo.read, "csv": tables.read, "folders": folders.read}
    return readers[kind](path, split, report)


def detect(path: Path) -> tuple[str, tuple[str, ...]]:
    """The format of the data set at `path` and its splits.

    Raises:
        InputError: nothing there, or nothing that is a data set.
    """
    if not path.exists():
        raise InputError("does not exist", path=path, hint="give a data-set folder or file")
    try:
        for kind, finder in _FINDERS:
            names = finder(path)
            if names is not None:
                return kind, tuple(sorted(names, key=split_rank))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=path) from error
    raise InputError(
        "is no data set that boxwright knows",
        path=path,
        hint="it looks for data.yaml (YOLO), Annotations/*.xml or *.xml (Pascal VOC), "
        "annotations/*.json or *.json (COCO), *.csv, and a folder of pictures for each class",
    )


def check_split(path: Path, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raise InputError if a split that is wanted is not there, saying which ones are."""
    for name in wanted:
        if name not in there:
            hint = f"splits there: {', '.join(there)}" if there else "it is not split; leave the split out"
            raise InputError(f"no split {name!r}", path=path, hint=hint)


def unified(parts: Sequence[Dataset]) -> list[Dataset]:
    """The splits of a data set under one list of classes: what any of them lists, in the order of the first.

    Raises:
        InputError: the splits give one class id to different names.
    """
    names: dict[int, str] = {}
    for part in parts:
        for identity, name in zip(part.ids, part.classes, strict=True):
            if names.setdefault(identity, name) != name:
                message = f"class {identity} is {names[identity]!r} in one split and {name!r} in another"
                raise InputError(message, path=part.root, hint="give all splits the same list of classes")
    index = {identity: position for position, identity in enumerate(names)}
    classes, ids = tuple(names.values()), tuple(names)
    return [
        part
        if part.ids == ids
        else replace(_reindexed(part, [index[identity] for identity in part.ids]), classes=classes, ids=ids)
        for part in parts
    ]


def merged(parts: Sequence[Dataset]) -> Dataset:
    """Several splits as one data set; an image that is in more than one comes once."""
    parts = unified(parts)
    samples: dict[Path, Sample] = {}
    for sample in (sample for part in parts for sample in part):
        samples.setdefault(sample.path, sample)
    findings = tuple(finding for part in parts for finding in part.findings)
    return replace(parts[0], samples=tuple(samples.values()), split="", findings=findings)


def _reindexed(dataset: Dataset, mapping: Sequence[int]) -> Dataset:
    new = np.array(mapping, np.int64)
    return replace(dataset, samples=tuple(replace(s, labels=new[s.labels]) for s in dataset))


def stopping(collected: list[Finding], policy: Policy) -> Report:
    """A report that raises where the table of checks says so, and collects the rest."""

    def report(found: Finding) -> None:
        stops = CHECKS[found.check].stops
        if stops == "always" or (stops == "policy" and policy == "error"):
            where = f"{found.where}: " if found.where else ""
            hint = "boxwright check lists all such defects"
            if stops == "policy":
                hint += " and --fix writes a clean copy"
            raise InputError(f"{where}{found.message}", path=found.file, hint=f"{hint} [{found.check}]")
        collected.append(found)

    return report
