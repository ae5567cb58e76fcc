"""A file of proposals: the boxes of a data set's images, found once and read by whatever trains on them.

One npz archive of plain arrays: every image's boxes one after the other, where each image's begin, the images'
paths relative to the data set and their sizes, how the boxes were found, and the version of this layout.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from boxwright.errors import InputError
from boxwright.files import read_arrays, replacing
from boxwright.foreign import reading

VERSION = 1
"""Of the layout, and of the searches: raised when the same settings give other boxes, so that old files are seen."""

Boxes = Float32[np.ndarray, "_ 4"]
Size = tuple[int, int]

_KIND = "file of proposals"
_MAKE = "make it with boxwright propose, or go on with --resume if a training made it"
_AGAIN = f"delete it and {_MAKE}"


@dataclass(frozen=True)
class Proposals:
    """The proposals of many images.

    Attributes:
        path: the file.
        settings: how the boxes were found.
        images: for each image's path, relative to the data set and with "/", its place in the rest.
        sizes: (height, width) of each image as a person sees it.
        starts: where each image's boxes begin; one more than there are images.
        all_boxes: of all images.
    """

    path: Path
    settings: Mapping[str, Any]
    images: Mapping[str, int]
    sizes: Int64[np.ndarray, "image 2"]
    starts: Int64[np.ndarray, " bound"]
    all_boxes: Boxes

    @classmethod
    def open(cls, path: str | Path) -> Proposals:
        """Read a file that `write` made.

        Raises:
            InputError: missing, damaged, no such file, or one of another version.
        """
        path = Path(path)
        arrays = read_arrays(
            path, ("version", "settings", "images", "sizes", "starts", "boxes"), kind=_KIND, again=_MAKE
        )
        with reading(path, _KIND, again=_AGAIN):
            version = int(arrays["version"])
            if version != VERSION:
                raise InputError(f"is of version {version}, not {VERSION}", path=path, hint=_AGAIN)
            found = cls(
                path=path,
                settings=json.loads(str(arrays["settings"])),
                images={str(name): i for i, name in enumerate(arrays["images"])},
                sizes=arrays["sizes"].astype(np.int64),
                starts=arrays["starts"].astype(np.int64),
                all_boxes=arrays["boxes"].astype(np.float32, copy=False),
            )
            found._check()
        return found

    def _check(self) -> None:
        if not isinstance(self.settings, dict) or self.starts.ndim != 1:
            raise TypeError("other arrays than it should have")
        count, boxes = len(self.images), self.all_boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise ValueError("its boxes are not rows of 4 numbers")
        whole = self.sizes.shape == (count, 2) and len(self.starts) == count + 1 and self.starts[0] == 0
        if not whole or self.starts[-1] != len(boxes) or (np.diff(self.starts) < 0).any():
            raise InputError("contradicts itself", path=self.path, hint=_AGAIN)

    def __len__(self) -> int:
        return len(self.images)

    def __contains__(self, image: object) -> bool:
        return isinstance(image, str | PurePath) and self._place(image) is not None

    def boxes(self, image: str | PurePath, size: Size | None = None) -> Boxes:
        """The proposals of an image, xyxy in its pixels, the best first.

        Args:
            image: its path; relative to the data set, or any longer path that ends so (a data set may move).
            size: (height, width) of the image as it now is, if it is to be compared.

        Raises:
            InputError: the image is not in the file, or had another size when the boxes were found.
        """
        place = self._place(image)
        if place is None:
            raise InputError(
                f"has no proposals for {image}",
                path=self.path,
                hint="boxwright propose DATA adds what is missing",
            )
        known = self.size(image)
        if size is not None and tuple(size) != known:
            then, now = (f"{wide} x {high}" for high, wide in (known, size))
            raise InputError(
                f"the proposals for {image} are of a picture of {then}, but it is {now}",
                path=self.path,
                hint=_AGAIN,
            )
        return self.all_boxes[self.starts[place] : self.starts[place + 1]]

    def size(self, image: str | PurePath) -> Size:
        """(height, width) that the image had.

        Raises:
            KeyError: it is not in the file.
        """
        place = self._place(image)
        if place is None:
            raise KeyError(str(image))
        return int(self.sizes[place, 0]), int(self.sizes[place, 1])

    def fingerprint(self, images: Iterable[str | PurePath]) -> str:
        """A hash over the boxes of some images, in their order; one that is not in the file counts too.

        Where the file is, and what else is in it, changes nothing.
        """
        digest = hashlib.sha256()
        for image in images:
            place = self._place(image)
            boxes = None if place is None else self.all_boxes[self.starts[place] : self.starts[place + 1]]
            digest.update(b"none" if boxes is None else len(boxes).to_bytes(8, "little") + boxes.tobytes())
        return digest.hexdigest()

    def _place(self, image: str | PurePath) -> int | None:
        parts = PurePath(image).parts
        for first in range(len(parts)):  # the longest first: "a/1.jpg" before "1.jpg"
            place = self.images.get("/".join(parts[first:]))
            if place is not None:
                return place
        return None


def write(
    path: Path,
    settings: Mapping[str, Any],
    images: Sequence[str],
    sizes: Sequence[Size],
    boxes: Sequence[Boxes],
) -> None:
    """Write a file of proposals, all of it or nothing; the three sequences are parallel.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    starts = np.zeros(len(boxes) + 1, np.int64)
    np.cumsum([len(each) for each in boxes], out=starts[1:])
    with replacing(path) as file:
        np.savez(
            file,
            version=np.array(VERSION),
            settings=np.array(json.dumps(dict(settings))),
            images=np.array(list(images), dtype=np.str_),
            sizes=np.array(list(sizes), np.int64).reshape(-1, 2),
            starts=starts,
            boxes=np.concatenate([np.zeros((0, 4), np.float32), *boxes]),
        )
