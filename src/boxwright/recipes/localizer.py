"""Localisation: the step before detection, a fixed number of boxes from one look at the image.

The network's pooled features give so many scores and so many boxes, as in the localisation of OverFeat (Sermanet et al.
2014, section 4) and of VGG (Simonyan and Zisserman 2015, appendix A). On the common records the priors are the whole
image, as many times as there are boxes. Which box answers for which object is settled by size, the largest first:
identical priors leave no other order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from boxwright.assign import IoUAssigner
from boxwright.backbones.efficientnet import LITE_MEAN, LITE_STD, EfficientNetLite
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import AUGMENT_LIGHT
from boxwright.decode import Decoder
from boxwright.detectors import Backbone, Network
from boxwright.losses import SmoothL1, softmax_cross_entropy
from boxwright.objective import Objective
from boxwright.preprocess import Preprocess
from boxwright.recipes.recipe import SMALL_ADAMW, Parts, Pretrained, Recipe
from boxwright.sample import Everything
from boxwright.types import Predictions, Priors
from boxwright.weights import efficientnet_lite as lite_weights


class Localizer(Network):
    """Scores and boxes from the mean of a trunk's last map.

    Args:
        backbone: with one tap.
        boxes: how many.
        classes: columns but background, which is the last.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, boxes: int, classes: int) -> None:
        super().__init__()
        self.backbone, self.boxes = backbone, boxes
        width = backbone.specs[-1].channels
        self.scores, self.offsets = nn.Linear(width, boxes * (classes + 1)), nn.Linear(width, boxes * 4)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], sizes: Int[Tensor, "batch 2"]
    ) -> Predictions:
        """Score the boxes and place each relative to the whole image, without its padding."""
        features = self.backbone(images)[-1].mean((2, 3))
        far = sizes.flip(-1).float()
        whole = torch.cat((torch.zeros_like(far), far), -1)[:, None].expand(-1, self.boxes, -1)
        level = torch.zeros_like(whole[..., 0], dtype=torch.long)
        priors = Priors(whole, level, torch.ones_like(level, dtype=torch.bool), (self.boxes,))
        logits = self.scores(features).unflatten(1, (self.boxes, -1))
        return Predictions(logits, self.offsets(features).view(-1, self.boxes, 1, 4), priors)

    def stages(self) -> tuple[nn.Module, ...]:
        """The backbone's parts in order of depth, for freezing."""
        return self.backbone.stages()


@dataclass(frozen=True)
class Localisation:
    """What can be changed about a localizer.

    Attributes:
        size: the input is stretched to size x size.
        boxes: how many are found at most; 1 finds the largest object.
        floor: lowest score of a detection.
    """

    size: int = 224
    boxes: int = 4
    floor: float = 0.05

    def objective(self) -> Objective:
        """Cross entropy and smooth L1; each object has a box of its own while there are some left."""
        return Objective(
            # No overlap with the whole image is large enough, and none too small: the bipartite match decides.
            assign=IoUAssigner(foreground=2.0, background=2.0, force="bipartite"),
            sample=Everything(),
            coder=_CODER,
            classification=softmax_cross_entropy,
            localisation=SmoothL1(),
            divide="sampled",
        )

    def decoder(self) -> Decoder:
        """All boxes of a sufficient score."""
        return Decoder(_CODER, "softmax", self.floor, candidates=self.boxes, iou=0.5, detections=self.boxes)


_CODER = DeltaCoder((10.0, 10.0, 5.0, 5.0))


def _efficientnet_lite0(classes: int, settings: Localisation) -> Parts:
    net = Localizer(EfficientNetLite(0, ("last",)), settings.boxes, classes)
    preprocess = Preprocess((settings.size, settings.size), mean=LITE_MEAN, std=LITE_STD)
    return Parts(net, settings.objective(), settings.decoder(), preprocess)


LOCALIZER_EFFICIENTNET_LITE0 = Recipe(
    "localizer-efficientnet-lite0",
    "Four boxes from one look: the step before detection",
    "Sermanet et al., OverFeat, ICLR 2014; Tan and Le, EfficientNet, ICML 2019",
    Localisation(),
    _efficientnet_lite0,
    AUGMENT_LIGHT,
    SMALL_ADAMW,
    Pretrained(lite_weights.load, lite_weights.packaged, lite_weights.ORIGIN),
)
