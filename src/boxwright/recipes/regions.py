"""What Fast and Faster R-CNN share: the second stage, and what both stand on.

Girshick 2015, Fast R-CNN (arXiv:1504.08083v2), sections 2.1 to 2.3; on a pyramid Lin et al. 2017, Feature pyramid
networks, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from boxwright.assign import IoUAssigner
from boxwright.backbones.efficientnet import LITE_MEAN, LITE_STD, EfficientNetLite
from boxwright.backbones.layers import batch_norm
from boxwright.backbones.mobilenet_v3 import MobileNetV3
from boxwright.backbones.resnet import ResNet
from boxwright.backbones.vgg import VGG
from boxwright.boxes import DeltaCoder
from boxwright.decode import Decoder
from boxwright.detectors import Backbone, Neck
from boxwright.errors import InputError
from boxwright.heads.region import Convolutions, LastStage, LevelPool, RegionHead, TwoLayers
from boxwright.losses import SmoothL1, softmax_cross_entropy
from boxwright.necks.fpn import FPN
from boxwright.necks.identity import Identity
from boxwright.objective import Objective
from boxwright.preprocess import Preprocess
from boxwright.recipes.recipe import Pretrained, from_torchvision_classifier
from boxwright.sample import Balanced, Everything, RegionSampler
from boxwright.weights import efficientnet_lite as lite_weights
from boxwright.weights import mobilenet as mobilenet_weights
from boxwright.weights import resnet as resnet_weights
from boxwright.weights import vgg as vgg_weights

CODER = DeltaCoder((10.0, 10.0, 5.0, 5.0))
"""Offsets in units of their usual deviation: section 2.3, "We normalize the ground-truth regression targets"."""


@dataclass(frozen=True)
class RegionSettings:
    """What can be changed about a detector that judges regions; each recipe says more.

    Attributes:
        size: the shorter side of the input; both sides where `longest` is 0.
        longest: the longer side is not scaled beyond this; 0 stretches the image to size x size.
        channels: of the pyramid.
        separable: 3x3 convolutions of the pyramid (and of what proposes) are depthwise and 1x1.
        norm_eps: of the backbone's batch norms.
        stride_first: a ResNet's units halve the map in their first 1x1 convolution, as in its paper, and not in
            the 3x3, as in torchvision's files.
        pool: 2015's rounded maximum or Mask R-CNN's bilinear mean.
        side: cells of a region's small map, each way.
        body: what judges a region: fc6 and fc7, or four convolutions and one layer.
        width: features of a region.
        dropout: after each of the layers.
        svd: ranks of fc6 and fc7 in a compressed detector (`boxwright compress`); () in one that is trained.
        regions_sampled: regions of an image that are learnt from.
        objects: the greatest part of objects among those.
        background: least IoU with an object that makes a region background: .1 for Selective Search's (Girshick
            2015, section 2.3), 0 for those that a network proposes, which begins by proposing mostly others.
        beta: where smooth L1 becomes linear.
        floor: lowest score of a detection.
        iou: a detection that overlaps a better one of its class by more is suppressed.
        smallest_detection: its shortest side, in pixels.
        detections: boxes an image.
    """

    size: int = 800
    longest: int = 1333
    channels: int = 256
    separable: bool = False
    norm_eps: float = 1e-5
    stride_first: bool = False
    pool: Literal["align", "max"] = "align"
    side: int = 7
    body: Literal["layers", "convolutions"] = "layers"
    width: int = 1024
    dropout: float = 0.0
    svd: tuple[int, ...] = ()
    regions_sampled: int = 512
    objects: float = 0.25
    background: float = 0.0
    beta: float = 1.0
    floor: float = 0.05
    iou: float = 0.5
    smallest_detection: float = 1e-2
    detections: int = 100

    def preprocess(self) -> Preprocess:
        """ImageNet's mean and deviation; sizes that are not stretched are padded to a whole number of cells."""
        if self.longest:
            return Preprocess((self.size, self.longest), "shorter-side", pad_multiple=32)
        return Preprocess((self.size, self.size))

    def sampler(self) -> RegionSampler:
        """Section 2.3, "Mini-batch sampling"."""
        balanced = Balanced(self.regions_sampled, self.objects)
        return RegionSampler(self._assigner(), balanced, self.regions_sampled)

    def regions_objective(self) -> Objective:
        """Section 2.3, "Multi-task loss"; both losses are divided by the number of regions."""
        return Objective(
            assign=self._assigner(),
            sample=Everything(),  # they were sampled before they were pooled
            coder=CODER,
            classification=softmax_cross_entropy,
            localisation=SmoothL1(self.beta),
            divide="sampled",
        )

    def decoder(self, regions: int) -> Decoder:
        """Section 2.2: each class by itself.

        Args:
            regions: how many an image has at most.
        """
        return Decoder(
            CODER,
            "softmax",
            self.floor,
            candidates=regions,
            iou=self.iou,
            detections=self.detections,
            smallest=self.smallest_detection,
        )

    def _assigner(self) -> IoUAssigner:
        return IoUAssigner(foreground=0.5, background=0.5, least=self.background)


