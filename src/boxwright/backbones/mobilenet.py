"""MobileNet v1 (Howard et al. 2017, arXiv:1704.04861) and v2 (Sandler et al. 2018, arXiv:1801.04381).

Padding is symmetric, as in the weights that torchvision publishes for v2.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.inverted import InvertedResiduals, initialise, pointwise
from boxwright.backbones.inverted_plan import RELU, RELU6, Plan, Stage, rounded, rows
from boxwright.backbones.layers import DepthwiseConv2d, Norm
from boxwright.backbones.pooled import PooledClassifier
from boxwright.backbones.resnet import known
from boxwright.features import FeatureSpec, Step

V1 = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))
"""Channels and separable convolutions of each resolution: v1's table 1."""

V1_TAPS = ("stage1", "stage2", "stage3", "stage4", "stage5")

V2 = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 3, 2, 32, 3),
    Stage(6, 3, 2, 64, 4),
    Stage(6, 3, 1, 96, 3),
    Stage(6, 3, 2, 160, 3),
    Stage(6, 3, 1, 320, 1),
)
"""v2's table 2."""


class MobileNetV1(nn.Module):
    """The trunk of v1 with its taps: depthwise 3x3 and pointwise 1x1 convolutions in turn (section 3.1).

    A tap is "stage1" to "stage5": the last output of stride 2, 4, 8, 16 and 32. Stages behind the last tap are
    not built.

    Args:
        taps: which activations `forward` returns.
        width: multiplies the channels (section 3.3).
        norm: makes the normalisations.

    Raises:
        ValueError: no such tap.

    >>> [(spec.channels, spec.stride) for spec in MobileNetV1(["stage3", "stage5"], width=0.5).specs]
    [(128, 8), (512, 32)]
    """

    def __init__(
        self,
        taps: Sequence[str] = ("stage3", "stage4", "stage5"),
        width: float = 1.0,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.taps = known(taps, V1_TAPS)
        channels = rounded(32 * width)
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, 2, padding=1, bias=False), norm(channels), RELU())
        spec = FeatureSpec(channels, (Step(3, 2, 1),))
        specs: dict[str, FeatureSpec] = {}
        made: list[nn.Module] = []
        for number in range(1 + max(V1_TAPS.index(tap) for tap in self.taps)):
            wide, count = V1[number]
            blocks: list[nn.Module] = []
            for i in range(count):
                stride = 2 if number > 0 and i == 0 else 1
                blocks.append(separable(spec.channels, rounded(wide * width), stride, norm))
                spec = spec.then(rounded(wide * width), *([Step(3, stride, 1)] if stride > 1 else []))
            made.append(nn.Sequential(*blocks))
            specs[V1_TAPS[number]] = spec
        self.rows = nn.ModuleList(made)
        self.specs = tuple(specs[tap] for tap in self.taps)
        initialise(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The taps' activations, [batch, channel, row, column] each."""
        taps, x = {}, self.stem(images)
        for tap, row in zip(V1_TAPS, self.rows, strict=False):
            x = taps[tap] = row(x)
        return [taps[tap] for tap in self.taps]

    def stages(self) -> tuple[nn.Module, ...]:
        """Stem and stages in order of depth, for freezing."""
        return (self.stem, *self.rows)


class MobileNetV2(InvertedResiduals):
    """The trunk of v2; its taps are described at `InvertedResiduals`, rows are those of table 2.

    Args:
        taps: which activations `forward` returns.
        width: multiplies the channels (section 4); the last convolution is never narrowed by it (section 6.1).
        norm: makes the normalisations.

    >>> [(spec.channels, spec.stride) for spec in MobileNetV2(["stage3", "expand6", "last"]).specs]
    [(32, 8), (576, 16), (1280, 32)]
    """

    def __init__(
        self,
        taps: Sequence[str] = ("stage3", "stage5", "last"),
        width: float = 1.0,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        stem, last = rounded(32 * width), rounded(1280 * max(1.0, width))
        super().__init__(Plan(stem, rows(V2, stem, width, RELU6), last, RELU6), taps, norm, drop_path=0)
        initialise(self)


class MobileNetV1Classifier(PooledClassifier):
    """v1 with the paper's head: mean over positions, then one linear layer.

    Args:
        width: as of `MobileNetV1`.
        classes: columns of the logits.
        norm: makes the normalisations.
    """

    def __init__(self, width: float = 1.0, classes: int = 1000, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__(MobileNetV1(("stage5",), width, norm), classes)


class MobileNetV2Classifier(PooledClassifier):
    """v2 with ImageNet's head: mean over positions, dropout, one linear layer.

    Args:
        width: as of `MobileNetV2`.
        classes: columns of the logits.
        norm: makes the normalisations.
    """

    def __init__(self, width: float = 1.0, classes: int = 1000, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__(MobileNetV2(("last",), width, norm), classes, 0.2)


def separable(channels: int, width: int, stride: int, norm: Norm) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution, each with norm and ReLU: v1, figure 3 right."""
    depthwise = DepthwiseConv2d(channels, 3, stride)
    return nn.Sequential(depthwise, norm(channels), RELU(), *pointwise(channels, width, norm, RELU))
