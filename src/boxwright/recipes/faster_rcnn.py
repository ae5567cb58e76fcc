"""Faster R-CNN: Towards real-time object detection with region proposal networks (Ren et al. 2015, 1506.01497v3).

A region proposal network scores and moves anchors; its best boxes, suppressed at IoU .7, are the regions that a Fast
R-CNN head scores and moves class by class, on the same features (section 3). On a pyramid: Lin et al. 2017, Feature
pyramid networks, sections 4.1 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from boxwright.assign import IoUAssigner
from boxwright.backbones.efficientnet import EfficientNetLite
from boxwright.backbones.layers import batch_norm
from boxwright.backbones.mobilenet_v3 import MobileNetV3
from boxwright.backbones.resnet import ResNet
from boxwright.backbones.vgg import VGG
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import AUGMENT_LIGHT, Augment
from boxwright.decode import Decoder
from boxwright.detectors import Backbone, Neck, OneStage, TwoStage
from boxwright.heads.dense import ProposalHead
from boxwright.heads.region import Convolutions, LastStage, LevelPool, RegionHead, TwoLayers
from boxwright.losses import Focal, SmoothL1, softmax_cross_entropy
from boxwright.necks.fpn import FPN
from boxwright.necks.identity import Identity
from boxwright.objective import Objective, TwoStageObjective
from boxwright.preprocess import Preprocess
from boxwright.priors import GridPriors, Placement, anchor_shapes
from boxwright.recipes.recipe import SMALL_ADAMW, Parts, Pretrained, Recipe, from_torchvision_classifier
from boxwright.sample import Balanced, Everything, RegionSampler
from boxwright.training.settings import TrainSettings
from boxwright.weights import efficientnet_lite as lite_weights
from boxwright.weights import mobilenet as mobilenet_weights
from boxwright.weights import resnet as resnet_weights
from boxwright.weights import vgg as vgg_weights


@dataclass(frozen=True)
class FasterRCNN:
    """What can be changed about a Faster R-CNN.

    Attributes:
        size: the shorter side of the input; both sides where `longest` is 0.
        longest: the longer side is not scaled beyond this; 0 stretches the image to size x size.
        channels: of the pyramid.
        separable: 3x3 convolutions of pyramid and proposals are depthwise and 1x1.
        norm_eps: of the backbone's batch norms.
        stride_first: a ResNet's units halve the map in their first 1x1 convolution, as in its paper, and not in
            the 3x3, as in torchvision's files.
        sides: of the square anchors, in pixels, level by level.
        ratios: anchor heights by widths.
        placement: where anchors are centred.
        whole_anchors: anchors are rounded to whole pixels (torchvision's way).
        padding_is_image: anchors over the batch's padding take part (torchvision's way).
        depth: 3x3 convolutions of the proposals' head.
        anchors_sampled: anchors of an image that are learnt from.
        candidates: best anchors of a level that reach suppression, in training and in detection.
        proposals: how many remain of an image, in training and in detection.
        proposal_iou: a proposal that overlaps a better one by more is suppressed.
        proposal_floor: lowest score of a proposal.
        smallest: shortest side of a proposal, in pixels.
        pool: 2015's rounded maximum or Mask R-CNN's bilinear mean.
        side: cells of a region's small map, each way.
        body: what judges a region: fc6 and fc7, or four convolutions and one layer.
        width: features of a region.
        dropout: after each of the layers.
        regions_sampled: regions of an image that are learnt from.
        objects: the greatest part of objects among those.
        background: least IoU with an object that makes a region background (.1 in the papers; 0 later).
        beta: where smooth L1 becomes linear, for proposals and for regions.
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
    sides: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    placement: Placement = "receptive"
    whole_anchors: bool = False
    padding_is_image: bool = False
    depth: int = 1
    anchors_sampled: int = 256
    candidates: tuple[int, int] = (2000, 1000)
    proposals: tuple[int, int] = (2000, 1000)
    proposal_iou: float = 0.7
    proposal_floor: float = -1.0
    smallest: float = 1e-3
    pool: Literal["align", "max"] = "align"
    side: int = 7
    body: Literal["layers", "convolutions"] = "layers"
    width: int = 1024
    dropout: float = 0.0
    regions_sampled: int = 512
    objects: float = 0.25
    background: float = 0.0
    beta: tuple[float, float] = (1 / 9, 1.0)
    floor: float = 0.05
    iou: float = 0.5
    smallest_detection: float = 1e-2
    detections: int = 100

    def priors(self) -> GridPriors:
        """Section 3.1.1; one scale a level on a pyramid (Lin et al. 2017, FPN, section 4.1)."""
        shapes = tuple(anchor_shapes(sides, self.ratios, whole=self.whole_anchors) for sides in self.sides)
        return GridPriors(shapes, self.placement, padding_is_image=self.padding_is_image)

    def preprocess(self) -> Preprocess:
        """ImageNet's mean and deviation; sizes that are not stretched are padded to a whole number of cells."""
        if self.longest:
            return Preprocess((self.size, self.longest), "shorter-side", pad_multiple=32)
        return Preprocess((self.size, self.size))

    def proposer(self, *, training: bool) -> Decoder:
        """Section 3.3, "Implementation details": candidates by level, as the pyramid's authors have it."""
        place = 0 if training else 1
        return Decoder(
            DeltaCoder(),
            "sigmoid",
            self.proposal_floor,
            candidates=self.candidates[place],
            iou=self.proposal_iou,
            detections=self.proposals[place],
            per="level",
            among="level",
            smallest=self.smallest,
        )

    def sampler(self) -> RegionSampler:
        """Girshick 2015, section 2.3, "Mini-batch sampling"."""
        return RegionSampler(
            self._regions_assigner(), Balanced(self.regions_sampled, self.objects), self.regions_sampled
        )

    def objective(self) -> TwoStageObjective:
        """Section 3.1.2 and 3.1.3 for proposals; Girshick 2015, section 2.3, for regions.

        Losses of both are divided by the number of what is sampled, so that the weights of classes and boxes are
        balanced without the paper's lambda (its section 3.1.2, table 9: results hardly depend on it).
        """
        proposals = Objective(
            assign=IoUAssigner(foreground=0.7, background=0.3, force="best"),
            sample=Balanced(self.anchors_sampled, 0.5),
            coder=DeltaCoder(),
            classification=Focal(gamma=0.0, alpha=None),
            localisation=SmoothL1(self.beta[0]),
            divide="sampled",
        )
        regions = Objective(
            assign=self._regions_assigner(),
            sample=Everything(),  # they were sampled before they were pooled
            coder=REGION_CODER,
            classification=softmax_cross_entropy,
            localisation=SmoothL1(self.beta[1]),
            divide="sampled",
        )
        return TwoStageObjective(proposals, regions)

    def decoder(self) -> Decoder:
        """Section 3.3 and Girshick 2015, section 2.2."""
        return Decoder(
            REGION_CODER,
            "softmax",
            self.floor,
            candidates=self.proposals[1],
            iou=self.iou,
            detections=self.detections,
            smallest=self.smallest_detection,
        )

    def _regions_assigner(self) -> IoUAssigner:
        return IoUAssigner(foreground=0.5, background=0.5, least=self.background)


