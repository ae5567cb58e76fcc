"""COCO's outlines of objects as a class for every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, UInt8

from boxwright.data.records import Sample
from boxwright.errors import InputError
from boxwright.segment.masks import IGNORED


def labels_of(
    sample: Sample, size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "height width"], Int32[np.ndarray, "height width"]]:
    """Labels and numbers of the objects; 0 is the background, class 0 of the file has label 1.

    Args:
        sample: with an outline for every object; those without one are left out.
        size: (height, width) of the picture.

    Raises:
        InputError: an outline that cannot be read; names the picture.
    """
    labels, objects = np.zeros(size, np.uint8), np.zeros(size, np.int32)
    outlined = [i for i, outline in enumerate(sample.masks) if outline]
    # Larger ones first, so that smaller ones, which lie before them more often than behind, stay whole.
    for number, i in enumerate(sorted(outlined, key=lambda i: -sample.areas[i]), start=1):
        inside = _inside(sample.masks[i], size, sample)
        labels[inside] = IGNORED if sample.ignore[i] else sample.labels[i] + 1
        objects[inside] = 0 if sample.ignore[i] else number
    return labels, objects


def _inside(outline: Any, size: tuple[int, int], sample: Sample) -> Bool[np.ndarray, "height width"]:
    from hotcoco import mask as coding

    said = outline.get("size") if isinstance(outline, dict) else None
    if said is not None and said != list(size):
        # Before its pixels are taken memory for.
        raise InputError(
            f"has an outline for a picture of another size ({said!r:.40})",
            path=sample.path,
            hint="annotate it anew",
        )
    try:
        runs = coding.fr_py_objects(outline, *size)
        found: np.ndarray = np.asarray(coding.decode(runs)) > 0
        # One plane for each polygon of an outline.
        found = found if found.ndim == 2 else np.any(found, axis=-1)
    except Exception as error:  # as many kinds as there are ways to spoil a list of numbers
        raise InputError(
            f"has an outline that cannot be read ({error})",
            path=sample.path,
            hint="boxwright check lists them",
        ) from error
    if found.shape != size:
        raise InputError(
            f"has an outline for a picture of {found.shape[1]} x {found.shape[0]}",
            path=sample.path,
            hint="annotate it anew",
        )
    return found
