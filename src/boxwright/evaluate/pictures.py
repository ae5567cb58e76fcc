"""The pictures of a report: crops around an error, with context, and whole images, as small JPEGs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from boxwright.draw import Colour, encode_picture
from boxwright.errors import InputError
from boxwright.evaluate.examples import Box, Example
from boxwright.images import read_image

_Plate = tuple[int, int, int, int]

FOUND, LOST, RIGHT, WRONG = (0, 158, 115), (204, 60, 160), (30, 120, 200), (225, 85, 0)
"""Colours of an object that was found, one that was missed, a right detection, a wrong one."""

_CROP, _WHOLE = (400, 300), (640, 480)
_CONTEXT = 2.2
_LEAST = 64.0
_FONT = ImageFont.load_default(15)


@dataclass(frozen=True)
class Picture:
    """A JPEG with its size in pixels."""

    content: bytes
    width: int
    height: int


def pictures(root: Path, examples: Sequence[Example]) -> list[Picture | None]:
    """A picture for each example; None where its image cannot be read (any more).

    Args:
        root: the data set's folder, to which the examples' file names are relative.
        examples: what to show; each image is decoded once.
    """
    made: dict[int, Picture | None] = {}
    for name in dict.fromkeys(example.image for example in examples):
        try:
            image = read_image(root / name)
        except InputError:
            image = None
        for place, example in enumerate(examples):
            if example.image == name:
                made[place] = None if image is None else _picture(image, example)
    return [made[place] for place in range(len(examples))]


def _picture(image: UInt8[np.ndarray, "height width 3"], example: Example) -> Picture:
    window = _window(image.shape, example.focus)
    most = _CROP
    if example.kind == "typical":
        window, most = (0, 0, image.shape[1], image.shape[0]), _WHOLE
    left, top, right, bottom = window
    scale = min(most[0] / (right - left), most[1] / (bottom - top))
    size = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))
    cut = Image.fromarray(image[top:bottom, left:right])
    canvas = cut.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    taken: list[_Plate] = []
    for stroke in sorted(_strokes(example), key=lambda one: one.width):
        x1, y1, x2, y2 = stroke.box
        box = ((x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale)
        if box[2] > 0 and box[3] > 0 and box[0] < size[0] and box[1] < size[1]:
            _draw(pen, stroke, box, size, taken)
    return Picture(encode_picture(np.asarray(canvas), ".jpg", quality=78), size[0], size[1])


@dataclass(frozen=True)
class _Stroke:
    box: Box
    colour: Colour
    width: int
    text: str


def _strokes(example: Example) -> list[_Stroke]:
    """What to draw, and how boldly: the matter itself thick, its surroundings thin.

    The caption names the matter of a crop, so only what else is wrong there needs a label.
    """
    strokes = []
    for one in example.objects:
        # An object that was found hides under the box that found it, unless truth is what is asked about.
        if one.right and example.kind != "false positive":
            continue
        wide = 4 if one.box == example.focus else 3 if example.kind == "typical" else 2
        text = one.name if example.kind == "typical" else ""
        strokes.append(_Stroke(one.box, FOUND if one.right else LOST, wide, text))
    for one in example.detections:
        bold = not one.right or example.kind == "typical"
        text = f"{one.name} {one.score:.2f}" if bold and one.box != example.focus else ""
        wide = 4 if one.box == example.focus else 3 if bold else 2
        strokes.append(_Stroke(one.box, RIGHT if one.right else WRONG, wide, text))
    return strokes


def _draw(
    pen: ImageDraw.ImageDraw, stroke: _Stroke, box: Box, size: tuple[int, int], taken: list[_Plate]
) -> None:
    left, top, right, bottom = (round(v) for v in box)
    right, bottom = max(right - 1, left), max(bottom - 1, top)
    # A white hairline around the coloured one: it stands out from any background and keeps its colour.
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=(255, 255, 255), width=1)
    pen.rectangle((left, top, right, bottom), outline=stroke.colour, width=stroke.width)
    if not stroke.text:
        return
    wide, tall = round(pen.textlength(stroke.text, _FONT)) + 8, 19
    x = min(max(left, 0), max(size[0] - wide, 0))
    places = [y for y in (top - tall, bottom + 1, top) if 0 <= y <= size[1] - tall] or [0]
    plates = [(x, y, x + wide, y + tall) for y in places]
    plate = next((one for one in plates if not any(_meet(one, other) for other in taken)), plates[0])
    taken.append(plate)
    pen.rectangle((plate[0], plate[1], plate[2] - 1, plate[3] - 1), fill=stroke.colour)
    pen.text((plate[0] + 4, plate[1]), stroke.text, fill=(255, 255, 255), font=_FONT)


def _meet(a: _Plate, b: _Plate) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _window(shape: tuple[int, ...], focus: Box) -> tuple[int, int, int, int]:
    """A piece of the image around `focus`, 4:3 where the image and the box allow, with its surroundings."""
    height, width = shape[:2]
    left, top, right, bottom = focus
    aspect = _CROP[0] / _CROP[1]
    tall = max((bottom - top) * _CONTEXT, (right - left) * _CONTEXT / aspect, _LEAST)
    tall = min(tall, height, width / aspect)
    wide = min(max(tall * aspect, (right - left) * 1.1), width)
    tall = min(max(tall, (bottom - top) * 1.1), height)
    x = min(max((left + right - wide) / 2, 0), width - wide)
    y = min(max((top + bottom - tall) / 2, 0), height - tall)
    return int(x), int(y), max(int(x + wide), int(x) + 1), max(int(y + tall), int(y) + 1)