REGION_CODER = DeltaCoder((10.0, 10.0, 5.0, 5.0))
"""Offsets in units of their usual deviation: Girshick 2015, section 2.3, "We normalize the ground-truth"."""


def faster_rcnn(
    classes: int,
    settings: FasterRCNN,
    backbone: Backbone,
    neck: Neck,
    preprocess: Preprocess,
    body: nn.Module,
    width: int,
) -> Parts:
    """Faster R-CNN of any parts: section 3.

    Args:
        classes: but background.
        settings: all numbers.
        backbone, neck: what both stages stand on.
        preprocess: of the input.
        body: judges a region by its small map.
        width: of its features.
    """
    anchors = settings.priors()
    separable = settings.separable
    head = ProposalHead(neck.specs, anchors.per_cell[0], depth=settings.depth, separable=separable)
    # Regions stand on the backbone's own levels: what an FPN adds below them is for anchors alone.
    levels = neck.specs[: len(backbone.specs)]
    pool = LevelPool(tuple(spec.stride for spec in levels), settings.pool, settings.side)
    net = TwoStage(
        OneStage(backbone, neck, head, anchors),
        proposer=settings.proposer(training=False),
        teacher=settings.proposer(training=True),
        sampler=settings.sampler(),
        regions=RegionHead(pool, body, width, classes),
    )
    return Parts(net, settings.objective(), settings.decoder(), preprocess)


