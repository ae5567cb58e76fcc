"""Boxes drawn into pictures with Pillow: legible on any background, one colour per class, sizes that fit."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from boxwright.errors import InputError
from boxwright.files import write_bytes

RGB8 = UInt8[np.ndarray, "height width 3"]
Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]

# Okabe and Ito's set ("Color Universal Design", 2008) without black: told apart with any colour vision.
_HUES: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
PICTURES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
"""Endings of the files that pictures are written to, and Pillow's names of their kinds."""


def class_colour(index: int) -> Colour:
    """The colour of a class: seven hues, then the same lighter, then darker, then from the start.

    >>> class_colour(0), class_colour(7)
    ((230, 159, 0), (242, 207, 127))
    """
    turn, hue = divmod(index, len(_HUES))
    red, green, blue = _HUES[hue]
    if turn % 3 == 1:
        return (red + 255) // 2, (green + 255) // 2, (blue + 255) // 2
    if turn % 3 == 2:
        return red * 11 // 20, green * 11 // 20, blue * 11 // 20
    return red, green, blue


def name_colour(name: str) -> Colour:
    """The colour of a class of which only the name is known: always the same, though two may share one."""
    return class_colour(zlib.crc32(name.encode()) % (3 * len(_HUES)))


def draw_boxes(
    image: RGB8,
    boxes: Float[np.ndarray, "det 4"],
    names: Sequence[str],
    scores: Float[np.ndarray, " det"] | None = None,
    colours: Sequence[Colour] | None = None,
    width: int | None = None,
) -> RGB8:
    """A copy of the picture with boxes and labels; the best score lies on top.

    Args:
        image: the picture; lines and letters grow with it.
        boxes: xyxy in its pixels; what lies outside is cut off.
        names: the text of each box; "" draws no label.
        scores: in [0, 1], written after the names.
        colours: one for each box; by default one for each name.
        width: of the lines, in pixels.

    >>> picture = draw_boxes(np.zeros((90, 120, 3), np.uint8), np.array([[20.0, 30, 80, 70]]), ["cat"])
    >>> tuple(int(v) for v in picture[50, 20]) == name_colour("cat")
    True
    """
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    side = (image.shape[0] * image.shape[1]) ** 0.5
    width = width or max(2, round(0.003 * side))
    font = ImageFont.load_default(max(12.0, round(0.024 * side)))
    colours = [name_colour(name) for name in names] if colours is None else colours
    order = np.arange(len(boxes)) if scores is None else np.argsort(scores, kind="stable")
    corners = [_pixels(box, image.shape[0], image.shape[1]) for box in boxes]
    for i in order:
        left, top, right, bottom = corners[i]
        # A line in black or white on both sides of the coloured one: no background hides both.
        halo = _ink(colours[i])
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=halo, width=width + 2)
        pen.rectangle((left, top, right, bottom), outline=colours[i], width=width)
    taken: list[Rectangle] = []
    # The best score chooses the place of its label first.
    for i in order[::-1]:
        text = names[i] if scores is None else _text(names[i], float(scores[i]))
        if text:
            _label(pen, text, corners[i], taken, colours[i], font, canvas.size)
    return np.array(canvas)


def draw_priors(
    image: RGB8,
    priors: Float[np.ndarray, "prior 4"],
    boxes: Float[np.ndarray, "gt 4"],
    matched: Int[np.ndarray, " prior"],
    names: Sequence[str] | None = None,
) -> RGB8:
    """Objects thick, and in the colour of each object, thin, the priors that answer for it.

    Args:
        image: the network's input as a picture.
        priors: xyxy in its pixels.
        boxes: the objects.
        matched: for each prior the object it answers for, or a negative number.
        names: a text for each object.
    """
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas, "RGBA")
    for i in np.flatnonzero(matched >= 0):
        # Not cut off at the edge: a prior that reaches outside should be seen to.
        left, top, right, bottom = (round(float(v)) for v in priors[i])
        corners = (left, top, max(left, right - 1), max(top, bottom - 1))
        pen.rectangle(corners, outline=(*class_colour(int(matched[i])), 170), width=1)
    colours = [class_colour(i) for i in range(len(boxes))]
    width = max(3, round(0.006 * (image.shape[0] * image.shape[1]) ** 0.5))
    return draw_boxes(np.array(canvas), boxes, names or [""] * len(boxes), colours=colours, width=width)


