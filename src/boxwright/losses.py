"""Losses prior by prior, unreduced: the objective decides what counts and what to divide by.

A classification loss gets logits, the label of each prior's object, and whether it has one; how background is
told (a last column, or all columns at zero) is the loss's own affair. A localisation loss compares offsets, or
boxes, as `Objective.compare` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from boxwright.boxes import giou


def softmax_cross_entropy(
    logits: Float[Tensor, "batch prior column"],
    labels: Int[Tensor, "batch prior"],
    positive: Bool[Tensor, "batch prior"],
) -> Float[Tensor, "batch prior"]:
    """-log of the softmax probability of the right column; background is the last."""
    columns = torch.where(positive, labels, logits.shape[-1] - 1)
    return F.cross_entropy(logits.flatten(0, 1), columns.flatten(), reduction="none").view(columns.shape)


def class_cross_entropy(
    logits: Float[Tensor, "batch prior class"],
    labels: Int[Tensor, "batch prior"],
    positive: Bool[Tensor, "batch prior"],
) -> Float[Tensor, "batch prior"]:
    """-log of the softmax probability of the right class, where there is no background; 0 where there is no object."""
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
    return torch.where(positive, each, 0)


_NEVER = -60.0
"""A logit whose probability and loss are nothing to float32."""


@dataclass(frozen=True)
class Focal:
    """Binary cross entropy of every column, turned down where it is right: Lin et al. 2017, equation 5.

    Attributes:
        gamma: how much; 0 is cross entropy.
        alpha: weight of objects (1 - alpha of background), one number, one per class, or None for neither.

    >>> certain = torch.tensor([[[4.0]]])  # a column that is right with probability 0.98
    >>> nothing, plain = torch.zeros(1, 1, dtype=torch.long), Focal(gamma=0, alpha=None)
    >>> object_there = torch.ones(1, 1, dtype=torch.bool)
    >>> focused = Focal(gamma=2, alpha=None)(certain, nothing, object_there)
    >>> round((plain(certain, nothing, object_there) / focused).item())
    3091
    """

    gamma: float = 2.0
    alpha: float | tuple[float, ...] | None = 0.25

    def __call__(
        self,
        logits: Float[Tensor, "batch prior class"],
        labels: Int[Tensor, "batch prior"],
        positive: Bool[Tensor, "batch prior"],
    ) -> Float[Tensor, "batch prior"]:
        """Sum over the columns of each prior.

        Nearly all of the columns are background's, so that their term is computed everywhere and the few that
        are not are taken out and added by themselves: one formula on a detector's largest tensor and not two.
        """
        objects, background = self._weights(logits)
        image, prior = positive.nonzero(as_tuple=True)
        label = labels[image, prior]
        own = logits[image, prior, label]
        others = logits.index_put((image, prior, label), logits.new_tensor(_NEVER))
        each = (background * self._focused(others)).sum(-1)
        right = objects[label] * self._focused(-own)
        return each.index_put((image, prior), right, accumulate=True)

    def _focused(self, wrong: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """-p^gamma log(1 - p) for p = sigmoid(wrong), by logarithms: no p is too small for its gradient."""
        entropy = F.softplus(wrong)
        return torch.exp(self.gamma * (wrong - entropy)) * entropy

    def _weights(self, logits: Tensor) -> tuple[Float[Tensor, " class"], Float[Tensor, " class"]]:
        classes = logits.shape[-1]
        if self.alpha is None:
            return logits.new_ones(classes), logits.new_ones(classes)
        alpha = logits.new_tensor(self.alpha).expand(classes)
        return alpha, 1 - alpha


@dataclass(frozen=True)
class SmoothL1:
    """Sum over the four offsets of a loss that is quadratic within `beta`: Girshick 2015, equation 3.

    Attributes:
        beta: where it becomes linear; 0 is the absolute difference.

    >>> SmoothL1()(torch.tensor([0.5, 2.0, 0.0, 0.0]), torch.zeros(4)).item()
    1.625
    """

    beta: float = 1.0

    def __call__(
        self, deltas: Float[Tensor, "*axes 4"], targets: Float[Tensor, "*axes 4"]
    ) -> Float[Tensor, "*axes"]:
        """Loss of each prior's offsets."""
        distance = (deltas - targets).abs()
        quadratic = 0.5 * distance.square() / self.beta if self.beta > 0 else distance
        return torch.where(distance < self.beta, quadratic, distance - 0.5 * self.beta).sum(-1)


def giou_loss(boxes: Float[Tensor, "*axes 4"], targets: Float[Tensor, "*axes 4"]) -> Float[Tensor, "*axes"]:
    """1 - generalised IoU of boxes: Rezatofighi et al. 2019, section 3.1."""
    return 1 - giou(boxes, targets)
