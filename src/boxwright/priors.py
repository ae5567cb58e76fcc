"""Boxes laid on the cells of feature maps: SSD's default boxes and the R-CNN line's anchors are one thing.

A layout is shapes (width, height) per level, repeated on every cell; what differs between papers and reference
implementations is where the centres lie, and that is a named setting (`Placement`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from boxwright.features import FeatureSpec
from boxwright.types import Priors

Shape = tuple[float, float]
"""(width, height) in pixels of the network's input."""

Placement = Literal["cell", "step", "corner", "origin", "receptive"]
"""Where the centre of cell i lies along an axis of `size` pixels cut into `cells`:

cell       (i + .5) * size / cells          Liu et al. 2016, section 2.2
step       (i + .5) * step                  SSD's published code and torchvision's SSD
corner     i * (size // cells)              torchvision's RetinaNet and Faster R-CNN: no half cell
origin     i * stride                       detectron2's: the same but at levels that do not divide the image
receptive  first_centre + i * stride        where the network really looks
"""


def ssd_shapes(scale: float, next_scale: float, ratios: Sequence[float]) -> tuple[Shape, ...]:
    """Default boxes of one level: Liu et al. 2016, section 2.2, equations 4 and after.

    Args:
        scale: side s_k of the square box, in pixels.
        next_scale: s_{k+1}; a second square has side sqrt(s_k s_{k+1}).
        ratios: aspects a > 1; each gives a box of aspect a and one of 1/a, of area s_k^2.

    >>> [tuple(round(side, 1) for side in shape) for shape in ssd_shapes(30, 60, [2])]
    [(30, 30), (42.4, 42.4), (42.4, 21.2), (21.2, 42.4)]
    """
    between = math.sqrt(scale * next_scale)
    shapes = [(scale, scale), (between, between)]
    for ratio in ratios:
        long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        shapes += [(long, short), (short, long)]
    return tuple(shapes)


def octave(side: float, scales: int) -> tuple[float, ...]:
    """Sides of the squares that part an octave evenly: Lin et al. 2017 (Focal loss), section 4, "Anchors".

    >>> [round(side, 1) for side in octave(32, 3)]
    [32.0, 40.3, 50.8]
    """
    return tuple(side * 2 ** (k / scales) for k in range(scales))


def anchor_shapes(
    sides: Sequence[float], ratios: Sequence[float], *, whole: bool = False, base: float = 0.0
) -> tuple[Shape, ...]:
    """Anchors of one level: Ren et al. 2015, section 3.1.1.

    Args:
        sides: of the squares, in pixels.
        ratios: height by width; each side has one anchor of each, of the square's area.
        whole: sides are cut to whole pixels and half sides rounded to them, as torchvision has it.
        base: the anchor of this side is rounded to whole pixels, then enlarged, as py-faster-rcnn has it with 16;
            0 rounds nothing.

    Returns:
        by ratio, then side.

    >>> [tuple(round(length, 1) for length in shape) for shape in anchor_shapes([32], [0.5, 1, 2])]
    [(45.3, 22.6), (32.0, 32.0), (22.6, 45.3)]
    >>> anchor_shapes([128], [0.5, 1, 2], base=16)
    ((184.0, 96.0), (128.0, 128.0), (88.0, 176.0))
    """
    if base:
        rounded = [round(base / math.sqrt(ratio)) for ratio in ratios]
        bases = [(width, round(width * ratio)) for width, ratio in zip(rounded, ratios, strict=True)]
        return tuple((w * side / base, h * side / base) for w, h in bases for side in sides)
    if whole:
        sides = [float(int(side)) for side in sides]
    shapes = [(side / math.sqrt(ratio), side * math.sqrt(ratio)) for ratio in ratios for side in sides]
    return tuple((2.0 * round(w / 2), 2.0 * round(h / 2)) for w, h in shapes) if whole else tuple(shapes)


