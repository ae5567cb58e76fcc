"""Splits that a person names by hand: an annotation file, a list of images, or a folder of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from boxwright.data.formats.options import ReadOptions
from boxwright.data.formats.reading import read_text
from boxwright.data.open import Found, Policy, detect, merged, read_split, stopping
from boxwright.data.records import Dataset, Finding, Report
from boxwright.errors import InputError
from boxwright.regular import real_path


def open_named(
    data: Path, named: Mapping[str, Path], policy: Policy, options: ReadOptions
) -> dict[str, Dataset]:
    """The splits that a person names, by what they are to be called.

    Args:
        data: the data folder.
        named: for each split an annotation file, a data set, a list of images (.txt), or a folder of images that
            the annotations of `data` cover; relative to the current folder, or else to `data`.
        policy: as in `open_dataset`.
        options: how all of them are read.

    Raises:
        InputError: no such file, or nothing of it is in the data set.
    """
    parts = {}
    for split, given in named.items():
        findings: list[Finding] = []
        part = read_named(data, split, given, stopping(findings, policy), options)
        if not part.samples:
            raise InputError(
                f"has no images for the split {split!r}", path=given, hint="give another file or folder"
            )
        parts[split] = replace(part, findings=tuple(findings))
    return parts


def read_named(data: Path, split: str, given: Path, report: Report, options: ReadOptions) -> Dataset:
    """One split that a person names; the arguments are those of `open_named`.

    Raises:
        InputError: no such file or folder, or none that belongs to the data set.
    """
    place = next((path for path in (given, data / given) if path.exists()), None)
    if place is None:
        raise InputError(
            "does not exist", path=given, hint=f"--{split} takes a file or folder, also of {data}"
        )
    if place.suffix.lower() == ".txt" and place.is_file():
        whole = _whole(data, report, options)
        return _only(whole, split, place, _listed(place, report))
    try:
        found = detect(place)
    except InputError:
        if not place.is_dir():
            raise
        whole = _whole(data, report, options)
        folder = real_path(place)
        keep = {sample.path for sample in whole if real_path(sample.path).is_relative_to(folder)}
        return _chosen(whole, split, place, keep)
    inside = data.is_dir() and real_path(place).is_relative_to(real_path(data))
    if inside and place.is_file():
        options = replace(options, root=data)
    return replace(_all(place, found, report, options), split=split)


def _whole(data: Path, report: Report, options: ReadOptions) -> Dataset:
    return _all(data, detect(data), report, options)


def _all(path: Path, found: Found, report: Report, options: ReadOptions) -> Dataset:
    """Every image at a path, whatever its split."""
    parts = [read_split(path, name, report, found=found, options=options) for name in found.splits or ("",)]
    return parts[0] if len(parts) == 1 else merged(parts)


def _listed(file: Path, report: Report) -> list[str]:
    lines = (read_text(file, report) or "").replace("\\", "/").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _only(whole: Dataset, split: str, file: Path, names: list[str]) -> Dataset:
    """The images that a list names by path, by file or by stem."""
    by_name: dict[str, list[Path]] = {}
    for sample in whole:
        for name in {sample.path.name, sample.path.stem}:
            by_name.setdefault(name, []).append(sample.path)
    keep: set[Path] = set()
    for name in names:
        paths = by_name.get(name.rpartition("/")[2], [])
        exact = [path for path in paths if path.as_posix().endswith("/" + name.lstrip("./"))]
        keep.update(exact or paths)
    return _chosen(whole, split, file, keep)


def _chosen(whole: Dataset, split: str, place: Path, keep: set[Path]) -> Dataset:
    samples = tuple(sample for sample in whole if sample.path in keep)
    if not samples:
        raise InputError("names no image of the data set", path=place, hint=f"its images lie in {whole.root}")
    return replace(whole, samples=samples, split=split)
