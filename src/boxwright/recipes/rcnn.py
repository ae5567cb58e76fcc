"""R-CNN: Rich feature hierarchies for accurate object detection (Girshick et al. 2014, arXiv:1311.2524v5).

Some 2000 regions of an image by Selective Search; each is cut out with a little of what surrounds it, warped to one
size and seen by a classifier's network, which was fine-tuned on such crops (section 2.3). Its features go to one
linear SVM for each class (section 2.3, appendix B) and to one ridge regression that moves the box (appendix C). The
variant that keeps the fine-tuned softmax in the place of the SVMs is a setting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from boxwright.assign import IoUAssigner
from boxwright.backbones.efficientnet import LITE_MEAN, LITE_STD, EfficientNetLite
from boxwright.backbones.pixels import Pixels
from boxwright.backbones.resnet import ResNet
from boxwright.backbones.vgg import VGG
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import AUGMENT_LIGHT, Augment
from boxwright.decode import Decoder
from boxwright.detectors import RegionClassifier
from boxwright.errors import InputError
from boxwright.heads.region import CropPool, Mean, Patches, RegionHead, TwoLayers
from boxwright.losses import SmoothL1, softmax_cross_entropy
from boxwright.necks.identity import Identity
from boxwright.objective import Objective
from boxwright.preprocess import Preprocess
from boxwright.recipes.recipe import SMALL_ADAMW, Parts, Pretrained, Recipe
from boxwright.regions.source import RegionSource, SelectiveSearch
from boxwright.sample import Balanced, Everything, RegionSampler
from boxwright.training.settings import TrainSettings
from boxwright.weights import efficientnet_lite as lite_weights
from boxwright.weights import resnet as resnet_weights
from boxwright.weights import vgg as vgg_weights


@dataclass(frozen=True)
class CropSettings:
    """What can be changed about a detector that cuts regions out of the image; each recipe says more.

    Attributes:
        size, longest: the image is scaled to a shorter side of `size`, the longer one at most `longest`.
        crop: side of the warped region, in pixels.
        context: how many of those, on each side, show what surrounds the region.
        regions_sampled: regions of an image that fine-tuning learns from.
        objects: the greatest part of objects among those.
        chunk: regions that go through the network at a time in detection: what stays in a processor's cache.
        iou: a detection that overlaps a better one of its class by more is suppressed.
        detections: boxes an image.
    """

    size: int = 500
    longest: int = 1000
    crop: int = 224
    context: int = 16
    regions_sampled: int = 64
    objects: float = 0.25
    chunk: int = 16
    iou: float = 0.3
    detections: int = 100

    def preprocess(self) -> Preprocess:
        """ImageNet's mean and deviation."""
        return Preprocess((self.size, self.longest), "shorter-side")

    def sampler(self) -> RegionSampler:
        """Section 2.3, "Domain-specific fine-tuning": of 128 windows 32 are objects."""
        balanced = Balanced(self.regions_sampled, self.objects)
        return RegionSampler(IoUAssigner(0.5, 0.5), balanced, self.regions_sampled)

    def objective(self) -> Objective:
        """Section 2.3: which class, or background; boxes are not moved here."""
        return Objective(
            assign=IoUAssigner(0.5, 0.5),
            sample=Everything(),  # they were sampled before they were cut out
            coder=DeltaCoder(),
            classification=softmax_cross_entropy,
            localisation=SmoothL1(),
            divide="sampled",
        )


@dataclass(frozen=True)
class RCNN(CropSettings):
    """What can be changed about an R-CNN.

    Attributes:
        strategy: of Selective Search.
        proposals: regions of an image, best first.
        judge: what scores a region: the softmax it was fine-tuned with, or support vector machines.
        ridge: whether boxes are moved by regression.
        box_features: what the regression sees: the features that the judge sees, or VGG's last pooled map (appendix
            C: pool5).
    """

    strategy: str = "fast"
    proposals: int = 2000
    judge: Literal["svm", "softmax"] = "svm"
    ridge: bool = True
    box_features: Literal["last", "pool5"] = "last"

    def source(self) -> RegionSource:
        """Section 2.1: Selective Search's fast mode."""
        return SelectiveSearch(self.strategy, self.proposals)

    def decoder(self) -> Decoder:
        """Section 2.2, "Test-time detection". A margin m is shown as the score 1 / (1 + exp(-m))."""
        svm = self.judge == "svm"
        return Decoder(
            DeltaCoder(),
            "sigmoid" if svm else "softmax",
            floor=0.1 if svm else 0.05,
            candidates=self.proposals,
            iou=self.iou,
            detections=self.detections,
        )


Trunk = Callable[[CropSettings], tuple[nn.Module, nn.Module, int, Preprocess]]
"""A classifier's trunk, what turns its last map into features, how many those are, and what the image is fed as."""


def crop_net(
    classes: int,
    settings: CropSettings,
    trunk: Trunk,
    *,
    background: bool,
    moves: bool,
    by_pool5: bool = False,
) -> tuple[RegionClassifier, Preprocess]:
    """A network that sees each region as an image of its own.

    Raises:
        InputError: boxes moved by pool5 of a network whose features are its pooled map.
    """
    seen, after, width, preprocess = trunk(settings)
    box_width = _pool5(after) if by_pool5 else None
    pixels = Pixels()
    pool = CropPool(settings.crop, settings.context)
    body = Patches(seen, after)
    head = RegionHead(
        pool,
        body,
        width,
        classes,
        background=background,
        moves=moves,
        chunk=settings.chunk,
        box_width=box_width,
    )
    return RegionClassifier(pixels, Identity(pixels.specs), settings.sampler(), head), preprocess


