"""Masks as files: which grey value or palette index is which class, read and written. Torch-free.

Ignored pixels have the label 255. A file's own 255 means that too, unless it is the value of a class: masks of
nothing but 0 and 255 have two classes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from boxwright.draw import class_colour
from boxwright.errors import InputError
from boxwright.files import write_bytes
from boxwright.segment.reading import Labels

IGNORED = 255
"""The label of pixels that are neither learned nor judged."""

MOST = 255
"""Classes that labels of eight bits can tell apart beside those."""


@dataclass(frozen=True)
class Classes:
    """The classes of a data set's pixels.

    Attributes:
        names: of the classes; a label is an index into this.
        values: the value that each has in mask files, parallel to `names`.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.values) or len(set(self.values)) != len(self.values):
            raise InputError(
                f"{len(self.names)} classes with values {self.values}: one value each, all different"
            )
        if not 2 <= len(self.names) <= MOST:
            raise InputError(f"{len(self.names)} classes of pixels, must be 2 to {MOST}")

    def labels(self, mask: Labels, path: Path) -> Labels:
        """A file's values as labels.

        Raises:
            InputError: a value that is of no class.
        """
        table = np.full(256, -1, np.int16)
        table[255] = IGNORED
        table[list(self.values)] = np.arange(len(self.values))
        found = table[mask]
        if (found < 0).any():
            wrong = np.unique(mask[found < 0])
            shown = ", ".join(map(str, wrong[:5])) + (" and more" if len(wrong) > 5 else "")
            known = ", ".join(map(str, self.values[:20]))
            raise InputError(
                f"has the value {shown}, which is of no class",
                path=path,
                hint=f"the classes' values are {known}; --classes VALUE=NAME,... says others",
            )
        labels: Labels = found.astype(np.uint8)
        return labels


def parse_classes(text: str) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
    """What a person says of the classes: names, or values with names.

    Args:
        text: parts between commas or line ends, all "name" or all "value=name".

    Returns:
        the names, and the values where they were said.

    >>> parse_classes("0=membrane, 255=inside")
    (('membrane', 'inside'), (0, 255))
    >>> parse_classes("sky,ground")
    (('sky', 'ground'), None)
    """
    parts = [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
    pairs = [part.partition("=") for part in parts]
    if not any(mark for _, mark, _ in pairs):
        return tuple(parts), None
    if not all(mark and value.strip().isdigit() and int(value) < 256 for value, mark, _ in pairs):
        raise InputError(
            f"classes {text.strip()!r:.80} are not all of the form VALUE=NAME",
            hint="such as 0=background,1=cell",
        )
    return tuple(name.strip() for *_, name in pairs), tuple(int(value) for value, *_ in pairs)


def write_mask(path: Path, mask: Labels) -> None:
    """Write values as a PNG of 8 bits whose palette shows each in a colour of its own, 0 black.

    Args:
        path: the file.
        mask: the values that stand in it.
    """
    image = Image.fromarray(mask, "P")
    image.putpalette([part for value in range(256) for part in value_colour(value)])
    write_bytes(path, _png(image))


def write_probability(path: Path, probability: Float32[np.ndarray, "height width"]) -> None:
    """Write a probability as a grey PNG of 16 bits: 65535 is 1."""
    grey = np.rint(np.clip(probability, 0, 1) * 65535).astype(np.uint16)
    write_bytes(path, _png(Image.fromarray(grey)))


def value_colour(value: int) -> tuple[int, int, int]:
    """The colour of a class by its index: 0 is black, 255 white."""
    if value in (0, 255):
        return value, value, value
    return class_colour(value - 1)


def overlay(
    picture: UInt8[np.ndarray, "height width 3"], labels: Labels, opacity: float = 0.45
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture with every class but the first laid over it in its colour."""
    table = np.array([value_colour(value) for value in range(256)], np.float32)
    laid = picture * (1 - opacity) + table[labels] * opacity
    return np.where((labels > 0)[..., None], np.rint(laid), picture).astype(np.uint8)


def names_of(values: Sequence[int]) -> tuple[str, ...]:
    """Names for classes of which only the values are known."""
    return tuple("background" if value == 0 else f"class {value}" for value in values)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
