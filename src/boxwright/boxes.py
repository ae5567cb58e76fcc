"""Geometry on boxes: pure functions on `[..., 4]`, xyxy in absolute pixels, no "+1".

Boxes of integers or of half precision are computed with in a type that holds their areas.

The direction of a coding is in its name: `encode(boxes, priors)` says how far boxes lie from priors,
`decode(deltas, priors)` goes back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

_TINY = 1e-7  # square pixels
_EXACT = (torch.float32, torch.float64)
_SMALL = (torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16, torch.uint16)


def _wide(boxes: Num[Tensor, "*axes 4"]) -> Float[Tensor, "*axes 4"]:
    """The same coordinates in a type that holds areas: half precision ends at 65,504, 16-bit integers at 32,767.

    Types whose every value float32 holds become float32, other integers float64.
    """
    if boxes.dtype in _EXACT:
        return boxes
    return boxes.to(torch.float32 if boxes.dtype in _SMALL else torch.float64)


def area(boxes: Num[Tensor, "*axes 4"]) -> Float[Tensor, "*axes"]:
    """Area in square pixels; 0 for a box whose corners are swapped.

    Boxes may be integers or of half precision; areas are float32 at least, so that none overflows.

    >>> area(torch.tensor([0, 0, 300, 300], dtype=torch.int16)).item()
    90000.0
    """
    boxes = _wide(boxes)
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def intersection(a: Num[Tensor, "*axes m 4"], b: Num[Tensor, "*axes n 4"]) -> Float[Tensor, "*axes m n"]:
    """Shared area of every box of `a` with every box of `b`, in square pixels."""
    a, b = _wide(a), _wide(b)
    top_left = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    bottom_right = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    sides = (bottom_right - top_left).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def iou(a: Num[Tensor, "*axes m 4"], b: Num[Tensor, "*axes n 4"]) -> Float[Tensor, "*axes m n"]:
    """Intersection over union of every box of `a` with every box of `b`; 0 where both are empty.

    >>> iou(torch.tensor([[0., 0., 2., 2.]]), torch.tensor([[1., 0., 3., 2.]])).item()
    0.3333333432674408
    """
    shared = intersection(a, b)
    union = area(a)[..., :, None] + area(b)[..., None, :] - shared
    return torch.where(union > 0, shared / union, 0.0)


def giou(a: Num[Tensor, "*axes 4"], b: Num[Tensor, "*axes 4"]) -> Float[Tensor, "*axes"]:
    """Generalised IoU of pairs of boxes: Rezatofighi et al. 2019, algorithm 1. In [-1, 1].

    >>> giou(torch.tensor([0., 0., 1., 1.]), torch.tensor([1., 0., 2., 1.])).item()
    0.0
    """
    a, b = _wide(a), _wide(b)
    top_left, bottom_right = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    sides = (bottom_right - top_left).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    union = area(a) + area(b) - shared
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    around = hull[..., 0] * hull[..., 1]
    # Two empty boxes in one place have no ratio: the tiny number makes it 0 / tiny and not NaN.
    return shared / (union + _TINY) - (around - union) / (around + _TINY)


def clip(
    boxes: Num[Tensor, "batch *axes 4"], sizes: Int[Tensor, "batch 2"]
) -> Float[Tensor, "batch *axes 4"]:
    """Move corners into each image; `sizes` are (height, width)."""
    boxes = _wide(boxes)
    limits = sizes.flip(-1).to(boxes.dtype).repeat(1, 2)
    limits = limits.reshape(limits.shape[0], *(1,) * (boxes.ndim - 2), 4)
    return torch.minimum(boxes.clamp(min=0), limits)


@dataclass(frozen=True)
class DeltaCoder:
    """Boxes as offsets from priors: Girshick et al. 2014, appendix C (t_x, t_y, t_w, t_h).

    Attributes:
        weights: what each offset is multiplied by; SSD's variances (0.1, 0.1, 0.2, 0.2) are (10, 10, 5, 5).
        largest: bound on t_w and t_h before the exponential, so that a wild prediction stays finite.
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    largest: float = math.log(1000 / 16)

    def encode(
        self, boxes: Num[Tensor, "*axes 4"], priors: Num[Tensor, "*axes2 4"]
    ) -> Float[Tensor, "*axes3 4"]:
        """How to move `priors` onto `boxes`; both need positive sides, shapes broadcast.

        >>> coder = DeltaCoder((10.0, 10.0, 5.0, 5.0))
        >>> coder.encode(torch.tensor([12., 10., 32., 30.]), torch.tensor([10., 10., 30., 30.]))
        tensor([1., 0., 0., 0.])
        """
        boxes, priors = _wide(boxes), _wide(priors)
        prior_sides = priors[..., 2:] - priors[..., :2]
        prior_centres = priors[..., :2] + 0.5 * prior_sides
        sides = boxes[..., 2:] - boxes[..., :2]
        centres = boxes[..., :2] + 0.5 * sides
        shift = (centres - prior_centres) / prior_sides
        grow = torch.log(sides / prior_sides)
        return torch.cat((shift, grow), -1) * self._weights(boxes)

    def decode(
        self, deltas: Num[Tensor, "*axes 4"], priors: Num[Tensor, "*axes2 4"]
    ) -> Float[Tensor, "*axes3 4"]:
        """Move `priors` by `deltas`: the inverse of `encode`; shapes broadcast."""
        deltas, priors = _wide(deltas), _wide(priors)
        deltas = deltas / self._weights(deltas)
        prior_sides = priors[..., 2:] - priors[..., :2]
        prior_centres = priors[..., :2] + 0.5 * prior_sides
        centres = prior_centres + deltas[..., :2] * prior_sides
        half = 0.5 * prior_sides * deltas[..., 2:].clamp(max=self.largest).exp()
        return torch.cat((centres - half, centres + half), -1)

    def _weights(self, like: Tensor) -> Float[Tensor, "4"]:
        return torch.tensor(self.weights, dtype=like.dtype, device=like.device)
