"""VGG (Simonyan and Zisserman 2015), and its atrous form for SSD (Liu et al. 2016, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.resnet import initialise as initialise_normal
from boxwright.backbones.resnet import known
from boxwright.features import FeatureSpec, Step

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions in each block: the paper's columns A, B, D and E."""

TAPS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc7")
FC_TAPS = ("fc6", "fc7")
"""Of `VGGLayers`: the classifier's own layers."""
Pooling = Literal["max", "average"]


def inner_taps(depth: int) -> tuple[str, ...]:
    """Each convolution's activation by the papers' names, such as "conv4_2" (the relu4_2 of Johnson et al. 2016).

    >>> inner_taps(11)
    ('conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'conv4_1', 'conv4_2', 'conv5_1', 'conv5_2')
    """
    counts = enumerate(DEPTHS[depth], 1)
    return tuple(f"conv{block}_{number}" for block, count in counts for number in range(1, count + 1))


class VGG(nn.Module):
    """Blocks of 3x3 convolutions, halved between by pooling; `VGGClassifier` puts ImageNet's head on them.

    A tap is "conv1" to "conv5", the last activation of its block, one of `inner_taps`, or "fc7". Blocks behind the
    last tap are not built.

    "fc7" is SSD's reading of the classifier's first two layers: pool5 becomes 3x3 of stride 1, fc6 a 3x3
    convolution with holes of 6 pixels, fc7 a 1x1 convolution; it keeps stride 16 where the classifier has 32.

    Args:
        depth: 11, 13, 16 or 19 layers with weights in the classifier.
        taps: which activations `forward` returns.
        norm: batch normalisation after each convolution.
        ceil: odd maps are pooled to ceil(size / 2), as SSD's 75 x 75 to 38 x 38 needs.
        holes: "fc7" as SSD reads it; without, pool5 halves the map and fc6 has none, for an "fc7" of stride 32.
        pooling: what halves the maps between blocks; Gatys et al. 2016 (section 2) have the average.

    Raises:
        ValueError: no such tap.
    """

    def __init__(
        self,
        depth: int = 16,
        taps: Sequence[str] = ("conv5",),
        norm: bool = False,
        ceil: bool = False,
        holes: bool = True,
        pooling: Pooling = "max",
    ) -> None:
        super().__init__()
        self.taps = known(taps, (*TAPS, *inner_taps(depth)))
        self.ceil, self.holes, self.pooling = ceil, holes, pooling
        channels = (3, *WIDTHS)
        counts = DEPTHS[depth][: max(5 if tap == "fc7" else int(tap[4]) for tap in self.taps)]
        self.blocks = nn.ModuleList(
            _block(channels[i], channels[i + 1], count, norm) for i, count in enumerate(counts)
        )
        self.atrous = _atrous(norm, 6 if holes else 1) if "fc7" in self.taps else None
        self.specs = tuple(self._spec(tap) for tap in self.taps)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The taps' activations, [batch, channel, row, column] each."""
        taps: dict[str, Tensor] = {}
        x = images
        pool = F.max_pool2d if self.pooling == "max" else F.avg_pool2d
        for number, block in enumerate(self.blocks, 1):
            if number > 1:
                x = pool(x, 2, ceil_mode=self.ceil)
            if any(tap.startswith(f"conv{number}_") for tap in self.taps):
                x = self._in_parts(block, number, x, taps)
            else:
                x = block(x)
            taps[f"conv{number}"] = x
        if self.atrous is not None:
            if self.holes:
                x = F.max_pool2d(x, 3, stride=1, padding=1)
            else:
                x = F.max_pool2d(x, 2, ceil_mode=self.ceil)
            taps["fc7"] = self.atrous(x)
        return [taps[tap] for tap in self.taps]

    @staticmethod
    def _in_parts(block: nn.Module, number: int, x: Tensor, taps: dict[str, Tensor]) -> Tensor:
        """A block layer by layer, with every activation kept."""
        done = 0
        for layer in block.children():
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                done += 1
                # The next layers do not write into it: a convolution stands between two rectifiers.
                taps[f"conv{number}_{done}"] = x
        return x

    def stages(self) -> tuple[nn.Module, ...]:
        """Parts in order of depth, for freezing."""
        return (*self.blocks, *([] if self.atrous is None else [self.atrous]))

    def _spec(self, tap: str) -> FeatureSpec:
        block = 5 if tap == "fc7" else int(tap[4])
        channels = 1024 if tap == "fc7" else WIDTHS[block - 1]
        halvings = block if tap == "fc7" and not self.holes else block - 1
        return FeatureSpec(channels, (Step(2, 2, 0, self.ceil),) * halvings)


