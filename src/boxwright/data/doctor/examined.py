"""What the doctor's checks look at, and how they speak of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from boxwright.data.doctor.probe import Probe
from boxwright.data.findings import finding
from boxwright.data.records import Dataset, Finding, Sample

Item = TypeVar("Item")


@dataclass(frozen=True)
class Examined:
    """What the checks look at.

    Attributes:
        format: "coco", "voc", "yolo" or "csv".
        parts: each split that is not merely the union of others, in boxwright's order.
        probes: every image file that is named; empty where nobody looked.
        reported: files (absolute) that a reader's finding names.
    """

    format: str
    parts: Mapping[str, Dataset]
    probes: Mapping[Path, Probe]
    reported: Collection[Path] = ()

    @property
    def root(self) -> Path:
        """The data folder."""
        return next(iter(self.parts.values())).root

    def samples(self) -> Iterator[tuple[str, Dataset, Sample]]:
        """Every image with its split, split by split."""
        for split, part in self.parts.items():
            for sample in part:
                yield split, part, sample

    def unique(self) -> Iterator[tuple[Dataset, Sample]]:
        """Every image file once."""
        seen: set[Path] = set()
        for _, part, sample in self.samples():
            if sample.path not in seen:
                seen.add(sample.path)
                yield part, sample

    def size(self, sample: Sample) -> tuple[int, int] | None:
        """(height, width) of the image as annotated, else as its file says."""
        probe = self.probes.get(sample.path)
        return sample.size or (probe.size if probe is not None else None)

    def odd(self, check: str, part: Dataset, sample: Sample, index: int, message: str) -> Finding:
        """A finding about one object, by id or number; in the image's own annotation file if it has one."""
        file = _annotation_file(part, sample)
        where = name = part.classes[sample.labels[index]]
        identity = sample.object_ids[index] if sample.object_ids else None
        if identity is not None:
            where = f"annotation {identity} ({name})"
        elif file not in self.reported:  # else objects may be missing before this one
            where = f"object {index + 1} ({name})"
        corners = ", ".join(f"{value:.6g}" for value in sample.boxes[index].tolist())
        return finding(check, file, where, f"box [{corners}] {message}")


def unions(paths: Mapping[str, Collection[Path]]) -> set[str]:
    """Splits that are only other splits together, such as "trainval": not a leak, and nothing new to look at.

    >>> a, b = Path("a"), Path("b")
    >>> unions({"train": {a}, "val": {b}, "trainval": {a, b}})
    {'trainval'}
    """
    found: set[str] = set()
    for split in sorted(paths, key=lambda name: len(paths[name]), reverse=True):
        whole = set(paths[split])
        parts = [set(p) for name, p in paths.items() if name != split and name not in found and p]
        inside = [part for part in parts if part < whole]
        if len(inside) > 1 and set().union(*inside) == whole:
            found.add(split)
    return found


def _annotation_file(part: Dataset, sample: Sample) -> Path:
    """VOC's XML file of an image, else the image."""
    if part.format == "voc":
        for folder in (part.root / "Annotations", sample.path.parent):
            file = folder / f"{sample.image_id}.xml"
            if file.is_file():
                return file
    return sample.path


def groups(items: Iterable[Item], key: Callable[[Item], str]) -> list[list[Item]]:
    """Items with equal keys, where there are several."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return [group for group in found.values() if len(group) > 1]


def few(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more.

    >>> few(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
