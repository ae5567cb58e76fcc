"""From any format to any other: all of it or nothing, and a count of what the target cannot hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from boxwright.data.classes import EVERYTHING, ClassChoice, choose_classes
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.writers import FORMATS, write
from boxwright.data.formats.writers.placing import Images, Watch, quietly
from boxwright.data.losses import losses
from boxwright.data.open import Policy, check_split, detect, read_split, stopping, unified
from boxwright.data.records import Dataset, Finding
from boxwright.errors import InputError, near
from boxwright.regular import real_path


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
        target: the new data set's folder.
        format: its format.
        splits: (images, objects) of each split; the name is "" where there is no split.
        lost: what the target cannot hold: how many of each.
        findings: what was left out, or looked wrong, on reading.
        notes: what a person should know before using it.
    """

    target: Path
    format: str
    splits: dict[str, tuple[int, int]]
    lost: dict[str, int]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def left_out(self) -> dict[str, int]:
        """How many defects of each check there were on reading."""
        return dict(Counter(finding.check for finding in self.findings if finding.severity != "info"))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "target": str(self.target),
            "format": self.format,
            "splits": {name: {"images": i, "objects": o} for name, (i, o) in self.splits.items()},
            "lost": self.lost,
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
        }


def convert(
    source: str | Path,
    target: str | Path,
    to: str,
    *,
    only: Sequence[str] = (),
    images: Images = "copy",
    policy: Policy = "error",
    options: ReadOptions = DEFAULT,
    classes: ClassChoice = EVERYTHING,
    renumber: bool = False,
    watch: Watch = quietly,
) -> Conversion:
    """Write the data set at `source` as a complete data set of another (or the same) format.

    Args:
        source: anything that `open_dataset` opens; it is never changed.
        target: a folder that does not exist yet, or is empty, outside `source`.
        to: "coco", "voc", "yolo" or "csv".
        only: the splits to convert; all of them if empty.
        images: "copy" or "link" (hard links: no space, but a change to one changes both).
        policy: as in `open_dataset`.
        options: how `source` is read; VOC files that count pixels from 0: those of `source` if it is VOC, else the
            written ones.
        classes: the classes to keep, and new names for some.
        renumber: give the classes the ids 0 to C-1 (programs that read YOLO often want that).
        watch: passes the images on as they are written, and shows it.

    Raises:
        InputError: unknown format or split, a target that is not empty, a broken source, a full disk.
    """
    source, target = Path(source), Path(target)
    if to not in FORMATS:
        raise InputError(f"unknown format {to!r}", hint=near(to, FORMATS))
    if real_path(target).is_relative_to(real_path(source)):
        raise InputError(
            "lies inside the data set to convert", path=target, hint="choose a folder outside it"
        )
    parts = _read(source, only, policy, options)
    chosen = [choose_classes(part, classes) for part in parts]
    parts, said = [part for part, _ in chosen], [line for _, lines in chosen for line in lines]
    if renumber:
        parts = [replace(part, ids=tuple(range(len(part.ids)))) for part in parts]
    zero_based = options.voc_zero_based and parts[0].format != "voc"
    write(parts, target, to, images=images, watch=watch, voc_zero_based=zero_based)
    return Conversion(
        target,
        to,
        {part.split: (len(part), sum(len(sample.labels) for sample in part)) for part in parts},
        losses(parts, to),
        tuple(finding for part in parts for finding in part.findings),
        (*said, *_notes(parts[0], to)),
    )


def _notes(part: Dataset, to: str) -> Iterator[str]:
    if to == "yolo" and part.ids != tuple(range(len(part.ids))):
        yield "The class numbers are not 0 to C-1, which some trainers want; --renumber makes them so."


def _read(source: Path, names: Sequence[str], policy: Policy, options: ReadOptions) -> list[Dataset]:
    """Each split, all with the same classes; a split without images stays one."""
    found = detect(source)
    check_split(source, names, found.splits)
    parts = []
    for name in names or found.splits or ("",):
        findings: list[Finding] = []
        report = stopping(findings, policy)
        part = read_split(source, name, report, found=found, options=options)
        parts.append(replace(part, findings=tuple(findings)))
    if not any(parts):
        raise InputError("has no images", path=source, hint="boxwright check says what is wrong with it")
    return unified(parts)
