"""Pascal VOC: one XML file for each image, and lists of images for each split.

Corners are inclusive and counted from 1: `xmin=1, xmax=3` covers three columns of pixels. They are read as
[xmin-1, ymin-1, xmax, ymax] and written back by the inverse (Everingham et al. 2010, the devkit's documentation).
Files that count from 0 are read as [xmin, ymin, xmax+1, ymax+1] when asked.

VOC has no list of classes: they are the names found in all annotations of the folder, in alphabetical order, so
that every split numbers them alike; a file `labels.txt` (one name a line) gives another order. Ids are 0 to C-1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from boxwright.data.findings import finding
from boxwright.data.paths import SUFFIXES, DataFolder, UnsafePath, is_image
from boxwright.data.reading import Objects, read_text, size_of, split_names
from boxwright.data.records import Dataset, Report, Sample

LABELS = "labels.txt"
_IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "imgs")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
# They say where the file lay on its author's disk, or stand in a field of Sample.
_NOT_EXTRA = frozenset({"folder", "filename", "path", "object"})


@dataclass(frozen=True)
class _Part:
    """Where the files of one split are: its XML, where images may be, and the list of names if there is one."""

    annotations: Path
    images: tuple[Path, ...]
    listing: Path | None = None


def splits(source: Path) -> tuple[str, ...] | None:
    """The splits of a VOC folder (none: an empty tuple), or None if `source` is no VOC data set."""
    found = _layout(source)
    return None if found is None else tuple(name for name in found[1] if name)


def read(source: Path, split: str, report: Report, *, zero_based: bool = False) -> Dataset:
    """Read one split of a folder with `Annotations` and `ImageSets`, or of loose XML files.

    Args:
        source: the data folder; in a loose folder, images lie beside the XML files or in a sibling folder.
        split: one of `splits(source)`, or "" where there are none.
        report: takes what is wrong; the image or the object is then left out.
        zero_based: the files count pixels from 0.
    """
    layout = _layout(source)
    assert layout is not None and split in layout[1], "open_dataset has looked"
    root, parts = layout
    part, folder = parts[split], DataFolder(root)
    trees: dict[str, ET.Element] = {}
    files = dict(_listed(part, folder, report))
    for stem, file in files.items():
        tree = _parse(file, report)
        if tree is not None:
            trees[stem] = tree
    names = {name for tree in trees.values() for name in _names(tree)}
    for other in _all_annotations(parts.values()) - set(files.values()):
        tree = _parse(other, lambda _: None)
        names |= set() if tree is None else set(_names(tree))
    classes = _classes(root, names, report)
    images = _images_by_stem(part.images)
    samples = []
    for stem, tree in trees.items():
        sample = _sample(tree, stem, files[stem], part, images, folder, classes, report, zero_based)
        if sample is not None:
            samples.append(sample)
    return Dataset(tuple(samples), classes, tuple(range(len(classes))), folder.root, split, "voc")


def _layout(source: Path) -> tuple[Path, dict[str, _Part]] | None:
    """The data folder and its splits by name; {"": ...} where nothing is split."""
    if not source.is_dir():
        return None
    if _has_xml(source / "Annotations"):
        return source, _listed_parts(source)
    if _has_xml(source):
        root = source.parent if any((source.parent / name).is_dir() for name in _IMAGE_FOLDERS) else source
        beside = (source, *(source / name for name in _IMAGE_FOLDERS))
        return root, {"": _Part(source, (*beside, *(root / name for name in _IMAGE_FOLDERS)))}
    inner = [folder for folder in sorted(source.iterdir()) if folder.is_dir()]
    years = [folder for folder in inner if _has_xml(folder / "Annotations")]
    if len(years) == 1:
        return years[0], _listed_parts(years[0])
    split = {folder.name: folder for folder in inner if _has_xml(folder)}
    if split and "train" in split_names(split):
        named = split_names(split)
        return source, {
            name: _Part(split[raw], (split[raw], *(split[raw] / i for i in _IMAGE_FOLDERS)))
            for name, raw in named.items()
        }
    return None


def _listed_parts(root: Path) -> dict[str, _Part]:
    """The splits that `ImageSets/Main` lists; `trainval` only counts where train and val are missing."""
    annotations, images = root / "Annotations", tuple(root / name for name in _IMAGE_FOLDERS)
    lists = {file.stem: file for file in sorted((root / "ImageSets" / "Main").glob("*.txt"))}
    # VOC also lists each class ("dog_train.txt", with 1 and -1): those are no splits.
    named = split_names(n for n in lists if n.rpartition("_")[2] not in lists or "_" not in n)
    if "trainval" in named and {"train", "val"} & set(named):
        del named["trainval"]
    return {name: _Part(annotations, images, lists[raw]) for name, raw in named.items()} or {
        "": _Part(annotations, images)
    }


def _has_xml(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix.lower() == ".xml" for file in folder.iterdir())


def _xml_files(folder: Path) -> dict[str, Path]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".xml")
    return {file.stem: file for file in files if not file.name.startswith(".")}


def _all_annotations(parts: Any) -> set[Path]:
    return {file for folder in {part.annotations for part in parts} for file in _xml_files(folder).values()}


def _listed(part: _Part, folder: DataFolder, report: Report) -> Iterator[tuple[str, Path]]:
    """The name and the XML file of each image of the split."""
    files = _xml_files(part.annotations)
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
        guesses += [g[: g.rindex(".")] for g in guesses if Path(g).suffix.lower() in SUFFIXES]
        stem = next((guess for guess in guesses if guess in files), line.strip())
        if stem in seen:
            report(finding("image-duplicate", part.listing, f"line {row}", f"{stem!r} is listed twice"))
            continue
        seen.add(stem)
        try:
            file = files.get(stem) or folder.file(f"{stem}.xml", part.annotations)
        except UnsafePath as error:
            report(finding("path-escape", part.listing, f"line {row}", str(error)))
            continue
        if file.is_file():
            yield stem, file
        else:
            message = f"{stem!r} has no annotation {file.relative_to(folder.root)}"
            report(finding("annotation-missing", part.listing, f"line {row}", message))


class _Doctype(Exception):
    """Raised inside the parser at the first sign of a DOCTYPE, before anything in it is read."""


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise _Doctype


def _parse(file: Path, report: Report) -> ET.Element | None:
    """The root element, or None after reporting why there is none."""
    try:
        parser = ET.XMLParser(target=_Builder())
        parser.feed(file.read_bytes())
        root: ET.Element = parser.close()
    except OSError as error:
        report(finding("file-unreadable", file, "", f"cannot be opened ({error.strerror or error})"))
    except _Doctype:
        report(finding("xml-doctype", file, "", "has a DOCTYPE, which is refused"))
    except (ET.ParseError, ValueError, LookupError) as error:
        report(finding("xml-syntax", file, "", f"is not XML ({error})"))
    else:
        if root.tag == "annotation":
            return root
        report(finding("xml-shape", file, "", f"has the root <{root.tag}>, not <annotation>"))
    return None


def _names(tree: ET.Element) -> Iterator[str]:
    for element in tree.iterfind("object"):
        name = (element.findtext("name") or "").strip()
        if name:
            yield name


def _classes(root: Path, names: set[str], report: Report) -> tuple[str, ...]:
    """The names in the order of `labels.txt` if it has them all, else in alphabetical order."""
    listing = root / LABELS
    if listing.is_file():
        text = read_text(listing, report) or ""
        listed = tuple(dict.fromkeys(line.strip() for line in text.split("\n") if line.strip()))
        missing = sorted(names - set(listed))
        if not missing:
            return listed
        message = f"lacks {', '.join(map(repr, missing))}, so classes are numbered in alphabetical order"
        report(finding("class-list", listing, "", message))
    return tuple(sorted(names))


def _images_by_stem(folders: tuple[Path, ...]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if is_image(file):
                found.setdefault(file.stem, []).append(file)
    return found


def _sample(
    tree: ET.Element,
    stem: str,
    file: Path,
    part: _Part,
    images: dict[str, list[Path]],
    folder: DataFolder,
    classes: tuple[str, ...],
    report: Report,
    zero_based: bool,
) -> Sample | None:
    path = _image(tree, stem, file, part, images, folder, report)
    if path is None:
        return None
    objects = Objects(report, file, _size(tree, file, report))
    low, high = (0, 1) if zero_based else (-1, 0)
    for position, element in enumerate(tree.iterfind("object"), start=1):
        name = (element.findtext("name") or "").strip()
        where = f"object {position} ({name})" if name else f"object {position}"
        corners = [_decimal(element.findtext(f"bndbox/{corner}")) for corner in _CORNERS]
        left, top, right, bottom = corners
        if not name:
            report(finding("record-shape", file, where, "has no <name>"))
        elif left is None or top is None or right is None or bottom is None:
            absent = ", ".join(c for c, value in zip(_CORNERS, corners, strict=True) if value is None)
            report(finding("box-shape", file, where, f"has no number for {absent}"))
        else:
            objects.add(
                (float(left + low), float(top + low), float(right + high), float(bottom + high)),
                classes.index(name),
                where=where,
                difficult=(element.findtext("difficult") or "").strip().lower() in {"1", "true"},
                attributes=_children(element, frozenset({"name", "bndbox", "difficult"})),
            )
    return objects.sample(path, stem, _children(tree, _NOT_EXTRA))


def _image(
    tree: ET.Element,
    stem: str,
    file: Path,
    part: _Part,
    images: dict[str, list[Path]],
    folder: DataFolder,
    report: Report,
) -> Path | None:
    """The image named like the XML file; failing that, the one that <filename> names."""
    said = (tree.findtext("filename") or "").strip()
    last = said.replace("\\", "/").rpartition("/")[2]
    named = images.get(stem, [])
    path = next((image for image in named if image.name == last), named[0] if named else None)
    try:
        # Authoring tools write their own full path here; it is only followed if it could name another file.
        if said and Path(last).stem != stem:
            for base in part.images:
                asked = folder.file(said, base)
                if path is None and asked.is_file():
                    path = asked
            if path is not None and path.name != last and last != stem:
                message = f"<filename> says {said!r}, the image is {path.name}"
                report(finding("filename-differs", file, "", message))
        if path is not None:
            return folder.file(str(path.relative_to(folder.root)))
    except UnsafePath as error:
        report(finding("path-escape", file, "", str(error)))
        return None
    tried = ", ".join(str(base.relative_to(folder.root)) for base in part.images if base.is_dir())
    report(finding("image-missing", file, "", f"no image {stem}.* in {tried or 'any image folder'}"))
    return None


def _size(tree: ET.Element, file: Path, report: Report) -> tuple[int, int] | None:
    if tree.find("size") is None:
        return None
    width, height = tree.findtext("size/width"), tree.findtext("size/height")
    size = size_of(_float(width), _float(height))
    if size is None:
        report(finding("size-invalid", file, "<size>", f"says {width!r} x {height!r} (width x height)"))
    return size


def _decimal(text: str | None) -> Decimal | None:
    # Decimals, so that 0.1 counted from 1 (1.1) comes back as 0.1.
    try:
        value = Decimal((text or "").strip())
    except InvalidOperation:
        return None
    return None if value.is_snan() else value


def _float(text: str | None) -> float | None:
    value = _decimal(text)
    return None if value is None else float(value)


def _children(element: ET.Element, but: frozenset[str]) -> dict[str, Any]:
    """The child elements as plain values; a repeated one becomes a list."""
    found: dict[str, Any] = {}
    for child in element:
        if child.tag in but or (child.tag == "size" and element.tag == "annotation"):
            continue
        value = _children(child, frozenset()) if len(child) else _plain(child.text)
        if child.tag not in found:
            found[child.tag] = value
        elif isinstance(found[child.tag], list):
            found[child.tag].append(value)
        else:
            found[child.tag] = [found[child.tag], value]
    return found


def _plain(text: str | None) -> int | str:
    """XML has no types: what reads as a whole number is one."""
    text = (text or "").strip()
    digits = text.removeprefix("-")
    return (
        int(text)
        if digits.isascii() and digits.isdigit() and len(digits) < 16 and str(int(text)) == text
        else text
    )
