"""Pictures and their boxes moved together: windows, flips and quarter turns. Nothing here is random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from PIL import Image

RGB8 = UInt8[np.ndarray, "height width 3"]
Boxes = Float64[np.ndarray, "gt 4"]
Windows = Float64[np.ndarray, "window 4"]
Window = tuple[int, int, int, int]
"""left, top, right, bottom in pixels of the source; it may reach outside."""


@dataclass(frozen=True)
class Annotated:
    """A picture and its objects, all boxes xyxy in its pixels.

    Attributes:
        image: the picture.
        boxes, labels: its objects.
        ignore: marks crowd and difficult ones.
        proposals: regions that are no annotation, but go wherever the picture goes.
    """

    image: RGB8
    boxes: Boxes
    labels: Int64[np.ndarray, " gt"]
    ignore: Bool[np.ndarray, " gt"]
    proposals: Float64[np.ndarray, "roi 4"] = field(default_factory=lambda: np.zeros((0, 4)))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        return self.image.shape[0], self.image.shape[1]


def view(
    annotated: Annotated,
    window: Window,
    size: tuple[int, int] | None = None,
    *,
    fill: tuple[int, int, int] = (124, 116, 104),
    distort: Callable[[RGB8], RGB8] | None = None,
) -> Annotated:
    """What a window shows, with the objects whose centre it holds (Liu et al. 2016, section 2.2).

    Args:
        annotated: the source.
        window: what to show; it must hold at least one pixel of the source and may reach beyond it.
        size: (height, width) of the result; as large as the window if not given.
        fill: the colour beside the source.
        distort: is given the pixels of the source that are seen, after the resize and without the fill.

    Returns:
        Boxes are clipped to what is seen and have an area. Ignored objects stay wherever a part of them is
        seen, because a crowd whose centre left is no more background than before; so do proposals.
    """
    left, top, right, bottom = window
    height, width = size or (bottom - top, right - left)
    x0, x1, out_x0, out_x1 = _span(left, right, annotated.size[1], width)
    y0, y1, out_y0, out_y1 = _span(top, bottom, annotated.size[0], height)
    if x0 >= x1 or y0 >= y1:
        raise ValueError(
            f"window {window} lies beside the picture of {annotated.size[1]} x {annotated.size[0]}"
        )
    part = annotated.image[y0:y1, x0:x1]
    if part.shape[:2] != (out_y1 - out_y0, out_x1 - out_x0):
        shape = (out_x1 - out_x0, out_y1 - out_y0)
        part = np.asarray(Image.fromarray(part).resize(shape, Image.Resampling.BILINEAR))
    if distort is not None:
        part = distort(part)
    image = np.empty((height, width, 3), np.uint8)
    if part.shape != image.shape:
        image[:] = fill
    image[out_y0:out_y1, out_x0:out_x1] = part

    # Boxes go the way of the pixels that were cut and pasted, so that rounding cannot part the two.
    factor = np.array([(out_x1 - out_x0) / (x1 - x0), (out_y1 - out_y0) / (y1 - y0)] * 2)

    def shown(boxes: Float64[np.ndarray, "some 4"]) -> Float64[np.ndarray, "some 4"]:
        moved = np.add((clip(boxes, (x0, y0, x1, y1)) - (x0, y0, x0, y0)) * factor, (out_x0, out_y0) * 2)
        return clip(moved, (0, 0, width, height))

    source = clip(annotated.boxes, (0, 0, annotated.size[1], annotated.size[0]))
    keep = _has_area(clip(source, (x0, y0, x1, y1)))
    keep &= centre_inside(source, np.array([window], np.float64))[0] | annotated.ignore
    seen = _has_area(clip(annotated.proposals, (x0, y0, x1, y1)))
    labels, ignore = annotated.labels[keep], annotated.ignore[keep]
    return Annotated(image, shown(source[keep]), labels, ignore, shown(annotated.proposals[seen]))


def flip_horizontal(annotated: Annotated) -> Annotated:
    """Left becomes right."""
    width = annotated.size[1]
    return _moved(
        annotated,
        annotated.image[:, ::-1],
        lambda boxes: np.add(boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1), (width, 0, width, 0)),
    )


def flip_vertical(annotated: Annotated) -> Annotated:
    """Up becomes down."""
    height = annotated.size[0]
    return _moved(
        annotated,
        annotated.image[::-1],
        lambda boxes: np.add(boxes[:, [0, 3, 2, 1]] * (1, -1, 1, -1), (0, height, 0, height)),
    )


def rotate90(annotated: Annotated, turns: int = 1) -> Annotated:
    """Quarter turns against the clock."""

    def turned(boxes: Float64[np.ndarray, "some 4"]) -> Float64[np.ndarray, "some 4"]:
        height, width = annotated.size
        for _ in range(turns % 4):
            # (x, y) goes to (y, width - x): the right edge becomes the top.
            boxes = np.add(boxes[:, [1, 2, 3, 0]] * (1, -1, 1, -1), (0, width, 0, width))
            height, width = width, height
        return boxes

    return _moved(annotated, np.rot90(annotated.image, turns), turned)


def clip(boxes: Float64[np.ndarray, "some 4"], window: Window) -> Float64[np.ndarray, "some 4"]:
    """Boxes cut at a window's edges; one that lies outside is left without an area."""
    left, top, right, bottom = window
    return np.asarray(np.clip(boxes, (left, top, left, top), (right, bottom, right, bottom)))


def centre_inside(boxes: Boxes, windows: Windows) -> Bool[np.ndarray, "window gt"]:
    """Whether each window holds the centre of each box, edges excluded."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (centre > windows[:, None, :2]) & (centre < windows[:, None, 2:])
    return np.asarray(inside.all(-1))


def window_iou(boxes: Boxes, windows: Windows) -> Float[np.ndarray, "window gt"]:
    """Intersection over union of each window with each box."""
    low = np.maximum(windows[:, None, :2], boxes[:, :2])
    high = np.minimum(windows[:, None, 2:], boxes[:, 2:])
    common = np.prod(np.maximum(high - low, 0), -1)
    areas = [np.prod(b[:, 2:] - b[:, :2], -1) for b in (windows, boxes)]
    return np.asarray(common / np.maximum(areas[0][:, None] + areas[1] - common, 1e-9))


def _moved(annotated: Annotated, image: RGB8, move: Callable[[np.ndarray], np.ndarray]) -> Annotated:
    return replace(
        annotated,
        image=np.ascontiguousarray(image),
        boxes=move(annotated.boxes),
        proposals=move(annotated.proposals),
    )


def _has_area(boxes: Float64[np.ndarray, "some 4"]) -> Bool[np.ndarray, " some"]:
    return np.asarray((boxes[:, 2:] > boxes[:, :2]).all(-1))


def _span(low: int, high: int, length: int, out: int) -> tuple[int, int, int, int]:
    """Along one axis: the source pixels that a window holds and the output pixels they fill, at least one."""
    first, last = max(low, 0), min(high, length)
    scale = out / (high - low)
    start = min(round((first - low) * scale), out - 1)
    return first, last, start, max(start + 1, round((last - low) * scale))
