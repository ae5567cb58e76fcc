"""Pictures with a class for every pixel: paired folders, Pascal VOC's SegmentationClass, COCO's outlines.

- Paired folders: `images/` (or `image/`) and `masks/` (`mask/`, `labels/`, `label/`), files of one stem belonging
  together; or both folders inside of `train/`, `val/`, ...
- VOC: `JPEGImages/`, `SegmentationClass/`, and the splits in `ImageSets/Segmentation/`.
- COCO: a JSON file's polygons and run lengths; smaller objects lie on top, crowds are ignored. A picture of which an
  object has no outline is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from boxwright.data.open import open_dataset
from boxwright.data.records import Sample
from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.segment.coco_masks import labels_of
from boxwright.segment.layout import differ, layout, pairs, read_names, turned_alone
from boxwright.segment.mask_values import MaskValues
from boxwright.segment.masks import IGNORED, Classes, names_of, parse_classes
from boxwright.segment.reading import open_mask, read_mask

_CLASSES = "classes.txt"
MOST_FOUND = 64
"""Classes that are taken from masks alone: more values are those of a photograph."""
# fmt: off
_VOC = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus",
    "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


@dataclass(frozen=True)
class Labelled:
    """A picture and the class of each of its pixels.

    Attributes:
        picture: RGB.
        labels: index of the class, or 255 where nothing is said.
        objects: numbers of the objects where the data tells them apart, 0 for none; else None.
    """

    picture: UInt8[np.ndarray, "height width 3"]
    labels: UInt8[np.ndarray, "height width"]
    objects: Int32[np.ndarray, "height width"] | None = None


@dataclass(frozen=True)
class Entry:
    """Where one labelled picture is.

    Attributes:
        path: the picture.
        truth: its mask, or its outlines.
    """

    path: Path
    truth: Path | Sample


@dataclass(frozen=True)
class LabelledPictures:
    """A data set for segmentation.

    Attributes:
        entries: the pictures, by name.
        classes: what their pixels can be.
        root: its folder.
        left_out: pictures of which an object has no outline, so that it would be learned as background.
        warnings: what a person should know of how it was read.
    """

    entries: tuple[Entry, ...]
    classes: Classes
    root: Path
    left_out: int = 0
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> Labelled:
        """One picture with its labels.

        Raises:
            InputError: a file that cannot be read, or a mask that does not fit; names the file.
        """
        entry = self.entries[index]
        picture = read_image(entry.path)
        if isinstance(entry.truth, Sample):
            labels, objects = labels_of(entry.truth, (picture.shape[0], picture.shape[1]))
            return Labelled(picture, labels, objects)
        mask = read_mask(entry.truth)
        if mask.shape != picture.shape[:2]:
            raise differ(entry.truth, mask.shape, entry.path, picture.shape[:2])
        return Labelled(picture, self.classes.labels(mask, entry.truth))

    def only(self, stems: Iterable[str]) -> LabelledPictures:
        """The pictures of these names, without their endings.

        Raises:
            InputError: a name that is of no picture.
        """
        by_stem = {entry.path.stem: entry for entry in self.entries}
        wanted = list(dict.fromkeys(stems))
        missing = [stem for stem in wanted if stem not in by_stem]
        if missing or not wanted:
            said = ", ".join(missing[:5]) or "(no name at all)"
            raise InputError(
                f"has no picture {said}", path=self.root, hint="give names without their endings"
            )
        return replace(self, entries=tuple(by_stem[stem] for stem in wanted))

    def held_out(self, part: float, seed: int) -> tuple[LabelledPictures, LabelledPictures]:
        """The data set without a random part of it, and that part.

        Raises:
            InputError: no part, or too few pictures.
        """
        if not 0 < part < 1 or len(self) < 2:
            raise InputError(
                f"cannot hold out {part:g} of {len(self)} pictures", hint="give a part between 0 and 1"
            )
        order = np.random.default_rng(seed).permutation(len(self))
        count = min(max(1, round(part * len(self))), len(self) - 1)
        held, kept = sorted(order[:count]), sorted(order[count:])
        return tuple(replace(self, entries=tuple(self.entries[i] for i in some)) for some in (kept, held))  # type: ignore[return-value]

    def fingerprint(self) -> str:
        """A hash over names and truth; moving the folder does not change it."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for entry in self.entries:
            digest.update(entry.path.name.encode())
            truth = entry.truth
            digest.update(truth.read_bytes() if isinstance(truth, Path) else repr(truth.masks).encode())
        return digest.hexdigest()


