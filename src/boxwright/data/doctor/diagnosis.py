"""The doctor: reads a data set as training would, looks at every image, and lists what is wrong.

>>> from boxwright.data.findings import CHECKS
>>> CHECKS["leak-identical"].meaning
'two splits have the same picture, byte for byte'
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from boxwright.data.doctor import checks_content, checks_files
from boxwright.data.doctor.examined import Examined, unions
from boxwright.data.doctor.probe import Probe, Watch, probe_all
from boxwright.data.doctor.statistics import SplitStatistics, statistics
from boxwright.data.findings import CHECKS, finding
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.named import read_named
from boxwright.data.open import Found, detect, read_split
from boxwright.data.records import Dataset, Finding
from boxwright.errors import InputError, near
from boxwright.other_kinds import other_kinds

_NONE: Mapping[str, Path] = MappingProxyType({})

Checker = Callable[[Examined], Iterable[Finding]]

_HEADER = frozenset({"size-differs", "exif-rotated", "exif-orientation", "extension-differs"})
_PIXELS = frozenset({"leak-identical", "leak-near", "image-identical", "image-near"})
_FILES = frozenset({"image-missing", "image-unreadable", "image-empty", "image-truncated"})

CHECKERS: Sequence[tuple[Checker, frozenset[str]]] = (
    (checks_files.image_files, _FILES | {"extension-differs"}),
    (checks_files.image_sizes, frozenset({"size-differs", "exif-rotated", "exif-orientation"})),
    (
        checks_files.image_names,
        frozenset({"extension-mixed", "name-case", "name-shared", "image-unlisted"}),
    ),
    (checks_files.annotation_files, frozenset({"annotation-unlisted"})),
    (
        checks_content.objects,
        frozenset({"image-without-objects", "box-tiny", "box-whole-image", "box-duplicate"})
        | {"box-two-classes", "box-off-image", "box-outside"},
    ),
    (checks_content.origin, frozenset({"voc-zero-based"})),
    (
        checks_content.classes,
        frozenset({"class-conflict", "class-similar", "class-unused", "class-missing", "class-imbalance"}),
    ),
    (checks_content.splits, frozenset({"split-empty", "split-overlap"})),
    (checks_files.same_pictures, _PIXELS),
)
"""The doctor's own checks, each with the ids that it can find; readers find the rest of `CHECKS`."""


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        path: the data set.
        format: "coco", "voc", "yolo", "csv", ...: a name in `boxwright.data.open.NAMES`.
        splits: names of the splits; ("",) where there are none.
        findings: worst first, by check, in the order of the files.
        statistics: each split in numbers.
    """

    path: Path
    format: str
    splits: tuple[str, ...]
    findings: tuple[Finding, ...]
    statistics: Mapping[str, SplitStatistics]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop or spoil a training."""
        return tuple(found for found in self.findings if found.severity == "error")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "data": str(self.path),
            "format": self.format,
            "splits": list(self.splits),
            "findings": [asdict(found) for found in self.findings],
            "statistics": {split: numbers.to_dict() for split, numbers in self.statistics.items()},
        }


def examine(
    path: str | Path,
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    fast: bool = False,
    options: ReadOptions = DEFAULT,
    named: Mapping[str, Path] = _NONE,
    jobs: int | None = None,
    watch: Watch | None = None,
) -> Diagnosis:
    """Look for everything that `CHECKS` lists.

    Args:
        path: whatever `open_dataset` takes: a data-set folder, a folder of loose XML files, one JSON file.
        only: ids of the checks to report; all by default.
        skip: ids of checks to leave out.
        fast: read image headers only; truncated images and pictures that come twice go unnoticed.
        options: how the data set is read.
        named: splits that a person names by hand, as `boxwright.data.named.open_named` takes them.
        jobs: images decoded at a time; as many as there are processors by default.
        watch: passes images on as they are looked at, and shows it.

    Raises:
        InputError: there is no data set at `path`, or an id is unknown.
    """
    path = Path(path)
    wanted = _wanted(only, skip)
    there = detect(path)
    parts = read_parts(path, there, options, named)
    findings = [found for part in parts.values() for found in part.findings]
    findings += [finding("file-passed-over", file, "", why) for file, why in there.passed_over]
    if path.is_dir():
        why = "is a picture of a kind that is not read; convert it to JPEG or PNG"
        findings += [finding("file-passed-over", file, "", why) for file in other_kinds(path)]
    sides = {split: {sample.path for sample in part} for split, part in parts.items()}
    whole = unions(sides)
    probes: dict[Path, Probe] = {}
    if wanted & (_HEADER | _PIXELS | _FILES):
        decode = not fast and bool(wanted & (_PIXELS | {"image-truncated", "image-unreadable"}))
        paths = [sample.path for part in parts.values() for sample in part]
        probes = probe_all(paths, decode=decode, jobs=jobs, watch=watch)
    own = {split: part for split, part in parts.items() if split not in whole}
    data = Examined(
        there.format.name, own, probes, frozenset(Path(found.file).absolute() for found in findings)
    )
    for check, ids in CHECKERS:
        if wanted & ids:
            findings += run(check, data)
    sizes = {probe.path: probe.size for probe in probes.values() if probe.size is not None}
    return Diagnosis(
        path,
        there.format.name,
        tuple(parts),
        _sorted(found for found in findings if found.check in wanted),
        {split: statistics(part, sizes) for split, part in parts.items()},
    )


def read_parts(
    path: Path, there: Found, options: ReadOptions = DEFAULT, named: Mapping[str, Path] = _NONE
) -> dict[str, Dataset]:
    """Each split by name as its reader gives it, with everything that the reader says of it."""
    parts: dict[str, Dataset] = {}
    for name in [*named] or there.splits or [""]:
        findings: list[Finding] = []
        if named:
            part = read_named(path, name, named[name], findings.append, options)
        else:
            part = read_split(path, name, findings.append, found=there, options=options)
        parts[name] = replace(part, findings=tuple(findings))
    return parts


def run(check: Checker, data: Examined) -> list[Finding]:
    """What one check finds; if it fails, that is the finding."""
    findings: list[Finding] = []
    try:
        findings.extend(check(data))
    except Exception as error:  # a defect in one check must not hide what the others find
        message = f"{getattr(check, '__name__', check)} failed: {type(error).__name__}: {error}"
        findings.append(finding("check-crashed", data.root, "", message))
    return findings


def _wanted(only: Collection[str], skip: Collection[str]) -> frozenset[str]:
    for name in (*only, *skip):
        if name not in CHECKS:
            raise InputError(f"no check {name!r}", hint=near(name, CHECKS))
    return frozenset(only or CHECKS) - frozenset(skip) | {"check-crashed"}


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first, then check by check in the order of the table; said once where several splits say it."""
    rank = {"error": 0, "warning": 1, "info": 2}
    order = {check: position for position, check in enumerate(CHECKS)}
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda found: (rank[found.severity], order[found.check])))
