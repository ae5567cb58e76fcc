"""Tables of nets of inverted residuals (Sandler et al. 2018) as plans that `inverted` builds trunks from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

Activation = Callable[[], nn.Module]
RELU: Activation = partial(nn.ReLU, inplace=True)
RELU6: Activation = partial(nn.ReLU6, inplace=True)


@dataclass(frozen=True)
class Block:
    """One inverted residual.

    Attributes:
        kernel: of the depthwise convolution, in cells.
        hidden: channels that the first 1x1 convolution expands to; as many as there are already: no such layer.
        width: channels of the output.
        stride: of the depthwise convolution.
        dilation: above 1, the depthwise convolution has holes instead of a stride.
        squeeze: channels between the two layers of squeeze-and-excitation; 0 for none.
        activation: after the expansion and the depthwise convolution.
    """

    kernel: int
    hidden: int
    width: int
    stride: int = 1
    dilation: int = 1
    squeeze: int = 0
    activation: Activation = RELU6


@dataclass(frozen=True)
class Plan:
    """A whole net.

    Attributes:
        stem: channels of the first 3x3 convolution, which has stride 2.
        rows: blocks of one resolution and width, in order of depth.
        last: channels of the 1x1 convolution behind them.
        activation: of the first and the last convolution.
        squeeze: activation and gate of squeeze-and-excitation.
        same: TensorFlow's SAME padding, which is not symmetric at stride 2.
    """

    stem: int
    rows: tuple[tuple[Block, ...], ...]
    last: int
    activation: Activation
    squeeze: tuple[Activation, Activation] = (RELU, nn.Hardsigmoid)
    same: bool = False

    def taps(self) -> tuple[str, ...]:
        """Names of all taps, in order of depth."""
        names: list[str] = []
        channels = self.stem
        for number, row in enumerate(self.rows, 1):
            names += [f"expand{number}"] if row[0].hidden != channels else []
            names += [f"first{number}", f"stage{number}"]
            channels = row[-1].width
        return (*names, "last")

    def until(self, tap: str) -> tuple[tuple[Block, ...], ...]:
        """The rows that lead to a tap; of its own row there may be no more than the first block."""
        if tap == "last":
            return self.rows
        kind = tap.rstrip("0123456789")
        number = int(tap.removeprefix(kind))
        row = self.rows[number - 1]
        return (*self.rows[: number - 1], row if kind == "stage" else row[:1])


@dataclass(frozen=True)
class Stage:
    """Blocks as the tables of MobileNet v2 and EfficientNet give them: only the first one has the stride."""

    expand: int
    kernel: int
    stride: int
    channels: int
    repeats: int


def rows(
    stages: Sequence[Stage], stem: int, wide: float, activation: Activation, squeeze: bool = False
) -> tuple[tuple[Block, ...], ...]:
    """A table as a plan's rows.

    Args:
        stages: the table's rows.
        stem: channels of the first convolution.
        wide: multiplies the channels.
        activation: of all blocks.
        squeeze: squeeze-and-excitation with a quarter of a block's input channels.
    """
    channels, made = stem, []
    for stage in stages:
        width, row = rounded(stage.channels * wide), []
        for i in range(stage.repeats):
            hidden, stride = channels * stage.expand, stage.stride if i == 0 else 1
            row.append(Block(stage.kernel, hidden, width, stride, 1, squeeze * channels // 4, activation))
            channels = width
        made.append(tuple(row))
    return tuple(made)


def rounded(channels: float) -> int:
    """The nearest multiple of 8 that takes away no more than a tenth.

    >>> rounded(24 * 1.1), rounded(32 * 0.35)
    (24, 16)
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
