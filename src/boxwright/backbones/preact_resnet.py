"""Pre-activation ResNet (He et al. 2016, "Identity Mappings in Deep Residual Networks").

Norm and activation stand before each convolution, so that nothing stands on the shortcuts and the gradient of
the last sum reaches every unit unchanged (section 2). A sum is not normalised, so each tap has a norm and an
activation of its own, as the paper puts them behind the last unit (appendix); the next stage reads the bare sum.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import DropPath, Norm
from boxwright.backbones.pooled import PooledClassifier
from boxwright.backbones.resnet import TAPS, VARIANTS, Variant, initialise, known
from boxwright.features import FeatureSpec, Step

DEPTHS = {depth: VARIANTS[f"resnet{depth}"] for depth in (18, 34, 50, 101, 152)}
"""The same units in each stage as the nets with norms behind their convolutions."""


class Unit(nn.Module):
    """A residual unit: figure 4e of the paper.

    Args:
        enter: norm and activation before the first convolution; the identity where the input has them.
        branch: the rest of the residual branch.
        shortcut: a projection, which reads what `enter` gives (appendix), or None: the input itself.
        drop_path: probability that an image goes without the branch in training.
    """

    def __init__(
        self, enter: nn.Module, branch: nn.Module, shortcut: nn.Module | None, drop_path: float
    ) -> None:
        super().__init__()
        self.enter, self.branch, self.shortcut = enter, branch, shortcut
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """The sum, without norm or activation."""
        y = self.enter(x)
        return (x if self.shortcut is None else self.shortcut(y)) + self.drop_path(self.branch(y))


class Stage(nn.Module):
    """Units of one stride.

    Args:
        units: in order of depth.
        leave: norm and activation of the tap, or None if nothing taps this stage.
    """

    def __init__(self, units: nn.Sequential, leave: nn.Module | None) -> None:
        super().__init__()
        self.units, self.leave = units, leave

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> tuple[Tensor, Tensor | None]:
        """The last unit's sum for the next stage, and the tap."""
        x = self.units(x)
        return x, None if self.leave is None else self.leave(x)


class PreActResNet(nn.Module):
    """The trunk with its taps; `PreActResNetClassifier` puts ImageNet's head on it.

    A tap is "stage1" to "stage4", of stride 4 to 32, normalised and activated. Stages behind the last tap are
    not built. The bottleneck's stride is in its 3x3 convolution, as in the authors' published nets.

    Args:
        depth: 18, 34, 50, 101 or 152 layers with weights in the classifier.
        taps: which activations `forward` returns.
        norm: makes the normalisations.
        drop_path: stochastic depth (Huang et al. 2016), the rate of the whole net's last unit; the rates grow
            linearly to it.

    Raises:
        ValueError: no such tap.
    """

    def __init__(
        self,
        depth: int = 50,
        taps: Sequence[str] = ("stage2", "stage3", "stage4"),
        norm: Norm = nn.BatchNorm2d,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.taps = known(taps, TAPS)
        plan = DEPTHS[depth]
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), *_activate(norm, 64), nn.MaxPool2d(3, 2, padding=1)
        )
        spec = FeatureSpec(64, (Step(7, 2, 3), Step(3, 2, 1)))
        specs: dict[str, FeatureSpec] = {}
        rows: list[Stage] = []
        done, total = 0, sum(plan.blocks)
        for stage, count in enumerate(plan.blocks[: 1 + max(TAPS.index(tap) for tap in self.taps)]):
            units: list[nn.Module] = []
            for i in range(count):
                done += 1
                stride = 2 if stage > 0 and i == 0 else 1
                # The stem has activated its output already: the first unit does not do it again (appendix).
                enter = nn.Sequential(*_activate(norm, spec.channels)) if done > 1 else nn.Identity()
                unit, spec = _unit(plan, 64 * 2**stage, stride, norm, drop_path * done / total, enter, spec)
                units.append(unit)
            tapped = TAPS[stage] in self.taps
            leave = nn.Sequential(*_activate(norm, spec.channels)) if tapped else None
            rows.append(Stage(nn.Sequential(*units), leave))
            specs[TAPS[stage]] = spec
        self.rows = nn.ModuleList(rows)
        self.specs = tuple(specs[tap] for tap in self.taps)
        initialise(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The taps' activations, [batch, channel, row, column] each."""
        taps, x = {}, self.stem(images)
        for tap, row in zip(TAPS, self.rows, strict=False):
            x, taps[tap] = row(x)
        return [taps[tap] for tap in self.taps]

    def stages(self) -> tuple[nn.Module, ...]:
        """Stem and stages in order of depth, for freezing."""
        return (self.stem, *self.rows)


class PreActResNetClassifier(PooledClassifier):
    """A pre-activation ResNet with ImageNet's head: mean over positions, then one linear layer.

    Args:
        depth: 18, 34, 50, 101 or 152.
        classes: columns of the logits.
        norm: makes the normalisations.
        drop_path: as of `PreActResNet`.
    """

    def __init__(
        self, depth: int = 50, classes: int = 1000, norm: Norm = nn.BatchNorm2d, drop_path: float = 0.0
    ) -> None:
        super().__init__(PreActResNet(depth, ("stage4",), norm, drop_path), classes)


def _unit(
    plan: Variant,
    base: int,
    stride: int,
    norm: Norm,
    drop_path: float,
    enter: nn.Module,
    spec: FeatureSpec,
) -> tuple[Unit, FeatureSpec]:
    """A unit on what `spec` describes, and the spec of its output."""
    width = base * 4 if plan.bottleneck else base
    if plan.bottleneck:
        branch = nn.Sequential(
            nn.Conv2d(spec.channels, base, 1, bias=False),
            *_activate(norm, base),
            nn.Conv2d(base, base, 3, stride, padding=1, bias=False),
            *_activate(norm, base),
            nn.Conv2d(base, width, 1, bias=False),
        )
    else:
        branch = nn.Sequential(
            nn.Conv2d(spec.channels, base, 3, stride, padding=1, bias=False),
            *_activate(norm, base),
            nn.Conv2d(base, base, 3, padding=1, bias=False),
        )
    same = stride == 1 and spec.channels == width
    shortcut = None if same else nn.Conv2d(spec.channels, width, 1, stride, bias=False)
    after = spec.then(width, *([Step(3, stride, 1)] if stride > 1 else []))
    return Unit(enter, branch, shortcut, drop_path), after


def _activate(norm: Norm, channels: int) -> tuple[nn.Module, nn.Module]:
    return norm(channels), nn.ReLU(inplace=True)
