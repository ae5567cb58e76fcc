"""Pictures of a folder as squares of one size: whole ones from the middle, or varied ones to learn from. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from boxwright.data.formats.paths import is_image
from boxwright.errors import InputError
from boxwright.images import read_image

RGB8 = UInt8[np.ndarray, "height width 3"]
Chw = Float32[np.ndarray, "3 size size"]

_KEPT_BYTES = 1 << 30
"""Pictures are kept in memory when all of them, made small, take no more than this."""


def find_pictures(folder: Path) -> tuple[Path, ...]:
    """The images in a folder, at any depth, sorted.

    Raises:
        InputError: no such folder, or none in it.
    """
    if not folder.is_dir():
        raise InputError("is no folder", path=folder, hint="give a folder of images")
    found = tuple(sorted(path for path in folder.rglob("*") if is_image(path) and path.is_file()))
    if not found:
        raise InputError("no images in this folder", path=folder, hint="give a folder of images")
    return found


def hold_back(paths: Sequence[Path], held: float, seed: int) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Pictures to learn from, and a random choice that is held out, each in the order given.

    Args:
        paths: at least two.
        held: how many are held out; below 1, which part of all. At least one goes, and at least one stays.
        seed: the same seed holds out the same ones.

    Raises:
        InputError: fewer than two pictures, or as many held out as there are.

    >>> learn, test = hold_back([Path(f"{i}.png") for i in range(10)], 0.3, seed=0)
    >>> len(learn), len(test)
    (7, 3)
    """
    count = max(1, round(held * len(paths) if held < 1 else held))
    if count >= len(paths):
        raise InputError(
            f"{count} of {len(paths)} pictures cannot be held out", hint="give more images, or hold out fewer"
        )
    taken = set(np.random.default_rng(seed).permutation(len(paths))[:count].tolist())
    rest = tuple(path for i, path in enumerate(paths) if i not in taken)
    return rest, tuple(paths[i] for i in sorted(taken))


def middle(image: RGB8, size: int) -> Chw:
    """The largest square from the middle, resized; RGB in [0, 1]."""
    side = min(image.shape[:2])
    return _square(image, (image.shape[0] - side) // 2, (image.shape[1] - side) // 2, side, size)


def varied(image: RGB8, size: int, least: float, flip: bool, rng: np.random.Generator) -> Chw:
    """A random square, resized, and mirrored half of the time; RGB in [0, 1].

    Args:
        image: the picture.
        size: side of what comes out.
        least: smallest side of the square, as a part of the picture's shorter side; at 1 the square is the
            picture's middle.
        flip: whether to mirror.
        rng: all that is random comes from it.
    """
    shorter = min(image.shape[:2])
    side = round(shorter * rng.uniform(least, 1))
    top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
    square = middle(image, size) if least == 1 else _square(image, top, left, side, size)
    return np.ascontiguousarray(square[:, :, ::-1]) if rng.random() < 0.5 and flip else square


class Squares:
    """The pictures of some files as squares; small ones are kept in memory.

    Args:
        paths: the files.
        size: side of the squares.
        least: of `varied`.
        flip: of `varied`.
    """

    def __init__(self, paths: Sequence[Path], size: int, least: float = 1.0, flip: bool = False) -> None:
        self.paths, self.size, self.least, self.flip = tuple(paths), size, least, flip
        # So large that the smallest crop is not enlarged.
        self._shorter = int(np.ceil(size / least))
        self._keeps = len(paths) * 6 * self._shorter**2 <= _KEPT_BYTES
        self._kept: dict[int, RGB8] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def middle(self, index: int) -> Chw:
        """One picture's middle."""
        return middle(self._small(index), self.size)

    def middles(self) -> Float32[np.ndarray, "picture 3 size size"]:
        """All pictures' middles."""
        return np.stack([self.middle(index) for index in range(len(self))])

    def varied(self, index: int, rng: np.random.Generator) -> Chw:
        """One picture, varied."""
        return varied(self._small(index), self.size, self.least, self.flip, rng)

    def fingerprint(self) -> str:
        """Of the files' names and sizes, in order."""
        said = "\n".join(f"{path.name} {path.stat().st_size}" for path in self.paths)
        return hashlib.sha256(said.encode()).hexdigest()

    def _small(self, index: int) -> RGB8:
        if index in self._kept:
            return self._kept[index]
        image = read_image(self.paths[index])
        scale = self._shorter / min(image.shape[:2])
        if scale < 1:
            width, height = (max(self._shorter, round(length * scale)) for length in image.shape[1::-1])
            image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
        if self._keeps:
            self._kept[index] = image
        return image


def _square(image: RGB8, top: int, left: int, side: int, size: int) -> Chw:
    box = (left, top, left + side, top + side)
    small = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(small).transpose(2, 0, 1).astype(np.float32) / 255
