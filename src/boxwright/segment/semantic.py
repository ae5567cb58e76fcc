"""Classes of pixels on any backbone: U-Net's expanding path, or the quicker head on a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.classifiers import find_classifier
from boxwright.backbones.layers import group_norm
from boxwright.errors import InputError
from boxwright.features import FeatureSpec
from boxwright.necks.fpn import FPN
from boxwright.necks.unet import UNetDecoder
from boxwright.weights.trunk import Trunk


def taps_of(backbone: str, finest: int) -> tuple[str, ...]:
    """The deepest tap of each stride from `finest` on, to 32 pixels.

    Raises:
        InputError: no such backbone, or one with fewer than two such taps.

    >>> taps_of("vgg16", 4)
    ('conv3', 'conv4', 'conv5')
    """
    # What classifiers have behind their last stage is wide and of no finer stride.
    names = tuple(name for name in find_classifier(backbone).taps if name not in ("last", "fc7"))
    with torch.device("meta"):
        specs: Sequence[FeatureSpec] = find_classifier(backbone).trunk(names).specs  # type: ignore[assignment]
    # Unpadded convolutions leave maps that are no whole parts of the picture.
    whole = {s.stride: n for n, s in zip(names, specs, strict=True) if s.cells(256) * s.stride == 256}
    taps = tuple(name for stride, name in whole.items() if finest <= stride <= 32)
    if len(taps) < 2:
        raise InputError(
            f"{backbone} has too few maps that cover a picture evenly", hint="choose another backbone"
        )
    return taps


class UNetOn(nn.Module):
    """U-Net's expanding path on a backbone: one level for each stride, the finest tells the classes.

    Args:
        trunk: with the taps of `taps_of(name, 1)`.
        classes: how many.
        width: channels of the finest level; twice as many at each coarser one.
    """

    def __init__(self, trunk: Trunk, classes: int, width: int = 16) -> None:
        super().__init__()
        self.trunk = trunk
        self.decoder = UNetDecoder(trunk.specs, [width * 2**level for level in range(len(trunk.specs))])
        self.logits = nn.Conv2d(width, classes, 1)

    def forward(
        self, pictures: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch class height width"]:
        """Logits for all pixels.

        Args:
            pictures: RGB in [0, 1].
        """
        logits = self.logits(self.decoder(self.trunk(pictures))[0])
        return _upsampled(logits, self.trunk.specs[0].stride)

    @property
    def multiple(self) -> int:
        """Pixels that a cell of the coarsest map covers."""
        return self.trunk.specs[-1].stride

    def stages(self) -> tuple[nn.Module, ...]:
        """The backbone's parts in order of depth."""
        return self.trunk.stages()


class SemanticFPN(nn.Module):
    """The semantic branch of Panoptic FPN (Kirillov et al. 2019, section 3.1 and figure 3).

    Each level of a pyramid is brought to the finest one's size by as many steps of convolution, group norm, ReLU and
    bilinear doubling as that needs; their sum tells the classes.

    Args:
        trunk: with the taps of `taps_of(name, 4)`.
        classes: how many.
        width: channels of the steps; the pyramid has twice as many. The papers' are 128 and 256.
    """

    def __init__(self, trunk: Trunk, classes: int, width: int = 32) -> None:
        super().__init__()
        self.trunk = trunk
        self.pyramid = FPN(trunk.specs, 2 * width, coarser="none")
        self.steps = nn.ModuleList(_steps(width, doublings) for doublings in range(len(trunk.specs)))
        self.logits = nn.Conv2d(width, classes, 1)

    def forward(
        self, pictures: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch class height width"]:
        """Logits for all pixels.

        Args:
            pictures: RGB in [0, 1].
        """
        levels = self.pyramid(self.trunk(pictures))
        total = self.steps[0](levels[0])
        for step, level in zip(list(self.steps)[1:], levels[1:], strict=True):
            total = total + step(level)
        return _upsampled(self.logits(total), self.trunk.specs[0].stride)

    @property
    def multiple(self) -> int:
        """Pixels that a cell of the coarsest map covers."""
        return self.trunk.specs[-1].stride

    def stages(self) -> tuple[nn.Module, ...]:
        """The backbone's parts in order of depth."""
        return self.trunk.stages()


def _steps(width: int, doublings: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for step in range(max(doublings, 1)):
        layers += [
            nn.Conv2d(width if step else 2 * width, width, 3, padding=1, bias=False),
            group_norm(width),
            nn.ReLU(inplace=True),
        ]
        if doublings:
            layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
    return nn.Sequential(*layers)


def _upsampled(logits: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return logits
    return F.interpolate(logits, scale_factor=factor, mode="bilinear")
