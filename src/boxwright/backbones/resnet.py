"""ResNet (He et al. 2016), wide ResNet (Zagoruyko and Komodakis 2016) and ResNeXt (Xie et al. 2017).

Parts are named as in torchvision's files (conv1, bn1, layer1.0.conv1 ...), so that those need no translation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import DropPath, Norm
from boxwright.backbones.pooled import PooledClassifier
from boxwright.features import FeatureSpec, Step


@dataclass(frozen=True)
class Variant:
    """What tells the family's members apart.

    Attributes:
        blocks: residual units in each of the four stages (He et al. 2016, table 1).
        bottleneck: units of 1x1, 3x3, 1x1 with four times the channels at the end, instead of two 3x3.
        groups: of the 3x3 convolution, ResNeXt's cardinality (Xie et al. 2017, table 1).
        width: channels of one group in the first stage; 128 makes the wide nets.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool = True
    groups: int = 1
    width: int = 64


VARIANTS = {
    "resnet18": Variant((2, 2, 2, 2), bottleneck=False),
    "resnet34": Variant((3, 4, 6, 3), bottleneck=False),
    "resnet50": Variant((3, 4, 6, 3)),
    "resnet101": Variant((3, 4, 23, 3)),
    "resnet152": Variant((3, 8, 36, 3)),
    "wide_resnet50_2": Variant((3, 4, 6, 3), width=128),
    "wide_resnet101_2": Variant((3, 4, 23, 3), width=128),
    "resnext50_32x4d": Variant((3, 4, 6, 3), groups=32, width=4),
    "resnext101_32x8d": Variant((3, 4, 23, 3), groups=32, width=8),
    "resnext101_64x4d": Variant((3, 4, 23, 3), groups=64, width=4),
}
TAPS = ("stage1", "stage2", "stage3", "stage4")


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut: He et al. 2016, figure 5 left.

    Args:
        channels: of the input.
        width: channels of the output.
        stride: of the first convolution.
        norm: makes the normalisations.
        drop_path: probability that an image goes without the branch in training.
        shortcut: brings the input to the branch's shape.
    """

    def __init__(
        self, channels: int, width: int, stride: int, norm: Norm, drop_path: float, shortcut: nn.Module
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = norm(width)
        self.downsample = shortcut
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Output of the unit."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.drop_path(self.bn2(self.conv2(y)))
        return F.relu(self.downsample(x) + y, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut: He et al. 2016, figure 5 right.

    Args:
        channels: of the input.
        inner: channels of the 3x3 convolution.
        groups: of the 3x3 convolution.
        width: channels of the output.
        strides: of the first 1x1 and of the 3x3 convolution.
        norm: makes the normalisations.
        drop_path: probability that an image goes without the branch in training.
        shortcut: brings the input to the branch's shape.
    """

    def __init__(
        self,
        channels: int,
        inner: int,
        groups: int,
        width: int,
        strides: tuple[int, int],
        norm: Norm,
        drop_path: float,
        shortcut: nn.Module,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 1, strides[0], bias=False)
        self.bn1 = norm(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, strides[1], padding=1, groups=groups, bias=False)
        self.bn2 = norm(inner)
        self.conv3 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn3 = norm(width)
        self.downsample = shortcut
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Output of the unit."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.drop_path(self.bn3(self.conv3(y)))
        return F.relu(self.downsample(x) + y, inplace=True)


