"""Where the files of a Pascal VOC data set are: folders, lists of names, loose XML."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.notes import Note, ignore
from boxwright.data.formats.paths import DataFolder, UnsafePathError, inner_folder, is_image
from boxwright.data.formats.reading import ORDER, is_usual, read_text, split_names
from boxwright.data.records import Report
from boxwright.regular import is_file, open_regular

IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img", "data")
"""Lower case: tools and systems differ in it."""
_ANNOTATION_FOLDERS = ("annotations", "annotation", "xmls", "xml", "labels")
_HEAD = 4096
_LIST_FOLDERS = ("main", "layout")


@dataclass(frozen=True)
class Part:
    """The files of one split.

    Attributes:
        annotations: the folder of the XML files.
        images: the folders in which images may lie.
        listing: the file that lists the split's images; None where the whole folder is the split.
    """

    annotations: Path
    images: tuple[Path, ...]
    listing: Path | None = None


def layout(source: Path, note: Note = ignore) -> tuple[Path, dict[str, Part]] | None:
    """The data folder and its splits by name ({"": ...} where nothing is split); None if this is no VOC.

    Args:
        source: the data folder, or a folder of loose XML files.
        note: takes the folders that were looked at and passed over.
    """
    if not source.is_dir():
        return None
    if (parts := _parts(source)) is not None:
        return source, parts
    if _has_xml(source):
        root = source.parent if image_folders(source.parent) else source
        folders = (source, *image_folders(source), *image_folders(root))
        return root, {"": Part(source, tuple(dict.fromkeys(folders)))}
    inner = [folder for folder in sorted(source.iterdir()) if folder.is_dir() and folder.name[:1] != "."]
    whole = {folder.name: parts for folder in inner if (parts := _parts(folder)) is not None}
    if len(whole) == 1 and not is_usual(next(iter(whole))):
        name, parts = next(iter(whole.items()))
        return source / name, parts
    # Each split in a folder of its own: train/Annotations beside train/JPEGImages, or train/*.xml.
    own = {name: parts[""] for name, parts in whole.items() if "" in parts and is_usual(name)}
    for folder in inner:
        if folder.name not in own and _has_xml(folder):
            own[folder.name] = Part(folder, (folder, *image_folders(folder)))
    named = split_names(own)
    if "train" in named:
        return source, {name: own[raw] for name, raw in named.items()}
    for name in own:
        note(source / name, "has XML files, and none of the folders beside it is called train")
    return None


def image_folders(folder: Path) -> tuple[Path, ...]:
    """The folders in `folder` that are called as those of images usually are."""
    if not folder.is_dir():
        return ()
    there = [place for place in sorted(folder.iterdir()) if place.is_dir()]
    return tuple(place for name in IMAGE_FOLDERS for place in there if place.name.lower() == name)


def xml_files(folder: Path) -> dict[str, Path]:
    """The XML files of a folder by stem, in alphabetical order."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".xml")
    return {file.stem: file for file in files if not file.name.startswith(".")}


def images_by_stem(folders: tuple[Path, ...]) -> dict[str, list[Path]]:
    """The images in some folders by stem; the same stem may have several endings."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if is_image(file):
                found.setdefault(file.stem, []).append(file)
    return found


def listed(part: Part, folder: DataFolder, report: Report) -> Iterator[tuple[str, Path]]:
    """The stem and the XML file of each image of a split, in the order of its list."""
    files = xml_files(part.annotations)
    if part.listing is None:
        yield from files.items()
        return
    seen = set()
    for row, line in enumerate((read_text(part.listing, report) or "").split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        # A name may hold spaces, yet VOC's own lists may have a flag after it: the whole line comes first.
        # A line may also be a path: data/images/a.jpg.
        guesses = [line, line.strip(), line.split()[0]]
        guesses += [guess.replace("\\", "/").rpartition("/")[2] for guess in guesses[1:]]
        guesses += [guess[: guess.rindex(".")] for guess in guesses if is_image(Path(guess))]
        stem = next((guess for guess in guesses if guess in files), line.strip())
        where = f"line {row}"
        if stem in seen:
            report(finding("image-duplicate", part.listing, where, f"{stem!r} is listed twice"))
            continue
        seen.add(stem)
        try:
            file = files.get(stem) or folder.file(f"{stem}.xml", part.annotations)
        except UnsafePathError as error:
            report(finding("path-escape", part.listing, where, str(error)))
            continue
        if is_file(file):
            yield stem, file
        else:
            message = f"{stem!r} has no annotation {os.path.relpath(file.absolute(), folder.root)}"
            report(finding("annotation-missing", part.listing, where, message))


def _parts(root: Path) -> dict[str, Part] | None:
    """The splits of a folder that holds a folder of annotations; None if it holds none."""
    outer = [place for name in _ANNOTATION_FOLDERS if (place := inner_folder(root, name)) is not None]
    deeper = [place for folder in outer if (place := inner_folder(folder, "xmls", "xml")) is not None]
    annotations = next((folder for folder in (*outer, *deeper) if _has_xml(folder)), None)
    if annotations is not None:
        return _listed_parts(root, annotations)
    for folder in outer:
        inner = {
            place.name: place
            for place in sorted(folder.iterdir())
            if is_usual(place.name) and _has_xml(place)
        }
        if inner:
            images = image_folders(root)
            return {
                name: Part(inner[raw], (*(place / raw for place in images), *images))
                for name, raw in split_names(inner).items()
            }
    return None


def _listed_parts(root: Path, annotations: Path) -> dict[str, Part]:
    """The splits that `ImageSets/Main`, or lists at the top, name; `trainval` only where train and val are missing."""
    images = (*image_folders(root), root)
    lists = {file.stem: file for file in _lists(root)}
    # Beside its splits VOC lists each class ("dog_train.txt", with 1 and -1): those are no splits.
    usual = {*ORDER, *lists} if set(ORDER) & set(lists) else set()
    named = split_names(name for name in lists if "_" not in name or name.rpartition("_")[2] not in usual)
    if "trainval" in named and {"train", "val"} & set(named):
        del named["trainval"]
    parts = {name: Part(annotations, images, lists[raw]) for name, raw in named.items()}
    return parts or {"": Part(annotations, images)}


def _lists(root: Path) -> list[Path]:
    """The lists of names: ImageSets/Main/*.txt, else ImageSets/*.txt, else those at the top called as splits are."""
    sets = inner_folder(root, "imagesets")
    for folder in () if sets is None else (inner_folder(sets, *_LIST_FOLDERS), sets):
        if folder is not None and (found := sorted(folder.glob("*.txt"))):
            return found
    return [file for file in sorted(root.glob("*.txt")) if is_usual(file.stem)]


def _has_xml(folder: Path) -> bool:
    """Whether there are XML files of single images; CVAT's one file for all images is none."""
    if not folder.is_dir():
        return False
    return any(
        file.suffix.lower() == ".xml" and not _is_of_all_images(file) for file in sorted(folder.iterdir())
    )


def _is_of_all_images(file: Path) -> bool:
    try:
        with open_regular(file) as opened:
            return b"<annotations" in opened.read(_HEAD)
    except OSError:
        return False
