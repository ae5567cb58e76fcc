"""EfficientNet (Tan and Le 2019) and EfficientNet-Lite, which drops squeeze-and-excitation and swish.

B0 to B7 are padded symmetrically and normalised as in the weights that torchvision publishes. The Lite nets'
padding is TensorFlow's SAME: at stride 2 an even map is padded after its last cell only, so that published
weights give their published logits. It also moves where a cell looks, which the specs say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import nn

from boxwright.backbones.inverted import InvertedResiduals, initialise
from boxwright.backbones.inverted_plan import RELU6, Activation, Plan, Stage, rounded, rows
from boxwright.backbones.layers import Norm, batch_norm
from boxwright.backbones.pooled import PooledClassifier

LITE_MEAN: tuple[float, float, float] = (127 / 255, 127 / 255, 127 / 255)
LITE_STD: tuple[float, float, float] = (128 / 255, 128 / 255, 128 / 255)
"""How the pixels were scaled that Lite's published weights have seen."""

STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
"""The paper's table 1, which is B0."""

B = {
    0: (1.0, 1.0, 0.2),
    1: (1.0, 1.1, 0.2),
    2: (1.1, 1.2, 0.3),
    3: (1.2, 1.4, 0.3),
    4: (1.4, 1.8, 0.4),
    5: (1.6, 2.2, 0.4),
    6: (1.8, 2.6, 0.5),
    7: (2.0, 3.1, 0.5),
}
"""Width and depth multipliers and dropout of B0 to B7; everything is scaled."""

LITE = {0: (1.0, 1.0, 0.2), 1: (1.0, 1.1, 0.2), 2: (1.1, 1.2, 0.3), 3: (1.2, 1.4, 0.3), 4: (1.4, 1.8, 0.3)}
"""The same of Lite0 to Lite4; stem and head keep 32 and 1280 channels, the first and last row their block."""

SWISH: Activation = partial(nn.SiLU, inplace=True)
TENSORFLOW = batch_norm(eps=1e-3, momentum=0.01)
TAPS = ("stage3", "stage5", "stage7")


class EfficientNet(InvertedResiduals):
    """The trunk of B0 to B7; its taps are described at `InvertedResiduals`, rows are those of table 1.

    Args:
        variant: 0 to 7.
        taps: which activations `forward` returns.
        norm: makes the normalisations; None for those of the published weights (B5 to B7 have TensorFlow's).
        drop_path: stochastic depth (Huang et al. 2016), the rate of the whole net's last block; the rates grow
            linearly to it. The paper has 0.2 (section 5.2).

    >>> [(spec.channels, spec.stride) for spec in EfficientNet(0, ["stage3", "stage5", "last"]).specs]
    [(40, 8), (112, 16), (1280, 32)]
    """

    def __init__(
        self,
        variant: int = 0,
        taps: Sequence[str] = TAPS,
        norm: Norm | None = None,
        drop_path: float = 0.0,
    ) -> None:
        wide, deep, _ = B[variant]
        stages = [replace(stage, repeats=math.ceil(stage.repeats * deep)) for stage in STAGES]
        stem = rounded(32 * wide)
        # The 1x1 convolution behind the rows has four times the channels of the last one.
        last = 4 * rounded(STAGES[-1].channels * wide)
        plan = Plan(stem, rows(stages, stem, wide, SWISH, squeeze=True), last, SWISH, (SWISH, nn.Sigmoid))
        super().__init__(plan, taps, norm or (TENSORFLOW if variant >= 5 else nn.BatchNorm2d), drop_path)
        initialise(self)


class EfficientNetLite(InvertedResiduals):
    """The trunk of Lite0 to Lite4; its taps are described at `InvertedResiduals`, rows are those of table 1.

    Args:
        variant: 0 to 4.
        taps: which activations `forward` returns.
        norm: makes the normalisations.
        drop_path: as of `EfficientNet`.
    """

    def __init__(
        self,
        variant: int = 0,
        taps: Sequence[str] = TAPS,
        norm: Norm = TENSORFLOW,
        drop_path: float = 0.0,
    ) -> None:
        wide, deep, _ = LITE[variant]
        ends = (STAGES[0], STAGES[-1])
        stages = [s if s in ends else replace(s, repeats=math.ceil(s.repeats * deep)) for s in STAGES]
        plan = Plan(32, rows(stages, 32, wide, RELU6), 1280, RELU6, same=True)
        super().__init__(plan, taps, norm, drop_path)


class EfficientNetClassifier(PooledClassifier):
    """A net of either kind with ImageNet's head: mean over positions, dropout, one linear layer.

    Args:
        variant: "b0" to "b7", or "lite0" to "lite4".
        classes: columns of the logits.
        norm: as of `EfficientNet`; None for the published one.
        drop_path: as of `EfficientNet`.

    Raises:
        ValueError: no such variant.
    """

    def __init__(
        self, variant: str = "b0", classes: int = 1000, norm: Norm | None = None, drop_path: float = 0.2
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"no EfficientNet {variant}; there are {', '.join(VARIANTS)}")
        number, taps = int(variant[-1]), ("last",)
        if variant.startswith("lite"):
            lite = EfficientNetLite(number, taps, norm or TENSORFLOW, drop_path)
            super().__init__(lite, classes, LITE[number][2])
        else:
            super().__init__(EfficientNet(number, taps, norm, drop_path), classes, B[number][2])


VARIANTS = (*(f"b{i}" for i in B), *(f"lite{i}" for i in LITE))
