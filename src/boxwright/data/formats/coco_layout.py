"""Where a COCO data set keeps its JSON files, and which split each of them is."""

from __future__ import annotations

from pathlib import Path

from boxwright.data.formats.json_kinds import json_kind, why_not_coco
from boxwright.data.formats.notes import Note
from boxwright.data.formats.reading import is_usual, split_in, split_names

PREFIX = "instances_"
ANNOTATION_FOLDERS = frozenset({"annotations", "annotation"})
"""Lower case: tools and systems differ in it."""

_PREFIXES = (PREFIX, "annotations_", "coco_")
_UNSPLIT = frozenset(
    {"instances", "annotations", "default", "all", "coco", "_annotations.coco", "dataset", "labels", "result"}
)
_IMAGE_FOLDERS = ("images", "Images", "data", "img", "imgs")
_MOST = 64
"""JSON files of one folder that are looked into: a folder of more has a file for each image."""


def layout(source: Path, note: Note) -> tuple[Path, dict[str, Path]] | None:
    """The data folder and the JSON file of each split; {"": file} where nothing is split; None if this is no COCO.

    Args:
        source: a JSON file, or the data folder.
        note: takes the files that are passed over.
    """
    if source.is_file():
        if source.suffix.lower() != ".json":
            return None
        if json_kind(source) not in ("coco", "other"):
            return None
        inner = source.parent.name.lower() in ANNOTATION_FOLDERS
        return source.parent.parent if inner else source.parent, _by_split([source])
    if not source.is_dir():
        return None
    folders = _folders(source)
    for level in (folders[0], [source], folders[1]):
        chosen = _chosen([file for folder in level for file in _json_files(folder)], note)
        if chosen:
            return source, _by_split(chosen)
    return None


def bases(file: Path, root: Path, split: str) -> list[Path]:
    """Where the images of a split may be, most telling first."""
    plain = next((file.stem.removeprefix(p) for p in _PREFIXES if file.stem.startswith(p)), file.stem)
    names = dict.fromkeys(name for name in (split_name(file), split, plain) if name)
    said = [folder / name for name in names for folder in (root, root / "images", root / "Images")]
    usual = [root / name for name in _IMAGE_FOLDERS]
    beside = [file.parent, *(file.parent / name for name in _IMAGE_FOLDERS)]
    return [base for base in dict.fromkeys([*said, *usual, *beside, root]) if base.is_dir()]


def split_name(file: Path) -> str:
    """What the file itself, or else its folder, calls its split; "" if neither does."""
    name = next((file.stem.removeprefix(p) for p in _PREFIXES if file.stem.startswith(p)), file.stem)
    folder = file.parent.name
    if name in _UNSPLIT or file.stem in _UNSPLIT or (is_usual(folder) and not split_in(name)):
        return folder if is_usual(folder) else ""
    return name


def _folders(source: Path) -> tuple[list[Path], list[Path]]:
    """The folders of annotations, here or one level down, and all other folders, in alphabetical order."""
    inner = sorted(folder for folder in source.iterdir() if folder.is_dir() and folder.name[:1] != ".")
    named = [folder for folder in inner if folder.name.lower() in ANNOTATION_FOLDERS]
    return named, [folder for folder in inner if folder not in named]


def _json_files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() == ".json" and file.name[:1] != "."
    )


def _chosen(files: list[Path], note: Note) -> list[Path]:
    """The files that are splits: those called instances_*, else those whose name or content says so."""
    if len(files) > _MOST:
        files = [file for file in files if file.stem.startswith(PREFIX) or split_in(file.stem)][:_MOST]
    kinds = {file: json_kind(file) for file in files}
    instances = [file for file in files if file.stem.startswith(PREFIX)]
    chosen = instances or [file for file in files if _is_named(file) and _may_be(file, kinds[file])]
    alike = [file for file in files if kinds[file] == "coco"]
    if not chosen and len(alike) == 1:
        chosen = alike
    for file in files:
        # Those of other tools have formats of their own.
        if file not in chosen and kinds[file] in ("coco", "other"):
            note(file, why_not_coco(file))
    return chosen


def _is_named(file: Path) -> bool:
    return file.stem in _UNSPLIT or bool(split_in(split_name(file))) or is_usual(file.parent.name)


def _may_be(file: Path, kind: str) -> bool:
    """Whether a file whose name fits may be meant, broken as it may be."""
    return kind == "coco" or (kind == "other" and why_not_coco(file).startswith("has no list"))


def _by_split(files: list[Path]) -> dict[str, Path]:
    raw = {split_name(file): file for file in files}
    if len(files) == 1 and not files[0].stem.startswith(PREFIX) and not split_in(next(iter(raw))):
        return {"": files[0]}
    return {name: raw[said] for name, said in split_names(raw, words=True).items()}
