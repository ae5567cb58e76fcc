"""Writes Pascal VOC: `Annotations`, `ImageSets/Main`, `JPEGImages`, and the classes in `labels.txt`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

from boxwright.data.formats.trees import grow, leaf
from boxwright.data.formats.voc import CORNERS, IMAGE_TAGS, LABELS, OBJECT_TAGS
from boxwright.data.formats.writers.placing import (
    Images,
    Watch,
    as_splits,
    image_names,
    place,
    plain,
    quietly,
    safe,
    size_of,
)
from boxwright.data.records import Dataset, Sample


def write(
    data: Dataset | Sequence[Dataset],
    folder: Path,
    *,
    images: Images = "copy",
    watch: Watch = quietly,
    zero_based: bool = False,
) -> None:
    """Write a data set, or its splits, with the images.

    Corners are inclusive and counted from 1 (from 0 if `zero_based`), with decimals where the boxes have
    them. VOC has no crowds; they become difficult, which keeps them out of training and evaluation as well.

    Args:
        data: the data set, or one for each split, all with the same classes.
        folder: where to write; all images go to `folder/JPEGImages`.
        images: "copy" or "link" them.
        watch: passes the images on as they are written, and shows it.
        zero_based: count pixels from 0.
    """
    splits = as_splits(data)
    names = image_names(splits)
    annotations = folder / "Annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    written = set()
    for split in splits:
        for sample in watch(split, "writing"):
            name = names[sample.path]
            if name not in written:
                written.add(name)
                place(sample.path, folder / "JPEGImages" / name, images)
                tree = _annotation(sample, name, split.classes, zero_based)
                ET.indent(tree, "\t")
                text = ET.tostring(tree, encoding="unicode") + "\n"
                (annotations / f"{Path(name).stem}.xml").write_text(text, "utf-8", newline="\n")
        if split.split:
            listing = folder / "ImageSets" / "Main" / f"{safe(split.split)}.txt"
            listing.parent.mkdir(parents=True, exist_ok=True)
            stems = "".join(f"{Path(names[sample.path]).stem}\n" for sample in split)
            listing.write_text(stems, "utf-8", newline="\n")
    (folder / LABELS).write_text("".join(f"{name}\n" for name in splits[0].classes), "utf-8", newline="\n")


def _annotation(sample: Sample, name: str, classes: Sequence[str], zero_based: bool) -> ET.Element:
    root = ET.Element("annotation")
    leaf(root, "folder", "JPEGImages")
    leaf(root, "filename", name)
    grow(root, sample.extra, IMAGE_TAGS | {"depth"})
    size = size_of(sample)
    if size is not None:
        sides = ET.SubElement(root, "size")
        depth = sample.extra.get("depth", 3)
        for tag, value in (("width", size[1]), ("height", size[0]), ("depth", depth)):
            leaf(sides, tag, value)
    first, last = (0, -1) if zero_based else (1, 0)
    for position, label in enumerate(sample.labels.tolist()):
        element = ET.SubElement(root, "object")
        leaf(element, "name", classes[label])
        grow(element, sample.attributes[position] if sample.attributes else {}, OBJECT_TAGS)
        leaf(element, "difficult", int(sample.ignore[position]))
        corners = ET.SubElement(element, "bndbox")
        # Decimal sums: 0.1 becomes 1.1, which is read as 0.1 again.
        left, top, right, bottom = (Decimal(repr(plain(value))) for value in sample.boxes[position])
        for tag, value in zip(CORNERS, (left + first, top + first, right + last, bottom + last), strict=True):
            leaf(corners, tag, f"{value:f}")
    return root
