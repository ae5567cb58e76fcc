"""Inception-ResNet-v2 (Szegedy et al. 2017) as it was published with weights, in TensorFlow's slim and in Keras.

That net differs from the paper's figures in its stem, which is Inception-v3's with an Inception block behind it,
and in widths; block names (block35, block17, block8: the cells of a 299-pixel image) are those of the published
code. Nothing is padded where the stride is 2 or the stem filters 3x3, so cells do not look where strides suggest:
the first centres of the four taps are at 9.5, 13.5, 21.5 and 37.5 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import DropPath, Norm, batch_norm
from boxwright.backbones.pooled import PooledClassifier
from boxwright.backbones.resnet import initialise, known
from boxwright.features import FeatureSpec, Step

TAPS = ("stage1", "stage2", "stage3", "stage4")
SCALES = (0.17, 0.10, 0.20)
"""Of the residual branches of block35, block17 and block8 (section 3.3: between 0.1 and 0.3 keeps training stable)."""

BLOCKS = (10, 20, 10)
DROPOUT = 0.2
NORM = batch_norm(eps=1e-3)
HALVE = Step(3, 2, 0)
"""Every layer of stride 2: extent 3, no padding."""


class Conv(nn.Sequential):
    """A convolution, its norm and a ReLU.

    Args:
        channels: of the input.
        width: channels of the output.
        kernel: cells, (rows, columns).
        norm: makes the normalisation.
        stride: cells.
        valid: without padding; else the map keeps its size.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: tuple[int, int],
        norm: Norm,
        stride: int = 1,
        valid: bool = False,
    ) -> None:
        padding = (0, 0) if valid else (kernel[0] // 2, kernel[1] // 2)
        super().__init__(
            nn.Conv2d(channels, width, kernel, stride, padding, bias=False),
            norm(width),
            nn.ReLU(inplace=True),
        )


class Branches(nn.Module):
    """Paths beside each other, their outputs concatenated by channel.

    Args:
        paths: whose outputs have the same cells.
    """

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """All paths' channels."""
        return torch.cat([path(x) for path in self.paths], 1)


class Residual(nn.Module):
    """An Inception block whose output, brought to the input's channels and scaled down, is added to the input.

    Args:
        channels: of input and output.
        branches: the Inception block.
        width: channels of the branches together.
        scale: of the branch.
        drop_path: probability that an image goes without the branch in training.
        last: no activation behind the sum, as in the net's last block.
    """

    def __init__(
        self,
        channels: int,
        branches: Branches,
        width: int,
        scale: float,
        drop_path: float,
        last: bool = False,
    ) -> None:
        super().__init__()
        self.branches = branches
        self.up = nn.Conv2d(width, channels, 1)
        self.scale, self.last = scale, last
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Output of the block."""
        x = x + self.scale * self.drop_path(self.up(self.branches(x)))
        return x if self.last else F.relu(x, inplace=True)


class InceptionResNet(nn.Module):
    """The trunk with its taps; `InceptionResNetClassifier` puts ImageNet's head on it.

    A tap is "stage1" (the stem before its last pooling, stride 4, 192 channels), "stage2" (after the block35s,
    stride 8, 320), "stage3" (after the block17s, stride 16, 1088) or "stage4" (after the block8s and the 1x1
    convolution behind them, stride 32, 1536). Stages behind the last tap are not built. Images need 75 pixels a
    side for one cell of stage4.

    Args:
        taps: which activations `forward` returns.
        norm: makes the normalisations. The published ones have eps 0.001 and no gain; these have one.
        drop_path: stochastic depth (Huang et al. 2016), the rate of the last block, to which the rates grow
            linearly; not in the paper.

    Raises:
        ValueError: no such tap.

    >>> [spec.first_centre(299) for spec in InceptionResNet(["stage1", "stage2"]).specs]
    [9.5, 13.5]
    """

    def __init__(
        self,
        taps: Sequence[str] = ("stage2", "stage3", "stage4"),
        norm: Norm = NORM,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.taps = known(taps, TAPS)
        rates = [drop_path * (i + 1) / sum(BLOCKS) for i in range(sum(BLOCKS))]
        second, third = BLOCKS[0], BLOCKS[0] + BLOCKS[1]
        depth = 1 + max(TAPS.index(tap) for tap in self.taps)
        rows = [_stem(norm)]
        if depth > 1:
            rows.append(_stage2(norm, rates[:second]))
        if depth > 2:
            rows.append(_stage3(norm, rates[second:third]))
        if depth > 3:
            rows.append(_stage4(norm, rates[third:]))
        self.rows = nn.ModuleList(rows)
        # Stem: 3x3 of stride 2, 3x3, pooling, 3x3; later stages begin with a layer of stride 2.
        spec = FeatureSpec(192, (HALVE, Step(3, 1, 0), HALVE, Step(3, 1, 0)))
        specs = {"stage1": spec}
        for tap, channels in zip(TAPS[1:], (320, 1088, 1536), strict=True):
            spec = specs[tap] = spec.then(channels, HALVE)
        self.specs = tuple(specs[tap] for tap in self.taps)
        initialise(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The taps' activations, [batch, channel, row, column] each."""
        taps, x = {}, images
        for tap, row in zip(TAPS, self.rows, strict=False):
            x = taps[tap] = row(x)
        return [taps[tap] for tap in self.taps]

    def stages(self) -> tuple[nn.Module, ...]:
        """The four stages in order of depth, for freezing."""
        return tuple(self.rows)


class InceptionResNetClassifier(PooledClassifier):
    """Inception-ResNet-v2 with ImageNet's head: mean over positions, dropout of a fifth, one linear layer.

    Args:
        classes: columns of the logits.
        norm: as of `InceptionResNet`.
        drop_path: as of `InceptionResNet`.
    """

    def __init__(self, classes: int = 1000, norm: Norm = NORM, drop_path: float = 0.0) -> None:
        super().__init__(InceptionResNet(("stage4",), norm, drop_path), classes, DROPOUT)


def _stem(norm: Norm) -> nn.Sequential:
    return nn.Sequential(
        Conv(3, 32, (3, 3), norm, stride=2, valid=True),
        Conv(32, 32, (3, 3), norm, valid=True),
        Conv(32, 64, (3, 3), norm),
        nn.MaxPool2d(3, 2),
        Conv(64, 80, (1, 1), norm),
        Conv(80, 192, (3, 3), norm, valid=True),
    )


def _stage2(norm: Norm, rates: Sequence[float]) -> nn.Sequential:
    first = Branches(
        Conv(192, 96, (1, 1), norm),
        nn.Sequential(Conv(192, 48, (1, 1), norm), Conv(48, 64, (5, 5), norm)),
        nn.Sequential(Conv(192, 64, (1, 1), norm), Conv(64, 96, (3, 3), norm), Conv(96, 96, (3, 3), norm)),
        # TensorFlow's average does not count the padding.
        nn.Sequential(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), Conv(192, 64, (1, 1), norm)),
    )
    return nn.Sequential(
        nn.MaxPool2d(3, 2), first, *(Residual(320, _block35(norm), 128, SCALES[0], rate) for rate in rates)
    )