def _on_pyramid(
    classes: int, settings: FasterRCNN, backbone: Backbone, preprocess: Preprocess, *, normed: bool = False
) -> Parts:
    """Lin et al. 2017, FPN, sections 4.1 and 4.2.

    Args:
        classes: but background.
        settings: all numbers.
        backbone: its taps make the pyramid; one level of every second cell is put below them.
        preprocess: of the input.
        normed: the pyramid has batch norms.
    """
    norm = batch_norm() if normed or settings.separable else None
    neck = FPN(backbone.specs, settings.channels, "pool", settings.separable, norm)
    body: nn.Module = TwoLayers(settings.channels * settings.side**2, settings.width, settings.dropout)
    if settings.body == "convolutions":
        body = Convolutions(settings.channels, settings.side, batch_norm(), width=settings.width)
    return faster_rcnn(classes, settings, backbone, neck, preprocess, body, settings.width)


def _resnet50_fpn(classes: int, settings: FasterRCNN) -> Parts:
    taps = ("stage1", "stage2", "stage3", "stage4")
    trunk = ResNet("resnet50", taps, norm=batch_norm(settings.norm_eps), v1=settings.stride_first)
    return _on_pyramid(
        classes, settings, trunk, settings.preprocess(), normed=settings.body == "convolutions"
    )


def _mobilenet_v3_large_fpn(classes: int, settings: FasterRCNN) -> Parts:
    trunk = MobileNetV3("large", taps=("first6", "last"), norm=batch_norm(settings.norm_eps))
    return _on_pyramid(classes, settings, trunk, settings.preprocess())


