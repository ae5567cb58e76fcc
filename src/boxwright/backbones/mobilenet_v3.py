"""MobileNet v3, small and large (Howard et al. 2019, arXiv:1905.02244), padded symmetrically as torchvision's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.inverted import InvertedResiduals, initialise
from boxwright.backbones.inverted_plan import RELU, Activation, Block, Plan, rounded
from boxwright.backbones.layers import Norm, batch_norm
from boxwright.backbones.pooled import PooledClassifier

HARDSWISH: Activation = partial(nn.Hardswish, inplace=True)
NORM = batch_norm(eps=1e-3, momentum=0.01)
Size = Literal["small", "large"]


@dataclass(frozen=True)
class Row:
    """Lines of the paper's tables 1 and 2 that agree in all but the expansion; the first has the stride."""

    kernel: int
    stride: int
    channels: int
    hidden: tuple[int, ...]
    squeeze: bool
    activation: Activation


LARGE = (
    Row(3, 1, 16, (16,), False, RELU),
    Row(3, 2, 24, (64, 72), False, RELU),
    Row(5, 2, 40, (72, 120, 120), True, RELU),
    Row(3, 2, 80, (240, 200, 184, 184), False, HARDSWISH),
    Row(3, 1, 112, (480, 672), True, HARDSWISH),
    Row(5, 2, 160, (672, 960, 960), True, HARDSWISH),
)
"""Table 1."""

SMALL = (
    Row(3, 2, 16, (16,), True, RELU),
    Row(3, 2, 24, (72, 88), False, RELU),
    Row(5, 2, 40, (96, 240, 240), True, HARDSWISH),
    Row(5, 1, 48, (120, 144), True, HARDSWISH),
    Row(5, 2, 96, (288, 576, 576), True, HARDSWISH),
)
"""Table 2."""

TABLES = {"small": (SMALL, 1024), "large": (LARGE, 1280)}
"""Rows, and channels of the classifier's hidden layer."""


class MobileNetV3(InvertedResiduals):
    """The trunk of v3; its taps are described at `InvertedResiduals`.

    Rows are the tables' lines of one resolution and width: "stage1" to "stage6" of the large net have 16, 24, 40,
    80, 112 and 160 channels, "stage1" to "stage5" of the small one 16, 24, 40, 48 and 96. Torchvision's SSDLite
    stands on ("expand6", "last") of the large net, its detectors with a pyramid on ("first6", "last"), which
    both have stride 32.

    Args:
        size: "small" or "large".
        taps: which activations `forward` returns.
        width: multiplies the channels.
        norm: makes the normalisations.
        reduced_tail: half the channels in the last row and behind it (section 6.3).
        dilated: the last row has holes instead of a stride (section 6.4), so the net ends at stride 16.

    >>> [(spec.channels, spec.stride) for spec in MobileNetV3("large", ["expand6", "last"]).specs]
    [(672, 16), (960, 32)]
    """

    def __init__(
        self,
        size: Size = "large",
        taps: Sequence[str] = ("stage3", "stage5", "last"),
        width: float = 1.0,
        norm: Norm = NORM,
        reduced_tail: bool = False,
        dilated: bool = False,
    ) -> None:
        table, _ = TABLES[size]
        rows = [_blocks(row, width) for row in table[:-1]]
        rows.append(_blocks(table[-1], width, 2 if reduced_tail else 1, 2 if dilated else 1))
        plan = Plan(rounded(16 * width), tuple(rows), 6 * rows[-1][-1].width, HARDSWISH)
        super().__init__(plan, taps, norm, drop_path=0)
        initialise(self)


class MobileNetV3Classifier(PooledClassifier):
    """v3 with ImageNet's head: mean over positions, then two linear layers with dropout between.

    Args:
        size: "small" or "large".
        classes: columns of the logits.
        width: as of `MobileNetV3`.
        norm: makes the normalisations.
        reduced_tail: as of `MobileNetV3`; the hidden layer is halved too.
        dilated: as of `MobileNetV3`.
    """

    def __init__(
        self,
        size: Size = "large",
        classes: int = 1000,
        width: float = 1.0,
        norm: Norm = NORM,
        reduced_tail: bool = False,
        dilated: bool = False,
    ) -> None:
        trunk = MobileNetV3(size, ("last",), width, norm, reduced_tail, dilated)
        hidden = rounded(TABLES[size][1] // (2 if reduced_tail else 1) * width)
        super().__init__(trunk, classes, 0.2, hidden)
        self.hidden = nn.Linear(trunk.specs[-1].channels, hidden)
        self.activation = HARDSWISH()

    def pooled(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature"]:
        """The hidden layer, which stands behind the means (section 5.1)."""
        return self.activation(self.hidden(super().pooled(images)))


def _blocks(row: Row, wide: float, divide: int = 1, dilation: int = 1) -> tuple[Block, ...]:
    """A row's blocks.

    Args:
        row: of the table.
        wide: multiplies all channels.
        divide: takes as many parts off what the row puts out, and off what its further blocks expand to.
        dilation: of its depthwise convolutions.
    """
    blocks = []
    for i, channels in enumerate(row.hidden):
        hidden = rounded((channels if i == 0 else channels // divide) * wide)
        blocks.append(
            Block(
                row.kernel,
                hidden,
                rounded(row.channels // divide * wide),
                row.stride if i == 0 else 1,
                dilation,
                rounded(hidden // 4) if row.squeeze else 0,
                row.activation,
            )
        )
    return tuple(blocks)
