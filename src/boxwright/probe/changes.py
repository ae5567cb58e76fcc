"""Changes of a picture that leave what it shows the same: place, size, turn and colour.

All windows are cut from one larger square of the same picture, the `Canvas`, so that no change brings in a
border. What a shift, a smaller scale or a turn brings in at the window's edge is more of the photograph; it is new
content nevertheless, and the colour histogram, which has no sense of place, says how much that is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

RGB8 = UInt8[np.ndarray, "height width 3"]
Window = Float32[np.ndarray, "size size 3"]
Colours = Float32[np.ndarray, "height width 3"]

REACH = 1.5
"""Side of the canvas, in sides of the window: room for a shift of a quarter, any turn, and 1 / 1.5 of the size."""
FINEST = 2
"""Most canvas pixels to a window's pixel; a larger photograph is shrunk first, or hundreds would fill the memory."""
LUMA = np.array((0.299, 0.587, 0.114), np.float32)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


@dataclass(frozen=True)
class Canvas:
    """The central square of a picture, of which a window shows the middle.

    Attributes:
        pixels: the square, two thirds of whose side are the window's.
        size: pixels of the window's side.
    """

    pixels: UInt8[np.ndarray, "side side 3"]
    size: int

    @classmethod
    def of(cls, picture: RGB8, size: int) -> Canvas:
        """The canvas of a picture.

        >>> canvas = Canvas.of(np.zeros((300, 400, 3), np.uint8), 100)
        >>> canvas.pixels.shape, canvas.window().shape
        ((300, 300, 3), (100, 100, 3))
        """
        side = min(picture.shape[:2])
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        square = np.ascontiguousarray(picture[top : top + side, left : left + side])
        most = round(FINEST * REACH * size)
        if side > most:
            square = np.asarray(Image.fromarray(square).resize((most, most), Image.Resampling.BOX))
        return cls(square, size)

    def window(self, shift: float = 0.0, scale: float = 1.0, angle: float = 0.0) -> Window:
        """What the window shows, in [0, 1].

        A shift by whole pixels samples the canvas at the same points as without, so that what both windows show is
        equal to the bit; so is a turn by quarters, whose pixels only change places.

        Args:
            shift: pixels of the window by which things move to the left.
            scale: how many times as large things become.
            angle: degrees by which things turn, against the clock.
        """
        image = Image.fromarray(self.pixels)
        if angle:
            image = image.rotate(angle, Image.Resampling.BICUBIC)
        # Never more than all of it: 1 / 1.5 of the size is the whole canvas, but for rounding.
        seen = min(image.width / REACH / scale, image.width)
        left = (image.width - seen) / 2
        along = left + shift * seen / self.size
        box = (along, left, min(along + seen, image.width), min(left + seen, image.width))
        shown = image.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box)
        return np.asarray(shown, np.float32) / 255


@dataclass(frozen=True)
class Change:
    """A change, and how strongly it is made.

    Attributes:
        name: one word, such as "shift".
        unit: what a strength counts.
        none: the strength at which nothing changes.
        strengths: in rising order, without `none`.
        typical: the one of them that tables and sentences quote.
        make: a canvas and a strength -> the changed window.
    """

    name: str
    unit: str
    none: float
    strengths: tuple[float, ...]
    typical: float
    make: Callable[[Canvas, float], Window]

    def fitting(self, size: int) -> tuple[float, ...]:
        """The strengths that the canvas has room for: a window is shifted by no more than a quarter."""
        if self.name != "shift":
            return self.strengths
        return tuple(strength for strength in self.strengths if strength <= size * (REACH - 1) / 2)


def turn_hue(window: Colours, degrees: float) -> Colours:
    """Each pixel's hue turned round the colour wheel (of HSV), 120 degrees from red to green."""
    from skimage.color import hsv2rgb, rgb2hsv  # an extra that only this needs

    hsv = rgb2hsv(window)
    hsv[..., 0] = (hsv[..., 0] + degrees / 360) % 1
    return np.asarray(hsv2rgb(hsv), np.float32)


def add_light(window: Colours, shift: float) -> Colours:
    """All values moved by a part of the range, cut off at black and white.

    >>> add_light(np.array([[[0.25, 0.5, 0.875]]], np.float32), 0.25).tolist()
    [[[0.5, 0.75, 1.0]]]
    """
    return np.clip(window + np.float32(shift), 0, 1)


def scale_contrast(window: Colours, factor: float) -> Colours:
    """All values moved from, or towards, the window's mean grey, cut off at black and white."""
    mean = (window @ LUMA).mean()
    return np.clip((window - mean) * np.float32(factor) + mean, 0, 1)


def fade(window: Colours, share: float) -> Colours:
    """All pixels moved towards the grey of the same luma; 1 leaves no colour."""
    grey = (window @ LUMA)[..., None]
    return window + np.float32(share) * (grey - window)


CHANGES: tuple[Change, ...] = (
    Change(
        "shift", "pixels", 0, (2, 4, 8, 16, 32), 16, lambda canvas, strength: canvas.window(shift=strength)
    ),
    Change(
        "scale",
        "times as large",
        1,
        (2 / 3, 0.8, 1.25, 1.5),
        1.25,
        lambda canvas, strength: canvas.window(scale=strength),
    ),
    Change(
        "rotation", "degrees", 0, (5, 15, 45, 90), 15, lambda canvas, strength: canvas.window(angle=strength)
    ),
    Change(
        "hue", "degrees", 0, (30, 90, 180), 90, lambda canvas, strength: turn_hue(canvas.window(), strength)
    ),
    Change(
        "grey", "share of grey", 0, (0.5, 1.0), 1.0, lambda canvas, strength: fade(canvas.window(), strength)
    ),
    Change(
        "brightness",
        "of the range",
        0,
        (-0.3, -0.15, 0.15, 0.3),
        0.15,
        lambda canvas, strength: add_light(canvas.window(), strength),
    ),
    Change(
        "contrast",
        "times",
        1,
        (0.5, 0.75, 4 / 3, 2.0),
        0.5,
        lambda canvas, strength: scale_contrast(canvas.window(), strength),
    ),
)
"""All changes, in the order in which they are shown."""
