"""What can be changed about super-resolution, and what follows from it for whoever applies it. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from boxwright.errors import InputError, near

FACTORS = (2, 3, 4)
KERNEL = 3
"""Of every convolution."""

BLOCK = 2
"""Convolutions of a residual block."""

_INTERPOLATION = 2
"""Pixels that bicubic interpolation looks at to each side (Keys 1981)."""


@dataclass(frozen=True)
class UpscaleSettings:
    """A network that makes pictures larger, and how it is taught.

    Attributes:
        factor: how many times as wide and as tall: 2, 3 or 4.
        blocks: residual blocks.
        channels: of every map between the first layer and the last.
        patch: side of the small pictures that are learnt from.
        reduce: pictures are first made smaller by this, before anything is learnt from or measured on them; what
            compression has left in them goes away with it.
        pixels: weight of the mean absolute difference of pixels.
        features: weight of the difference of deep features; both are in units of bicubic interpolation's own.
        backbone, taps: whose features.
        held: pictures that are held out for validation; below 1, a part of all.
        seed: says which are held out.
    """

    factor: int = 2
    blocks: int = 8
    channels: int = 32
    patch: int = 48
    reduce: int = 1
    pixels: float = 1.0
    features: float = 0.0
    backbone: str = "vgg16"
    taps: tuple[str, ...] = ("conv1", "conv2", "conv3")
    held: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if self.factor not in FACTORS:
            raise InputError(
                f"upscale.factor is {self.factor}", hint=f"give {' or '.join(map(str, FACTORS))}"
            )
        for name, least in (("blocks", 1), ("channels", 1), ("patch", 8), ("reduce", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"upscale.{name} is {getattr(self, name)}, must be at least {least}")
        if self.pixels < 0 or self.features < 0 or not self.pixels + self.features > 0:
            raise InputError(
                f"weights of {self.pixels:g} for pixels and {self.features:g} for features",
                hint="give one of them a weight above 0, and none less",
            )
        if self.held <= 0 or (self.held >= 1 and self.held % 1):
            raise InputError(
                f"upscale.held is {self.held}", hint="give a number of pictures, or a part below 1"
            )

    @property
    def radius(self) -> int:
        """How far a pixel's surroundings matter to it, in pixels of the small picture.

        Each convolution on the longest way looks one pixel further: the first, those of the blocks, the one behind
        them, and the last.
        """
        return max((BLOCK * self.blocks + 3) * (KERNEL // 2), _INTERPOLATION)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UpscaleSettings:
        """Read what a file's card says; an unknown key is an error that names its neighbours."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise InputError(f"unknown setting upscale.{key}", hint=near(key, known))
        return cls(**{**values, "taps": tuple(values.get("taps", cls.taps))})
