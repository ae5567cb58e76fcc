"""What the doctor's checks look at, and how they speak of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from boxwright.data.probe import Probe
from boxwright.data.records import Dataset, Sample

Item = TypeVar("Item")


@dataclass(frozen=True)
class Examined:
    """What the checks look at.

    Attributes:
        format: "coco", "voc", "yolo" or "csv".
        parts: each split that is not merely the union of others, in boxwright's order.
        probes: every image file that is named; empty where nobody looked.
        reported: files that a reader's finding names.
    """

    format: str
    parts: Mapping[str, Dataset]
    probes: Mapping[Path, Probe]
    reported: Collection[str] = ()

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


def where(part: Dataset, sample: Sample, index: int) -> str:
    """Which object of an image: its id where the file gives one, and its class."""
    name = part.classes[sample.labels[index]]
    identity = sample.object_ids[index] if sample.object_ids else None
    return name if identity is None else f"annotation {identity} ({name})"


def box_text(sample: Sample, index: int) -> str:
    """The corners of a box, short."""
    return f"[{', '.join(f'{value:.6g}' for value in sample.boxes[index].tolist())}]"


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
