"""Opening a data set whatever its format: detection, splits, and what counts as too broken to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from boxwright.addresses import refuse_address
from boxwright.data.findings import CHECKS
from boxwright.data.formats import coco, folders, tables, voc, yolo
from boxwright.data.formats.dialects import createml, cvat, labelme, labelstudio, lines, via
from boxwright.data.formats.entries import Dialect, EntryFormat
from boxwright.data.formats.notes import Note
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.reading import split_rank
from boxwright.data.records import Dataset, Finding, Report, Sample
from boxwright.errors import InputError

Policy = Literal["error", "skip"]


@runtime_checkable
class Read(Protocol):
    """Reads one split of a data set; what is wrong goes to `report`, and is left out."""

    def __call__(self, source: Path, split: str, report: Report, options: ReadOptions) -> Dataset:
        """The images of the split and their objects."""
        ...


@dataclass(frozen=True)
class Format:
    """A format of data sets.

    Attributes:
        name: "coco", "voc", ...: what `Dataset.format` says.
        splits: names of the splits at a path (none: an empty tuple), or None where it is another format.
        read: reads one of them.
    """

    name: str
    splits: Callable[[Path, Note], tuple[str, ...] | None]
    read: Read


def _dialect(name: str, dialect: Dialect) -> Format:
    held = EntryFormat(name, dialect)
    return Format(name, held.splits, held.read)


FORMATS = (
    Format("yolo", yolo.splits, yolo.read),
    Format("voc", voc.splits, voc.read),
    Format("coco", coco.splits, coco.read),
    _dialect("createml", createml.CreateML()),
    _dialect("labelstudio", labelstudio.LabelStudio()),
    _dialect("via", via.Via()),
    _dialect("cvat", cvat.Cvat()),
    Format("csv", tables.splits, tables.read),
    _dialect("lines", lines.Lines()),
    Format("yolo", yolo.plain_splits, yolo.read_plain),
    _dialect("labelme", labelme.LabelMe()),
    Format("folders", folders.splits, folders.read),
)
"""In the order in which a path is tried: a data.yaml is the surest sign, folders of mere images the weakest."""

NAMES = {
    "coco": "COCO",
    "voc": "Pascal VOC",
    "yolo": "YOLO",
    "csv": "CSV",
    "folders": "labelled images",
    "createml": "CreateML",
    "labelstudio": "Label Studio JSON",
    "via": "VGG Image Annotator",
    "cvat": "CVAT XML",
    "lines": "lists of images with boxes",
    "labelme": "LabelMe",
}
"""What the formats are called to a person."""

_LOOKED_AT = 4
"""Files that were passed over and are named in an error."""


@dataclass(frozen=True)
class Found:
    """What there is at a path.

    Attributes:
        format: how it is read.
        splits: names of the splits: train, val, test, then others; none where nothing is split.
        passed_over: files that were looked at before and are not taken, each with the reason.
    """

    format: Format
    splits: tuple[str, ...]
    passed_over: tuple[tuple[Path, str], ...] = ()


def splits(path: str | Path) -> tuple[str, ...]:
    """The names of a data set's splits: train, val, test, then others; empty if it is not split.

    Raises:
        InputError: there is no data set at `path`.
    """
    return detect(Path(path)).splits


def open_dataset(
    path: str | Path,
    split: str | None = None,
    policy: Policy = "error",
    *,
    voc_zero_based: bool = False,
    images: str | Path | None = None,
    follow_links: bool = True,
    root: str | Path | None = None,
) -> Dataset:
    """Read a data set in any of the formats.

    Args:
        path: a data-set folder (COCO, Pascal VOC, YOLO, CSV, or what annotation tools export), a folder of loose
            VOC XML files, a single annotation file, or a folder with a folder of images for each class.
        split: one of `splits(path)`; None for everything (an image that is in several splits comes once).
        policy: what to do about a missing image, an unknown class or the like: "error" stops at the first,
            "skip" leaves out the image or the object and lists it in the data set's `findings`.
        voc_zero_based: the VOC files count pixels from 0, not from 1.
        images: the folder that holds the images, if they are not where the format has them.
        follow_links: symbolic links that lead out of the data folder are followed.
        root: the data folder, where `path` is one file of it; the file's own folder by default.

    Returns:
        The images and their objects. Boxes that cannot be trained on (not finite, swapped, of no area, wholly
        outside) are left out and listed in `findings`, whatever the policy.

    Raises:
        InputError: no data set, an unknown split, or files that contradict themselves; names the file.
    """
    path = Path(path)
    options = read_options(voc_zero_based, images, follow_links, root)
    found = detect(path)
    check_split(path, [] if split is None else [split], found.splits)
    parts = []
    for name in [split] if split is not None else found.splits or [""]:
        findings: list[Finding] = []
        part = found.format.read(path, name, stopping(findings, policy), options)
        parts.append(replace(part, findings=tuple(findings)))
    dataset = parts[0] if len(parts) == 1 else merged(parts)
    if not dataset.samples:
        which = f" in split {split!r}" if split else ""
        why = next((f"; {found.message}" for found in dataset.findings), "")
        raise InputError(
            f"has no images{which}{why:.400}", path=path, hint="boxwright check says what is wrong with it"
        )
    return dataset


def read_options(
    voc_zero_based: bool = False,
    images: str | Path | None = None,
    follow_links: bool = True,
    root: str | Path | None = None,
) -> ReadOptions:
    """What a person said of how to read a data set; `open_dataset` says what the arguments are.

    Raises:
        InputError: `images` is no folder.
    """
    if images is not None and not Path(images).is_dir():
        raise InputError("is no folder", path=images, hint="give the folder that holds the images")
    return ReadOptions(
        None if images is None else Path(images),
        follow_links,
        voc_zero_based,
        None if root is None else Path(root),
    )


def read_split(
    path: Path, split: str, report: Report, *, found: Found | None = None, options: ReadOptions = DEFAULT
) -> Dataset:
    """Read one split and report everything that is wrong with it, stopping at nothing.

    Args:
        path: as in `open_dataset`.
        split: one of `splits(path)`, or "" where there are none.
        report: takes each finding.
        found: what `detect` says of the path, if it is known.
        options: how it is read.
    """
    return (found or detect(path)).format.read(path, split, report, options)


def detect(path: Path) -> Found:
    """The format of the data set at `path` and its splits.

    Raises:
        InputError: nothing there, or nothing that is a data set; names the files that were looked at.
    """
    refuse_address(path)
    passed: dict[Path, str] = {}

    def note(file: Path, why: str) -> None:
        # The format that was tried first knew best what the file might have been.
        passed.setdefault(file, why)

    try:
        if not path.exists():
            raise InputError("does not exist", path=path, hint="give a data-set folder or file")
        for tried in FORMATS:
            names = tried.splits(path, note)
            if names is not None:
                return Found(tried, tuple(sorted(names, key=split_rank)), tuple(passed.items()))
        if (whole := _broken_coco(path)) is not None:
            return whole
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=path) from error
    raise _unknown(path, passed)


def _broken_coco(path: Path) -> Found | None:
    """A single JSON file that no format knows: most likely a COCO file that is damaged, which its reader explains."""
    if not path.is_file() or path.suffix.lower() != ".json":
        return None
    fmt = next(fmt for fmt in FORMATS if fmt.name == "coco")
    return Found(fmt, ())


def _unknown(path: Path, passed: Mapping[Path, str]) -> InputError:
    shown = [
        f"{file.relative_to(path).as_posix() if file.is_relative_to(path) and file != path else file.name} {why}"
        for file, why in [*passed.items()][:_LOOKED_AT]
    ]
    more = f" and {len(passed) - _LOOKED_AT} more" if len(passed) > _LOOKED_AT else ""
    seen = f"; looked at {'; '.join(shown)}{more}" if shown else ""
    return InputError(
        f"is no data set that boxwright knows{seen}",
        path=path,
        hint="it looks for data.yaml or classes.txt (YOLO), Annotations/*.xml (Pascal VOC), annotations/*.json or "
        "*.json (COCO, CreateML, Label Studio, VIA, LabelMe), annotations.xml (CVAT), *.csv, and a folder of images "
        "for each class",
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
