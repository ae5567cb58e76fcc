"""One scene: handwritten digits set into a part of a photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8
from PIL import Image

RGB8 = UInt8[np.ndarray, "height width 3"]
Plane = Float32[np.ndarray, "height width"]
Mask = Bool[np.ndarray, "height width"]
Rectangle = tuple[int, int, int, int]

SMALLEST, LARGEST = 24, 120  # pixels of a digit's longer side
LEAST_VISIBLE = 0.7  # part of a digit's ink
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Material:
    """What the scenes of one split are made of.

    Attributes:
        photographs: file name -> uint8 picture.
        glyphs: float32 [digit, 8, 8], ink in [0, 1].
        labels: int64 [digit], which digit each is.
    """

    photographs: dict[str, UInt8[np.ndarray, "_ _ 3"]]
    glyphs: Float32[np.ndarray, "digit 8 8"]
    labels: Int64[np.ndarray, " digit"]


@dataclass(frozen=True)
class Scene:
    """A picture with its digits.

    Attributes:
        image: the picture.
        boxes: tight around the ink that can be seen.
        labels: which digits they are.
        visible: the part of each digit's ink that is neither covered nor behind another digit.
        owner: whose ink each pixel shows, or -1.
    """

    image: RGB8
    boxes: Float64[np.ndarray, "gt 4"]
    labels: Int64[np.ndarray, " gt"]
    visible: Float64[np.ndarray, " gt"]
    owner: Int64[np.ndarray, "height width"]


def draw_scene(material: Material, rng: np.random.Generator, size: tuple[int, int] = (320, 320)) -> Scene:
    """One scene; drawn anew where covers and later digits left too little of an earlier one to see."""
    while True:
        scene = _attempt(material, rng, size)
        if scene is not None:
            return scene


def _attempt(material: Material, rng: np.random.Generator, size: tuple[int, int]) -> Scene | None:
    image = _background(material, rng, size)
    owner = np.full(size, -1, np.int64)
    labels: list[int] = []
    ink: list[int] = []
    occupied: list[Rectangle] = []
    for _ in range(int(rng.integers(1, 7))):
        which = int(rng.integers(len(material.labels)))
        length = float(np.exp(rng.uniform(np.log(SMALLEST + 2), np.log(LARGEST - 2))))
        alpha = turned_ink(material.glyphs[which], length, np.deg2rad(rng.uniform(-15, 15)))
        place = _place(alpha.shape, size, occupied, rng)
        if place is None:
            continue
        top, left = place
        window = np.s_[top : top + alpha.shape[0], left : left + alpha.shape[1]]
        occupied.append((left, top, left + alpha.shape[1], top + alpha.shape[0]))
        mask = alpha > 0.5
        colour = _colour_against(image[window], rng)
        image[window] = np.rint(image[window] + alpha[..., None] * (colour - image[window])).astype(np.uint8)
        owner[window][mask] = len(labels)
        if length > 36 and rng.random() < 0.35:
            cover = covering_strip(mask, rng)
            image[window][cover] = _cover_colours(material, rng, mask.shape)[cover]
            owner[window][cover] = -1
        labels.append(int(material.labels[which]))
        ink.append(int(mask.sum()))
    if not labels:
        return None
    boxes = np.zeros((len(labels), 4))
    for i in range(len(labels)):
        ys, xs = np.nonzero(owner == i)
        if len(xs) == 0:
            return None
        boxes[i] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    lengths = (boxes[:, 2:] - boxes[:, :2]).max(-1)
    visible = np.bincount(owner[owner >= 0], minlength=len(labels)) / ink
    if (visible < LEAST_VISIBLE).any() or (lengths < SMALLEST).any() or (lengths > LARGEST).any():
        return None
    return Scene(image, boxes, np.array(labels, np.int64), visible, owner)


def _background(material: Material, rng: np.random.Generator, size: tuple[int, int]) -> RGB8:
    """A random part of a random photograph, half of them mirrored."""
    photograph = list(material.photographs.values())[int(rng.integers(len(material.photographs)))]
    height, width = photograph.shape[:2]
    # The largest part of the scene's shape, or down to half of it.
    scale = min(height / size[0], width / size[1]) * rng.uniform(0.5, 1)
    part = np.array([size[1] * scale, size[0] * scale])
    left, top = rng.random(2) * (np.array([width, height]) - part)
    box = (float(left), float(top), float(left + part[0]), float(top + part[1]))
    scene = Image.fromarray(photograph).resize(size[::-1], Image.Resampling.BILINEAR, box=box)
    return np.array(scene)[:, :: int(rng.choice([-1, 1]))].copy()


def turned_ink(
    glyph: Float32[np.ndarray, "8 8"], length: float, angle: float
) -> Float32[np.ndarray, "height width"]:
    """How much ink covers each pixel: turned clockwise by `angle` (radians) and cut to the ink.

    Args:
        glyph: ink in [0, 1].
        length: pixels of the longer side of the result.
    """
    source = Image.fromarray(np.pad(glyph, 2), mode="F")

    def render(scale: float) -> Float32[np.ndarray, "height width"]:
        side = int(np.ceil(12 * 1.42 * scale))
        cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
        middle = side / 2
        affine = (cos, sin, 6 - (cos + sin) * middle, -sin, cos, 6 + (sin - cos) * middle)
        values = np.asarray(
            source.transform((side, side), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
        )
        # Bicubic enlargement blurs; a steeper slope around the middle gives strokes an edge again.
        ink = np.clip((values - 0.34) / 0.22, 0, 1).astype(np.float32)
        ys, xs = np.nonzero(ink > 0.5)
        return ink[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]

    first = length / 8
    return render(first * length / max(render(first).shape))


def _place(
    shape: tuple[int, ...],
    size: tuple[int, int],
    occupied: list[Rectangle],
    rng: np.random.Generator,
) -> tuple[int, int] | None:
    """(top, left) where boxes overlap by at most a tenth of the smaller one; None if 40 trials find none."""
    height, width = shape
    for _ in range(40):
        top, left = int(rng.integers(size[0] - height + 1)), int(rng.integers(size[1] - width + 1))
        for x0, y0, x1, y1 in occupied:
            across = min(left + width, x1) - max(left, x0)
            down = min(top + height, y1) - max(top, y0)
            if across > 0 and down > 0 and across * down > 0.1 * min(height * width, (x1 - x0) * (y1 - y0)):
                break
        else:
            return top, left
    return None


def _colour_against(behind: RGB8, rng: np.random.Generator) -> Float64[np.ndarray, " channel"]:
    """A random colour that differs in luma from as much as possible of what lies behind."""
    levels = np.percentile(behind.reshape(-1, 3) @ _LUMA, np.arange(10, 100, 10))
    colours = rng.uniform(0, 255, (48, 3))
    apart = (abs((colours @ _LUMA)[:, None] - levels) >= 80).sum(-1)
    return np.asarray(colours[apart.argmax()])


def covering_strip(
    mask: Bool[np.ndarray, "height width"], rng: np.random.Generator
) -> Bool[np.ndarray, "height width"]:
    """A strip at any angle that covers between a twelfth and a fifth of the ink."""
    angle, share = rng.uniform(0, np.pi), rng.uniform(1 / 12, 1 / 5)
    ys, xs = np.indices(mask.shape)
    along = xs * np.cos(angle) + ys * np.sin(angle)
    low = rng.uniform(0, 1 - share)
    first, last = np.quantile(along[mask], [low, low + share])
    return np.asarray((along >= first) & (along <= last))


def _cover_colours(material: Material, rng: np.random.Generator, size: tuple[int, int]) -> RGB8:
    """What a digit is covered with: one colour, or another part of a photograph."""
    if rng.random() < 0.5:
        return np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (*size, 3))
    return _background(material, rng, size)
