"""Small pictures and the large ones that they came from. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from boxwright.errors import InputError
from boxwright.images import image_size, read_image

RGB8 = UInt8[np.ndarray, "height width 3"]
Large = UInt8[np.ndarray, "tall wide 3"]
Chw = Float32[np.ndarray, "3 height width"]
LargeChw = Float32[np.ndarray, "3 tall wide"]

_KEPT_BYTES = 1 << 30
"""Decoded pictures are kept in memory up to so many bytes; the others are read again."""


def shrink(image: Large, factor: int) -> RGB8:
    """Bicubic and antialiased, by a whole factor, after cutting off what is right and below of a multiple of it.

    This is how the papers make small pictures of large ones; every pixel of the small one is made of the same pixels
    of the large one, whatever its place.
    """
    if factor == 1:
        return image
    height, width = (side // factor for side in image.shape[:2])
    whole = Image.fromarray(image[: height * factor, : width * factor])
    return np.asarray(whole.resize((width, height), Image.Resampling.BICUBIC))


def enlarge(image: RGB8, factor: int) -> Large:
    """Bicubic interpolation by Pillow: what a network has to beat."""
    height, width = image.shape[:2]
    return np.asarray(
        Image.fromarray(image).resize((width * factor, height * factor), Image.Resampling.BICUBIC)
    )


def split_by_size(paths: Sequence[Path], least: int) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Those whose shorter side has so many pixels, and those that are smaller; by their headers.

    Raises:
        InputError: a file that is no image.
    """
    large = [min(image_size(path)) >= least for path in paths]
    marked = list(zip(paths, large, strict=True))
    return tuple(path for path, fits in marked if fits), tuple(path for path, fits in marked if not fits)


class Pairs:
    """Pictures of some files, each small and large.

    Args:
        paths: the files.
        factor: how many times as large the large ones are.
        reduce: the file's picture is first made smaller by this.
    """

    def __init__(self, paths: Sequence[Path], factor: int, reduce: int = 1) -> None:
        self.paths, self.factor, self.reduce = tuple(paths), factor, reduce
        self._kept: dict[int, tuple[RGB8, Large]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.paths)

    def pair(self, index: int) -> tuple[RGB8, Large]:
        """The small picture and the large one, of sides that are multiples of the factor.

        Raises:
            InputError: unreadable, or so small that nothing would be left of it.
        """
        if index in self._kept:
            return self._kept[index]
        path, whole = self.paths[index], self.factor * self.reduce
        image = read_image(path)
        if min(image.shape[:2]) < whole:
            height, width = image.shape[:2]
            raise InputError(
                f"of its {height} x {width} pixels nothing is left at a {whole}th",
                path=path,
                hint=f"give pictures of {whole} pixels a side or more",
            )
        large = shrink(image, self.reduce)
        height, width = (side // self.factor * self.factor for side in large.shape[:2])
        large = np.ascontiguousarray(large[:height, :width])
        pair = shrink(large, self.factor), large
        size = sum(one.nbytes for one in pair)
        if self._bytes + size <= _KEPT_BYTES:
            self._kept[index] = pair
            self._bytes += size
        return pair

    def patch(self, index: int, side: int, rng: np.random.Generator) -> tuple[Chw, LargeChw]:
        """A random square of a picture, small and large, turned and mirrored at random; RGB in [0, 1].

        It is cut out of both, so that the small one is what it is in the whole picture, at its borders too.

        Args:
            index: which picture; its small one has `side` pixels a side or more.
            side: of the small square.
            rng: all that is random comes from it.
        """
        small, large = self.pair(index)
        top, left = (int(rng.integers(0, length - side + 1)) for length in small.shape[:2])
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        return (
            _square(small, top, left, side, turns, mirrored),
            _square(large, top * self.factor, left * self.factor, side * self.factor, turns, mirrored),
        )

    def middle(self, index: int, side: int) -> tuple[RGB8, Large]:
        """The middle of a picture, small and large; all of what is shorter than `side` small pixels."""
        small, large = self.pair(index)
        first = [max(0, (length - side) // 2) for length in small.shape[:2]]
        last = [start + side for start in first]
        (top, left), (bottom, right), f = first, last, self.factor
        return small[top:bottom, left:right], large[top * f : bottom * f, left * f : right * f]

    def fingerprint(self) -> str:
        """Of the files' names and sizes, in order."""
        said = "\n".join(f"{path.name} {path.stat().st_size}" for path in self.paths)
        return hashlib.sha256(said.encode()).hexdigest()


def as_floats(image: RGB8) -> Chw:
    """RGB in [0, 1], channels first."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / np.float32(255)


def as_bytes(picture: Float32[np.ndarray, "height width 3"]) -> RGB8:
    """Floats in [0, 1] or about, as bytes, rounded."""
    clipped = np.clip(picture, 0, 1)
    whole: RGB8 = np.rint(clipped * 255).astype(np.uint8)
    return whole


def _square(image: RGB8, top: int, left: int, side: int, turns: int, mirrored: bool) -> LargeChw:
    square = np.rot90(image[top : top + side, left : left + side], turns)
    return as_floats(square[:, ::-1] if mirrored else square)
