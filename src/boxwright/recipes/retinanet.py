"""RetinaNet: Focal loss for dense object detection (Lin et al., ICCV 2017, arXiv:1708.02002v2).

Nine anchors on every cell of a pyramid P3 to P7, assigned at IoU .5 and .4, all of them scored in training by the
focal loss; in detection the 1000 best of each level above .05, suppression at IoU .5, 100 boxes an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from boxwright.assign import Force, IoUAssigner
from boxwright.backbones.efficientnet import LITE_MEAN, LITE_STD, EfficientNetLite
from boxwright.backbones.layers import batch_norm
from boxwright.backbones.mobilenet_v3 import MobileNetV3
from boxwright.backbones.resnet import ResNet
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import AUGMENT_LIGHT, Augment
from boxwright.decode import Decoder
from boxwright.detectors import Backbone, OneStage
from boxwright.heads.dense import SharedHead, TowerNorm
from boxwright.losses import Focal, SmoothL1, giou_loss
from boxwright.necks.fpn import FPN, Coarser
from boxwright.objective import Localisation, Objective
from boxwright.preprocess import Preprocess
from boxwright.priors import GridPriors, Placement, anchor_shapes, octave
from boxwright.recipes.recipe import SMALL_ADAMW, Parts, Pretrained, Recipe, from_torchvision_classifier
from boxwright.sample import Everything, HardNegatives
from boxwright.training.settings import TrainSettings
from boxwright.weights import efficientnet_lite as lite_weights
from boxwright.weights import mobilenet as mobilenet_weights
from boxwright.weights import resnet as resnet_weights

LEVELS = 5


@dataclass(frozen=True)
class RetinaNet:
    """What can be changed about a RetinaNet.

    Attributes:
        size: the shorter side of the input; both sides where `longest` is 0.
        longest: the longer side is not scaled beyond this; 0 stretches the image to size x size.
        channels: of the pyramid and of the towers.
        depth: convolutions of a tower.
        separable: 3x3 convolutions of pyramid and head are depthwise and 1x1.
        norm: of the towers.
        coarser: what P6 stands on.
        top_down: finer levels see what the coarser ones know.
        norm_eps: of the backbone's batch norms.
        stride_first: a ResNet's units halve the map in their first 1x1 convolution, as in its paper, and not in the
            3x3, as in torchvision's files.
        scale: side of the smallest anchor, in strides of its level.
        octaves: anchor scales in an octave.
        ratios: anchor heights by widths.
        placement: where anchors are centred.
        whole_anchors: anchors are rounded to whole pixels (torchvision's way).
        padding_is_image: anchors over the batch's padding take part (torchvision's way).
        force: how objects that no anchor fits get one; the paper gives them none, its released code the best.
        classification: what the scores are trained by, and on which anchors: the focal loss on all, cross
            entropy on all, or cross entropy on three hard negatives for each object.
        gamma, alpha: of the focal loss; cross entropy uses alpha alone. Alpha is one number or one a class.
        prior: probability that the untrained head gives to an object; .5 is the bias 0 that other nets have.
        localisation: what the boxes are trained by; smooth L1 as the lineage's equations have it.
        beta: where smooth L1 becomes linear.
        divide: what losses are divided by the objects of.
        floor: lowest score of a candidate.
        detections: boxes an image.
    """

    size: int = 800
    longest: int = 1333
    channels: int = 256
    depth: int = 4
    separable: bool = False
    norm: TowerNorm = "none"
    coarser: Coarser = "c5"
    top_down: bool = True
    norm_eps: float = 1e-5
    stride_first: bool = False
    scale: float = 4.0
    octaves: int = 3
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    placement: Placement = "receptive"
    whole_anchors: bool = False
    padding_is_image: bool = False
    force: Force = "best"
    classification: Literal["focal", "cross-entropy", "hard-negatives"] = "focal"
    gamma: float = 2.0
    alpha: float | tuple[float, ...] | None = 0.25
    prior: float = 0.01
    localisation: Literal["smooth-l1", "l1", "giou"] = "smooth-l1"
    beta: float = 0.11
    divide: Literal["batch", "image"] = "batch"
    floor: float = 0.05
    detections: int = 100

    def priors(self) -> GridPriors:
        """Section 4, "Anchors": areas of 32^2 to 512^2 on P3 to P7, at scales 2^0, 2^(1/3), 2^(2/3)."""
        sides = [self.scale * stride for stride in (8, 16, 32, 64, 128)]
        shapes = tuple(
            anchor_shapes(octave(side, self.octaves), self.ratios, whole=self.whole_anchors) for side in sides
        )
        return GridPriors(shapes, self.placement, padding_is_image=self.padding_is_image)

    def preprocess(self) -> Preprocess:
        """ImageNet's mean and deviation; sizes that are not stretched are padded to a whole number of P5 cells."""
        if self.longest:
            return Preprocess((self.size, self.longest), "shorter-side", pad_multiple=32)
        return Preprocess((self.size, self.size))

    def objective(self) -> Objective:
        """Section 3 and section 4, "Anchors" and "Box regression subnet"."""
        gamma = self.gamma if self.classification == "focal" else 0.0
        boxes: dict[str, Localisation] = {
            "smooth-l1": SmoothL1(self.beta),
            "l1": SmoothL1(0.0),
            "giou": giou_loss,
        }
        return Objective(
            assign=IoUAssigner(foreground=0.5, background=0.4, force=self.force),
            sample=HardNegatives(3) if self.classification == "hard-negatives" else Everything(),
            coder=DeltaCoder(),
            classification=Focal(gamma, self.alpha),
            localisation=boxes[self.localisation],
            compare="boxes" if self.localisation == "giou" else "offsets",
            divide=self.divide,
        )

    def decoder(self) -> Decoder:
        """Section 4, "Inference"."""
        return Decoder(
            DeltaCoder(),
            "sigmoid",
            self.floor,
            candidates=1000,
            iou=0.5,
            detections=self.detections,
            per="level",
        )


