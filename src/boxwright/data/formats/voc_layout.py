"""Where the files of a Pascal VOC data set are: folders, lists of names, loose XML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.paths import DataFolder, UnsafePathError, is_image
from boxwright.data.formats.reading import ORDER, read_text, split_names
from boxwright.data.records import Report

IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "imgs")


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


def layout(source: Path) -> tuple[Path, dict[str, Part]] | None:
    """The data folder and its splits by name ({"": ...} where nothing is split); None if this is no VOC."""
    if not source.is_dir():
        return None
    if _has_xml(source / "Annotations"):
        return source, _listed_parts(source)
    if _has_xml(source):
        beside = any((source.parent / name).is_dir() for name in IMAGE_FOLDERS)
        root = source.parent if beside else source
        folders = (source, *(source / name for name in IMAGE_FOLDERS), *(root / n for n in IMAGE_FOLDERS))
        return root, {"": Part(source, tuple(dict.fromkeys(folders)))}
    inner = [folder for folder in sorted(source.iterdir()) if folder.is_dir()]
    years = [folder for folder in inner if _has_xml(folder / "Annotations")]
    if len(years) == 1:
        return years[0], _listed_parts(years[0])
    named = split_names(folder.name for folder in inner if _has_xml(folder))
    if "train" not in named:
        return None
    own = {name: source / raw for name, raw in named.items()}
    return source, {name: Part(f, (f, *(f / inner for inner in IMAGE_FOLDERS))) for name, f in own.items()}


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
        guesses = [line, line.strip(), line.split()[0]]
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
        if file.is_file():
            yield stem, file
        else:
            message = f"{stem!r} has no annotation {file.relative_to(folder.root)}"
            report(finding("annotation-missing", part.listing, where, message))


def _listed_parts(root: Path) -> dict[str, Part]:
    """The splits that `ImageSets/Main` lists; `trainval` only counts where train and val are missing."""
    annotations, images = root / "Annotations", tuple(root / name for name in IMAGE_FOLDERS)
    lists = {file.stem: file for file in sorted((root / "ImageSets" / "Main").glob("*.txt"))}
    # Beside its splits VOC lists each class ("dog_train.txt", with 1 and -1): those are no splits.
    usual = {*ORDER, *lists} if set(ORDER) & set(lists) else set()
    named = split_names(name for name in lists if "_" not in name or name.rpartition("_")[2] not in usual)
    if "trainval" in named and {"train", "val"} & set(named):
        del named["trainval"]
    parts = {name: Part(annotations, images, lists[raw]) for name, raw in named.items()}
    return parts or {"": Part(annotations, images)}


def _has_xml(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix.lower() == ".xml" for file in folder.iterdir())