class ResNet(nn.Module):
    """The trunk with its taps; `ResNetClassifier` puts ImageNet's head on it.

    A tap is "stage1" to "stage4": the output of conv2_x to conv5_x of the paper's table 1, of stride 4 to 32.
    Stages behind the last tap are not built.

    Args:
        variant: a name in `VARIANTS`.
        taps: which activations `forward` returns.
        norm: makes the normalisations.
        drop_path: stochastic depth (Huang et al. 2016), the rate of the whole net's last unit; the rates grow
            linearly to it.
        v1: the bottleneck's stride is in its first 1x1 convolution, as in the paper; without it in the 3x3, as
            in the nets that torchvision publishes ("v1.5"), which are more accurate.

    Raises:
        ValueError: no such tap.

    >>> [(spec.channels, spec.stride) for spec in ResNet("resnet18", taps=["stage1", "stage2"]).specs]
    [(64, 4), (128, 8)]
    """

    def __init__(
        self,
        variant: str = "resnet50",
        taps: Sequence[str] = ("stage2", "stage3", "stage4"),
        norm: Norm = nn.BatchNorm2d,
        drop_path: float = 0.0,
        v1: bool = False,
    ) -> None:
        super().__init__()
        self.taps = known(taps, TAPS)
        plan = VARIANTS[variant]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = norm(64)
        spec = FeatureSpec(64, (Step(7, 2, 3), Step(3, 2, 1)))
        specs: dict[str, FeatureSpec] = {}
        done, total = 0, sum(plan.blocks)
        self._rows: list[str] = []
        for stage, count in enumerate(plan.blocks[: 1 + max(TAPS.index(tap) for tap in self.taps)]):
            units: list[nn.Module] = []
            for i in range(count):
                done += 1
                stride = 2 if stage > 0 and i == 0 else 1
                unit, spec = _unit(plan, 64 * 2**stage, stride, norm, drop_path * done / total, v1, spec)
                units.append(unit)
            self._rows.append(f"layer{stage + 1}")
            self.add_module(self._rows[-1], nn.Sequential(*units))
            specs[TAPS[stage]] = spec
        self.specs = tuple(specs[tap] for tap in self.taps)
        initialise(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The taps' activations, [batch, channel, row, column] each."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        taps = {}
        for tap, name in zip(TAPS, self._rows, strict=False):
            x = taps[tap] = self.get_submodule(name)(x)
        return [taps[tap] for tap in self.taps]

    def stages(self) -> tuple[nn.Module, ...]:
        """Stem and stages in order of depth, for freezing."""
        return (nn.ModuleList((self.conv1, self.bn1)), *(self.get_submodule(name) for name in self._rows))


class ResNetClassifier(PooledClassifier):
    """A ResNet with ImageNet's head: mean over positions, then one linear layer.

    Args:
        variant: a name in `VARIANTS`.
        classes: columns of the logits.
        norm: makes the normalisations.
        drop_path: as of `ResNet`.
        v1: as of `ResNet`.
    """

    def __init__(
        self,
        variant: str = "resnet50",
        classes: int = 1000,
        norm: Norm = nn.BatchNorm2d,
        drop_path: float = 0.0,
        v1: bool = False,
    ) -> None:
        super().__init__(ResNet(variant, ("stage4",), norm, drop_path, v1), classes)


def known(taps: Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    """The taps, once it is sure that there is at least one and that the net has them all.

    Raises:
        ValueError: naming those it has.
    """
    unknown = sorted(set(taps) - set(names))
    if unknown or not taps:
        raise ValueError(f"no tap {', '.join(unknown) or 'at all'}; there are {', '.join(names)}")
    return tuple(taps)


def initialise(module: nn.Module) -> None:
    """Normal weights of variance 2 / fan-out for convolutions: He et al. 2015, section 2.2, backward case."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def _unit(
    plan: Variant, base: int, stride: int, norm: Norm, drop_path: float, v1: bool, spec: FeatureSpec
) -> tuple[nn.Module, FeatureSpec]:
    """A residual unit on what `spec` describes, and the spec of its output."""
    width = base * 4 if plan.bottleneck else base
    shortcut: nn.Module = nn.Identity()
    if stride > 1 or spec.channels != width:
        # Option B of the paper's section 4.1: a projection where the shapes differ, identity elsewhere.
        shortcut = nn.Sequential(nn.Conv2d(spec.channels, width, 1, stride, bias=False), norm(width))
    # A step of the 1x1 of stride 2 and of the padded 3x3 look at the same centres.
    step = Step(1, stride, 0) if plan.bottleneck and v1 else Step(3, stride, 1)
    after = spec.then(width, *([step] if stride > 1 else []))
    if not plan.bottleneck:
        return Basic(spec.channels, width, stride, norm, drop_path, shortcut), after
    inner = base * plan.width // 64 * plan.groups
    strides = (stride, 1) if v1 else (1, stride)
    return (
        Bottleneck(spec.channels, inner, plan.groups, width, strides, norm, drop_path, shortcut),
        after,
    )