def _block35(norm: Norm) -> Branches:
    return Branches(
        Conv(320, 32, (1, 1), norm),
        nn.Sequential(Conv(320, 32, (1, 1), norm), Conv(32, 32, (3, 3), norm)),
        nn.Sequential(Conv(320, 32, (1, 1), norm), Conv(32, 48, (3, 3), norm), Conv(48, 64, (3, 3), norm)),
    )


def _stage3(norm: Norm, rates: Sequence[float]) -> nn.Sequential:
    halve = Branches(
        Conv(320, 384, (3, 3), norm, stride=2, valid=True),
        nn.Sequential(
            Conv(320, 256, (1, 1), norm),
            Conv(256, 256, (3, 3), norm),
            Conv(256, 384, (3, 3), norm, stride=2, valid=True),
        ),
        nn.MaxPool2d(3, 2),
    )
    return nn.Sequential(halve, *(Residual(1088, _block17(norm), 384, SCALES[1], rate) for rate in rates))


def _block17(norm: Norm) -> Branches:
    return Branches(
        Conv(1088, 192, (1, 1), norm),
        nn.Sequential(
            Conv(1088, 128, (1, 1), norm), Conv(128, 160, (1, 7), norm), Conv(160, 192, (7, 1), norm)
        ),
    )


def _stage4(norm: Norm, rates: Sequence[float]) -> nn.Sequential:
    halve = Branches(
        nn.Sequential(Conv(1088, 256, (1, 1), norm), Conv(256, 384, (3, 3), norm, stride=2, valid=True)),
        nn.Sequential(Conv(1088, 256, (1, 1), norm), Conv(256, 288, (3, 3), norm, stride=2, valid=True)),
        nn.Sequential(
            Conv(1088, 256, (1, 1), norm),
            Conv(256, 288, (3, 3), norm),
            Conv(288, 320, (3, 3), norm, stride=2, valid=True),
        ),
        nn.MaxPool2d(3, 2),
    )
    blocks = [Residual(2080, _block8(norm), 448, SCALES[2], rate) for rate in rates[:-1]]
    last = Residual(2080, _block8(norm), 448, 1.0, rates[-1], last=True)
    return nn.Sequential(halve, *blocks, last, Conv(2080, 1536, (1, 1), norm))


def _block8(norm: Norm) -> Branches:
    return Branches(
        Conv(2080, 192, (1, 1), norm),
        nn.Sequential(
            Conv(2080, 192, (1, 1), norm), Conv(192, 224, (1, 3), norm), Conv(224, 256, (3, 1), norm)
        ),
    )
