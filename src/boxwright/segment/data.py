"""Pictures with a class for every pixel: paired folders, Pascal VOC's SegmentationClass, COCO's outlines.

- Paired folders: `images/` (or `image/`) and `masks/` (`mask/`, `labels/`, `label/`), files of one stem belonging
  together; or both folders inside of `train/`, `val/`, ...
- VOC: `JPEGImages/`, `SegmentationClass/`, and the splits in `ImageSets/Segmentation/`.
- COCO: a JSON file's polygons and run lengths; smaller objects lie on top, crowds are ignored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from boxwright.data.formats import coco
from boxwright.data.open import open_dataset
from boxwright.data.records import Sample
from boxwright.errors import InputError
from boxwright.images import EXTENSIONS, image_size, read_image
from boxwright.segment.coco_masks import labels_of
from boxwright.segment.masks import IGNORED, Classes, names_of, parse_classes, read_mask

_IMAGES = ("images", "image", "imgs", "JPEGImages")
_MASKS = ("masks", "mask", "labels", "label", "annotations", "SegmentationClass")
_LISTS = Path("ImageSets/Segmentation")
_CLASSES = "classes.txt"
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
    """

    entries: tuple[Entry, ...]
    classes: Classes
    root: Path

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
            raise _differ(entry.truth, mask.shape, entry.path, picture.shape[:2])
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
    return tuple(name for name in _layout(source) if name)


def open_labelled(source: Path, split: str | None = None, classes: str | None = None) -> LabelledPictures:
    """Find the pictures of a data set and their masks; every pair is looked at before anything is learned.

    Args:
        source: the folder, or a COCO file.
        split: one of `splits(source)`; None for all.
        classes: names, or VALUE=NAME, between commas; else those of `classes.txt`, of VOC, of the COCO file, or one
            class for every value that masks have.

    Raises:
        InputError: no data set, a picture without a mask or a mask without a picture, one of another size, a value
            that is of no class.
    """
    layout = _layout(source)
    if split is not None and split not in layout:
        raise InputError(
            f"no split {split!r}", path=source, hint=f"there: {', '.join(filter(None, layout)) or 'none'}"
        )
    wanted = [name for name in layout if split in (None, name)]
    if any(layout[name] is None for name in wanted):
        return _coco(source, split, classes)
    parts = [layout[name] for name in wanted]
    entries = {entry.path: entry for part in parts if part is not None for entry in _paired(part)}
    masks = [entry.truth for entry in entries.values() if isinstance(entry.truth, Path)]
    voc = any(part is not None and part.masks.name == "SegmentationClass" for part in parts)
    return LabelledPictures(tuple(entries.values()), _classes(source, classes, masks, voc), source)


@dataclass(frozen=True)
class _Part:
    """One split in files: its folders, and the stems that belong to it, or None for all."""

    images: Path
    masks: Path
    stems: tuple[str, ...] | None


def _layout(source: Path) -> Mapping[str, _Part | None]:
    """By split, "" where there is none; None stands for COCO's."""
    if not source.exists():
        raise InputError("does not exist", path=source, hint="give a folder with images and masks")
    if source.is_dir():
        if (found := _folders(source)) is not None:
            return _voc_lists(source, found) if (source / _LISTS).is_dir() else {"": _Part(*found, None)}
        inner = {
            folder.name: _Part(*found, None)
            for folder in sorted(source.iterdir())
            if folder.is_dir() and (found := _folders(folder)) is not None
        }
        if inner:
            return inner
    if (names := coco.splits(source)) is not None:
        return dict.fromkeys(names or ("",))
    raise InputError(
        "is no data set for segmentation",
        path=source,
        hint="it looks for images/ beside masks/, JPEGImages/ beside SegmentationClass/, and COCO's JSON files",
    )


def _folders(folder: Path) -> tuple[Path, Path] | None:
    images = next((folder / name for name in _IMAGES if (folder / name).is_dir()), None)
    masks = next((folder / name for name in _MASKS if (folder / name).is_dir()), None)
    return None if images is None or masks is None else (images, masks)


