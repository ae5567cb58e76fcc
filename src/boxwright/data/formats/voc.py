"""Reads Pascal VOC: one XML file for each image, and lists of images for each split.

Corners are inclusive and counted from 1 (the VOC devkit's documentation): `xmin=1, xmax=3` covers three
columns of pixels. They are read as [xmin-1, ymin-1, xmax, ymax]; files that count from 0 are read as
[xmin, ymin, xmax+1, ymax+1] when asked.

VOC has no list of classes: they are the names found in all annotations of the folder, by alphabet, so that
every split numbers them alike; a file `labels.txt` (one name a line) gives another order. Ids are 0 to C-1.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from xml.etree import ElementTree as ET

from boxwright.data.findings import finding
from boxwright.data.formats.locate import ImageFinder
from boxwright.data.formats.notes import Note, ignore
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.reading import Objects, read_text
from boxwright.data.formats.trees import parse, values
from boxwright.data.formats.values import flag, size_of
from boxwright.data.formats.voc_layout import Part, images_by_stem, layout, listed, xml_files
from boxwright.data.records import Dataset, Report, Sample

LABELS = "labels.txt"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
# What of <annotation> and of <object> has a field of its own in Sample, or only says where a file once lay.
IMAGE_TAGS = frozenset({"folder", "filename", "path", "size", "object"})
OBJECT_TAGS = frozenset({"name", "difficult", "bndbox"})


def splits(source: Path, note: Note = ignore) -> tuple[str, ...] | None:
    """The splits of a VOC folder (none: an empty tuple), or None if `source` is no VOC data set."""
    found = layout(source, note)
    return None if found is None else tuple(name for name in found[1] if name)


def read(source: Path, split: str, report: Report, options: ReadOptions = DEFAULT) -> Dataset:
    """Read one split of a folder with `Annotations` and `ImageSets`, or of loose XML files.

    Args:
        source: the data folder; in a loose folder, images lie beside the XML files or in a sibling folder.
        split: one of `splits(source)`, or "" where there are none.
        report: takes what is wrong; the image or the object is then left out.
        options: where the images are, and whether the files count pixels from 0.
    """
    found = layout(source)
    assert found is not None and split in found[1], "open_dataset has looked"
    root, parts = found
    part, folder = parts[split], options.folder(root)
    files = dict(listed(part, folder, report))
    trees = {stem: tree for stem, file in files.items() if (tree := parse(file, report)) is not None}
    names = {name for tree in trees.values() for name in _names(tree)}
    annotations = {file for f in {p.annotations for p in parts.values()} for file in xml_files(f).values()}
    for other in annotations - set(files.values()):
        tree = parse(other, lambda _: None)
        names |= set() if tree is None else set(_names(tree))
    classes = _classes(root, names, report)
    images = _Images(part, ImageFinder(folder, options, report), options, report)
    samples = []
    for stem, tree in trees.items():
        path = images.find(stem, files[stem], tree)
        if path is not None:
            samples.append(_sample(stem, path, files[stem], tree, classes, report, options.voc_zero_based))
    return Dataset(tuple(samples), classes, tuple(range(len(classes))), folder.root, split, "voc")


def _names(tree: ET.Element) -> set[str]:
    return {_text(element, "name") for element in tree.iterfind("object")} - {""}


def _classes(root: Path, names: set[str], report: Report) -> tuple[str, ...]:
    """The names in the order of `labels.txt` if it has them all, else in alphabetical order."""
    listing = root / LABELS
    if listing.is_file():
        lines = (read_text(listing, report) or "").split("\n")
        ordered = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
        missing = sorted(names - set(ordered))
        if not missing:
            return ordered
        message = f"lacks {', '.join(map(repr, missing))}, so classes are numbered in alphabetical order"
        report(finding("class-list", listing, "", message))
    return tuple(sorted(names))


class _Images:
    """Finds the image of an annotation: the one with its stem, or else the one that <filename> names."""

    def __init__(self, part: Part, finder: ImageFinder, options: ReadOptions, report: Report) -> None:
        self._part, self._finder, self._report = part, finder, report
        self._by_stem = images_by_stem(part.images if options.images is None else (options.images,))

    def find(self, stem: str, file: Path, tree: ET.Element) -> Path | None:
        said = _text(tree, "filename")
        last = said.replace("\\", "/").rpartition("/")[2]
        named = self._by_stem.get(stem, [])
        path = next((image for image in named if image.name.strip() == last), named[0] if named else None)
        # Authoring tools write their own full path here: it only matters if it names another file.
        differs = bool(said) and stem.strip() not in (last, Path(last).stem.strip())
        if path is not None and not differs:
            return self._finder.safe(path, file)
        if path is not None:
            self._report(
                finding(
                    "filename-differs", file, "", f"<filename> says {said!r:.80}, the image is {path.name}"
                )
            )
            return self._finder.safe(path, file)
        return self._finder.find(said if differs else stem, self._part.images, file, "", bare=not differs)


def _sample(
    stem: str,
    path: Path,
    file: Path,
    tree: ET.Element,
    classes: tuple[str, ...],
    report: Report,
    zero_based: bool,
) -> Sample:
    objects = Objects(report, file, _size(tree, file, report))
    index = {name: position for position, name in enumerate(classes)}
    first, last = (0, 1) if zero_based else (-1, 0)
    for position, element in enumerate(tree.iterfind("object"), start=1):
        name = _text(element, "name")
        where = f"object {position} ({name})" if name else f"object {position}"
        left, top, right, bottom = (_decimal(_text(element, f"bndbox/{corner}")) for corner in CORNERS)
        difficult = flag(_text(element, "difficult"))
        if not name:
            objects.lose("record-shape", where, "has no <name>")
        elif left is None or top is None or right is None or bottom is None:
            turned = " (it is a turned rectangle)" if element.find("robndbox") is not None else ""
            objects.lose("box-shape", where, f"lacks a number among {', '.join(CORNERS)}{turned}")
        elif difficult is None:
            objects.lose(
                "record-shape", where, f"says <difficult>{_text(element, 'difficult')[:40]}, neither 0 nor 1"
            )
        else:
            objects.add(
                (float(left + first), float(top + first), float(right + last), float(bottom + last)),
                index[name],
                where=where,
                difficult=difficult,
                attributes=values(element, OBJECT_TAGS),
            )
    size = tree.find("size")
    depth = {} if size is None else values(size, frozenset({"width", "height"}))
    return objects.sample(path, stem, {**values(tree, IMAGE_TAGS), **depth})


def _size(tree: ET.Element, file: Path, report: Report) -> tuple[int, int] | None:
    if tree.find("size") is None:
        return None
    said = _text(tree, "size/width"), _text(tree, "size/height")
    size = size_of(*said)
    if size is None:
        report(
            finding(
                "size-invalid", file, "<size>", f"says {said[0]!r:.40} x {said[1]!r:.40} (width x height)"
            )
        )
    return size


def _text(element: ET.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _decimal(text: str) -> Decimal | None:
    """A number as it is written: 1.1, counted from 1, is then exactly 0.1 counted from 0."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if value.is_finite() and value.adjusted() > 300:
        return Decimal("Infinity").copy_sign(value)
    return None if value.is_snan() else value
