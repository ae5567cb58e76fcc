"""EfficientNet-Lite (Tan and Le 2019; the Lite variants drop squeeze-and-excitation and swish).

Padding is TensorFlow's SAME: at stride 2 an even map is padded after its last cell only, so that published
weights give their published logits. It also moves where a cell looks, which the specs say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import SameConv2d
from boxwright.features import FeatureSpec, Step


@dataclass(frozen=True)
class Stage:
    """One row of the paper's table 1: inverted residuals that share kernel and width."""

    expand: int
    kernel: int
    stride: int
    channels: int
    repeats: int


STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
LITE = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4), 4: (1.4, 1.8)}
"""Width and depth multipliers of Lite0 to Lite4; stem and head keep 32 and 1280 channels in all of them."""

EPS = 1e-3
HEAD = 1280


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise, project by 1x1: Sandler et al. 2018, section 3."""

    def __init__(self, channels: int, expand: int, kernel: int, stride: int, width: int) -> None:
        super().__init__()
        hidden = channels * expand
        self.expand = _conv(channels, hidden, 1) if expand > 1 else nn.Identity()
        self.depthwise = _conv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Sequential(
            nn.Conv2d(hidden, width, 1, bias=False), nn.BatchNorm2d(width, eps=EPS, momentum=0.01)
        )
        self.residual = stride == 1 and channels == width

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Output of the block."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """The trunk with its taps; `EfficientNetClassifier` puts ImageNet's head on it.

    A tap is "stage1" to "stage7", the output of that row of the table, or "expand4" and its like: the 1x1
    expansion inside the first block of a row, which has six times the channels and the stride of the row before.
    SSDLite reads it there (Sandler et al. 2018, section 6.2).

    Args:
        variant: 0 to 4.
        taps: which activations `forward` returns, in order of depth.
    """

    def __init__(self, variant: int = 0, taps: Sequence[str] = ("stage3", "stage5", "stage7")) -> None:
        super().__init__()
        wide, deep = LITE[variant]
        self.taps = tuple(taps)
        known = {f"{kind}{i}" for i in range(1, 8) for kind in ("stage", "expand")} - {"expand1"}
        if unknown := set(self.taps) - known:
            raise ValueError(f"no tap {sorted(unknown)}; there are {sorted(known)}")
        last = len(STAGES) - 1
        self.stem = _conv(3, 32, 3, 2)
        rows: list[nn.Sequential] = []
        specs: dict[str, FeatureSpec] = {}
        spec = FeatureSpec(32, (Step(3, 2, "same"),))
        for number, stage in enumerate(STAGES):
            width = _round(stage.channels * wide)
            repeats = stage.repeats if number in (0, last) else math.ceil(stage.repeats * deep)
            blocks: list[nn.Module] = []
            if stage.expand > 1:
                specs[f"expand{number + 1}"] = spec.then(spec.channels * stage.expand)
            for i in range(repeats):
                stride = stage.stride if i == 0 else 1
                blocks.append(InvertedResidual(spec.channels, stage.expand, stage.kernel, stride, width))
                # SAME with stride 1 and an odd kernel is symmetric and moves nothing.
                spec = spec.then(width, *([Step(stage.kernel, stride, "same")] if stride > 1 else []))
            rows.append(nn.Sequential(*blocks))
            specs[f"stage{number + 1}"] = spec
        self.rows = nn.ModuleList(rows)
        self.specs = tuple(specs[tap] for tap in self.taps)
        self.last = spec

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The taps' activations, [batch, channel, row, column] each."""
        taps, x = {}, self.stem(images)
        for number, row in enumerate(self.rows, 1):
            if f"expand{number}" in self.taps:
                x, taps[f"expand{number}"] = self._open(row, x)
            else:
                x = row(x)
            taps[f"stage{number}"] = x
        return [taps[tap] for tap in self.taps]

    @staticmethod
    def _open(row: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Output of a row, and the expansion inside its first block."""
        first, *rest = row.children()
        assert isinstance(first, InvertedResidual)
        wide = first.expand(x)
        y = first.project(first.depthwise(wide))
        x = x + y if first.residual else y
        for block in rest:
            x = block(x)
        return x, wide

    def stages(self) -> tuple[nn.Module, ...]:
        """Stem and rows in order of depth, for freezing."""
        return (self.stem, *self.rows)


class EfficientNetClassifier(nn.Module):
    """EfficientNet-Lite with ImageNet's head: 1x1 to 1280 channels, mean over positions, one linear layer.

    Args:
        variant: 0 to 4.
        classes: columns of the logits.
    """

    def __init__(self, variant: int = 0, classes: int = 1000) -> None:
        super().__init__()
        self.trunk = EfficientNetLite(variant, taps=("stage7",))
        self.head = _conv(self.trunk.last.channels, HEAD, 1)
        self.linear = nn.Linear(HEAD, classes)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch class"]:
        """Logits."""
        (features,) = self.trunk(images)
        return self.linear(self.head(features).mean((2, 3)))


def _conv(channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        SameConv2d(channels, width, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(width, eps=EPS, momentum=0.01),
        nn.ReLU6(inplace=True),
    )


def _round(channels: float) -> int:
    """The nearest multiple of 8 that takes away no more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
