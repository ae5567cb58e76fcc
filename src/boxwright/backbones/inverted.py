"""Nets of inverted residuals (Sandler et al. 2018): MobileNet v2 and v3, EfficientNet and its Lite variants.

They differ in tables, activations, padding and squeeze-and-excitation, which a `Plan` states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.inverted_plan import Activation, Block, Plan
from boxwright.backbones.layers import DepthwiseConv2d, DropPath, Norm, SameConv2d
from boxwright.backbones.resnet import known
from boxwright.features import FeatureSpec, Step


class SqueezeExcitation(nn.Module):
    """Scale each channel by what the whole map says: Hu et al. 2018, section 3.

    Args:
        channels: of the map.
        squeezed: channels between the two layers.
        activation: between them.
        gate: bounds the scale to [0, 1].
    """

    def __init__(self, channels: int, squeezed: int, activation: Activation, gate: Activation) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = activation()
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """The map, scaled by channel."""
        squeezed = self.activation(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * self.gate(self.fc2(squeezed))


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise, project by 1x1: Sandler et al. 2018, section 3.

    Args:
        channels: of the input.
        block: what to build.
        plan: of the net.
        norm: makes the normalisations.
        drop_path: probability that an image goes without the branch in training.
    """

    def __init__(self, channels: int, block: Block, plan: Plan, norm: Norm, drop_path: float) -> None:
        super().__init__()
        hidden, width = block.hidden, block.width
        self.expand: nn.Module = nn.Identity()
        if hidden != channels:
            self.expand = pointwise(channels, hidden, norm, block.activation)
        stride = 1 if block.dilation > 1 else block.stride
        depthwise = (
            SameConv2d(hidden, hidden, block.kernel, stride, groups=hidden, bias=False)
            if plan.same
            else DepthwiseConv2d(hidden, block.kernel, stride, block.dilation)
        )
        self.depthwise = nn.Sequential(depthwise, norm(hidden), block.activation())
        self.squeeze: nn.Module = nn.Identity()
        if block.squeeze:
            self.squeeze = SqueezeExcitation(hidden, block.squeeze, *plan.squeeze)
        self.project = nn.Sequential(nn.Conv2d(hidden, width, 1, bias=False), norm(width))
        # Where holes stand for a stride the published nets have no shortcut either.
        self.residual = block.stride == 1 and channels == width
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Output of the block."""
        return self.narrow(self.expand(x), x)

    def narrow(self, wide: Tensor, x: Tensor) -> Tensor:
        """Output of the block whose expansion of `x` is `wide`."""
        y = self.project(self.squeeze(self.depthwise(wide)))
        return x + self.drop_path(y) if self.residual else y


class Row(nn.ModuleList):
    """Blocks one after the other."""

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> tuple[Tensor, Tensor, Tensor]:
        """The first block's expansion and output, and the row's output."""
        first, *others = self
        assert isinstance(first, InvertedResidual)
        wide = first.expand(x)
        x = opened = first.narrow(wide, x)
        for block in others:
            x = block(x)
        return wide, opened, x


class Opening(nn.ModuleList):
    """What is left of a row when only the expansion in its first block is wanted.

    Args:
        expand: the expansion.
    """

    def __init__(self, expand: nn.Module) -> None:
        super().__init__([nn.ModuleDict({"expand": expand})])

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> tuple[Tensor, Tensor, Tensor]:
        """The expansion, as all that the row has."""
        (first,) = self
        assert isinstance(first, nn.ModuleDict)
        wide = first["expand"](x)
        return wide, wide, wide


class InvertedResiduals(nn.Module):
    """The trunk that a plan describes; each net of the family is this with its own plan.

    Taps, for row N of the net's table, in order of depth:
        "expandN": the expansion in the row's first block, where SSDLite reads (Sandler et al., section 6.2);
            it has the stride of the row before.
        "firstN": the output of the row's first block.
        "stageN": the output of the row.
        "last": the 1x1 convolution behind all rows.
    What lies behind the deepest tap is not built.

    Args:
        plan: what to build.
        taps: which activations `forward` returns.
        norm: makes the normalisations.
        drop_path: stochastic depth, the rate of the whole net's last block; the rates grow linearly to it.

    Raises:
        ValueError: no such tap.
    """

    def __init__(self, plan: Plan, taps: Sequence[str], norm: Norm, drop_path: float) -> None:
        super().__init__()
        names = plan.taps()
        self.taps = known(taps, names)
        deepest = max(self.taps, key=names.index)
        stem = (
            SameConv2d(3, plan.stem, 3, 2, bias=False)
            if plan.same
            else nn.Conv2d(3, plan.stem, 3, 2, padding=1, bias=False)
        )
        self.stem = nn.Sequential(stem, norm(plan.stem), plan.activation())
        spec = FeatureSpec(plan.stem, (Step(3, 2, "same" if plan.same else 1),))
        specs: dict[str, FeatureSpec] = {}
        made: list[nn.Module] = []
        done, total = 0, sum(len(row) for row in plan.rows)
        for number, row in enumerate(plan.until(deepest), 1):
            blocks: list[nn.Module] = []
            specs[f"expand{number}"] = spec.then(row[0].hidden)
            if deepest == f"expand{number}":
                made.append(Opening(pointwise(spec.channels, row[0].hidden, norm, row[0].activation)))
                break
            for block in row:
                done += 1
                blocks.append(InvertedResidual(spec.channels, block, plan, norm, drop_path * done / total))
                spec = spec.then(block.width, *_steps(block, plan.same))
                specs.setdefault(f"first{number}", spec)
            specs[f"stage{number}"] = spec
            made.append(Row(blocks))
        self.rows = nn.ModuleList(made)
        self.last = pointwise(spec.channels, plan.last, norm, plan.activation) if deepest == "last" else None
        specs["last"] = spec.then(plan.last)
        self.specs = tuple(specs[tap] for tap in self.taps)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The taps' activations, [batch, channel, row, column] each."""
        taps: dict[str, Tensor] = {}
        x = self.stem(images)
        for number, row in enumerate(self.rows, 1):
            wide, opened, x = row(x)
            reached = {f"expand{number}": wide, f"first{number}": opened, f"stage{number}": x}
            taps.update({name: value for name, value in reached.items() if name in self.taps})
        if self.last is not None:
            taps["last"] = self.last(x)
        return [taps[tap] for tap in self.taps]

    def stages(self) -> tuple[nn.Module, ...]:
        """Stem, rows and last convolution in order of depth, for freezing."""
        return (self.stem, *self.rows, *([] if self.last is None else [self.last]))


def pointwise(channels: int, width: int, norm: Norm, activation: Activation) -> nn.Sequential:
    """A 1x1 convolution, its norm and activation."""
    return nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), norm(width), activation())


def initialise(module: nn.Module) -> None:
    """Normal weights of variance 2 / fan-out; the fan-out of a depthwise convolution is that of one filter."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.weight[0, 0].numel() * part.out_channels / part.groups
            nn.init.normal_(part.weight, std=math.sqrt(2 / fan_out))
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _steps(block: Block, same: bool) -> list[Step]:
    """A depthwise convolution as the steps that move cells: none where it keeps size and centres."""
    if block.dilation > 1 or block.stride == 1:
        return []  # SAME with stride 1 and an odd kernel is symmetric and moves nothing.
    return [Step(block.kernel, block.stride, "same" if same else block.kernel // 2)]
