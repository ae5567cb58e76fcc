"""What a network for segmentation is told: weighted cross entropy (Ronneberger et al. 2015, equation 1), and Dice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from boxwright.segment.masks import IGNORED
from boxwright.together import mean_of_all, mean_over_processes, processes


def weighted_cross_entropy(
    logits: Float[Tensor, "batch class height width"],
    labels: Int[Tensor, "batch height width"],
    weights: Float[Tensor, "batch height width"],
) -> Float[Tensor, ""]:
    """The mean over pixels, each by its weight; ignored pixels have none.

    Args:
        logits: of each class.
        labels: index of the class, or 255.
        weights: of each pixel.
    """
    each = F.cross_entropy(logits.float(), labels, reduction="none", ignore_index=IGNORED)
    weights = weights * (labels != IGNORED)
    return (each * weights).sum() / mean_over_processes(weights.sum()).clamp(min=1e-6)


def dice_loss(
    logits: Float[Tensor, "batch class height width"], labels: Int[Tensor, "batch height width"]
) -> Float[Tensor, ""]:
    """1 - Dice of probabilities, the mean over the classes (Milletari et al. 2016, section 3, without the squares).

    Sums go over the whole batch; a class that is nowhere in it and is nowhere expected costs nothing.
    """
    judged = (labels != IGNORED)[:, None]
    probabilities = logits.float().softmax(1) * judged
    wanted = F.one_hot(labels * judged[:, 0], logits.shape[1]).movedim(-1, 1) * judged
    sums = torch.stack([a.sum((0, 2, 3)) for a in (probabilities * wanted, probabilities + wanted)])
    common, both = mean_of_all(sums) * processes()
    return 1 - ((2 * common + 1) / (both + 1)).mean()