def grid(
    images: Sequence[np.ndarray], columns: int, *, cell: tuple[int, int] | None = None, gap: int = 4
) -> RGB8:
    """A contact sheet on white: pictures in rows, each in the middle of its cell.

    Args:
        images: uint8 [height, width, 3], at least one; they may differ in size.
        columns: how many in a row.
        cell: (height, width) that larger pictures are shrunk to fit; the largest picture's if not given.
        gap: white pixels between the cells.
    """
    shapes = np.array([image.shape[:2] for image in images])
    height, width = cell or tuple(int(v) for v in shapes.max(0))
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        image = shrink(image, (height, width))
        y = i // columns * (height + gap) + (height - image.shape[0]) // 2
        x = i % columns * (width + gap) + (width - image.shape[1]) // 2
        sheet[y : y + image.shape[0], x : x + image.shape[1]] = image
    return sheet


def shrink(image: RGB8, size: tuple[int, int]) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """The picture within `size` (height, width), its aspect kept; a smaller one stays as it is."""
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    if scale >= 1:
        return image
    shape = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
    return np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BILINEAR))


def encode_picture(image: RGB8, suffix: str, quality: int = 90) -> bytes:
    """The bytes of a picture file; `suffix` (".jpg", ".png", ".webp", ".tif") says which kind.

    Raises:
        InputError: the suffix is none of these.
    """
    if suffix.lower() not in PICTURES:
        raise InputError(f"{suffix or 'a name without a suffix'!r} is no kind of picture", hint=_KINDS)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, PICTURES[suffix.lower()], quality=quality)
    return buffer.getvalue()


def write_picture(path: Path, image: RGB8) -> None:
    """Write a picture, all of it or nothing; the suffix of `path` says which kind."""
    try:
        content = encode_picture(image, path.suffix)
    except InputError as error:
        raise InputError("this is no name for a picture", path=path, hint=_KINDS) from error
    write_bytes(path, content)


_KINDS = "use one of " + " ".join(PICTURES)


def _pixels(box: np.ndarray, height: int, width: int) -> Rectangle:
    """The outermost pixels of a box, inclusive as Pillow wants them, inside the picture."""
    left, top = min(max(round(float(box[0])), 0), width - 1), min(max(round(float(box[1])), 0), height - 1)
    right, bottom = min(round(float(box[2])), width) - 1, min(round(float(box[3])), height) - 1
    return left, top, max(right, left), max(bottom, top)


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    box: Rectangle,
    taken: list[Rectangle],
    colour: Colour,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """Write `text` on a plate beside the box where no other label is.

    In a crowd without such a place the label is left out: the colour says the class, and a better score keeps
    its label legible.
    """
    x0, _, x1, _ = pen.textbbox((0, 0), text, font=font)
    # One height for all texts, whether or not a letter reaches below the line.
    ascent = int(pen.textbbox((0, 0), "Ág", font=font)[3])
    plate_width, plate_height = int(x1 - x0) + 6, ascent + 3
    left, top, right, bottom = box
    places = [
        (left, top - plate_height),
        (left, bottom + 1),
        (right + 1 - plate_width, top - plate_height),
        (right + 1 - plate_width, bottom + 1),
        (left, top),
        (left, bottom + 1 - plate_height),
        (right + 1, top),
        (left - plate_width, top),
    ]

    def plate(place: tuple[int, int]) -> Rectangle:
        x = max(0, min(place[0], size[0] - plate_width))
        return x, place[1], x + plate_width, place[1] + plate_height

    inside = [r for r in map(plate, places) if r[1] >= 0 and r[3] <= size[1]]
    free = [r for r in inside if not any(_overlap(r, other) for other in taken)]
    if not free and taken:
        return
    chosen = free[0] if free else plate((left, max(0, top)))
    taken.append(chosen)
    pen.rectangle((chosen[0], chosen[1], chosen[2] - 1, chosen[3] - 1), fill=colour)
    pen.text((chosen[0] + 3 - x0, chosen[1] + 1), text, fill=_ink(colour), font=font)


def _text(name: str, score: float) -> str:
    # A colon, because class names may be numbers: "7 0.81" reads as 70.81.
    return f"{name}: {score:.2f}" if name else f"{score:.2f}"


def _ink(colour: Colour) -> Colour:
    """Black or white, whichever contrasts more with `colour` (relative luminance as in WCAG 2.2)."""
    red, green, blue = ((value / 255) ** 2.2 for value in colour)
    return (0, 0, 0) if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else (255, 255, 255)


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
