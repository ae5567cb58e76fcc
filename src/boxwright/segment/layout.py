"""Where a data set for segmentation keeps its pictures and masks: folders by name, splits, pairs of one stem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxwright.data.formats import coco
from boxwright.errors import InputError, some
from boxwright.foreign import reading
from boxwright.images import EXTENSIONS, read_header
from boxwright.regular import read_regular

_IMAGES = ("images", "image", "imgs", "JPEGImages")
_MASKS = ("masks", "mask", "labels", "label", "annotations", "SegmentationClass")
_LISTS = Path("ImageSets/Segmentation")


@dataclass(frozen=True)
class Part:
    """One split in files: its folders, and the stems that belong to it, or None for all."""

    images: Path
    masks: Path
    stems: tuple[str, ...] | None


def layout(source: Path) -> Mapping[str, Part | None]:
    """The parts of a data set by split, "" where there is none; None stands for COCO's.

    Raises:
        InputError: there is no data set for segmentation.
    """
    if not source.exists():
        raise InputError("does not exist", path=source, hint="give a folder with images and masks")
    if source.is_dir():
        if (found := _folders(source)) is not None:
            return _voc_lists(source, found) if (source / _LISTS).is_dir() else {"": Part(*found, None)}
        inner = {
            folder.name: Part(*found, None)
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


def _voc_lists(source: Path, folders: tuple[Path, Path]) -> dict[str, Part | None]:
    # trainval is train and val once more.
    files = [file for file in sorted((source / _LISTS).glob("*.txt")) if file.stem != "trainval"]
    parts: dict[str, Part | None] = {file.stem: Part(*folders, tuple(read_names(file))) for file in files}
    return parts or {"": Part(*folders, None)}


def read_names(path: Path) -> list[str]:
    """The names in a text file, one a line.

    Raises:
        InputError: it cannot be read.
    """
    with reading(path, "text of names", again="give a text file with one name a line"):
        return [line.strip() for line in read_regular(path).decode().splitlines() if line.strip()]


def pairs(part: Part) -> list[tuple[Path, Path]]:
    """The pictures of a part, each with its mask, of one size.

    Raises:
        InputError: a picture without a mask or a mask without a picture, or of another size; names the file.
    """
    images, masks = _by_stem(part.images), _by_stem(part.masks)
    # VOC has masks for some of its pictures; its lists say which. Elsewhere all belong together.
    stems = sorted({*images, *masks}, key=_natural) if part.stems is None else part.stems
    found = []
    for stem in stems:
        if stem not in images:
            where, what, folder = masks.get(stem, part.masks / stem), "picture", part.images
        else:
            where, what, folder = images[stem], "mask", part.masks
        if stem not in images or stem not in masks:
            raise InputError(
                f"has no {what} {stem}.* in {folder}", path=where, hint="add it or take both out"
            )
        found.append((images[stem], masks[stem]))
        picture, mask = read_header(images[stem]), read_header(masks[stem])
        if picture.size != mask.size:
            raise differ(masks[stem], mask.size, images[stem], picture.size, picture.orientation)
    if not found:
        raise InputError("has no pictures", path=part.images, hint="put pictures and masks of one name there")
    return found


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


def differ(
    mask: Path, mask_size: Sequence[int], picture: Path, picture_size: Sequence[int], orientation: int = 1
) -> InputError:
    """The one line for a mask that has not its picture's size.

    Args:
        mask, picture: the files.
        mask_size, picture_size: (height, width) upright.
        orientation: EXIF's, of the picture.
    """
    turned = orientation >= 5 and tuple(mask_size) == tuple(picture_size)[::-1]
    why = f", which its EXIF orientation {orientation} has turned" if turned else ""
    sizes = [f"{size[1]} x {size[0]}" for size in (mask_size, picture_size)]
    return InputError(
        f"is {sizes[0]}, but its picture {picture.name} {sizes[1]}{why}",
        path=mask,
        hint="draw masks on upright pictures, or turn them as the pictures are"
        if turned
        else "a mask has its picture's size",
    )


def turned_alone(found: Iterable[tuple[Path, Path]]) -> tuple[str, ...]:
    """A warning of pictures that EXIF turns or mirrors and whose masks, of the same size, it does not.

    Args:
        found: pictures with their masks.
    """
    turns = ((picture, read_header(picture).orientation, mask) for picture, mask in found)
    alone = [
        picture.name for picture, turn, mask in turns if turn != 1 and read_header(mask).orientation != turn
    ]
    if not alone:
        return ()
    return (
        f"{len(alone)} pictures are turned or mirrored by EXIF and their masks are not ({some(alone)}): masks are "
        "taken as drawn on the upright pictures",
    )
