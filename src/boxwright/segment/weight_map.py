"""What a pixel counts in the loss: classes balanced, and the gaps between touching objects learned by force.

Ronneberger et al. 2015, equation 2: w(x) = w_c(x) + w_0 exp(-(d_1(x) + d_2(x))^2 / (2 sigma^2)), with the distances
to the nearest object and to the second nearest. Here the second term stands between objects only, not inside of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, UInt8

from boxwright.segment.masks import IGNORED

_NEGLIGIBLE = 1e-7
"""The exponential below which an object is not looked for."""


def border_weights(
    objects: Int[np.ndarray, "height width"], border: float = 10.0, sigma: float = 5.0
) -> Float32[np.ndarray, "height width"]:
    """The second term of equation 2: high in narrow gaps.

    Args:
        objects: 0 where there is none, else the object's number.
        border: w_0.
        sigma: in pixels.

    Returns:
        0 inside of objects, and where fewer than two are near.

    >>> row = np.array([[1, 1, 0, 0, 2, 2]])
    >>> border_weights(row, 10, 5).round(2).tolist()
    [[0.0, 0.0, 8.35, 8.35, 0.0, 0.0]]
    """
    from scipy import ndimage

    reach = int(np.ceil(sigma * np.sqrt(-2 * np.log(_NEGLIGIBLE))))
    first = np.full(objects.shape, np.inf, np.float32)
    second = first.copy()
    for number, place in enumerate(ndimage.find_objects(objects), start=1):
        if place is None:
            continue
        # Beyond its reach an object adds nothing: so each is looked at in its own neighbourhood.
        around = tuple(slice(max(0, part.start - reach), part.stop + reach) for part in place)
        distance = ndimage.distance_transform_edt(objects[around] != number).astype(np.float32)
        one, two = first[around], second[around]
        np.minimum(two, np.maximum(one, distance), out=two)
        np.minimum(one, distance, out=one)
    term = border * np.exp(-((first + second) ** 2) / (2 * sigma**2))
    found: Float32[np.ndarray, "height width"] = np.where(objects > 0, 0, term).astype(np.float32)
    return found


def objects_of(labels: UInt8[np.ndarray, "height width"]) -> Int[np.ndarray, "height width"]:
    """The connected parts of every class but the first, numbered; pixels that are ignored belong to none.

    >>> objects_of(np.array([[1, 0, 1, 2]], np.uint8)).tolist()
    [[1, 0, 2, 3]]
    """
    from scipy import ndimage

    numbered = np.zeros(labels.shape, np.int32)
    count = 0
    for label in np.unique(labels[(labels > 0) & (labels != IGNORED)]):
        parts, more = ndimage.label(labels == label)
        here: Bool[np.ndarray, "height width"] = parts > 0
        numbered[here] = parts[here] + count
        count += more
    return numbered


def class_weights(
    counts: Sequence[int] | Int[np.ndarray, " class"], balance: Literal["none", "inverse", "root"]
) -> Float64[np.ndarray, " class"]:
    """w_c of equation 2: what each class counts, 1 in the mean over pixels.

    Args:
        counts: pixels of each class in the training pictures; a class without any counts as one with a single one.
        balance: "none", "inverse" to the frequency, or by the root of that.

    >>> class_weights([100, 300], "inverse").tolist()
    [2.0, 0.6666666666666666]
    """
    pixels = np.maximum(np.asarray(counts, np.float64), 1)
    power = {"none": 0.0, "root": 0.5, "inverse": 1.0}[balance]
    weights = pixels**-power
    return weights * pixels.sum() / (weights * pixels).sum()
