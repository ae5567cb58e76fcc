"""Augmentation with boxes, after Liu et al. 2016 (SSD, section 2.2 "Data augmentation" and section 3.6).

Geometry first, pixels once. Turning, zooming and cropping only choose a window: a rectangle of the source,
which may be larger than it. The window is then cut out, resized to the network's input, distorted in colour,
set into the mean colour where it leaves the source, and flipped. The paper distorts the whole photograph
first and resizes last; a distortion acts on each pixel by itself and never on the border of mean colour, so
that the order changes rounding and not the distribution, and far fewer pixels are worked on.

Randomness comes only from the generator that is passed in; `sample_rng` makes one for each sample of each
epoch, so that a resumed run sees the same pictures whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from PIL import Image

from boxwright.data.geometry import (
    RGB8,
    Annotated,
    Boxes,
    Window,
    Windows,
    centre_inside,
    clip,
    flip_horizontal,
    flip_vertical,
    rotate90,
    view,
    window_iou,
)
from boxwright.errors import InputError

__all__ = ["AUGMENT_LIGHT", "AUGMENT_NONE", "AUGMENT_NO_FLIP", "AUGMENT_SSD", "Annotated", "Augment"]
__all__ += ["apply", "mosaic", "photometric", "sample_rng"]

Target = Callable[[int, int], tuple[int, int]]
"""(height, width) of a picture -> (height, width) to resize it to; `Preprocess.target` is one."""

_TRIALS = 50


@dataclass(frozen=True)
class Augment:
    """How pictures are varied in training; the defaults vary nothing.

    Attributes:
        distort: probability of each of the four colour distortions.
        brightness: largest shift, in grey levels of 255.
        contrast, saturation: factors are drawn from 1 - value to 1 + value.
        hue: largest turn of the colour wheel, in degrees of 360 (SSD's released 18 are steps of 2 degrees).
        channel_shuffle: probability that the three channels change places.
        zoom_out: probability that the picture is set into a larger canvas of the colour `fill`.
        zoom_out_ratio: largest ratio of the canvas' sides to the picture's.
        scale: (smallest, largest) magnification with the aspect kept, drawn evenly in its logarithm.
        crop: probability of a crop, by one of `crop_options` at random.
        crop_options: the smallest IoU that the patch has with at least one object; 0.0 asks for none, and
            None is the whole picture.
        crop_scale: (smallest, largest) side of the patch, as a part of the picture's side.
        crop_aspect: (smallest, largest) ratio of the patch's width to its height, relative to the picture's.
        flip_horizontal, flip_vertical: probabilities.
        rotate90: probability of a turn by 0, 90, 180 or 270 degrees, each as likely.
        mosaic: probability that the loader puts the picture together from four (`mosaic`).
        fill: the colour beside the picture; ImageNet's mean.
    """

    distort: float = 0.0
    brightness: float = 32.0
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 36.0
    channel_shuffle: float = 0.0
    zoom_out: float = 0.0
    zoom_out_ratio: float = 4.0
    scale: tuple[float, float] = (1.0, 1.0)
    crop: float = 0.0
    crop_options: tuple[float | None, ...] = (None, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
    crop_scale: tuple[float, float] = (0.3, 1.0)
    crop_aspect: tuple[float, float] = (0.5, 2.0)
    flip_horizontal: float = 0.0
    flip_vertical: float = 0.0
    rotate90: float = 0.0
    mosaic: float = 0.0
    fill: tuple[int, int, int] = (124, 116, 104)

    def __post_init__(self) -> None:
        chances = ("distort", "channel_shuffle", "zoom_out", "crop", "mosaic")
        for name in (*chances, "flip_horizontal", "flip_vertical", "rotate90"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation: {name} is a probability, not {getattr(self, name)}")
        for name in ("scale", "crop_scale", "crop_aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise InputError(f"augmentation: {name} is (smallest, largest), not ({low}, {high})")
        if self.crop_scale[1] > 1 or self.zoom_out_ratio < 1:
            raise InputError("augmentation: crop_scale is at most 1 and zoom_out_ratio at least 1")
        if not (0 <= self.contrast <= 1 and 0 <= self.saturation <= 1):
            raise InputError("augmentation: contrast and saturation are between 0 and 1")


AUGMENT_NONE = Augment()
AUGMENT_SSD = Augment(distort=0.5, zoom_out=0.5, crop=1.0, flip_horizontal=0.5)
"""The paper's, with the strengths of its released code (in which the channels keep their order)."""
AUGMENT_LIGHT = Augment(
    distort=0.5,
    brightness=20.0,
    contrast=0.25,
    saturation=0.25,
    hue=8.0,
    scale=(0.75, 1.5),
    flip_horizontal=0.5,
)
"""For small sets and short trainings: objects stay near the size they have."""
AUGMENT_NO_FLIP = Augment(distort=0.5, hue=18.0, scale=(0.75, 1.5))
"""For things that have a left and a right, such as digits: a mirrored one would be something else."""


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of one sample in one epoch: the same whichever worker loads it, and after a resume."""
    return np.random.default_rng([seed, epoch, index])


def apply(
    annotated: Annotated, settings: Augment, rng: np.random.Generator, target: Target | None = None
) -> Annotated:
    """One random variation of a picture and its boxes.

    Args:
        annotated: a picture with any number of objects, none included.
        settings: what may happen to it.
        rng: the only source of randomness; the same state gives the same bytes.
        target: resizes the result (pass `preprocess.target`); without it one source pixel stays one pixel.

    Returns:
        A uint8 picture. Its boxes lie inside it and have an area; objects whose centre left it are gone
        (section 2.2), ignored ones stay as far as they are visible.

    >>> picture = Annotated(np.zeros((60, 80, 3), np.uint8), np.array([[10.0, 10, 30, 40]]),
    ...                     np.array([2]), np.array([False]))
    >>> varied = apply(picture, AUGMENT_SSD, sample_rng(seed=0, epoch=3, index=7), lambda h, w: (32, 32))
    >>> varied.image.shape, varied.labels.tolist()
    ((32, 32, 3), [2])
    """
    if rng.random() < settings.rotate90:
        annotated = rotate90(annotated, int(rng.integers(4)))
    window = choose_window(annotated, settings, rng)
    result = view(
        annotated,
        window,
        target and target(window[3] - window[1], window[2] - window[0]),
        fill=settings.fill,
        distort=lambda pixels: photometric(pixels, settings, rng),
    )
    if rng.random() < settings.flip_horizontal:
        result = flip_horizontal(result)
    if rng.random() < settings.flip_vertical:
        result = flip_vertical(result)
    return result


def choose_window(annotated: Annotated, settings: Augment, rng: np.random.Generator) -> Window:
    """Where to look: zoomed out or magnified as the settings say, then cropped."""
    height, width = annotated.size
    window = (0, 0, width, height)
    ratio = rng.uniform(1, settings.zoom_out_ratio) if rng.random() < settings.zoom_out else 1.0
    if settings.scale != (1.0, 1.0):
        ratio /= float(np.exp(rng.uniform(*np.log(settings.scale))))
    if ratio != 1.0:
        places = (rescale((0, 0, width, height), ratio, rng) for _ in range(_TRIALS))
        window = next(
            (place for place in places if _useful(annotated, np.array([place], np.float64))[0]), window
        )
    if rng.random() < settings.crop:
        options = settings.crop_options
        # Another option takes the place of one that 50 trials could not satisfy, as in the released code.
        for chosen in rng.permutation(len(options)):
            minimum = options[chosen]
            patch = window if minimum is None else iou_crop(annotated, window, minimum, settings, rng)
            if patch is not None:
                return patch
    return window


def rescale(window: Window, ratio: float, rng: np.random.Generator) -> Window:
    """A window `ratio` times as wide and high that holds `window`, or lies in it, at a random place."""
    left, top, right, bottom = window
    width, height = (max(1, round(side * ratio)) for side in (right - left, bottom - top))
    x = left + round((right - left - width) * rng.random())
    y = top + round((bottom - top - height) * rng.random())
    return x, y, x + width, y + height


def iou_crop(
    annotated: Annotated, window: Window, minimum: float, settings: Augment, rng: np.random.Generator
) -> Window | None:
    """A patch of `window` whose IoU with at least one object is >= `minimum`; None if 50 trials find none."""
    left, top, right, bottom = window
    sides = np.array([right - left, bottom - top])
    scale = rng.uniform(*settings.crop_scale, _TRIALS)
    # An aspect is drawn only from those with which the patch still fits: its longer side is at most 1.
    low = np.minimum(np.maximum(settings.crop_aspect[0], scale**2), 1 / scale**2)
    high = np.maximum(np.minimum(settings.crop_aspect[1], 1 / scale**2), low)
    stretch = np.sqrt(rng.uniform(low, high))
    extent = np.maximum(1, np.rint(np.stack([scale * stretch, scale / stretch], -1).clip(max=1) * sides))
    corner = np.add(np.rint(rng.random((_TRIALS, 2)) * (sides - extent)), (left, top))
    patches = np.concatenate([corner, corner + extent], -1)
    fits = _useful(annotated, patches)
    if minimum > 0:
        objects = _visible(annotated)
        fits &= window_iou(objects, patches).max(-1, initial=0.0) >= minimum
    if not fits.any():
        return None
    x0, y0, x1, y1 = (int(v) for v in patches[fits.argmax()])
    return x0, y0, x1, y1


def photometric(image: RGB8, settings: Augment, rng: np.random.Generator) -> RGB8:
    """Colour distortions, each with its own chance, contrast before or after the colours.

    Kinds, order and default strengths are those of the paper's released code, after Howard 2013 ("Some
    improvements on deep convolutional neural network based image classification", section 2).
    """
    brightness, contrast, saturation, hue = rng.random(4) < settings.distort
    if brightness:
        image = _levels(image, 1.0, rng.uniform(-settings.brightness, settings.brightness))
    contrast_first = rng.random() < 0.5
    factor = rng.uniform(1 - settings.contrast, 1 + settings.contrast) if contrast else 1.0
    if contrast and contrast_first:
        image = _levels(image, factor, 0.0)
    if saturation or hue:
        colourful = rng.uniform(1 - settings.saturation, 1 + settings.saturation) if saturation else 1.0
        turn = rng.uniform(-settings.hue, settings.hue) if hue else 0.0
        image = _colours(image, turn, colourful)
    if contrast and not contrast_first:
        image = _levels(image, factor, 0.0)
    if rng.random() < settings.channel_shuffle:
        image = image[:, :, rng.permutation(3)]
    return image


def mosaic(parts: Sequence[Annotated], size: tuple[int, int], rng: np.random.Generator) -> Annotated:
    """Four pictures in the quarters around a random point (Bochkovskiy et al. 2020, YOLOv4, section 3.3).

    Each quarter shows a random window of its picture, stretched as the whole picture would be at `size`; its
    objects have between their usual size there and the smallest at which the window still fits the picture.
    """
    if len(parts) != 4:
        raise ValueError(f"a mosaic is made of 4 pictures, not {len(parts)}")
    height, width = size
    x, y = round(width * rng.uniform(0.3, 0.7)), round(height * rng.uniform(0.3, 0.7))
    quarters = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
    image = np.empty((height, width, 3), np.uint8)
    boxes, labels, ignore, proposals = [], [], [], []
    for (left, top, right, bottom), part in zip(quarters, parts, strict=True):
        source = np.array(part.size[::-1])
        share = np.array([(right - left) / width, (bottom - top) / height])
        sides = np.maximum(1, np.rint(source * share * rng.uniform(1, 1 / share.max()))).astype(int)
        x0, y0 = (int(v) for v in rng.integers(0, source - sides + 1))
        piece = view(part, (x0, y0, x0 + int(sides[0]), y0 + int(sides[1])), (bottom - top, right - left))
        image[top:bottom, left:right] = piece.image
        boxes.append(np.add(piece.boxes, (left, top, left, top)))
        labels.append(piece.labels)
        ignore.append(piece.ignore)
        proposals.append(np.add(piece.proposals, (left, top, left, top)))
    return Annotated(image, *(np.concatenate(part) for part in (boxes, labels, ignore, proposals)))


def _visible(annotated: Annotated) -> Boxes:
    """What the picture shows of the objects that count."""
    return clip(annotated.boxes[~annotated.ignore], (0, 0, annotated.size[1], annotated.size[0]))


def _useful(annotated: Annotated, windows: Windows) -> Bool[np.ndarray, " window"]:
    """Whether each window shows a part of the picture and, if the picture has objects, the centre of one.

    The paper's released code allows windows without an object. Without one there are no negatives to mine at
    3:1 either, so that such a picture would teach nothing.
    """
    height, width = annotated.size
    useful = ((windows[:, :2] < (width, height)) & (windows[:, 2:] > 0)).all(-1)
    objects = _visible(annotated)
    return np.asarray(useful & centre_inside(objects, windows).any(-1) if len(objects) else useful)


def _levels(image: RGB8, factor: float, shift: float) -> RGB8:
    table = np.clip(np.rint(np.arange(256) * factor + shift), 0, 255).astype(np.uint8)
    return np.asarray(table[image])


def _colours(image: RGB8, degrees: float, factor: float) -> RGB8:
    """Turn the hue and scale the saturation, in 8-bit HSV."""
    values = np.arange(256)
    hue = np.rint(values + degrees * 256 / 360).astype(int) % 256
    saturation = np.clip(np.rint(values * factor), 0, 255).astype(int)
    table = [*hue.tolist(), *saturation.tolist(), *values.tolist()]
    return np.asarray(Image.fromarray(image).convert("HSV").point(table).convert("RGB"))
