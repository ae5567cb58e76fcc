"""Faster R-CNN: Towards real-time object detection with region proposal networks (Ren et al. 2015, 1506.01497v3).

A region proposal network scores and moves anchors; its best boxes, suppressed at IoU .7, are the regions that a Fast
R-CNN head scores and moves class by class, on the same features (section 3). On a pyramid: Lin et al. 2017, Feature
pyramid networks, sections 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from boxwright.assign import IoUAssigner
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import AUGMENT_LIGHT, Augment
from boxwright.decode import Decoder
from boxwright.detectors import OneStage, TwoStage
from boxwright.heads.dense import ProposalHead
from boxwright.losses import Focal, SmoothL1
from boxwright.objective import Objective, TwoStageObjective
from boxwright.priors import GridPriors, Placement, anchor_shapes
from boxwright.recipes import regions
from boxwright.recipes.recipe import SMALL_ADAMW, Parts, Recipe
from boxwright.recipes.regions import RegionSettings
from boxwright.sample import Balanced
from boxwright.training.settings import TrainSettings


@dataclass(frozen=True)
class FasterRCNN(RegionSettings):
    """What can be changed about a Faster R-CNN.

    Attributes:
        sides: of the square anchors, in pixels, level by level.
        ratios: anchor heights by widths.
        placement: where anchors are centred.
        whole_anchors: anchors are rounded to whole pixels (torchvision's way).
        anchor_base: side of the anchor that is rounded to whole pixels and then enlarged (py-faster-rcnn's way, with
            16); 0 rounds none so.
        allowed_border: anchors that reach farther over the image's border, in pixels, are not learnt from; none
            leaves none out.
        padding_is_image: anchors over the batch's padding take part (torchvision's way).
        depth: 3x3 convolutions of the proposals' head.
        anchors_sampled: anchors of an image that are learnt from.
        candidates: best anchors of a level that reach suppression, in training and in detection.
        proposals: how many remain of an image, in training and in detection.
        proposal_iou: a proposal that overlaps a better one by more is suppressed.
        proposal_floor: lowest score of a proposal.
        smallest: shortest side of a proposal, in pixels.
        min_size_in: whose pixels those are: the network's input, or the image before it was resized.
        proposal_beta: where smooth L1 of the anchors' offsets becomes linear.
    """

    sides: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    placement: Placement = "receptive"
    whole_anchors: bool = False
    anchor_base: float = 0.0
    allowed_border: float | None = None
    padding_is_image: bool = False
    depth: int = 1
    anchors_sampled: int = 256
    candidates: tuple[int, int] = (2000, 1000)
    proposals: tuple[int, int] = (2000, 1000)
    proposal_iou: float = 0.7
    proposal_floor: float = -1.0
    smallest: float = 1e-3
    min_size_in: Literal["input", "image"] = "input"
    proposal_beta: float = 1 / 9

    def priors(self) -> GridPriors:
        """Section 3.1.1; one scale a level on a pyramid (Lin et al. 2017, FPN, section 4.1)."""
        shapes = tuple(
            anchor_shapes(sides, self.ratios, whole=self.whole_anchors, base=self.anchor_base)
            for sides in self.sides
        )
        return GridPriors(
            shapes,
            self.placement,
            padding_is_image=self.padding_is_image,
            allowed_border=self.allowed_border,
        )

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
            min_size_in=self.min_size_in,
        )

    def objective(self) -> TwoStageObjective:
        """Section 3.1.2 and 3.1.3.

        Losses of both stages are divided by the number of what is sampled, so that those of classes and boxes are
        balanced without the paper's lambda, on which its results hardly depend (table 9).
        """
        proposals = Objective(
            assign=IoUAssigner(foreground=0.7, background=0.3, force="best"),
            sample=Balanced(self.anchors_sampled, 0.5),
            coder=DeltaCoder(),
            classification=Focal(gamma=0.0, alpha=None),
            localisation=SmoothL1(self.proposal_beta),
            divide="sampled",
        )
        return TwoStageObjective(proposals, self.regions_objective())


def faster_rcnn(stand: regions.Build) -> Callable[[int, FasterRCNN], Parts]:
    """Faster R-CNN on any parts: section 3."""

    def build(classes: int, settings: FasterRCNN) -> Parts:
        on = stand(settings)
        anchors = settings.priors()
        shapes = anchors.per_cell[0]
        head = ProposalHead(on.neck.specs, shapes, depth=settings.depth, separable=settings.separable)
        net = TwoStage(
            OneStage(on.backbone, on.neck, head, anchors),
            proposer=settings.proposer(training=False),
            teacher=settings.proposer(training=True),
            sampler=settings.sampler(),
            regions=on.head(settings, classes),
        )
        return Parts(net, settings.objective(), settings.decoder(settings.proposals[1]), on.preprocess)

    return build


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
    faster_rcnn(regions.resnet50_fpn),
    _FLIPS,
    _SGD,
    regions.FROM_RESNET50,
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
    build=faster_rcnn(regions.mobilenet_v3_large_fpn),
    pretrained=regions.FROM_MOBILENET,
    coco="fasterrcnn_mobilenet_v3_large_fpn",
)
FASTER_RCNN_MOBILENET_V3_LARGE_320_FPN = replace(
    FASTER_RCNN_MOBILENET_V3_LARGE_FPN,
    name="faster-rcnn-mobilenet-v3-large-320-fpn",
    summary="The same on images of 320 px, with 150 proposals",
    settings=replace(
        FASTER_RCNN_MOBILENET_V3_LARGE_FPN.settings,
        size=320,
        longest=640,
        candidates=(2000, 150),
        proposals=(2000, 150),
    ),
    coco="fasterrcnn_mobilenet_v3_large_320_fpn",
)
FASTER_RCNN_RESNET50_C4 = Recipe(
    "faster-rcnn-resnet50-c4",
    "Faster R-CNN on ResNet-50's fourth stage; the fifth judges regions",
    f"{_PAPER}; He et al., Deep residual learning, CVPR 2016, appendix A",
    FasterRCNN(sides=(_ALL_SIDES,), side=14, regions_sampled=128),
    faster_rcnn(regions.resnet50_c4),
    _FLIPS,
    _SGD,
    regions.FROM_RESNET50_C4,
)
# Section 3.3: images of 600 px, 9 anchors of 128, 256 and 512 px, those that cross the border not learnt from, 2000
# proposals in training and 300 in detection, from the 6000 best. The rest as py-faster-rcnn's end-to-end training has
# it: regions in batches of 128, all below IoU .5 as background; 70,000 steps of two images one after the other (28
# passes over VOC 2007's 5,011), a tenth of the rate from 50,000 on.
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
        min_size_in="image",
        anchor_base=16.0,
        allowed_border=0.0,
        pool="max",
        width=4096,
        dropout=0.5,
        regions_sampled=128,
        iou=0.3,
    ),
    faster_rcnn(regions.vgg16),
    _FLIPS,
    TrainSettings(
        batch=1,
        accumulate=2,
        epochs=28,
        lr=1e-3,
        weight_decay=5e-4,
        bias_lr=2.0,
        warmup=0,
        schedule="steps",
        milestones=(5 / 7,),
        freeze=2,
    ),
    regions.FROM_VGG16,
)
# Section 3.2: the same networks, trained by turns; each of the four steps sees 80,000 images (16 passes over VOC
# 2007's), three quarters of them at the whole rate.
FASTER_RCNN_VGG16_ALTERNATING = replace(
    FASTER_RCNN_VGG16,
    name="faster-rcnn-vgg16-alternating",
    summary="The same, trained in the paper's four steps: proposals, regions, and both again",
    train=replace(FASTER_RCNN_VGG16.train, accumulate=1, epochs=64, milestones=(0.75,)),
    scheme="turns",
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
        # Of crowded pictures 200 boxes at IoU .7 leave small objects out: on blood cells' val, recall of the
        # smallest class .59 with those, .96 with these.
        candidates=(1000, 1000),
        proposals=(1000, 300),
        proposal_iou=0.6,
        width=256,
        regions_sampled=128,
    ),
    faster_rcnn(regions.efficientnet_lite0_fpn),
    AUGMENT_LIGHT,
    SMALL_ADAMW,
    regions.FROM_LITE0,
)
FASTER_RCNN_EFFICIENTNET_LITE0_ALTERNATING = replace(
    FASTER_RCNN_EFFICIENTNET_LITE0,
    name="faster-rcnn-efficientnet-lite0-fpn-alternating",
    summary="The same, trained in four steps: proposals, regions, and both again",
    scheme="turns",
)