@dataclass(frozen=True)
class GridPriors:
    """The same shapes on every cell of each level.

    Attributes:
        shapes: per level the (width, height) of its boxes, in pixels of the input.
        placement: where centres lie.
        steps: pixels per cell for "step", one a level.
        padding_is_image: boxes over the batch's padding take part too (torchvision's way; ours is no).
        allowed_border: in training, boxes that reach farther over the image's border, in pixels, take no part
            (Ren et al. 2015, section 3.3, leave out what crosses it at all: 0); None leaves none out.
    """

    shapes: tuple[tuple[Shape, ...], ...]
    placement: Placement = "cell"
    steps: tuple[float, ...] = ()
    padding_is_image: bool = False
    allowed_border: float | None = None

    def __post_init__(self) -> None:
        if self.placement == "step" and len(self.steps) != len(self.shapes):
            raise ValueError(f"{len(self.shapes)} levels need as many steps, not {len(self.steps)}")

    @property
    def per_cell(self) -> tuple[int, ...]:
        """Boxes on each cell, by level: what a head must predict."""
        return tuple(len(level) for level in self.shapes)

    def __call__(
        self,
        grids: Sequence[tuple[int, int]],
        image: tuple[int, int],
        sizes: Int[Tensor, "batch 2"],
        specs: Sequence[FeatureSpec],
    ) -> Priors:
        """Lay the boxes out.

        Args:
            grids: (height, width) in cells of each level.
            image: (height, width) of the padded batch in pixels.
            sizes: (height, width) of each image in it.
            specs: what the levels state of themselves; used by "receptive".

        Returns:
            priors by level, then row, column and shape, shared by the batch (batch axis 1); `valid` is per image.
        """
        if len(grids) != len(self.shapes):
            raise ValueError(f"{len(self.shapes)} levels of shapes for {len(grids)} feature maps")
        boxes, levels = [], []
        for level, (rows, columns) in enumerate(grids):
            y = self._centres(level, rows, image[0], specs[level], sizes.device)
            x = self._centres(level, columns, image[1], specs[level], sizes.device)
            height, width = self._unit(image)
            shapes = [(w / width, h / height) for w, h in self.shapes[level]]
            half = 0.5 * torch.tensor(shapes, dtype=torch.float32, device=sizes.device)
            centres = torch.stack(torch.broadcast_tensors(x[None, :], y[:, None]), -1)[:, :, None]
            corners = torch.cat((centres - half, centres + half), -1).reshape(-1, 4)
            boxes.append(corners * torch.tensor([width, height] * 2, device=sizes.device))
            levels.append(torch.full((len(boxes[-1]),), level, device=sizes.device))
        laid = torch.cat(boxes)[None]
        counts = tuple(len(level) for level in levels)
        return Priors(laid, torch.cat(levels)[None], self._valid(laid, sizes), counts)

    def for_training(self, priors: Priors, sizes: Int[Tensor, "batch 2"]) -> Priors:
        """The same boxes with those invalid that training leaves out; in detection all take part.

        Args:
            priors: what the call gave.
            sizes: (height, width) of each image without its padding.
        """
        if self.allowed_border is None:
            return priors
        far = sizes.flip(-1)[:, None].to(priors.boxes.dtype) + self.allowed_border
        low, high = priors.boxes[..., :2] >= -self.allowed_border, priors.boxes[..., 2:] <= far
        return replace(priors, valid=priors.valid & low.all(-1) & high.all(-1))

    def _unit(self, image: tuple[int, int]) -> tuple[int, int]:
        """What lengths are parts of until the end: the image, where SSD's code has it so, or pixels.

        It matters by rounding alone, but two boxes that lie the same way about an object overlap it equally but
        for rounding, and one of them is its best.
        """
        return image if self.placement in ("cell", "step") else (1, 1)

    def _centres(
        self, level: int, cells: int, size: int, spec: FeatureSpec, device: torch.device
    ) -> Float[Tensor, " cells"]:
        index = torch.arange(cells, dtype=torch.float32, device=device)
        if self.placement == "cell":
            return (index + 0.5) / cells
        if self.placement == "step":
            return (index + 0.5) / (size / self.steps[level])
        if self.placement == "corner":
            return index * (size // cells)
        if self.placement == "origin":
            return index * spec.stride
        return spec.first_centre(size) + index * spec.stride

    def _valid(
        self, boxes: Float[Tensor, "1 prior 4"], sizes: Int[Tensor, "batch 2"]
    ) -> Bool[Tensor, "batch prior"]:
        if self.padding_is_image:
            return torch.ones(sizes.shape[0], boxes.shape[1], dtype=torch.bool, device=boxes.device)
        centres = (boxes[..., :2] + boxes[..., 2:]) / 2
        return (centres < sizes.flip(-1)[:, None]).all(-1)
