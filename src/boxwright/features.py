"""What a tap of a network tells the parts that stand on it: channels, stride, and where its cells look.

Each spatial layer between the image and the tap is stated once, as a `Step`; stride, grid and first centre are
derived from them. Centres cannot be guessed from the stride: VALID padding shifts them (Inception-ResNet-v2),
and TensorFlow's SAME padding shifts them by an amount that depends on the input's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Step:
    """One convolution or pooling along one axis; layers of stride 1 that keep the size need no step.

    Attributes:
        kernel: extent in cells, dilation included (a dilated 3x3 with rate 6 has extent 13).
        stride: cells of the input per cell of the output.
        padding: cells added before the first one, and after the last unless `after` says otherwise;
            "same" is TensorFlow's rule, which puts the odd cell after the last.
        ceil: a last, partial window still makes a cell.
    """

    kernel: int
    stride: int
    padding: int | Literal["same"]
    ceil: bool = False

    def cells(self, size: int) -> int:
        """Output cells for `size` input cells.

        >>> Step(3, 2, 1).cells(75), Step(2, 2, 0).cells(75), Step(2, 2, 0, ceil=True).cells(75)
        (38, 37, 38)
        """
        if self.padding == "same":
            return -(-size // self.stride)
        room = size + 2 * self.padding - self.kernel
        cells = (-(-room // self.stride) if self.ceil else room // self.stride) + 1
        # A pooling window must start inside the image or its padding before it (torch's and Caffe's rule).
        if self.ceil and (cells - 1) * self.stride >= size + self.padding:
            cells -= 1
        return cells

    def before(self, size: int) -> int:
        """Cells of padding before the first one, for an input of `size` cells.

        >>> Step(3, 2, "same").before(320), Step(3, 2, "same").before(321)
        (0, 1)
        """
        if self.padding == "same":
            return max((self.cells(size) - 1) * self.stride + self.kernel - size, 0) // 2
        return self.padding


@dataclass(frozen=True)
class FeatureSpec:
    """Channels of a tap and the steps that lead to it from the image.

    >>> spec = FeatureSpec(40, (Step(3, 2, "same"), Step(3, 2, "same"), Step(5, 2, "same")))
    >>> spec.stride, spec.cells(320), spec.first_centre(320)
    (8, 40, 7.5)
    """

    channels: int
    steps: tuple[Step, ...]

    @property
    def stride(self) -> int:
        """Pixels between neighbouring cells."""
        stride = 1
        for step in self.steps:
            stride *= step.stride
        return stride

    def cells(self, size: int) -> int:
        """Cells along an axis of `size` pixels."""
        for step in self.steps:
            size = step.cells(size)
        return size

    def first_centre(self, size: int) -> float:
        """Centre of the first cell's receptive field, in pixels from the image's edge (a pixel's middle is .5)."""
        centre, stride = 0.5, 1
        for step in self.steps:
            centre += ((step.kernel - 1) / 2 - step.before(size)) * stride
            size = step.cells(size)
            stride *= step.stride
        return centre

    def then(self, channels: int, *steps: Step) -> FeatureSpec:
        """The spec of a layer that stands on this one."""
        return FeatureSpec(channels, self.steps + steps)
