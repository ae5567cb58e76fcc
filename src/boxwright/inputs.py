"""What a person gives as an image, read, and stacked into what a network is fed. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image, ImageOps

from boxwright.errors import InputError
from boxwright.images import read_image, to_rgb

_KINDS = "a path, a PIL image, a uint8 RGB array [height, width, 3] or floats [3, height, width] in [0, 1]"


def listed(images: Any) -> Sequence[Any]:
    """One image as a list of one; a batch array as its images."""
    if isinstance(images, str | Path | Image.Image) or getattr(images, "ndim", None) in (2, 3):
        return [images]
    try:
        return list(images)
    except TypeError:
        raise InputError(f"cannot detect on a {type(images).__name__}", hint=f"give {_KINDS}") from None


def to_pixels(source: Any) -> UInt8[np.ndarray, "height width 3"] | Float32[np.ndarray, "3 height width"]:
    """The upright RGB image, as bytes or, where floats were given, as floats.

    An `InputError` in the place of an image (a video that ends early) is raised in its turn.
    """
    if isinstance(source, InputError):
        raise source
    if isinstance(source, str | Path):
        return read_image(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source)
    if hasattr(source, "detach"):  # a torch tensor, without importing torch; numpy has no bfloat16
        source = source.detach().cpu()
        source = source.float() if source.is_floating_point() else source
    if not hasattr(source, "__array__"):
        raise InputError(f"cannot detect on a {type(source).__name__}", hint=f"give {_KINDS}")
    array = np.asarray(source)
    if array.ndim == 3 and array.size:
        if array.dtype == np.uint8 and array.shape[2] == 3:
            return array
        if array.dtype.kind == "f" and array.shape[0] == 3:
            low, high = float(array.min()), float(array.max())
            if low >= -1e-3 and high <= 1 + 1e-3:  # interpolation may overshoot a little; NaN fails too
                return array.astype(np.float32, copy=False)
            raise InputError(f"a float image with values from {low:g} to {high:g}", hint="scale it to [0, 1]")
    raise InputError(f"an array of {array.dtype} and shape {list(array.shape)}", hint=f"give {_KINDS}")


def _from_pillow(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    try:
        return to_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError) as error:  # opened lazily, and its file is damaged
        name = getattr(image, "filename", "") or "<PIL image>"
        raise InputError(f"cannot be decoded ({error})", path=name, hint="restore the file") from error


def as_uint8(image: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    """What `to_pixels` gave as bytes in any case."""
    if image.dtype == np.uint8:
        return image
    whole: UInt8[np.ndarray, "3 height width"] = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return whole.transpose(1, 2, 0)


def pad_batch(
    images: Sequence[Float32[np.ndarray, "3 _ _"]], multiple: int = 1
) -> Float32[np.ndarray, "batch 3 height width"]:
    """Stack images of any sizes, zeros right and below up to a common size that `multiple` divides.

    >>> pad_batch([np.ones((3, 2, 5), np.float32), np.ones((3, 4, 3), np.float32)], multiple=4).shape
    (2, 3, 4, 8)
    """
    tall, wide = (max(image.shape[axis] for image in images) for axis in (1, 2))
    shape = (len(images), 3, -(-tall // multiple) * multiple, -(-wide // multiple) * multiple)
    if all(image.shape == shape[1:] for image in images):
        return np.stack(images)
    batch = np.zeros(shape, np.float32)
    for row, image in enumerate(images):
        batch[row, :, : image.shape[1], : image.shape[2]] = image
    return batch


def pad_boxes(
    boxes: Sequence[Float32[np.ndarray, "_ 4"]], least: int = 0
) -> tuple[Float32[np.ndarray, "batch roi 4"], Bool[np.ndarray, "batch roi"]]:
    """Stack lists of boxes of any lengths, zeros behind the shorter ones; and which boxes are none of those.

    Args:
        boxes: the lists.
        least: rows there are in any case, so that what ranks boxes has some.
    """
    longest = max(least, *(len(own) for own in boxes))
    padded = np.zeros((len(boxes), longest, 4), np.float32)
    valid = np.zeros((len(boxes), longest), np.bool_)
    for row, own in enumerate(boxes):
        padded[row, : len(own)] = own
        valid[row, : len(own)] = True
    return padded, valid
