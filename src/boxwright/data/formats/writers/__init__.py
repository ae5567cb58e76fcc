"""Writers: the same data set in any of the four formats, with its images, all of it or nothing."""

from __future__ import annotations

import glob
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from boxwright.data.formats.writers import coco, folders, tables, voc, yolo
from boxwright.data.formats.writers.placing import Images, Watch, quietly
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.files import unwritable
from boxwright.lock import LOCK, locked_by

_MARK = ".boxwright-part"
FORMATS = ("coco", "voc", "yolo", "csv")


def write(
    data: Dataset | Sequence[Dataset],
    target: Path,
    to: str,
    *,
    images: Images = "copy",
    watch: Watch = quietly,
    voc_zero_based: bool = False,
) -> None:
    """Write a complete data set, images included, into a new folder.

    Args:
        data: the data set, or one for each split, all with the same classes.
        target: a folder that does not exist yet, or is empty; it appears when all of it is written.
        to: one of `FORMATS`, or "folders" for labelled pictures.
        images: "copy" or "link" (hard links: no space, but a change to one changes both).
        watch: passes the images on as they are written, and shows it.
        voc_zero_based: VOC corners count pixels from 0.

    Raises:
        InputError: `target` is not empty or cannot be written, the disk is full, or an image is missing.
    """
    with staged(target) as folder:
        if to == "voc":
            voc.write(data, folder, images=images, watch=watch, zero_based=voc_zero_based)
        else:
            writer = {
                "coco": coco.write,
                "yolo": yolo.write,
                "csv": tables.write,
                "folders": folders.write,
            }[to]
            writer(data, folder, images=images, watch=watch)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its place when the block ends well, and is gone when it does not.

    Raises:
        InputError: `target` is there and not empty, is being written by another process, or cannot be written.
    """
    target = target.absolute()
    beside = f".{target.name[:200]}"
    with locked_by(target.with_name(f"{beside}{LOCK}"), target):
        if target.is_file() or (target.is_dir() and any(target.iterdir())):
            raise InputError("exists and is not an empty folder", path=target, hint="choose a new folder")
        for left in target.parent.glob(f"{glob.escape(beside)}.*.part"):
            # What a kill has left: ours by the mark in it.
            if (left / _MARK).is_file():
                shutil.rmtree(left, ignore_errors=True)
        folder: Path | None = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not mkdtemp, whose folders are private: a data set should be as readable as any other new folder.
            folder = target.with_name(f"{beside}.{secrets.token_hex(4)}.part")
            folder.mkdir()
            (folder / _MARK).touch()
            yield folder
            (folder / _MARK).unlink()
            if target.exists():
                target.rmdir()
            folder.rename(target)
        except OSError as error:
            raise unwritable(target, error) from error
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
