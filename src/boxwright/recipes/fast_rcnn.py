"""Fast R-CNN (Girshick 2015, arXiv:1504.08083v2): the image once through the network, then each region by itself.

Regions come from elsewhere, 2000 an image by Selective Search (section 4.1). RoI pooling reads each from the
features of the whole image; two layers judge it, one softmax scores it and one regression for each class moves it,
trained together (sections 2.1 to 2.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from boxwright.data.augment import AUGMENT_LIGHT, Augment
from boxwright.detectors import RegionClassifier
from boxwright.recipes import regions
from boxwright.recipes.recipe import SMALL_ADAMW, Parts, Recipe
from boxwright.recipes.regions import RegionSettings
from boxwright.regions.source import SelectiveSearch
from boxwright.training.settings import TrainSettings


@dataclass(frozen=True)
class FastRCNN(RegionSettings):
    """What can be changed about a Fast R-CNN.

    Attributes:
        strategy: of Selective Search.
        proposals: regions of an image, best first.
    """

    strategy: str = "fast"
    proposals: int = 2000

    def source(self) -> SelectiveSearch:
        """Section 4.1: regions by Selective Search's fast mode."""
        return SelectiveSearch(self.strategy, self.proposals)


def fast_rcnn(stand: regions.Build) -> Callable[[int, FastRCNN], Parts]:
    """Fast R-CNN on any parts: section 2."""

    def build(classes: int, settings: FastRCNN) -> Parts:
        on = stand(settings)
        net = RegionClassifier(on.backbone, on.neck, settings.sampler(), on.head(settings, classes))
        decoder = settings.decoder(settings.proposals)
        return Parts(net, settings.regions_objective(), decoder, on.preprocess, settings.source())

    return build


_PAPER = "Girshick, Fast R-CNN, ICCV 2015"
_FLIPS = Augment(flip_horizontal=0.5)
# Section 2.3: two images, momentum .9, decay 5e-4, biases at twice the rate and not decayed, 30,000 iterations at
# .001 and 10,000 at a tenth: 16 passes over VOC 2007's 5,011 images.
_SGD = TrainSettings(
    batch=2,
    epochs=16,
    lr=1e-3,
    weight_decay=5e-4,
    bias_lr=2.0,
    warmup=0,
    schedule="steps",
    milestones=(0.75,),
    freeze=2,
)

# Section 4.1: images of 600 px; section 4.5: conv1 and conv2 are not trained.
FAST_RCNN_VGG16 = Recipe(
    "fast-rcnn-vgg16",
    "Fast R-CNN as published: VGG-16 at 600 px, RoI pooling, regions by Selective Search",
    _PAPER,
    FastRCNN(
        size=600,
        longest=1000,
        pool="max",
        width=4096,
        dropout=0.5,
        regions_sampled=64,
        background=0.1,
        iou=0.3,
    ),
    fast_rcnn(regions.vgg16),
    _FLIPS,
    _SGD,
    regions.FROM_VGG16,
)
FAST_RCNN_RESNET50 = Recipe(
    "fast-rcnn-resnet50",
    "Fast R-CNN on ResNet-50's fourth stage; the fifth judges regions",
    f"{_PAPER}; He et al., Deep residual learning, CVPR 2016, appendix A",
    FastRCNN(size=600, longest=1000, side=14, regions_sampled=64, background=0.1, iou=0.3),
    fast_rcnn(regions.resnet50_c4),
    _FLIPS,
    replace(_SGD, freeze_norms=True),
    regions.FROM_RESNET50_C4,
)
FAST_RCNN_RESNET50_FPN = Recipe(
    "fast-rcnn-resnet50-fpn",
    "Fast R-CNN on ResNet-50 with a feature pyramid",
    f"{_PAPER}; Lin et al., Feature Pyramid Networks, CVPR 2017",
    FastRCNN(),
    fast_rcnn(regions.resnet50_fpn),
    _FLIPS,
    replace(_SGD, freeze_norms=True),
    regions.FROM_RESNET50,
)
FAST_RCNN_EFFICIENTNET_LITE0 = Recipe(
    "fast-rcnn-efficientnet-lite0",
    "Fast R-CNN at 320 px on EfficientNet-Lite0 with a pyramid: small and quick on a CPU",
    f"{_PAPER}; Tan and Le, EfficientNet, ICML 2019",
    FastRCNN(size=320, longest=0, channels=96, separable=True, width=256, regions_sampled=128),
    fast_rcnn(regions.efficientnet_lite0_fpn),
    AUGMENT_LIGHT,
    SMALL_ADAMW,
    regions.FROM_LITE0,
)
