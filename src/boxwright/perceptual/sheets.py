"""Pictures laid out in rows with names. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw, ImageFont

RGB8 = UInt8[np.ndarray, "height width 3"]

_GAP, _MARGIN = 2, 6
_INK = (40, 40, 40)


def sheet(
    rows: Sequence[tuple[str, Sequence[RGB8]]], scale: int = 2
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Rows of pictures on white, each with its name to the left.

    Args:
        rows: a name, or "", and pictures, all of one size; rows may differ in length.
        scale: pixels of the sheet for one of a picture.
    """
    side = max(len(image) for _, images in rows for image in images) * scale
    font = ImageFont.load_default(max(12.0, side / 8))
    left = max(round(font.getlength(name)) for name, _ in rows)
    left = left + 2 * _MARGIN if left else 0
    columns = max(len(images) for _, images in rows)
    shape = (left + columns * (side + _GAP) - _GAP, len(rows) * (side + _GAP) - _GAP)
    canvas = Image.new("RGB", shape, "white")
    pen = ImageDraw.Draw(canvas)
    for row, (name, images) in enumerate(rows):
        top = row * (side + _GAP)
        pen.text((_MARGIN, top + side // 2), name, fill=_INK, font=font, anchor="lm")
        for column, image in enumerate(images):
            large = Image.fromarray(image).resize((side, side), Image.Resampling.NEAREST)
            canvas.paste(large, (left + column * (side + _GAP), top))
    return np.array(canvas)


def in_rows(images: Sequence[RGB8], columns: int) -> list[tuple[str, Sequence[RGB8]]]:
    """Pictures in rows without names."""
    return [("", images[i : i + columns]) for i in range(0, len(images), columns)]


def spaced(count: int, shown: int) -> list[int]:
    """Indices of so many of `count` things, or of all of them, evenly spread.

    >>> spaced(10, 4), spaced(2, 4)
    ([0, 3, 6, 9], [0, 1])
    """
    return np.linspace(0, count - 1, min(shown, count)).round().astype(int).tolist()


def as_images(pictures: Float32[np.ndarray, "picture 3 height width"]) -> list[RGB8]:
    """Floats in [0, 1] as bytes, rounded."""
    return list(np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1))