def retinanet(classes: int, settings: RetinaNet, backbone: Backbone, preprocess: Preprocess) -> Parts:
    """RetinaNet on three taps of any backbone, of strides 8, 16 and 32: section 4."""
    neck = FPN(
        backbone.specs,
        settings.channels,
        settings.coarser,
        settings.separable,
        batch_norm() if settings.separable else None,
        settings.top_down,
    )
    anchors = settings.priors()
    head = SharedHead(
        neck.specs,
        anchors.per_cell[0],
        classes,
        settings.depth,
        settings.channels,
        settings.norm,
        settings.separable,
        settings.prior,
    )
    net = OneStage(backbone, neck, head, anchors)
    return Parts(net, settings.objective(), settings.decoder(), preprocess)


def _resnet(variant: str) -> Callable[[int, RetinaNet], Parts]:
    def build(classes: int, settings: RetinaNet) -> Parts:
        taps = ("stage2", "stage3", "stage4")
        trunk = ResNet(variant, taps, norm=batch_norm(settings.norm_eps), v1=settings.stride_first)
        return retinanet(classes, settings, trunk, settings.preprocess())

    return build


def _mobilenet_v3_large(classes: int, settings: RetinaNet) -> Parts:
    trunk = MobileNetV3("large", taps=("stage3", "stage5", "last"))
    return retinanet(classes, settings, trunk, settings.preprocess())


def _efficientnet_lite0(classes: int, settings: RetinaNet) -> Parts:
    trunk = EfficientNetLite(0, taps=("stage3", "stage5", "stage7"))
    preprocess = replace(settings.preprocess(), mean=LITE_MEAN, std=LITE_STD)
    return retinanet(classes, settings, trunk, preprocess)


_PAPER = "Lin et al., Focal Loss for Dense Object Detection, ICCV 2017"
# Section 4.1, "Optimization": SGD at .01 for 16 images, momentum .9, decay 1e-4, divided by ten at two thirds and
# eight ninths. Batches are smaller here, and the rate with them; norms keep ImageNet's statistics.
_SGD = TrainSettings(
    batch=4,
    epochs=24,
    lr=2.5e-3,
    weight_decay=1e-4,
    warmup=500,
    schedule="steps",
    milestones=(2 / 3, 8 / 9),
    freeze=2,
    freeze_norms=True,
)


def _on_resnet(name: str, variant: str, what: str) -> Recipe:
    return Recipe(
        name,
        f"RetinaNet on {what} with a feature pyramid",
        _PAPER,
        RetinaNet(),
        _resnet(variant),
        Augment(flip_horizontal=0.5),
        _SGD,
        from_torchvision_classifier(variant, resnet_weights.load_trunk),
    )


RETINANET_RESNET18 = _on_resnet("retinanet-resnet18-fpn", "resnet18", "ResNet-18")
RETINANET_RESNET50 = replace(
    _on_resnet("retinanet-resnet50-fpn", "resnet50", "ResNet-50"), coco="retinanet_resnet50_fpn"
)
RETINANET_RESNET101 = _on_resnet("retinanet-resnet101-fpn", "resnet101", "ResNet-101")
RETINANET_RESNEXT50 = _on_resnet("retinanet-resnext50-fpn", "resnext50_32x4d", "ResNeXt-50 32x4d")
RETINANET_RESNET50_V2 = replace(
    RETINANET_RESNET50,
    name="retinanet-resnet50-fpn-v2",
    summary="RetinaNet on ResNet-50 with group norms and the generalised IoU as box loss",
    source=f"{_PAPER}; Zhang et al., ATSS, CVPR 2020 (improvements); Rezatofighi et al., GIoU, CVPR 2019",
    settings=RetinaNet(norm="group", localisation="giou"),
    coco="retinanet_resnet50_fpn_v2",
)

_SMALL = RetinaNet(
    size=320, longest=0, channels=96, depth=3, separable=True, norm="batch", scale=3.0, localisation="giou"
)
"""For a CPU: a fixed input, separable towers, and anchors that reach down to 24 pixels."""

RETINANET_EFFICIENTNET_LITE0 = Recipe(
    "retinanet-efficientnet-lite0-fpn",
    "RetinaNet at 320 px on EfficientNet-Lite0 with separable towers: small and quick on a CPU",
    f"{_PAPER}; Tan and Le, EfficientNet, ICML 2019",
    _SMALL,
    _efficientnet_lite0,
    AUGMENT_LIGHT,
    SMALL_ADAMW,
    Pretrained(lite_weights.load, lite_weights.packaged, lite_weights.ORIGIN),
)
RETINANET_MOBILENET_V3_LARGE = replace(
    RETINANET_EFFICIENTNET_LITE0,
    name="retinanet-mobilenet-v3-large-fpn",
    summary="RetinaNet at 320 px on MobileNet v3 with separable towers",
    source=f"{_PAPER}; Howard et al., Searching for MobileNetV3, ICCV 2019",
    build=_mobilenet_v3_large,
    pretrained=from_torchvision_classifier("mobilenet_v3_large", mobilenet_weights.load_trunk),
)
