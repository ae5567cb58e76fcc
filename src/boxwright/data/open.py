"""Opening a data set whatever its format: detection, splits, and what counts as too broken to go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from boxwright.data import coco, voc
from boxwright.data.findings import CHECKS
from boxwright.data.reading import split_rank
from boxwright.data.records import Dataset, Finding, Report, Sample
from boxwright.errors import InputError, near

Policy = Literal["error", "skip"]


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
        path: a data-set folder (COCO, Pascal VOC, YOLO or CSV), a folder of loose VOC XML files, a COCO JSON file,
            a YOLO `data.yaml`, or a CSV file.
        split: one of `splits(path)`; None for everything, in which an image listed in several splits comes once.
        policy: what to do about a missing image, an unknown class or the like: "error" stops at the first one,
            "skip" leaves out the image or the object and lists it in the data set's `findings`.
        voc_zero_based: the VOC files count pixels from 0, not from 1.

    Returns:
        The images and their objects. Boxes that cannot be trained on (not finite, swapped, of no area, wholly outside)
        are left out and listed in `findings`, whatever the policy.

    Raises:
        InputError: no data set, an unknown split, or files that contradict themselves; names the file.
    """
    path = Path(path)
    kind, names = detect(path)
    if split is not None and split not in names:
        there = f"splits there: {', '.join(names)}" if names else "it is not split; leave the split out"
        raise InputError(f"no split {split!r}", path=path, hint=there)
    wanted = [split] if split is not None else list(names) or [""]
    parts = []
    for name in wanted:
        findings: list[Finding] = []
        report = _strict(findings, policy)
        part = (
            voc.read(path, name, report, zero_based=voc_zero_based)
            if kind == "voc"
            else READERS[kind](path, name, report)
        )
        parts.append(replace(part, findings=tuple(findings)))
    dataset = parts[0] if len(parts) == 1 else merged(parts)
    if not dataset.samples:
        raise InputError(
            "has no images" + (f" in split {split!r}" if split else ""),
            path=path,
            hint="run boxwright check on it",
        )
    return dataset


READERS: dict[str, Callable[[Path, str, Report], Dataset]] = {"coco": coco.read, "voc": voc.read}


def detect(path: Path) -> tuple[str, tuple[str, ...]]:
    """The format of the data set at `path` and its splits.

    Raises:
        InputError: nothing there, or nothing that is a data set.
    """
    if not path.exists():
        raise InputError("does not exist", path=path, hint="give a data-set folder or file")
    try:
        for kind, finder in (("voc", voc.splits), ("coco", coco.splits)):
            names = finder(path)
            if names is not None:
                return kind, tuple(sorted(names, key=split_rank))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=path) from error
    raise InputError(
        "is no data set that boxwright knows",
        path=path,
        hint="it looks for data.yaml (YOLO), Annotations/*.xml or *.xml (Pascal VOC), annotations/*.json or *.json "
        "(COCO), and *.csv",
    )


def merged(parts: list[Dataset]) -> Dataset:
    """Several splits as one data set; an image that is in more than one comes once.

    Raises:
        InputError: the splits give one class id to different names.
    """
    names: dict[int, str] = {}
    for part in parts:
        for identity, name in zip(part.ids, part.classes, strict=True):
            if names.setdefault(identity, name) != name:
                message = f"class {identity} is {names[identity]!r} in one split and {name!r} in another"
                raise InputError(message, path=part.root, hint="give both splits the same list of classes")
    position = {identity: index for index, identity in enumerate(names)}
    samples: dict[Path, Sample] = {}
    for part in parts:
        mapping = [position[identity] for identity in part.ids]
        for sample in part.samples:
            samples.setdefault(sample.path, _relabelled(sample, mapping))
    return replace(
        parts[0],
        samples=tuple(samples.values()),
        classes=tuple(names.values()),
        ids=tuple(names),
        split="",
        findings=tuple(f for part in parts for f in part.findings),
    )


def relabelled(dataset: Dataset, classes: tuple[str, ...], ids: tuple[int, ...]) -> Dataset:
    """The same images with labels that index another list of classes, such as a model's; names decide.

    Raises:
        InputError: the other list lacks a class that has objects here.
    """
    if dataset.classes == classes:
        return replace(dataset, ids=ids)
    used = {dataset.classes[label] for sample in dataset for label in sample.labels.tolist()}
    lacking = sorted(used - set(classes))
    if lacking:
        message = (
            f"has objects of class {', '.join(map(repr, lacking))}, which is not among the classes asked for"
        )
        raise InputError(message, path=dataset.root, hint=near(lacking[0], classes))
    mapping = [classes.index(name) if name in classes else -1 for name in dataset.classes]
    return replace(dataset, samples=tuple(_relabelled(s, mapping) for s in dataset), classes=classes, ids=ids)


def _relabelled(sample: Sample, mapping: list[int]) -> Sample:
    if mapping == list(range(len(mapping))):
        return sample
    labels = sample.labels.copy()
    for index, label in enumerate(sample.labels.tolist()):
        labels[index] = mapping[label]
    return replace(sample, labels=labels)


def _strict(collected: list[Finding], policy: Policy) -> Report:
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
