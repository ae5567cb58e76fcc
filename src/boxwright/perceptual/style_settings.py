"""What style transfer can be told: frozen records without torch, for the command line and for files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from boxwright.errors import InputError
from boxwright.training.settings import DescentSettings


@dataclass(frozen=True)
class StyleWeights:
    """What a painted picture is judged by, in units of the pictures themselves (`style_loss.StyleLoss`).

    Attributes:
        content_taps: where the content is compared.
        style_taps: where the style is.
        content: weight of the content, shared by its taps.
        style: weight of the style, shared by its taps; more paints more boldly.
        variation: weight of the mean squared difference of neighbouring pixels; more is smoother.
        pooling: of the loss network, which is a VGG where it is "average".
    """

    content_taps: tuple[str, ...] = ("conv3",)
    style_taps: tuple[str, ...] = ("conv1", "conv2", "conv3", "conv4")
    content: float = 1.0
    style: float = 20.0
    variation: float = 0.1
    pooling: Literal["max", "average"] = "max"

    def __post_init__(self) -> None:
        for name in ("content", "style", "variation"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"the weight of {name} is {getattr(self, name)!r}", hint="give 0 or more")

    @property
    def taps(self) -> tuple[str, ...]:
        """All taps, each once."""
        return tuple(dict.fromkeys((*self.content_taps, *self.style_taps)))


GATYS_STYLE = tuple(f"conv{block}_1" for block in range(1, 6))
GATYS_CONTENT = ("conv4_2",)
"""Where Gatys et al. 2016 compare style and content, of VGG-19 with average pooling (section 2 and figure 1)."""

NET_WEIGHTS = StyleWeights(style=50.0)
"""For the feed-forward network, which does not come as near to a style as optimisation does."""


def usual_taps(taps: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where content and style are compared unless told: for VGG as Johnson et al. 2016 (section 4.1) have it.

    Args:
        taps: those that a backbone has, in order of depth.

    >>> usual_taps(("conv1", "conv2", "conv3", "conv4", "conv5"))
    (('conv3',), ('conv1', 'conv2', 'conv3', 'conv4'))
    """
    return tuple(taps[2:3]), tuple(taps[:4])


@dataclass(frozen=True)
class PaintSettings:
    """How one picture is painted by optimisation.

    Attributes:
        size: longer side of the result.
        style_side: longer side that the style's picture is resized to; 0 is `size`. Larger strokes from a larger one.
        scales: sizes that are painted one after another, each twice the one before, the last `size`.
        iterations: of the optimiser, at each scale.
        optimiser: "lbfgs", as Gatys et al. had, or "adam".
        lr: its step; 0 is 1 for L-BFGS and 0.02 for Adam.
        history: steps that L-BFGS remembers.
        start: "content" begins at the content's picture, "noise" at random pixels, as Gatys et al. did.
        keep_colours: paint the brightness only (Gatys et al. 2016, "Preserving color in neural artistic style
            transfer", section 3.2).
        amp: mixed precision; L-BFGS wants exact gradients, so "off" is for it.
        seed: of the noise.
    """

    size: int = 256
    style_side: int = 0
    scales: int = 3
    iterations: int = 120
    optimiser: Literal["lbfgs", "adam"] = "lbfgs"
    lr: float = 0.0
    history: int = 10
    start: Literal["content", "noise"] = "content"
    keep_colours: bool = False
    amp: Literal["auto", "off", "bf16", "fp16"] = "off"
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {"size": (16, 8192), "style_side": (0, 8192), "scales": (1, 8), "iterations": (1, 1_000_000)}
        for name, (low, high) in (ranges | {"history": (1, 1000), "lr": (0, 1000)}).items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)!r}, must be between {low} and {high}")

    @property
    def sides(self) -> tuple[int, ...]:
        """Longer side of the picture at each scale.

        >>> PaintSettings(size=250, scales=3).sides
        (62, 125, 250)
        """
        return tuple(self.size >> (self.scales - 1 - number) for number in range(self.scales))

    @property
    def total(self) -> int:
        """Iterations in all."""
        return self.scales * self.iterations


@dataclass(frozen=True)
class StyleNetSettings:
    """A network of one style: how it is built, and what it learns from.

    Attributes:
        width: channels of the first layer; the paper has 32.
        blocks: residual blocks; the paper has 5.
        crop: side of the squares that it learns from.
        least: the smallest square that is cut out, as a part of a picture's shorter side.
        style_side: longer side that the style's picture is resized to: larger strokes from a larger one.
        held: how many pictures are held out to judge by; below 1, which part of them.
    """

    width: int = 24
    blocks: int = 5
    crop: int = 128
    least: float = 0.5
    style_side: int = 384
    held: float = 0.02

    def __post_init__(self) -> None:
        ranges = {"width": (1, 512), "blocks": (0, 64), "crop": (32, 2048), "style_side": (32, 4096)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)!r}, must be between {low} and {high}")
        if self.crop % 4:
            raise InputError(f"crop is {self.crop}, must be a multiple of 4")
        if self.held <= 0:
            raise InputError(f"held is {self.held!r}, must be above 0")
        if not 0 < self.least <= 1:
            raise InputError(f"least is {self.least!r}, must be above 0 and at most 1")


STYLE_TRAINING = DescentSettings(
    epochs=2,
    batch=4,
    optimiser="adamw",
    lr=2e-3,
    weight_decay=0.0,
    warmup=20,
    ema=0.99,
    ema_ramp=100,
    # A few pictures are far from any style, and would else set the pace for all.
    clip=1.0,
    eval_every=1,
)
"""Two passes over some thousands of pictures, as Johnson et al. 2016 (section 4.1) had."""
