"""What a picture looks like to a trained network, as losses: content, style, and a distance between pictures.

Content and style are those of Gatys et al. 2016 in the form of Johnson et al. 2016 (section 3.2); the distance is
that of Zhang et al. 2018 (section 3) without its learnt weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.errors import InputError
from boxwright.perceptual.frozen import FrozenTrunk, check_weights
from boxwright.weights.trunk import Trunk

_CHUNK = 8
"""Pictures that are compared at a time where none of their gradients are kept."""
_LEAST = 1e-6
"""The least unit: pictures may be all alike."""


@dataclass(frozen=True)
class PerceptualTargets:
    """What pictures are compared with: computed once where it stays the same.

    Attributes:
        content: features by tap, [batch or 1, channel, row, column].
        style: Gram matrices by tap, [batch or 1, channel, channel].
    """

    content: dict[str, Tensor] = field(default_factory=dict)
    style: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class PerceptualTerms:
    """A perceptual loss and what it consists of: means over the batch, weighted by tap.

    Attributes:
        content: 0 without content taps.
        style: 0 without style taps.
        total: their sum.
    """

    content: Float[Tensor, ""]
    style: Float[Tensor, ""]
    total: Float[Tensor, ""]


class PerceptualLoss(nn.Module):
    """Content and style of pictures, seen through a frozen network.

    content = sum over taps of weight * mean((features - target)^2), the mean over channels and positions;
    style = sum over taps of weight * sum((gram - target)^2), the sum over pairs of channels (Johnson et al. 2016,
    equations 2 to 4). A style's picture may have another size.

    The network is frozen in place, and is no part of what a parent module trains or saves (`FrozenTrunk`). Features
    are computed as autocast says, what is made of them in float32.

    Args:
        trunk: its taps are those of both terms together.
        content: weights by tap.
        style: weights by tap.

    Raises:
        InputError: a tap that the trunk was not built with, a negative weight, or no tap at all.

    >>> from boxwright.weights.trunk import build_trunk
    >>> loss = PerceptualLoss(build_trunk("vgg16", ["conv1", "conv2"]), {"conv2": 1.0}, {"conv1": 5.0, "conv2": 5.0})
    >>> picture, painting = torch.rand(1, 3, 16, 20), torch.rand(1, 3, 24, 24)
    >>> targets = loss.targets(content=picture, style=painting)
    >>> terms = loss(picture, targets)
    >>> terms.content.item(), bool(terms.style > 0)
    (0.0, True)
    """

    def __init__(
        self,
        trunk: Trunk,
        content: Mapping[str, float] | None = None,
        style: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.content = check_weights(trunk, content or {}, "content")
        self.style = check_weights(trunk, style or {}, "style")
        if not self.content and not self.style:
            raise InputError("neither content nor style has a tap", hint="name one of either")
        self.features = FrozenTrunk(trunk)

    @torch.no_grad()
    def targets(
        self,
        content: Float[Tensor, "batch 3 height width"] | None = None,
        style: Float[Tensor, "painting 3 tall wide"] | None = None,
    ) -> PerceptualTargets:
        """The features and Gram matrices that pictures are to have; without gradients.

        Args:
            content: pictures in [0, 1]; one, or as many as will be compared, of their size.
            style: pictures in [0, 1] of any size; one, or as many as will be compared.
        """
        features = self.features(content) if content is not None and self.content else {}
        painted = self.features(style) if style is not None and self.style else {}
        return PerceptualTargets(
            {tap: _wide(features[tap]) for tap in self.content if features},
            {tap: gram(painted[tap]) for tap in self.style if painted},
        )

    def forward(
        self, pictures: Float[Tensor, "batch 3 height width"], targets: PerceptualTargets
    ) -> PerceptualTerms:
        """How far pictures are from their targets; a term without targets is 0.

        Args:
            pictures: RGB in [0, 1]; values outside are seen as they are, so that gradients lead back.
            targets: of `targets`.

        Raises:
            InputError: content of another size, or too small a picture.
        """
        features = self.features(pictures)
        zero = torch.zeros((), device=pictures.device, dtype=_wide(features[next(iter(features))]).dtype)
        content, style = zero, zero
        for tap, target in targets.content.items():
            if features[tap].shape[1:] != target.shape[1:]:
                raise InputError(
                    f"content of {list(target.shape[2:])} cells at {tap}, pictures of {list(features[tap].shape[2:])}",
                    hint="give both the same size",
                )
            content = content + self.content[tap] * (_wide(features[tap]) - target).square().mean()
        for tap, target in targets.style.items():
            each = (gram(features[tap]) - target).square().sum((1, 2))
            style = style + self.style[tap] * each.mean()
        return PerceptualTerms(content, style, content + style)


class FeatureDistance(nn.Module):
    """How different two pictures look, by the features of a frozen network.

    At each tap the channels of a position are divided by their length; the squared differences are summed over
    channels and averaged over positions; taps are averaged (Zhang et al. 2018, equation 1, with all of its learnt
    weights at 1: "LPIPS-like", not LPIPS, whose numbers these are not). From 0 (equal) to 2 where features are not
    negative.

    Args:
        trunk: the network and its taps.

    >>> from boxwright.weights.trunk import build_trunk
    >>> distance = FeatureDistance(build_trunk("vgg16", ["conv1", "conv2"]))
    >>> pictures = torch.rand(2, 3, 16, 16)
    >>> distance(pictures, pictures)
    tensor([0., 0.])
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.features = FrozenTrunk(trunk)

    def forward(
        self, a: Float[Tensor, "batch 3 height width"], b: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch"]:
        """The distance of each pair; gradients go to both.

        Args:
            a, b: RGB in [0, 1].
        """
        one, two = self.features(a), self.features(b)
        each = [(_unit(one[tap]) - _unit(two[tap])).square().sum(1).mean((1, 2)) for tap in one]
        return torch.stack(each).mean(0)


class FeatureError(nn.Module):
    """How far the features of two pictures lie apart, by value: the reconstruction loss of Hou et al. 2017.

    Half the mean squared difference over channels and positions of each tap, summed over taps, in the mean over the
    batch (equations 3 and 4).

    Args:
        trunk: the network and its taps; theirs is VGG-19 at conv1_1, conv2_1 and conv3_1 (VAE-123).

    >>> from boxwright.weights.trunk import build_trunk
    >>> error = FeatureError(build_trunk("vgg16", ["conv1_1", "conv2_1"]))
    >>> pictures = torch.rand(2, 3, 16, 16)
    >>> error(pictures, pictures).item()
    0.0
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.features = FrozenTrunk(trunk)

    def forward(
        self, a: Float[Tensor, "batch 3 height width"], b: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, ""]:
        """The loss of pairs; gradients go to both.

        Args:
            a, b: RGB in [0, 1].
        """
        one, two = self.features(a), self.features(b)
        return torch.stack([0.5 * (_wide(one[tap]) - _wide(two[tap])).square().mean() for tap in one]).sum()


class RelativeDistance(nn.Module):
    """`FeatureDistance` as a loss: the mean over a batch, in units of what it is between given pictures.

    So it is about 1 where pictures are as far apart as those, by whatever network and taps.

    Args:
        distance: of a pair.
        a, b: pairs that are 1 apart in the mean; RGB in [0, 1].

    >>> from boxwright.weights.trunk import build_trunk
    >>> pictures = torch.rand(2, 3, 16, 16)
    >>> distance = RelativeDistance(FeatureDistance(build_trunk("vgg16", ["conv1"])), pictures, pictures.flip(3))
    >>> f"{distance(pictures, pictures.flip(3)):.4f}"
    '1.0000'
    """

    def __init__(
        self,
        distance: FeatureDistance,
        a: Float[Tensor, "batch 3 height width"],
        b: Float[Tensor, "batch 3 height width"],
    ) -> None:
        super().__init__()
        self.distance = distance
        with torch.no_grad():
            parts = [distance(*pair) for pair in zip(a.split(_CHUNK), b.split(_CHUNK), strict=True)]
        self.unit = max(float(torch.cat(parts).mean()), _LEAST)

    def forward(
        self, a: Float[Tensor, "batch 3 height width"], b: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, ""]:
        """The distance of pairs; gradients go to both.

        Args:
            a, b: RGB in [0, 1].
        """
        apart: Tensor = self.distance(a, b)
        return apart.mean() / self.unit


def gram(features: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel channel"]:
    """The Gram matrix of channels over positions, divided by channels and positions (Johnson et al. 2016, equation 3).

    In float32 at least, under autocast too: 16 bits do not hold sums over so many positions.
    """
    with torch.autocast(features.device.type, enabled=False):
        # Position by position: of a map that is laid out channels last a view, not a copy.
        rows = _wide(features).permute(0, 2, 3, 1).flatten(1, 2)
        return rows.transpose(1, 2) @ rows / rows[0].numel()


def _wide(x: Tensor) -> Tensor:
    """In float32, or in what is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _unit(
    features: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    """Channels divided by their length; where all are 0, 0 with a finite gradient."""
    wide = _wide(features)
    return wide * torch.rsqrt(wide.square().sum(1, keepdim=True) + 1e-10)
