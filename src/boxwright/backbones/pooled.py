"""The head that most classifiers have: the mean over positions, dropout where the net has it, one linear layer."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from boxwright.detectors import Backbone


class PooledClassifier(nn.Module):
    """A trunk with that head; each family's classifier says which trunk.

    Args:
        trunk: with one tap, its last.
        classes: columns of the logits.
        dropout: share of the means that training leaves out.
        hidden: features between the means and the last layer, where `pooled` makes others than the means.
    """

    trunk: Backbone

    def __init__(
        self, trunk: Backbone, classes: int, dropout: float = 0.0, hidden: int | None = None
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden or trunk.specs[-1].channels, classes)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch class"]:
        """Logits."""
        return self.linear(self.dropout(self.pooled(images)))

    def pooled(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature"]:
        """What the last layer judges an image by: the mean of each channel."""
        (features,) = self.trunk(images)
        return features.mean((2, 3))

    def stages(self) -> tuple[nn.Module, ...]:
        """The trunk's parts in order of depth, for freezing."""
        return self.trunk.stages()
