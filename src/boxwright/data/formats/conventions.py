"""Boxes that were written by another convention than their format's: told from all boxes of a file together.

One box alone says little: a small object in the corner lies in [0, 1] as well. When most boxes of a file do, or
when boxes leave their images as [x, y, width, height] and none does as [xmin, ymin, xmax, ymax], the file was
written by that other rule; it is reported, never read the other way in silence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

Size = tuple[int, int] | None
_LEAST_SIDE = 8
"""Images smaller than this many pixels may have boxes of one pixel."""
_TINY = 0.5
_LEAST_BOXES, _LEAVING = 3, 0.5
"""Fewer boxes, or a smaller part that leaves its image, prove nothing: true boxes reach out now and then."""
_BEYOND, _FITS = 1.05, 1.01
"""Parts of an image's side: rounding does not lead further out than the second, another convention does."""
_OVERHANG = 4
"""Pixels by which true boxes leave an image, however small it is, where they are drawn or rounded roughly."""


def are_fractions(boxes: Float64[np.ndarray, "box 4"], sizes: Sequence[Size]) -> bool:
    """Whether boxes that should be in pixels are in fractions of their images, slips apart.

    Args:
        boxes: corners, or corner and size: both lie in [0, 1] then.
        sizes: (height, width) of each box's image, or None where it is not known.

    >>> are_fractions(np.array([[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0]]), [(480, 640), (480, 640)])
    True
    >>> are_fractions(np.array([[0.0, 0.0, 1.0, 1.0]]), [(480, 640)])
    False
    """
    finite = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(finite) or any(size is not None and min(size) < _LEAST_SIDE for size in sizes):
        return False
    inside = finite[((finite >= -0.01) & (finite <= 1.001)).all(axis=1)]
    # In pixels, each of these would be smaller than one: a few may be slips, most of a file cannot be.
    return bool(len(inside) >= _TINY * len(finite) and (inside != np.round(inside)).any())


def are_corners(boxes: Float64[np.ndarray, "box 4"], sizes: Sequence[Size]) -> bool:
    """Whether boxes that should be [x, y, width, height] are all [xmin, ymin, xmax, ymax].

    Args:
        boxes: as they stand in the file, in pixels.
        sizes: (height, width) of each box's image; boxes of images without one say nothing.

    >>> are_corners(np.array([[300.0, 200.0, 600.0, 400.0]] * 3), [(480, 640)] * 3)
    True
    >>> are_corners(np.array([[300.0, 200.0, 350.0, 100.0]] * 3), [(480, 640)] * 3)
    False
    """
    known = [i for i, size in enumerate(sizes) if size is not None and np.isfinite(boxes[i]).all()]
    if len(known) < _LEAST_BOXES:
        return False
    x, y, w, h = boxes[known].T
    height, width = np.array([sizes[i] for i in known], np.float64).T
    right, below = (np.maximum(_BEYOND * side, side + _OVERHANG) for side in (width, height))
    leaving: Bool[np.ndarray, " box"] = (x + w > right) | (y + h > below)
    fitting = (w > x) & (h > y) & (w <= _FITS * width) & (h <= _FITS * height)
    return bool(leaving.mean() >= _LEAVING and fitting.all())