class VGGLayers(nn.Module):
    """VGG's classifier without its last layer, as features of whole images: 4096 numbers each.

    The activations of "fc6" and "fc7" (Girshick et al. 2014, section 2.3, had such features; there of AlexNet) are
    maps of one cell.

    Args:
        depth: as of `VGG`.
        taps: among "fc6" and "fc7".
        norm: as of `VGG`.

    Raises:
        ValueError: no such tap.
    """

    def __init__(self, depth: int = 16, taps: Sequence[str] = ("fc7",), norm: bool = False) -> None:
        super().__init__()
        self.taps = known(taps, FC_TAPS)
        self.trunk = VGG(depth, ("conv5",), norm)
        self.fc6 = nn.Linear(WIDTHS[-1] * 7 * 7, 4096)
        self.fc7 = nn.Linear(4096, 4096) if "fc7" in self.taps else None
        # What a cell sees is the whole image; of the convolutions it has five halvings.
        self.specs = tuple(FeatureSpec(4096, (Step(2, 2, 0),) * 5) for _ in self.taps)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Float[Tensor, "batch 4096 1 1"]]:
        """The taps' activations."""
        (features,) = self.trunk(images)
        taps = {"fc6": F.relu(self.fc6(seven_cells(features)))}
        if self.fc7 is not None:
            taps["fc7"] = F.relu(self.fc7(taps["fc6"]))
        return [taps[tap][:, :, None, None] for tap in self.taps]

    def stages(self) -> tuple[nn.Module, ...]:
        """Parts in order of depth, for freezing."""
        return (*self.trunk.stages(), self.fc6, *([] if self.fc7 is None else [self.fc7]))


def seven_cells(features: Float[Tensor, "batch 512 height width"]) -> Float[Tensor, "batch 25088"]:
    """pool5, averaged to the 7x7 cells that fc6 wants; an image of 224 pixels has these already."""
    pooled = F.max_pool2d(features, 2)
    if pooled.shape[2:] != (7, 7):
        pooled = F.adaptive_avg_pool2d(pooled, 7)
    return pooled.flatten(1)


def trunk(
    taps: Sequence[str], depth: int = 16, norm: bool = False, pooling: Pooling = "max"
) -> VGG | VGGLayers:
    """What gives these activations of the classifier: its convolutions, or fc6 and fc7 on them.

    Raises:
        ValueError: no such tap, or convolutions and fc6 or fc7 at once.
    """
    if set(taps) & set(FC_TAPS):
        return VGGLayers(depth, taps, norm)
    return VGG(depth, taps, norm, pooling=pooling)


class VGGClassifier(nn.Module):
    """VGG with ImageNet's head: pool5 averaged to 7x7 cells, then fc6, fc7 and fc8, with dropout (section 3.1).

    An image of 224 pixels has 7x7 cells already.

    Args:
        depth: as of `VGG`.
        classes: columns of the logits.
        norm: as of `VGG`.
    """

    def __init__(self, depth: int = 16, classes: int = 1000, norm: bool = False) -> None:
        super().__init__()
        self.trunk = VGG(depth, ("conv5",), norm)
        self.fc6 = nn.Linear(WIDTHS[-1] * 7 * 7, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)
        self.dropout = nn.Dropout(0.5)
        # The paper trains the deeper nets from the shallower; with these weights they learn by themselves.
        initialise_normal(self.trunk)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch class"]:
        """Logits."""
        (features,) = self.trunk(images)
        x = seven_cells(features)
        for layer in (self.fc6, self.fc7):
            x = self.dropout(F.relu(layer(x), inplace=True))
        return self.fc8(x)

    def stages(self) -> tuple[nn.Module, ...]:
        """The trunk's parts in order of depth, for freezing."""
        return self.trunk.stages()


def _block(channels: int, width: int, count: int, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(count):
        layers.append(nn.Conv2d(channels, width, 3, padding=1))
        if norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
        channels = width
    return nn.Sequential(*layers)


def _atrous(norm: bool, rate: int) -> nn.Sequential:
    def normed(convolution: nn.Conv2d) -> list[nn.Module]:
        extra = [nn.BatchNorm2d(convolution.out_channels)] if norm else []
        return [convolution, *extra, nn.ReLU(inplace=True)]

    return nn.Sequential(
        *normed(nn.Conv2d(512, 1024, 3, padding=rate, dilation=rate)), *normed(nn.Conv2d(1024, 1024, 1))
    )


def subsample_classifier(
    fc6: Float[Tensor, "4096 25088"],
    fc6_bias: Float[Tensor, "4096"],
    fc7: Float[Tensor, "4096 4096"],
    fc7_bias: Float[Tensor, "4096"],
) -> dict[str, Float[Tensor, "..."]]:
    """fc6 and fc7 as the atrous convolutions of SSD, by taking every 4th unit and every 3rd position.

    Liu et al. 2016, section 3: "subsample parameters from fc6 and fc7". 7x7 positions become 3x3.

    Returns:
        fc6.weight [1024, 512, 3, 3], fc6.bias, fc7.weight [1024, 1024, 1, 1] and fc7.bias.
    """
    return {
        "fc6.weight": fc6.view(4096, 512, 7, 7)[::4, :, ::3, ::3].contiguous(),
        "fc6.bias": fc6_bias[::4].contiguous(),
        "fc7.weight": fc7.view(4096, 4096, 1, 1)[::4, ::4].contiguous(),
        "fc7.bias": fc7_bias[::4].contiguous(),
    }


def initialise(module: nn.Module) -> None:
    """Xavier's uniform weights and zero biases, as SSD's published training had for its new layers."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                torch.nn.init.zeros_(part.bias)
