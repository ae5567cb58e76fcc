"""Pictures on their way into style transfer and out of it. Torch-free."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

RGB8 = UInt8[np.ndarray, "height width 3"]

MULTIPLE = 4
"""Of which the feed-forward network's sides are multiples: two layers halve, two double."""

LEAST = 16
"""Its shortest side: borders that mirror must be shorter than the map."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def resized(image: RGB8, side: int) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """The picture with its longer side at `side`, larger or smaller than it was; its aspect kept.

    >>> resized(np.zeros((30, 20, 3), np.uint8), 12).shape
    (12, 8, 3)
    """
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def to_chw(image: RGB8) -> Float32[np.ndarray, "3 height width"]:
    """Bytes as floats in [0, 1], channels first."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / 255


def fitted(picture: Float32[np.ndarray, "3 height width"]) -> Float32[np.ndarray, "3 tall wide"]:
    """The picture with mirrored borders right and below, so that the feed-forward network takes it.

    >>> fitted(np.zeros((3, 5, 18), np.float32)).shape
    (3, 16, 20)
    """
    height, width = (max(LEAST, -(-length // MULTIPLE) * MULTIPLE) for length in picture.shape[1:])
    more = ((0, 0), (0, height - picture.shape[1]), (0, width - picture.shape[2]))
    return np.pad(picture, more, mode="symmetric")


def to_bytes(picture: Float32[np.ndarray, "3 height width"]) -> UInt8[np.ndarray, "height width 3"]:
    """Floats as bytes, channels last; what is outside [0, 1] is cut off."""
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def brightness(picture: Float32[np.ndarray, "3 height width"]) -> Float32[np.ndarray, "3 height width"]:
    """The picture without its colours, by the luma of ITU-R BT.601."""
    return np.broadcast_to(np.tensordot(_LUMA, picture, 1), picture.shape).copy()


def matched(
    grey: Float32[np.ndarray, "3 tall wide"], to: Float32[np.ndarray, "3 height width"]
) -> Float32[np.ndarray, "3 tall wide"]:
    """A brightness with the mean and the deviation of another (Gatys et al. 2016, "Preserving color", section 3.2)."""
    spread = to.std() / max(float(grey.std()), 1e-6)
    return ((grey - grey.mean()) * spread + to.mean()).astype(np.float32)


def coloured(
    grey: Float32[np.ndarray, "3 height width"], colours: Float32[np.ndarray, "3 height width"]
) -> Float32[np.ndarray, "3 height width"]:
    """One picture's brightness with the colours of another: its differences from its own brightness are added."""
    return brightness(grey) + (colours - brightness(colours))
