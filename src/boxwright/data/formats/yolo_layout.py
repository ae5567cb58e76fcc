"""The files of a YOLO data set: what `data.yaml` says, and the images of each split.

Everything is relative to the folder of `data.yaml` (or to the folder in it that `path` names), nothing to a
setting elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from boxwright.data.findings import finding
from boxwright.data.formats.paths import DataFolder, UnsafePathError, is_image
from boxwright.data.formats.reading import ORDER, read_text
from boxwright.data.records import Report

_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LONGEST, _DEEPEST = 1_000_000, 20
_NAMES_KEY = re.compile(r"^[\"']?names[\"']?\s*:", re.MULTILINE)


def yaml_file(source: Path) -> Path | None:
    """The YAML file of a data set; in a folder one of a well-known name, or the only one if it has names."""
    if source.is_file():
        return source if source.suffix.lower() in (".yaml", ".yml") else None
    known = [source / name for name in _FILES if (source / name).is_file()]
    if known:
        return known[0]
    others = [file for pattern in ("*.yaml", "*.yml") for file in source.glob(pattern)]
    if len(others) != 1 or not _NAMES_KEY.search(read_text(others[0], lambda _: None) or ""):
        return None
    return others[0]


def content_of(file: Path, report: Report) -> dict[str, Any] | None:
    """What the file holds, by a loader that builds only plain values; None after reporting why not."""
    text = read_text(file, report)
    if text is None:
        return None
    try:
        trap = _trap(text)
        content = None if trap else yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        where = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}"
        report(finding("yaml-syntax", file, where, f"is not plain YAML ({error.problem})"))
        return None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        # The library lets bad dates, numbers and "=" through as Python's own errors.
        report(finding("yaml-syntax", file, "", f"is not plain YAML ({type(error).__name__})"))
        return None
    if trap:
        report(finding("yaml-syntax", file, "", trap))
        return None
    if not isinstance(content, dict) or "names" not in content:
        report(finding("yaml-shape", file, "", 'has no "names": the classes, as a list or as number: name'))
        return None
    return {key: value for key, value in content.items() if isinstance(key, str)}


def _trap(text: str) -> str:
    """Why the text would cost hours or gigabytes to load; "" if it would not."""
    if len(text) > _LONGEST:
        return f"is longer than {_LONGEST:,} characters: no data.yaml"
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or isinstance(event, yaml.AliasEvent):
            return "has aliases, or is nested deeply: no data.yaml"
    return ""


def names_of(content: Mapping[str, Any], file: Path, report: Report) -> dict[int, str] | None:
    """Names by class number, in the order of the file; None after reporting why there are none."""
    said = content["names"]
    names: dict[int, str] = {}
    pairs = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, name in pairs:
        where = f"names: {key!r:.40}"
        if isinstance(name, bool) or not isinstance(name, (str, int, float)):
            # YAML reads an unquoted no, yes, on or off as a truth value.
            report(finding("yaml-shape", file, where, "is not a text; put the name in quotes"))
            return None
        digits = str(key) if isinstance(key, (int, str)) else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) < 16) or int(digits) in names:
            report(finding("yaml-shape", file, where, "is no class number, or is there twice"))
            return None
        names[int(digits)] = str(name)
    if not names:
        report(finding("yaml-shape", file, "names", "is neither a list of names nor number: name"))
        return None
    if len(set(names.values())) < len(names):
        report(finding("class-duplicate", file, "names", "holds a name twice"))
    if "nc" in content and content["nc"] != len(names):
        message = f"says something else than {len(names)}, the number of names"
        report(finding("class-count", file, "nc", message))
    return names


def entries_of(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """The folders or lists of each split. Beside train, val and test, a key counts if it names images/KEY."""
    keys = [*(key for key in ORDER if key in content), *(k for k, v in content.items() if v == f"images/{k}")]
    found = {key: content[key] if isinstance(content[key], list) else [content[key]] for key in keys}
    return {key: said for key, said in found.items() if said and all(isinstance(s, str) and s for s in said)}


def images_of(
    entries: Sequence[str],
    split: str,
    content: Mapping[str, Any],
    file: Path,
    folder: DataFolder,
    report: Report,
) -> list[Path]:
    """The images of a split, each once, in the order of its folders and lists."""
    images: dict[Path, None] = {}
    bases = [folder.root]
    refused = ""
    if isinstance(content.get("path"), str) and content["path"].strip():
        try:
            bases.insert(0, folder.file(content["path"]))
        except UnsafePathError as error:
            refused = f"path: {error}"
    for entry in entries:
        # Roboflow writes "../train/images" for what lies beside the YAML file.
        names = list(dict.fromkeys((entry, re.sub(r"^(\.\./)+", "", entry) or entry)))
        found = None
        for name in names:
            try:
                found = found or folder.find(name, bases, folders=True)
            except UnsafePathError as error:
                refused = refused or f"{split}: {error}"
        if found is not None:
            below = _below if found.is_dir() else _listed
            for path in below(found, bases, folder, report):
                images[path] = None
        elif refused:
            message = f"{refused}; put the YAML file into the data folder and leave `path` out"
            report(finding("path-escape", file, split, message))
        else:
            tried = ", ".join(dict.fromkeys(str(base / name) for base in bases for name in names))
            report(finding("split-missing", file, split, f"{entry!r:.80} does not exist; tried {tried:.600}"))
    return list(images)


def _below(entry: Path, bases: Sequence[Path], folder: DataFolder, report: Report) -> list[Path]:
    """The images in a folder and the folders in it."""
    found = []
    for image in sorted(entry.rglob("*")):
        if is_image(image) and not image.is_dir():
            try:
                found.append(folder.file(str(image.relative_to(entry)), entry))
            except UnsafePathError as error:
                report(finding("path-escape", image, "", str(error)))
    return found


def _listed(entry: Path, bases: Sequence[Path], folder: DataFolder, report: Report) -> list[Path]:
    """The images that a text file lists, one a line."""
    found: dict[Path, None] = {}
    for row, line in enumerate((read_text(entry, report) or "").split("\n"), start=1):
        name, where = line.strip(), f"line {row}"
        if not name:
            continue
        try:
            path = folder.find(name, [entry.parent] if name.startswith("./") else [*bases, entry.parent])
        except UnsafePathError as error:
            report(finding("path-escape", entry, where, str(error)))
            continue
        if path is None:
            report(finding("image-missing", entry, where, f"{name!r:.80} does not exist"))
        elif path in found:
            report(finding("image-duplicate", entry, where, f"{name!r:.80} is listed twice"))
        else:
            found[path] = None
    return list(found)