def splits(source: Path) -> tuple[str, ...]:
    """The names of a data set's splits; none where it is not split.

    Raises:
        InputError: there is no data set for segmentation.
    """
    return tuple(name for name in layout(source) if name)


def open_labelled(
    source: Path, split: str | None = None, classes: str | Classes | None = None
) -> LabelledPictures:
    """Find the pictures of a data set and their masks; every pair is looked at before anything is learned.

    Args:
        source: the folder, or a COCO file.
        split: one of `splits(source)`; None for all.
        classes: names, or VALUE=NAME, between commas, or those that must be there; else those of `classes.txt`, of
            VOC, of the COCO file, or one class for every value that masks have.

    Raises:
        InputError: no data set, a picture without a mask or a mask without a picture, one of another size, a value
            that is of no class, masks that can be read in two ways.
    """
    there = layout(source)
    if split is not None and split not in there:
        raise InputError(
            f"no split {split!r}", path=source, hint=f"there: {', '.join(filter(None, there)) or 'none'}"
        )
    wanted = [name for name in there if split in (None, name)]
    if any(there[name] is None for name in wanted):
        return _coco(source, split, classes)
    parts = [there[name] for name in wanted]
    found = dict(pair for part in parts if part is not None for pair in pairs(part))
    voc = any(part is not None and part.masks.name == "SegmentationClass" for part in parts)
    entries = tuple(Entry(picture, mask) for picture, mask in found.items())
    known = _classes(source, classes, list(found.values()), voc)
    return LabelledPictures(entries, known, source, warnings=turned_alone(found.items()))


def _classes(source: Path, said: str | Classes | None, masks: Sequence[Path], voc: bool) -> Classes:
    """The classes as they are said, listed or found; every mask is read, so that training meets no surprise."""
    listing = source / _CLASSES
    listed = "\n".join(read_names(listing)) if listing.is_file() else None
    declared = any(isinstance(text, str) and parse_classes(text)[1] is not None for text in (said, listed))
    said = said or listed
    names: tuple[str, ...] = ()
    values: tuple[int, ...] | None = None
    if isinstance(said, Classes):
        names, values = said.names, said.values
    elif said is not None:
        names, values = parse_classes(said)
    elif voc:
        names, values = _VOC, tuple(range(len(_VOC)))
    found = MaskValues()
    for path in masks:
        found.add(open_mask(path), path)
    there = found.first
    if not declared:
        if not voc:
            found.refuse_mixture(values)
        if len(there) <= MOST_FOUND:
            found.refuse_smoothed()
    if values is None:
        # 255 beside other values than 0 means that nothing is said.
        values = tuple(sorted(there)) if set(there) <= {0, 255} else tuple(sorted({*there} - {IGNORED}))
        if not names and len(values) > MOST_FOUND:
            raise InputError(
                f"masks have {len(values)} different values, as if they were photographs or JPEGs",
                path=source,
                hint="save masks as PNG with one value a class, or say --classes VALUE=NAME,...",
            )
        if names and len(values) != len(names):
            raise InputError(
                f"{len(names)} class names for masks with the values {', '.join(map(str, values[:20]))}",
                path=source,
                hint="say --classes VALUE=NAME,...",
            )
        found.refuse_blurred(values)
    classes = Classes(names or names_of(values), values)
    unknown = {*there} - {*values, IGNORED}
    for value in sorted(unknown)[:1]:
        classes.labels(np.full((1, 1), value, np.uint8), there[value])
    return classes


def _coco(source: Path, split: str | None, said: str | Classes | None) -> LabelledPictures:
    if isinstance(said, str):
        raise InputError("a COCO file names its classes itself", path=source, hint="leave --classes out")
    dataset = open_dataset(source, split)
    names = ("background", *dataset.classes)
    if not any(any(sample.masks) for sample in dataset):
        raise InputError("has no outlines of objects", path=source, hint="give one with segmentations")
    whole = [sample for sample in dataset if not len(sample.boxes) or (sample.masks and all(sample.masks))]
    entries = tuple(Entry(sample.path, sample) for sample in whole)
    left_out = len(dataset) - len(whole)
    return LabelledPictures(entries, Classes(names, tuple(range(len(names)))), source, left_out)