@dataclass(frozen=True)
class Stand:
    """What regions are judged on, and by.

    Attributes:
        backbone, neck: features of the whole image.
        body: judges a region by its small map.
        width: of the body's features.
        preprocess: of the image.
    """

    backbone: Backbone
    neck: Neck
    body: nn.Module
    width: int
    preprocess: Preprocess

    def head(self, settings: RegionSettings, classes: int) -> RegionHead:
        """Regions stand on the backbone's own levels: what a pyramid adds below them is for anchors alone."""
        levels = self.neck.specs[: len(self.backbone.specs)]
        pool = LevelPool(tuple(spec.stride for spec in levels), settings.pool, settings.side)
        return RegionHead(pool, self.body, self.width, classes)


Build = Callable[[RegionSettings], Stand]


def vgg16(settings: RegionSettings) -> Stand:
    """Section 2.1: thirteen convolutions see the image, fc6 and fc7 judge a region."""
    trunk = VGG(16, ("conv5",))
    body = _layers(settings, trunk.specs[-1].channels)
    # Poolings cut odd maps: unlike a pyramid this one wants no padding.
    preprocess = replace(settings.preprocess(), pad_multiple=1)
    return Stand(trunk, Identity(trunk.specs), body, settings.width, preprocess)


def resnet50_c4(settings: RegionSettings) -> Stand:
    """He et al. 2016, appendix A: conv1 to conv4 see the image, conv5 judges a region."""
    _refuse_svd(settings)
    norm = batch_norm(settings.norm_eps)
    trunk = ResNet("resnet50", ("stage3",), norm=norm, v1=settings.stride_first)
    whole = ResNet("resnet50", ("stage4",), norm=norm, v1=settings.stride_first)
    body = LastStage(whole.get_submodule("layer4"))
    return Stand(trunk, Identity(trunk.specs), body, whole.specs[-1].channels, settings.preprocess())


def resnet50_fpn(settings: RegionSettings) -> Stand:
    """Lin et al. 2017, FPN, section 4.2: regions of each size from the level that fits them."""
    taps = ("stage1", "stage2", "stage3", "stage4")
    trunk = ResNet("resnet50", taps, norm=batch_norm(settings.norm_eps), v1=settings.stride_first)
    return _pyramid(settings, trunk, settings.preprocess())


def mobilenet_v3_large_fpn(settings: RegionSettings) -> Stand:
    """The same on the two taps of torchvision's detectors."""
    trunk = MobileNetV3("large", taps=("first6", "last"), norm=batch_norm(settings.norm_eps))
    return _pyramid(settings, trunk, settings.preprocess())


def efficientnet_lite0_fpn(settings: RegionSettings) -> Stand:
    """The same on strides 8, 16 and 32."""
    trunk = EfficientNetLite(0, taps=("stage3", "stage5", "stage7"))
    preprocess = replace(settings.preprocess(), mean=LITE_MEAN, std=LITE_STD)
    return _pyramid(settings, trunk, preprocess)


def _pyramid(settings: RegionSettings, trunk: Backbone, preprocess: Preprocess) -> Stand:
    normed = settings.separable or settings.body == "convolutions"
    norm = batch_norm() if normed else None
    neck = FPN(trunk.specs, settings.channels, "pool", settings.separable, norm)
    if settings.body == "layers":
        return Stand(trunk, neck, _layers(settings, settings.channels), settings.width, preprocess)
    _refuse_svd(settings)
    body = Convolutions(settings.channels, settings.side, batch_norm(), width=settings.width)
    return Stand(trunk, neck, body, settings.width, preprocess)


def _layers(settings: RegionSettings, channels: int) -> TwoLayers:
    """Girshick 2015, sections 2.1 and 3.1."""
    return TwoLayers(channels * settings.side**2, settings.width, settings.dropout, settings.svd)


def _refuse_svd(settings: RegionSettings) -> None:
    if settings.svd:
        raise InputError("model.svd is of fc6 and fc7, which this network has not", hint="leave it out")


FROM_VGG16 = Pretrained(vgg_weights.load_regions, lambda: None, vgg_weights.ORIGIN, "vgg16")
FROM_RESNET50_C4 = Pretrained(
    resnet_weights.load_c4,
    lambda: None,
    "--weights imagenet, or a file of torchvision's resnet50",
    "resnet50",
)
FROM_RESNET50 = from_torchvision_classifier("resnet50", resnet_weights.load_trunk)
FROM_MOBILENET = from_torchvision_classifier("mobilenet_v3_large", mobilenet_weights.load_trunk)
FROM_LITE0 = Pretrained(lite_weights.load, lite_weights.packaged, lite_weights.ORIGIN)
