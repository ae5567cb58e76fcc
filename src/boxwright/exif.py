"""Which way up a picture is: EXIF's orientation found in a header and applied to pixels."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

# A BytesIO has no name or mode, so it is no BinaryIO to a type checker at run time.
File = BinaryIO | io.BufferedIOBase

_ORIENTATION = 0x0112


def upright(
    pixels: UInt8[np.ndarray, "height width channels"], turn: int
) -> UInt8[np.ndarray, "upright_height upright_width channels"]:
    """Apply an EXIF orientation: 2-4 mirror or turn in place, 5-8 also swap height and width."""
    if turn >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def turn_to_apply(image: Image.Image) -> int:
    """The orientation that is left to apply after loading: Pillow turns TIFFs itself."""
    return 1 if image.format == "TIFF" else orientation(image)


def orientation(image: Image.Image) -> int:
    """The orientation in the header of an opened image, 1 to 8; 1 (upright) without a sensible one."""
    try:
        if image.format == "PNG" and "exif" not in image.info:
            late = Image.Exif()
            late.load(_late_exif(getattr(image, "fp", None)))
            value = late.get(_ORIENTATION) or Image.Image.getexif(image).get(_ORIENTATION)
        else:
            # The base class's: PNG's own decodes the whole picture in search of metadata behind it.
            value = Image.Image.getexif(image).get(_ORIENTATION)
    except Exception:  # broken metadata does not make the picture unreadable
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _late_exif(file: File | None) -> bytes:
    """The eXIf chunk wherever it stands in a PNG (some tools append it), found by hopping over the others."""
    if file is None:
        return b""
    back = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"eXIf":
                return file.read(min(length, 1 << 20))
            file.seek(length + 4, io.SEEK_CUR)
        return b""
    finally:
        file.seek(back)
