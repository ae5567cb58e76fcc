"""What a painted picture is judged by, for the optimisation and for the network alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from boxwright.perceptual.loss import PerceptualLoss, PerceptualTargets
from boxwright.perceptual.style_settings import StyleWeights
from boxwright.weights.trunk import Trunk


@dataclass(frozen=True)
class StyleLoss:
    """Content, style and smoothness, in units of the pictures that were given first.

    At each tap the content's term is divided by the mean square of the content's features, and the style's by the sum
    of both pictures' squared Gram matrices: weights mean the same at every tap and for every backbone.

    Attributes:
        perceptual: content and style.
        targets: of these pictures.
        variation: weight of the mean squared difference of neighbours.
    """

    perceptual: PerceptualLoss
    targets: PerceptualTargets
    variation: float

    @classmethod
    def of(
        cls,
        trunk: Trunk,
        weights: StyleWeights,
        content: Float[Tensor, "batch 3 height width"],
        style: Float[Tensor, "1 3 tall wide"],
    ) -> StyleLoss:
        """The loss for pictures of this content in this style.

        Args:
            trunk: the network that judges; it has the taps of `weights`.
            weights: of the terms; taps share alike.
            content: pictures in [0, 1], which also set the unit of the content.
            style: a picture in [0, 1], which also sets the unit of the style.

        Raises:
            InputError: a tap that the trunk does not have, or pictures so small that nothing is left at one.
        """
        plain = PerceptualLoss(
            trunk, dict.fromkeys(weights.content_taps, 1.0), dict.fromkeys(weights.style_taps, 1.0)
        )
        targets, seen = plain.targets(content, style), plain.targets(style=content).style
        contents = {tap: _mean_square(features) for tap, features in targets.content.items()}
        styles = {tap: _mean_square(gram) + _mean_square(seen[tap]) for tap, gram in targets.style.items()}
        loss = PerceptualLoss(trunk, _weighted(weights.content, contents), _weighted(weights.style, styles))
        return cls(loss, targets, weights.variation)

    def __call__(
        self, painted: Float[Tensor, "batch 3 height width"], targets: PerceptualTargets | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """The parts with their weights, and under "loss" their sum.

        Args:
            painted: pictures, about in [0, 1].
            targets: others than those of the first pictures.
        """
        terms = self.perceptual(painted, targets or self.targets)
        variation = self.variation * total_variation(painted)
        parts = {"content": terms.content, "style": terms.style, "variation": variation}
        return {"loss": terms.total + variation, **parts}


def total_variation(pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, ""]:
    """The mean squared difference of pixels one above the other and side by side."""
    # Not in 16 bits, whose smallest differences are larger than those of neighbours.
    x = pictures.to(torch.promote_types(pictures.dtype, torch.float32))
    return x.diff(dim=2).square().mean() + x.diff(dim=3).square().mean()


def _mean_square(features: Tensor) -> float:
    """Of all elements of a map; of a Gram matrix, whose squared differences are summed, the sum over its elements."""
    square = features.square()
    return float(square.mean() if features.ndim == 4 else square.sum((1, 2)).mean())


def _weighted(weight: float, units: dict[str, float]) -> dict[str, float]:
    """The weight shared by all taps, each in its unit; dead features are compared as they are."""
    return {tap: weight / len(units) / (unit or 1.0) for tap, unit in units.items()}