def _pool5(after: nn.Module) -> int:
    """Numbers of the map that fc6 sees."""
    if isinstance(after, nn.Sequential) and isinstance(after[-1], TwoLayers):
        inputs = after[-1].fc6.in_features
        assert isinstance(inputs, int)
        return inputs
    raise InputError(
        "model.box_features=pool5 is of networks with fc6 and fc7", hint="leave it at last for this one"
    )


def rcnn(trunk: Trunk) -> Callable[[int, RCNN], Parts]:
    """R-CNN on a classifier."""

    def build(classes: int, settings: RCNN) -> Parts:
        softmax = settings.judge == "softmax"
        by_pool5 = settings.box_features == "pool5"
        net, preprocess = crop_net(
            classes, settings, trunk, background=softmax, moves=settings.ridge, by_pool5=by_pool5
        )
        return Parts(net, settings.objective(), settings.decoder(), preprocess, settings.source())

    return build


def vgg16(settings: CropSettings) -> tuple[nn.Module, nn.Module, int, Preprocess]:
    """Thirteen convolutions, pool5, fc6 and fc7."""
    trunk = VGG(16, ("conv5",))
    cells = trunk.specs[-1].cells(settings.crop) // 2
    layers = TwoLayers(trunk.specs[-1].channels * cells**2, 4096, 0.5)
    return trunk, nn.Sequential(nn.MaxPool2d(2), layers), 4096, settings.preprocess()


def resnet50(settings: CropSettings) -> tuple[nn.Module, nn.Module, int, Preprocess]:
    """All stages, and the mean over positions."""
    trunk = ResNet("resnet50", ("stage4",))
    return trunk, Mean(), trunk.specs[-1].channels, settings.preprocess()


def efficientnet_lite0(settings: CropSettings) -> tuple[nn.Module, nn.Module, int, Preprocess]:
    """All rows and the last layer, and the mean over positions."""
    trunk = EfficientNetLite(0, ("last",))
    preprocess = replace(settings.preprocess(), mean=LITE_MEAN, std=LITE_STD)
    return trunk, Mean(), trunk.specs[-1].channels, preprocess


def _into_trunk(
    load: Callable[[nn.Module, Mapping[str, Tensor], Path], None],
) -> Callable[[nn.Module, Mapping[str, Tensor], Path], str]:
    def start(net: nn.Module, state: Mapping[str, Tensor], origin: Path) -> str:
        load(net.get_submodule("regions.body.trunk"), state, origin)
        return f"the trunk from {origin.name}; what judges its features starts fresh"

    return start


FROM_VGG16 = Pretrained(_into_trunk(vgg_weights.load_trunk), lambda: None, vgg_weights.ORIGIN, "vgg16")
FROM_RESNET50 = Pretrained(
    _into_trunk(resnet_weights.load_trunk),
    lambda: None,
    "--weights imagenet, or a file of torchvision's resnet50 as --weights FILE",
    "resnet50",
)
FROM_LITE0 = Pretrained(_into_trunk(lite_weights.load_trunk), lite_weights.packaged, lite_weights.ORIGIN)


_PAPER = "Girshick et al., Rich feature hierarchies, CVPR 2014"
# Section 2.3: a tenth of the rate of ImageNet's training (.001), two images of 64 windows here for its 128. The
# released schedule: a tenth of the rate every 20,000 of 70,000 batches, 28 passes over VOC 2007's 5,011 images.
_SGD = TrainSettings(
    batch=2,
    epochs=28,
    lr=1e-3,
    weight_decay=5e-4,
    bias_lr=2.0,
    warmup=0,
    schedule="steps",
    milestones=(2 / 7, 4 / 7, 6 / 7),
    freeze_norms=True,
)

RCNN_VGG16 = Recipe(
    "rcnn-vgg16",
    "R-CNN: each region through VGG-16 by itself, support vector machines, ridge regression",
    _PAPER,
    RCNN(box_features="pool5"),
    rcnn(vgg16),
    Augment(flip_horizontal=0.5),
    replace(_SGD, freeze_norms=False),
    FROM_VGG16,
    scheme="stages",
)
RCNN_RESNET50 = replace(
    RCNN_VGG16,
    name="rcnn-resnet50",
    summary="R-CNN on ResNet-50",
    settings=RCNN(),
    source=f"{_PAPER}; He et al., Deep residual learning, CVPR 2016",
    build=rcnn(resnet50),
    train=_SGD,
    pretrained=FROM_RESNET50,
)
RCNN_EFFICIENTNET_LITE0 = Recipe(
    "rcnn-efficientnet-lite0",
    "R-CNN on EfficientNet-Lite0 with crops of 96 px: as small as it gets, and still slow",
    f"{_PAPER}; Tan and Le, EfficientNet, ICML 2019",
    RCNN(size=320, longest=640, crop=96, context=7, regions_sampled=32),
    rcnn(efficientnet_lite0),
    AUGMENT_LIGHT,
    SMALL_ADAMW,
    FROM_LITE0,
    scheme="stages",
)
