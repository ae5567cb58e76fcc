"""Dropout and stochastic depth while a network is trained: what is dropped of an image follows from its key.

Drawn from a process's own generator, masks would depend on how a batch is shared out. While it is trained, every
`nn.Dropout` and `DropPath` is therefore a `KeyedDropout` or `KeyedDropPath`, which is the same function in
evaluation, and drops with the same probability in training.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from boxwright.backbones.layers import DropPath
from boxwright.draws import uniform


class ImageKeys:
    """The keys of the images that a network is being fed: one record for all its layers that drop.

    Attributes:
        keys: of the images; None lets the layers draw from torch's generator.
    """

    def __init__(self) -> None:
        self.keys: Int[Tensor, " batch"] | None = None
        self._drawn = 0

    def begin(self, keys: Int[Tensor, " batch"] | None) -> None:
        """These images come next; each layer that drops draws once more in the order in which they are asked."""
        self.keys, self._drawn = keys, 0

    def chance(self, rows: int, numbers: int) -> Float[Tensor, "row number"] | None:
        """Numbers in [0, 1) for the rows that stand for the images, or for as many regions of each, in order."""
        if self.keys is None or not len(self.keys) or rows % len(self.keys):
            return None
        self._drawn += 1
        return uniform(self.keys, rows // len(self.keys) * numbers, salt=self._drawn).view(rows, numbers)


class KeyedDropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) whose masks follow from the images' keys.

    Args:
        p: probability that a number is dropped.
        keys: of the images.
    """

    def __init__(self, p: float, keys: ImageKeys) -> None:
        super().__init__(p)
        self.keys = keys

    def forward(self, features: Tensor) -> Tensor:
        """Features, some of them 0 in training and the others scaled up by what is missing."""
        if not self.training or self.p in (0.0, 1.0):
            return super().forward(features)
        chance = self.keys.chance(len(features), features[0].numel() if len(features) else 0)
        if chance is None:
            return super().forward(features)
        kept = chance.view_as(features) >= self.p
        return features * kept.to(features.dtype) / (1 - self.p)


class KeyedDropPath(DropPath):
    """Stochastic depth whose choices follow from the images' keys.

    Args:
        probability: that an image's branch is left out.
        keys: of the images.
    """

    def __init__(self, probability: float, keys: ImageKeys) -> None:
        super().__init__(probability)
        self.keys = keys

    def forward(self, branch: Float[Tensor, "batch channel height width"]) -> Tensor:
        """The branch in evaluation; in training, zero or scaled by image."""
        chance = None
        if self.training and 0 < self.probability < 1:
            chance = self.keys.chance(len(branch), 1)
        if chance is None:
            return super().forward(branch)
        kept = (chance >= self.probability).to(branch.dtype) / (1 - self.probability)
        return branch * kept[:, :, None, None]


def make_keyed(net: nn.Module) -> ImageKeys:
    """Put layers that drop by keys in the place of those that draw, and return the record that holds the keys.

    Args:
        net: changed in place; it has no state in these layers.
    """
    keys = ImageKeys()
    for module in [*net.modules()]:
        for name, child in module.named_children():
            if isinstance(child, KeyedDropout | KeyedDropPath):
                child.keys = keys
            elif type(child) is nn.Dropout:
                setattr(module, name, KeyedDropout(child.p, keys).train(child.training))
            elif type(child) is DropPath:
                setattr(module, name, KeyedDropPath(child.probability, keys).train(child.training))
    return keys
