"""The nets for 32 x 32 pixels of He et al. 2016, section 4.2, residual and plain.

They are the paper's experiment on depth: without shortcuts the net of 56 layers trains worse than that of 20,
with them better (figure 6).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.layers import Norm
from boxwright.backbones.pooled import PooledClassifier
from boxwright.backbones.resnet import Basic, initialise, known
from boxwright.features import FeatureSpec, Step

WIDTHS = (16, 32, 64)
TAPS = ("stage1", "stage2", "stage3")


class Subsample(nn.Module):
    """A shortcut without parameters: every `stride`-th cell, zeros for the new channels (option A, section 4.1).

    Args:
        stride: cells.
        more: channels of zeros put behind the others.
    """

    def __init__(self, stride: int, more: int) -> None:
        super().__init__()
        self.stride, self.more = stride, more

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Fewer cells, more channels."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


class CifarResNet(nn.Module):
    """The trunk with its taps; `CifarResNetClassifier` puts the paper's head on it.

    A tap is "stage1" to "stage3", with 16, 32 and 64 channels and stride 1, 2 and 4. Stages behind the last tap
    are not built.

    Args:
        depth: 6 n + 2 layers with weights in the classifier: 20, 32, 44, 56, 110.
        taps: which activations `forward` returns.
        plain: the same convolutions without shortcuts.
        norm: makes the normalisations.
        drop_path: stochastic depth (Huang et al. 2016), the rate of the whole net's last unit; the rates grow
            linearly to it. A plain net has none.

    Raises:
        ValueError: no such tap or depth, or stochastic depth in a plain net.

    >>> [(spec.channels, spec.cells(32)) for spec in CifarResNet(20, ["stage1", "stage3"]).specs]
    [(16, 32), (64, 8)]
    """

    def __init__(
        self,
        depth: int = 20,
        taps: Sequence[str] = ("stage3",),
        plain: bool = False,
        norm: Norm = nn.BatchNorm2d,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.taps = known(taps, TAPS)
        count, left = divmod(depth - 2, 6)
        if left or count < 1:
            raise ValueError(f"no net of {depth} layers: a depth is 6 n + 2, such as 20, 32, 44, 56 or 110")
        if plain and drop_path:
            raise ValueError("a plain net has no shortcuts, so no unit of it can be dropped")
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False), norm(WIDTHS[0]), nn.ReLU(inplace=True)
        )
        spec = FeatureSpec(WIDTHS[0], ())
        specs: dict[str, FeatureSpec] = {}
        rows: list[nn.Module] = []
        done = 0
        for stage in range(1 + max(TAPS.index(tap) for tap in self.taps)):
            width, units = WIDTHS[stage], list[nn.Module]()
            for i in range(count):
                done += 1
                stride = 2 if stage > 0 and i == 0 else 1
                if plain:
                    units.append(_plain(spec.channels, width, stride, norm))
                else:
                    shortcut = Subsample(stride, width - spec.channels) if stride > 1 else nn.Identity()
                    rate = drop_path * done / (3 * count)
                    units.append(Basic(spec.channels, width, stride, norm, rate, shortcut))
                spec = spec.then(width, *([Step(3, stride, 1)] if stride > 1 else []))
            rows.append(nn.Sequential(*units))
            specs[TAPS[stage]] = spec
        self.rows = nn.ModuleList(rows)
        self.specs = tuple(specs[tap] for tap in self.taps)
        initialise(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The taps' activations, [batch, channel, row, column] each."""
        taps, x = {}, self.stem(images)
        for tap, row in zip(TAPS, self.rows, strict=False):
            x = taps[tap] = row(x)
        return [taps[tap] for tap in self.taps]

    def stages(self) -> tuple[nn.Module, ...]:
        """Stem and stages in order of depth, for freezing."""
        return (self.stem, *self.rows)


class CifarResNetClassifier(PooledClassifier):
    """A net for 32 x 32 pixels with the paper's head: mean over positions, then one linear layer.

    Args:
        depth: as of `CifarResNet`.
        classes: columns of the logits.
        plain: as of `CifarResNet`.
        norm: makes the normalisations.
        drop_path: as of `CifarResNet`.
    """

    def __init__(
        self,
        depth: int = 20,
        classes: int = 10,
        plain: bool = False,
        norm: Norm = nn.BatchNorm2d,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__(CifarResNet(depth, ("stage3",), plain, norm, drop_path), classes)


def _plain(channels: int, width: int, stride: int, norm: Norm) -> nn.Sequential:
    """The branch of a residual unit by itself."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
        norm(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        norm(width),
        nn.ReLU(inplace=True),
    )
