"""How good masks are: pixel error, IoU and Dice of each class. Ignored pixels count nowhere. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from boxwright.segment.masks import IGNORED


def confusion(
    labels: UInt8[np.ndarray, "height width"], predicted: UInt8[np.ndarray, "height width"], classes: int
) -> Int64[np.ndarray, "truth found"]:
    """Pixels by their true class and the one that was found.

    >>> confusion(np.array([[0, 1, 255]], np.uint8), np.array([[0, 0, 1]], np.uint8), 2).tolist()
    [[1, 0], [1, 0]]
    """
    judged = labels != IGNORED
    pairs = labels[judged].astype(np.int64) * classes + predicted[judged]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class PixelFigures:
    """What a table of confusions says. Classes that neither truth nor prediction has are nan, and in no mean.

    Attributes:
        pixel_error: part of the pixels that have a wrong class.
        iou: of each class, common pixels by those of either (Jaccard).
        dice: of each class, twice the common pixels by the sum of both (F1).
    """

    pixel_error: float
    iou: Float64[np.ndarray, " class"]
    dice: Float64[np.ndarray, " class"]

    @classmethod
    def of(cls, table: Int64[np.ndarray, "truth found"]) -> PixelFigures:
        """The figures of a table.

        >>> figures = PixelFigures.of(np.array([[6, 2], [0, 2]]))
        >>> figures.pixel_error, figures.iou.tolist()
        (0.2, [0.75, 0.5])
        """
        common = np.diag(table).astype(np.float64)
        either = table.sum(0) + table.sum(1)
        total = table.sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            iou, dice = common / (either - common), 2 * common / either
        return cls(float(1 - common.sum() / total) if total else float("nan"), iou, dice)

    @property
    def mean_iou(self) -> float:
        """Over the classes that are there."""
        return _mean(self.iou)

    @property
    def mean_dice(self) -> float:
        """Over the classes that are there."""
        return _mean(self.dice)


def _mean(values: Float64[np.ndarray, " class"]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")