def _efficientnet_lite0_fpn(classes: int, settings: FasterRCNN) -> Parts:
    trunk = EfficientNetLite(0, taps=("stage3", "stage5", "stage7"))
    preprocess = replace(settings.preprocess(), mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    return _on_pyramid(classes, settings, trunk, preprocess)


def _vgg16(classes: int, settings: FasterRCNN) -> Parts:
    """Section 3: thirteen convolutions shared, fc6 and fc7 judge a region."""
    trunk = VGG(16, ("conv5",))
    body = TwoLayers(trunk.specs[-1].channels * settings.side**2, settings.width, settings.dropout)
    neck = Identity(trunk.specs)
    return faster_rcnn(classes, settings, trunk, neck, settings.preprocess(), body, settings.width)


def _resnet50_c4(classes: int, settings: FasterRCNN) -> Parts:
    """He et al. 2016, appendix A: conv1 to conv4 are shared, conv5 judges a region."""
    norm = batch_norm(settings.norm_eps)
    trunk = ResNet("resnet50", ("stage3",), norm=norm, v1=settings.stride_first)
    whole = ResNet("resnet50", ("stage4",), norm=norm, v1=settings.stride_first)
    body = LastStage(whole.get_submodule("layer4"))
    neck = Identity(trunk.specs)
    width = whole.specs[-1].channels
    return faster_rcnn(classes, settings, trunk, neck, settings.preprocess(), body, width)


_PAPER = "Ren et al., Faster R-CNN, NIPS 2015"
_PYRAMID = f"{_PAPER}; Lin et al., Feature Pyramid Networks, CVPR 2017"
_FLIPS = Augment(flip_horizontal=0.5)
# FPN, section 4.1: SGD at .02 for 16 images, momentum .9, decay 1e-4. Batches are smaller here, and the rate with them.
_SGD = TrainSettings(
    batch=2,
    epochs=24,
    lr=2.5e-3,
    weight_decay=1e-4,
    warmup=500,
    schedule="steps",
    milestones=(2 / 3, 8 / 9),
    freeze=2,
    freeze_norms=True,
)

FASTER_RCNN_RESNET50_FPN = Recipe(
    "faster-rcnn-resnet50-fpn",
    "Faster R-CNN on ResNet-50 with a feature pyramid",
    _PYRAMID,
    FasterRCNN(),
    _resnet50_fpn,
    _FLIPS,
    _SGD,
    from_torchvision_classifier("resnet50", resnet_weights.load_trunk),
    coco="fasterrcnn_resnet50_fpn",
)
FASTER_RCNN_RESNET50_FPN_V2 = replace(
    FASTER_RCNN_RESNET50_FPN,
    name="faster-rcnn-resnet50-fpn-v2",
    summary="Faster R-CNN on ResNet-50 with norms in the pyramid and convolutions in the head",
    source=f"{_PYRAMID}; Li et al., Benchmarking detection transfer learning with vision transformers, 2021",
    settings=FasterRCNN(depth=2, body="convolutions"),
    coco="fasterrcnn_resnet50_fpn_v2",
)
_ALL_SIDES = (32.0, 64.0, 128.0, 256.0, 512.0)
FASTER_RCNN_MOBILENET_V3_LARGE_FPN = replace(
    FASTER_RCNN_RESNET50_FPN,
    name="faster-rcnn-mobilenet-v3-large-fpn",
    summary="Faster R-CNN on MobileNet v3 with a pyramid of three levels",
    source=f"{_PYRAMID}; Howard et al., Searching for MobileNetV3, ICCV 2019",
    settings=FasterRCNN(norm_eps=1e-3, sides=(_ALL_SIDES,) * 3),
    build=_mobilenet_v3_large_fpn,
    pretrained=from_torchvision_classifier("mobilenet_v3_large", mobilenet_weights.load_trunk),
    coco="fasterrcnn_mobilenet_v3_large_fpn",
)
FASTER_RCNN_MOBILENET_V3_LARGE_320_FPN = replace(
    FASTER_RCNN_MOBILENET_V3_LARGE_FPN,
    name="faster-rcnn-mobilenet-v3-large-320-fpn",
    summary="The same on images of 320 px, with 150 proposals",
    settings=FasterRCNN(
        size=320, longest=640, sides=(_ALL_SIDES,) * 3, candidates=(2000, 150), proposals=(2000, 150)
    ),
    coco="fasterrcnn_mobilenet_v3_large_320_fpn",
)
FASTER_RCNN_RESNET50_C4 = Recipe(
    "faster-rcnn-resnet50-c4",
    "Faster R-CNN on ResNet-50's fourth stage; the fifth judges regions",
    f"{_PAPER}; He et al., Deep residual learning, CVPR 2016, appendix A",
    FasterRCNN(sides=(_ALL_SIDES,), side=14, regions_sampled=128),
    _resnet50_c4,
    _FLIPS,
    _SGD,
    Pretrained(
        resnet_weights.load_c4,
        lambda: None,
        "--weights imagenet, or a file of torchvision's resnet50",
        "resnet50",
    ),
)
# Section 3.3: images of 600 px, 9 anchors of 128, 256 and 512 px, 2000 proposals in training and 300 in detection,
# from the 6000 best; regions of VGG-16 in batches of 128, with IoU below .1 as no background.
FASTER_RCNN_VGG16 = Recipe(
    "faster-rcnn-vgg16",
    "Faster R-CNN as published: VGG-16 at 600 px, nine anchors, RoI pooling",
    _PAPER,
    FasterRCNN(
        size=600,
        longest=1000,
        sides=((128.0, 256.0, 512.0),),
        candidates=(12000, 6000),
        proposals=(2000, 300),
        smallest=16.0,
        pool="max",
        width=4096,
        dropout=0.5,
        regions_sampled=128,
        background=0.1,
        iou=0.3,
    ),
    _vgg16,
    _FLIPS,
    replace(_SGD, batch=1, lr=1e-3, weight_decay=5e-4, freeze=2, freeze_norms=False),
    Pretrained(vgg_weights.load_regions, lambda: None, vgg_weights.ORIGIN, "vgg16"),
)
FASTER_RCNN_EFFICIENTNET_LITE0 = Recipe(
    "faster-rcnn-efficientnet-lite0-fpn",
    "Faster R-CNN at 320 px on EfficientNet-Lite0: small and quick on a CPU",
    f"{_PYRAMID}; Tan and Le, EfficientNet, ICML 2019",
    FasterRCNN(
        size=320,
        longest=0,
        channels=96,
        separable=True,
        sides=((24.0, 34.0), (48.0, 68.0), (96.0, 136.0), (192.0, 272.0)),
        candidates=(600, 300),
        proposals=(600, 200),
        width=256,
        regions_sampled=128,
    ),
    _efficientnet_lite0_fpn,
    AUGMENT_LIGHT,
    SMALL_ADAMW,
    Pretrained(lite_weights.load, lite_weights.packaged, lite_weights.ORIGIN),
)
