"""A classifier as a detector of one box: the whole image is its only prior, and it never moves.

So labelled pictures train, evaluate and ship by the same commands as boxes do, and what R-CNN and sliding windows
run on regions is trained here.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from boxwright.assign import IoUAssigner
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import Augment
from boxwright.decode import Decoder
from boxwright.losses import SmoothL1, class_cross_entropy
from boxwright.objective import Objective
from boxwright.sample import Everything
from boxwright.training.settings import TrainSettings
from boxwright.types import Predictions, Priors

GUESSES = 5
"""Labels that an image gets, best first."""


class WholeImage(nn.Module):
    """A classifier whose logits are said of one box, the image without its padding.

    Args:
        classifier: images -> logits; has `stages()`.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], sizes: Int[Tensor, "batch 2"]
    ) -> Predictions:
        """Score the whole of each image."""
        logits = self.classifier(images)[:, None]
        far = sizes.flip(-1).to(logits.dtype)
        boxes = torch.cat((torch.zeros_like(far), far), -1)[:, None]
        level = torch.zeros_like(boxes[..., 0], dtype=torch.long)
        priors = Priors(boxes.float(), level, torch.ones_like(level, dtype=torch.bool), (1,))
        return Predictions(logits, logits.new_zeros(len(logits), 1, 0, 4), priors)

    def stages(self) -> tuple[nn.Module, ...]:
        """The trunk's parts in order of depth, for freezing."""
        stages: tuple[nn.Module, ...] = self.classifier.stages()  # type: ignore[operator]
        return stages


def objective() -> Objective:
    """Cross entropy of the labels, mean over images."""
    return Objective(
        assign=IoUAssigner(foreground=0.0, background=0.0),  # however little of it augmentation has left
        sample=Everything(),
        coder=DeltaCoder(),
        classification=class_cross_entropy,
        localisation=SmoothL1(),
    )


def decoder() -> Decoder:
    """The likeliest labels, all of them with the image's box."""
    return Decoder(DeltaCoder(), "softmax-objects", floor=0.0, candidates=1, iou=1.0, detections=GUESSES)


AUGMENT = Augment(distort=0.3, scale=(0.8, 1.3), crop_scale=(0.6, 1.0), flip_horizontal=0.5)
TRAIN = TrainSettings(
    batch=32,
    epochs=30,
    optimiser="adamw",
    lr=1e-3,
    weight_decay=0.05,
    backbone_lr=0.1,
    warmup=50,
    ema=0.99,
    select="accuracy",
)
