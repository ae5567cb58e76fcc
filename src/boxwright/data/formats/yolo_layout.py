"""The files of a YOLO data set: what `data.yaml` says, and the images of each split.

Everything is relative to the folder of `data.yaml` (or to the folder in it that `path` names), nothing to a
setting elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from boxwright.data.findings import finding
from boxwright.data.formats.locate import ImageFinder, images_below
from boxwright.data.formats.notes import Note, ignore
from boxwright.data.formats.paths import DataFolder, UnsafePathError
from boxwright.data.formats.reading import is_usual, read_text, split_names
from boxwright.data.formats.values import whole
from boxwright.data.records import Report

_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LONGEST, _DEEPEST = 1_000_000, 20
_LONGEST_ENTRY, _TRIED = 1000, 4
_NAMES_KEY = re.compile(r"^[\"']?names[\"']?\s*:", re.MULTILINE)


def yaml_file(source: Path, note: Note = ignore) -> Path | None:
    """The YAML file of a data set; in a folder one of a well-known name, or the only one if it has names."""
    if source.is_file():
        return source if source.suffix.lower() in (".yaml", ".yml") else None
    known = [source / name for name in _FILES if (source / name).is_file()]
    if known:
        return known[0]
    others = sorted(file for pattern in ("*.yaml", "*.yml") for file in source.glob(pattern))
    named = [file for file in others if _NAMES_KEY.search(read_text(file, lambda _: None) or "")]
    for file in others:
        if file not in named:
            note(file, 'has no "names"')
        elif len(named) > 1:
            note(file, "is one of several YAML files with names: give the file itself")
    return named[0] if len(named) == 1 else None


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
    except Exception as error:  # the library lets bad dates, numbers and "=" through as Python's own errors
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
    if "nc" in content and whole(content["nc"]) != len(names):
        message = f"says something else than {len(names)}, the number of names"
        report(finding("class-count", file, "nc", message))
    return names


def entries_of(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """The folders or lists of each split. Beside train, val and test, a key counts if it names images/KEY."""
    usual = [key for key in content if is_usual(key)]
    keys = [*usual, *(k for k, v in content.items() if v == f"images/{k}" and k not in usual)]
    found = {key: content[key] if isinstance(content[key], list) else [content[key]] for key in keys}
    kept = {key: said for key, said in found.items() if said and all(isinstance(s, str) and s for s in said)}
    return {split: kept[key] for split, key in split_names(kept).items()}


def present(content: Mapping[str, Any], folder: DataFolder) -> dict[str, list[str]]:
    """The splits of `entries_of` of which at least one folder or list is there; all of them if none is."""
    entries = entries_of(content)
    found = {
        split: said
        for split, said in entries.items()
        if any(resolved(entry, content, folder) is not None for entry in said)
    }
    return found or entries


def resolved(entry: str, content: Mapping[str, Any], folder: DataFolder) -> Path | None:
    """The folder or list that an entry means: as it stands, or by its last parts where it is of another machine."""
    for name in _readings(entry):
        try:
            found = folder.find(name, _bases(content, folder), folders=True)
        except UnsafePathError:
            continue
        if found is not None and (len(name) > 1 or found != folder.root or entry in (".", "./")):
            return found
    return None


def images_of(
    entries: Sequence[str],
    split: str,
    content: Mapping[str, Any],
    file: Path,
    folder: DataFolder,
    finder: ImageFinder,
    report: Report,
) -> list[Path]:
    """The images of a split, each once, in the order of its folders and lists."""
    images: dict[Path, None] = {}
    for entry in entries:
        found = resolved(entry, content, folder)
        if found is None:
            missing(entry, split, content, file, folder, report)
            continue
        bases = _bases(content, folder)
        below = _below(found, folder, report) if found.is_dir() else _listed(found, bases, finder, report)
        images |= dict.fromkeys(below)
    return list(images)


def missing(
    entry: str, split: str, content: Mapping[str, Any], file: Path, folder: DataFolder, report: Report
) -> None:
    """Report a folder or list that does not exist."""
    said = content.get("path")
    bases = [*([folder.root / said] if isinstance(said, str) else []), *_bases(content, folder)]
    tried = (os.path.normpath(base / name) for base in bases for name in _readings(entry))
    shown = ", ".join(list(dict.fromkeys(tried))[:_TRIED])
    report(finding("split-missing", file, split, f"{entry!r:.80} does not exist; tried {shown:.300}"))


def _bases(content: Mapping[str, Any], folder: DataFolder) -> list[Path]:
    """The folders that entries are relative to: the one that `path` names, if it is there, and the data folder."""
    said = content.get("path")
    for name in _readings(said) if isinstance(said, str) and said.strip() else ():
        try:
            found = folder.find(name, [folder.root], folders=True)
        except UnsafePathError:
            continue
        if found is not None and found.is_dir():
            return list(dict.fromkeys((found, folder.root)))
    return [folder.root]


def _readings(entry: str) -> list[str]:
    """An entry as it stands, and without the folders that only another machine has, longest first.

    Roboflow writes "../train/images" for what lies beside the YAML file, Colab "/content/cats/train/images".
    """
    parts = [part for part in entry.replace("\\", "/").split("/") if part not in ("", ".")]
    if len(entry) > _LONGEST_ENTRY or not parts:
        return [entry[:_LONGEST_ENTRY] or "."]
    outside = entry.startswith(("/", "\\", "../", "..\\")) or ":" in parts[0]
    inner = [part for part in parts if part != ".." and not part.endswith(":")]
    tails = ["/".join(inner[start:]) for start in range(len(inner))] if outside else []
    return list(dict.fromkeys([entry, *tails]))


def _below(entry: Path, folder: DataFolder, report: Report) -> list[Path]:
    """The images in a folder and the folders in it; linked folders too, where links are followed."""
    found = []
    for image in images_below(entry, follow_links=folder.follow_links):
        try:
            found.append(folder.file(str(image.relative_to(entry)), entry))
        except UnsafePathError as error:
            report(finding("path-escape", image, "", str(error)))
    return found


def _listed(entry: Path, bases: Sequence[Path], finder: ImageFinder, report: Report) -> list[Path]:
    """The images that a text file lists, one a line."""
    found: dict[Path, None] = {}
    for row, line in enumerate((read_text(entry, report) or "").split("\n"), start=1):
        name, where = line.strip(), f"line {row}"
        if not name:
            continue
        places = [entry.parent] if name.startswith("./") else [*bases, entry.parent]
        path = finder.find(name, places, entry, where)
        if path is not None and path in found:
            report(finding("image-duplicate", entry, where, f"{name!r:.80} is listed twice"))
        elif path is not None:
            found[path] = None
    return list(found)
