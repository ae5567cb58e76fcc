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
from PIL import Image, ImageOps

from boxwright.draw import class_colour
from boxwright.errors import InputError
from boxwright.files import write_bytes
from boxwright.foreign import reading
from boxwright.images import read_header

IGNORED = 255
"""The label of pixels that are neither learned nor judged."""

_WEBP_HEAD = 1 << 20
"""Bytes of a file among which its picture's kind is looked for: colour profiles may stand before it."""

MOST = 255
"""Classes that labels of eight bits can tell apart beside those."""

_LOSSY = frozenset({"JPEG", "MPO", "JPEG2000", "AVIF"})
_LOSSY_TIFF = frozenset({"jpeg", "tiff_jpeg", "jpeg2000", "webp", "lerc"})
"""How Pillow names a TIFF file's compressions that change values, or may."""

Labels = UInt8[np.ndarray, "height width"]


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


def read_mask(path: Path) -> Labels:
    """A mask file's values: grey, indices of a palette, or 0 and 1.

    Raises:
        InputError: missing, damaged, or of colours.
    """
    header = read_header(path)  # its refusals name the file and the way out
    with reading(path, "mask", again="restore the mask"), Image.open(path) as file:
        if header.format in _LOSSY or _is_lossy(file):
            raise InputError(
                f"is a {header.format} file, whose compression blurs the values of a mask: neighbours of 0 and 255 "
                "would become classes",
                path=path,
                hint="save masks as PNG, from the tool that made them",
            )
        file.load()
        # Pictures are turned as their files say, and masks with them.
        image = ImageOps.exif_transpose(file)
        mode, values = image.mode, np.array(image)
    if mode in ("P", "L", "1"):
        return values.astype(np.uint8)
    if mode in ("RGBA", "LA"):
        if (values[..., -1] != 255).any():
            raise InputError(
                "is a mask with transparency, under which any value may stand",
                path=path,
                hint="save it without an alpha channel",
            )
        values = values[..., :-1]
    if values.ndim == 3 and (values == values[..., :1]).all():
        return np.ascontiguousarray(values[..., 0])
    if values.ndim == 2 and values.min() >= 0 and values.max() <= 255 and mode != "F":
        return values.astype(np.uint8)
    raise InputError(
        f"is a mask of kind {mode}, with colours or values beyond 255",
        path=path,
        hint="save it with one grey value or palette index for each class",
    )


def _is_lossy(file: Image.Image) -> bool:
    """Whether a format that has both a lossless compression and another one uses the latter."""
    if file.format == "TIFF":
        return str(file.info.get("compression", "")) in _LOSSY_TIFF
    if file.format == "WEBP":
        with Path(file.filename).open("rb") as raw:  # type: ignore[attr-defined]
            return not _is_lossless_webp(raw.read(_WEBP_HEAD))
    return False


def _is_lossless_webp(head: bytes) -> bool:
    """Whether the first picture of a WebP file is a "VP8L" chunk; others may stand before it (RFC 9649, 2.3)."""
    at = 12
    while at + 8 <= len(head):
        kind, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        # A frame holds its picture's chunks behind 16 bytes of its own.
        at += 8 + (16 if kind == b"ANMF" else length + length % 2)
    return False


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
