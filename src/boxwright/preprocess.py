"""From a decoded image to the network's input: one implementation, in numpy, for torch and every engine.

The settings travel inside every model file, so that a photograph meets the same arithmetic in training, in
evaluation, in ONNX Runtime and on a server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from boxwright.errors import InputError, near

Mode = Literal["stretch", "shorter-side"]
Filter = Literal["bilinear", "bilinear-antialias"]
Order = Literal["resize-normalise", "normalise-resize"]

_LARGEST_SIDE = 16384
"""Pixels: an input of more takes 3 GB by itself, and comes from a damaged file."""

RGB8 = UInt8[np.ndarray, "height width 3"]
Chw = Float32[np.ndarray, "3 height width"]
Resized = Float32[np.ndarray, "3 input_height input_width"]


@dataclass(frozen=True)
class Preprocess:
    """How an image becomes the network's input.

    Attributes:
        size: (height, width) of the input for "stretch"; (shorter side, longest allowed side) otherwise.
        mode: "stretch" to exactly `size`, or keep the aspect ("shorter-side").
        filter: "bilinear" samples four neighbours however far the image shrinks (torch's interpolate);
            "bilinear-antialias" widens the filter when it shrinks (Pillow's resize).
        order: whether the resize sees pixel values or normalised ones; it matters in float only by rounding.
        mean, std: per channel, on the scale where white is 1.
        pad_multiple: the batch's height and width are padded up (right and below, with zeros) to a multiple.
    """

    size: tuple[int, int]
    mode: Mode = "stretch"
    filter: Filter = "bilinear-antialias"
    order: Order = "resize-normalise"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    pad_multiple: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.pad_multiple, int) or min(*self.size, self.pad_multiple) < 1:
            raise InputError(
                f"preprocessing to {self.size}, padded to a multiple of {self.pad_multiple!r}",
                hint="give whole numbers of pixels, at least 1",
            )
        if max(*self.size, self.pad_multiple) > _LARGEST_SIDE:
            raise InputError(
                f"preprocessing to {self.size}, padded to a multiple of {self.pad_multiple}",
                hint=f"give sides of at most {_LARGEST_SIDE} pixels",
            )
        if not all(math.isfinite(v) for v in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise InputError(f"preprocessing with std {self.std}", hint="give positive numbers")

    def target(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that an image of `height` x `width` is resized to.

        >>> Preprocess((800, 1333), mode="shorter-side").target(480, 640)
        (800, 1066)
        """
        if self.mode == "stretch":
            return self.size
        scale = min(self.size[0] / min(height, width), self.size[1] / max(height, width))
        return max(1, int(height * scale)), max(1, int(width * scale))

    def __call__(self, image: RGB8 | Chw) -> Resized:
        """Resize and normalise one image; uint8 HWC in 0..255 or float32 CHW in [0, 1] give the same."""
        if image.dtype == np.uint8:
            height, width = image.shape[:2]
        else:
            height, width = image.shape[1:]
        target = self.target(height, width)
        mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (self.mean, self.std))
        if self.filter == "bilinear-antialias":
            resized = _resize_pillow(image, target)
            return np.ascontiguousarray((resized - mean) / std)
        pixels = image.transpose(2, 0, 1).astype(np.float32) / 255 if image.dtype == np.uint8 else image
        if self.order == "normalise-resize":
            return _resize_four_neighbours((pixels - mean) / std, target)
        return (_resize_four_neighbours(pixels, target) - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Read what `to_dict` wrote; an unknown key is an error that names its neighbours."""
        known = {f.name for f in fields(cls)}
        for key in values:
            if key not in known:
                raise InputError(f"unknown preprocessing setting {key!r}", hint=near(key, known))
        choices = {"mode": get_args(Mode), "filter": get_args(Filter), "order": get_args(Order)}
        for key, names in choices.items():
            if (value := values.get(key, names[0])) not in names:
                raise InputError(f"unknown preprocessing {key} {value!r}", hint=near(str(value), names))
        if "size" not in values:
            raise InputError("preprocessing without a size", hint="give (height, width)")
        kinds = {"size": (int, 2), "mean": (float, 3), "std": (float, 3)}
        read: dict[str, Any] = {}
        for key, value in values.items():
            kind, length = kinds.get(key, (None, 0))
            try:
                if kind and len(value) != length:
                    raise ValueError(f"{length} numbers expected")
                read[key] = tuple(kind(v) for v in value) if kind else value
            except (TypeError, ValueError, OverflowError) as error:
                raise InputError(f"preprocessing setting {key} = {value!r}", hint=str(error)) from error
        return cls(**read)


def _resize_pillow(image: RGB8 | Chw, target: tuple[int, int]) -> Resized:
    """Antialiased resize to [0, 1]; 8-bit images stay 8-bit inside Pillow, which is four times as fast."""
    box = (target[1], target[0])
    if image.dtype == np.uint8:
        pixels = np.asarray(Image.fromarray(image).resize(box, Image.Resampling.BILINEAR))
        return pixels.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255)
    planes = [Image.fromarray(plane).resize(box, Image.Resampling.BILINEAR) for plane in image]
    return np.stack([np.asarray(plane, np.float32) for plane in planes])


def _resize_four_neighbours(image: Chw, target: tuple[int, int]) -> Resized:
    """Bilinear without antialiasing, half-pixel centres: torch's interpolate(align_corners=False)."""

    def taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scale = np.float32(old) / np.float32(new)
        centre = np.maximum((np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5), 0)
        low = np.minimum(centre.astype(np.int64), old - 1)
        return low, np.minimum(low + 1, old - 1), (centre - low).astype(np.float32)

    if image.shape[1:] == target:
        return image
    top, bottom, y = taps(image.shape[1], target[0])
    left, right, x = taps(image.shape[2], target[1])
    rows = image[:, :, left] * (1 - x) + image[:, :, right] * x
    return np.ascontiguousarray(rows[:, top] * (1 - y)[:, None] + rows[:, bottom] * y[:, None])