def _voc_lists(source: Path, folders: tuple[Path, Path]) -> dict[str, _Part | None]:
    # trainval is train and val once more.
    files = [file for file in sorted((source / _LISTS).glob("*.txt")) if file.stem != "trainval"]
    parts: dict[str, _Part | None] = {file.stem: _Part(*folders, tuple(read_names(file))) for file in files}
    return parts or {"": _Part(*folders, None)}


def read_names(path: Path) -> list[str]:
    """The names in a text file, one a line.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot be read ({getattr(error, 'strerror', None) or error})",
            path=path,
            hint="give a text file with one name a line",
        ) from error


def _paired(part: _Part) -> list[Entry]:
    """The pictures of a part, each with its mask, of one size."""
    images, masks = _by_stem(part.images), _by_stem(part.masks)
    # VOC has masks for some of its pictures; its lists say which. Elsewhere all belong together.
    stems = sorted({*images, *masks}, key=_natural) if part.stems is None else part.stems
    entries = []
    for stem in stems:
        if stem not in images:
            where, what, folder = masks.get(stem, part.masks / stem), "picture", part.images
        else:
            where, what, folder = images[stem], "mask", part.masks
        if stem not in images or stem not in masks:
            raise InputError(
                f"has no {what} {stem}.* in {folder}", path=where, hint="add it or take both out"
            )
        entries.append(Entry(images[stem], masks[stem]))
        sizes = image_size(images[stem]), image_size(masks[stem])
        if sizes[0] != sizes[1]:
            raise _differ(masks[stem], sizes[1], images[stem], sizes[0])
    if not entries:
        raise InputError("has no pictures", path=part.images, hint="put pictures and masks of one name there")
    return entries


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in EXTENSIONS:
            if path.stem in found:
                raise InputError(
                    f"is beside {found[path.stem].name}, of the same name", path=path, hint="keep one of them"
                )
            found[path.stem] = path
    return found


def _natural(stem: str) -> tuple[int, int, str]:
    """9 before 10."""
    return (0, int(stem), "") if stem.isdecimal() else (1, 0, stem)


def _classes(source: Path, said: str | None, masks: Sequence[Path], voc: bool) -> Classes:
    """The classes as they are said, listed or found; every mask is read, so that training meets no surprise."""
    listing = source / _CLASSES
    if said is None and listing.is_file():
        said = "\n".join(read_names(listing))
    names, values = parse_classes(said) if said is not None else ((), None)
    if voc and said is None:
        names, values = _VOC, tuple(range(len(_VOC)))
    there: dict[int, Path] = {}
    for path in masks:
        for value in np.unique(read_mask(path)):
            there.setdefault(int(value), path)
    if values is None:
        # 255 beside other values than 0 means that nothing is said.
        values = tuple(sorted(there)) if set(there) <= {0, 255} else tuple(sorted({*there} - {IGNORED}))
        if not names and len(values) > 64:
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
    classes = Classes(names or names_of(values), values)
    unknown = {*there} - {*values, IGNORED}
    for value in sorted(unknown)[:1]:
        classes.labels(np.full((1, 1), value, np.uint8), there[value])
    return classes


def _coco(source: Path, split: str | None, said: str | None) -> LabelledPictures:
    if said is not None:
        raise InputError("a COCO file names its classes itself", path=source, hint="leave --classes out")
    dataset = open_dataset(source, split)
    names = ("background", *dataset.classes)
    entries = tuple(Entry(sample.path, sample) for sample in dataset)
    if not any(sample.masks for sample in dataset):
        raise InputError("has no outlines of objects", path=source, hint="give one with segmentations")
    return LabelledPictures(entries, Classes(names, tuple(range(len(names)))), source)


def _differ(mask: Path, mask_size: Sequence[int], picture: Path, picture_size: Sequence[int]) -> InputError:
    return InputError(
        f"is {mask_size[1]} x {mask_size[0]}, but its picture {picture.name} {picture_size[1]} x {picture_size[0]}",
        path=mask,
        hint="a mask has its picture's size",
    )
