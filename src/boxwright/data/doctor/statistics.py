"""What a data set holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from boxwright.data.records import Dataset

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's bounds on the area of small and of medium objects, in pixels (its page on detection evaluation)."""

Spread = tuple[float, float, float]
"""5th percentile, median, 95th percentile."""


@dataclass(frozen=True)
class SplitStatistics:
    """One split in numbers; objects that are ignored (crowd, difficult) count only as `ignored`.

    Attributes:
        images: how many images.
        empty_images: how many of them have no object.
        objects: how many objects.
        ignored: how many more are crowds or difficult.
        classes: objects of each class.
        images_of_class: images with at least one object of the class.
        objects_per_image: mean and greatest number.
        small, medium, large: objects by COCO's areas.
        box_width, box_height: relative to the image, where its size is known; None without objects.
        aspect: width over height of boxes; None without objects.
        image_height, image_width: pixels, least, median and greatest; None where no size is known.
    """

    images: int
    empty_images: int
    objects: int
    ignored: int
    classes: Mapping[str, int]
    images_of_class: Mapping[str, int]
    objects_per_image: tuple[float, int]
    small: int
    medium: int
    large: int
    box_width: Spread | None
    box_height: Spread | None
    aspect: Spread | None
    image_height: tuple[int, int, int] | None
    image_width: tuple[int, int, int] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def statistics(dataset: Dataset, sizes: Mapping[Path, tuple[int, int]] | None = None) -> SplitStatistics:
    """Count and measure one split.

    Args:
        dataset: the split.
        sizes: (height, width) of image files, which stand in where the annotation does not say.
    """
    known = [sample.size or (sizes or {}).get(sample.path) for sample in dataset]
    keep = [~sample.ignore for sample in dataset]
    counts = [int(k.sum()) for k in keep]
    boxes = _stack([s.boxes[k] for s, k in zip(dataset, keep, strict=True)], 4)
    areas = np.concatenate([np.zeros(0), *(s.areas[k] for s, k in zip(dataset, keep, strict=True))])
    images = _stack(
        [np.tile(size or (np.nan, np.nan), (n, 1)) for size, n in zip(known, counts, strict=True)], 2
    )
    sides = boxes[:, 2:] - boxes[:, :2]
    pixels = np.array([size for size in known if size is not None]).reshape(-1, 2)
    of_class = np.zeros(len(dataset.classes), np.int64)
    for sample, kept in zip(dataset, keep, strict=True):
        of_class[np.unique(sample.labels[kept])] += 1
    with np.errstate(divide="ignore", invalid="ignore"):
        aspect = sides[:, 0] / sides[:, 1]
    return SplitStatistics(
        images=len(dataset),
        empty_images=sum(len(sample.labels) == 0 for sample in dataset),
        objects=len(boxes),
        ignored=sum(int(sample.ignore.sum()) for sample in dataset),
        classes=_by_name(dataset, dataset.counts().tolist()),
        images_of_class=_by_name(dataset, of_class.tolist()),
        objects_per_image=(round(len(boxes) / max(1, len(dataset)), 3), max(counts, default=0)),
        small=int((areas < SMALL).sum()),
        medium=int(((areas >= SMALL) & (areas < MEDIUM)).sum()),
        large=int((areas >= MEDIUM).sum()),
        box_width=_spread(sides[:, 0] / images[:, 1]),
        box_height=_spread(sides[:, 1] / images[:, 0]),
        aspect=_spread(aspect),
        image_height=_range(pixels[:, 0]),
        image_width=_range(pixels[:, 1]),
    )


def _by_name(dataset: Dataset, numbers: list[int]) -> dict[str, int]:
    """By class name; classes that share a name are added up."""
    total: dict[str, int] = {}
    for name, count in zip(dataset.classes, numbers, strict=True):
        total[name] = total.get(name, 0) + count
    return total


def _stack(parts: list[np.ndarray], width: int) -> Float64[np.ndarray, "row column"]:
    return np.concatenate([np.zeros((0, width)), *parts])


def _spread(values: Float64[np.ndarray, " gt"]) -> Spread | None:
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, middle, high = (round(float(v), 5) for v in np.percentile(values, (5, 50, 95)))
    return low, middle, high


def _range(values: np.ndarray) -> tuple[int, int, int] | None:
    return (int(values.min()), int(np.median(values)), int(values.max())) if values.size else None
