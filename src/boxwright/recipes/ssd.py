"""SSD: Single Shot MultiBox Detector (Liu et al., ECCV 2016, arXiv:1512.02325v5).

Default boxes on six or seven levels, matched bipartite and by IoU >= .5, hard negatives 3:1, softmax and smooth
L1; in detection the 400 best of each class, suppression at IoU .45, 200 boxes an image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from boxwright.assign import Force, IoUAssigner
from boxwright.backbones import vgg
from boxwright.backbones.efficientnet import LITE_MEAN, LITE_STD, EfficientNetLite
from boxwright.backbones.layers import batch_norm
from boxwright.backbones.mobilenet_v3 import MobileNetV3
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import AUGMENT_LIGHT, AUGMENT_SSD
from boxwright.decode import Decoder
from boxwright.detectors import OneStage
from boxwright.errors import InputError
from boxwright.heads.dense import PerLevelHead
from boxwright.losses import SmoothL1, softmax_cross_entropy
from boxwright.necks.ssd_extras import Extra, SSDExtras
from boxwright.objective import Objective
from boxwright.preprocess import Preprocess
from boxwright.priors import GridPriors, Placement, Shape, ssd_shapes
from boxwright.recipes.recipe import SMALL_ADAMW, Parts, Pretrained, Recipe, from_torchvision_classifier
from boxwright.sample import HardNegatives
from boxwright.training.settings import TrainSettings
from boxwright.weights import efficientnet_lite as lite_weights
from boxwright.weights import mobilenet as mobilenet_weights
from boxwright.weights import vgg as vgg_weights

# Section 3.1 and the published settings: the sides of the boxes as parts of the input, one more than levels.
VOC300 = (0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05)
COCO300 = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
VOC512 = (0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05)
COCO512 = (0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06)
VARIANCES = (10.0, 10.0, 5.0, 5.0)  # 1 / (0.1, 0.1, 0.2, 0.2)


@dataclass(frozen=True)
class SSD:
    """What can be changed about an SSD.

    Attributes:
        size: the input is stretched to size x size.
        scales: sides of the square boxes as parts of `size`, by level, and one more.
        ratios: further aspects a (and 1/a) by level; a level has 2 + 2 x len boxes a cell. With fewer of them the
            coarsest levels are left out.
        placement: where boxes are centred.
        steps: pixels a cell for placement "step".
        shapes_within_image: no box is wider or higher than the input (torchvision's way).
        force: how objects below the threshold get a prior.
        least_negatives: background priors that each image gives at least.
        floor: lowest score of a candidate.
        candidates: the best of each class that reach suppression.
        iou: overlap above which the lesser box of a class goes.
        detections: boxes an image.
        atrous: fc6 of VGG looks with holes at a map of stride 16 (section 3); without, fc6 and fc7 have stride 32,
            and conv5 is one more level in front of them (the ablation of section 3.1, table 2).
        reduced_tail: MobileNet v3's last row and layer have half the channels (Howard et al. 2019, section 6.3).
    """

    size: int
    scales: tuple[float, ...]
    ratios: tuple[tuple[float, ...], ...]
    placement: Placement = "cell"
    steps: tuple[float, ...] = ()
    shapes_within_image: bool = False
    force: Force = "bipartite"
    least_negatives: int = 0
    floor: float = 0.01
    candidates: int = 400
    iou: float = 0.45
    detections: int = 200
    atrous: bool = True
    reduced_tail: bool = False

    def extras(self, chain: tuple[Extra, ...], taps: int) -> tuple[Extra, ...]:
        """As much of the chain of extra maps as there are levels for, behind the backbone's taps.

        Raises:
            InputError: fewer levels than taps, more than the chain has, or scales that do not fit.
        """
        levels = len(self.ratios)
        if not taps <= levels <= taps + len(chain) or len(self.scales) != levels + 1:
            raise InputError(
                f"model.ratios has {levels} levels and model.scales {len(self.scales)} sides",
                hint=f"give {taps} to {taps + len(chain)} levels, and one side more",
            )
        return chain[: levels - taps]

    def priors(self) -> GridPriors:
        """The default boxes: section 2.2."""
        most = float(self.size) if self.shapes_within_image else float("inf")
        shapes: list[tuple[Shape, ...]] = []
        for level, ratios in enumerate(self.ratios):
            side, after = (scale * self.size for scale in self.scales[level : level + 2])
            shapes.append(tuple((min(w, most), min(h, most)) for w, h in ssd_shapes(side, after, ratios)))
        # A stretched image has no padding; with explicit steps the last centres can lie beyond its edge.
        return GridPriors(tuple(shapes), self.placement, self.steps, padding_is_image=True)


def ssd_vgg16(classes: int, settings: SSD, *, extras: tuple[Extra, ...], norm: bool = False) -> Parts:
    """SSD on the atrous VGG-16: section 3, figure 2."""
    taps = ("conv4", "fc7") if settings.atrous else ("conv4", "conv5", "fc7")
    backbone = vgg.VGG(16, taps, norm=norm, ceil=True, holes=settings.atrous)
    if not settings.atrous:
        # fc7 has the stride of the first extra map, whose place it takes.
        extras = extras[1:]
    neck = SSDExtras(backbone.specs, settings.extras(extras, len(taps)), normalise_first=True)
    priors = settings.priors()
    head = PerLevelHead(neck.specs, priors.per_cell, classes + 1)
    net = OneStage(backbone, neck, head, priors)
    vgg.initialise(net)
    preprocess = Preprocess((settings.size, settings.size))
    return Parts(net, *_objective_and_decoder(settings), preprocess)


def ssd_efficientnet_lite0(classes: int, settings: SSD) -> Parts:
    """SSD on EfficientNet-Lite0 with separable extras and heads (SSDLite: Sandler et al. 2018, section 6.2).

    The maps of stride 8 and 16 are read at the expansions that follow them, which have six times the channels.
    """
    backbone = EfficientNetLite(0, taps=("expand4", "expand6", "stage7"))
    chain = (Extra(128, 256), Extra(128, 256), Extra(64, 128, stride=1, padding=0))
    neck = SSDExtras(backbone.specs, settings.extras(chain, 3), separable=True)
    priors = settings.priors()
    head = PerLevelHead(neck.specs, priors.per_cell, classes + 1, separable=True)
    net = OneStage(backbone, neck, head, priors)
    preprocess = Preprocess((settings.size, settings.size), mean=LITE_MEAN, std=LITE_STD)
    return Parts(net, *_objective_and_decoder(settings), preprocess)


def ssdlite_mobilenet_v3_large(classes: int, settings: SSD) -> Parts:
    """SSDLite on MobileNet v3 (Howard et al. 2019, section 6.3): the map of stride 16 is read at an expansion."""
    norm = batch_norm(eps=1e-3, momentum=0.03)
    backbone = MobileNetV3("large", taps=("expand6", "last"), norm=norm, reduced_tail=settings.reduced_tail)
    chain = (Extra(256, 512), Extra(128, 256), Extra(128, 256), Extra(64, 128))
    neck = SSDExtras(backbone.specs, settings.extras(chain, 2), separable=True, norm=norm)
    priors = settings.priors()
    head = PerLevelHead(neck.specs, priors.per_cell, classes + 1, separable=True, norm=norm)
    net = OneStage(backbone, neck, head, priors)
    half = (0.5, 0.5, 0.5)
    preprocess = Preprocess((settings.size, settings.size), mean=half, std=half)
    return Parts(net, *_objective_and_decoder(settings), preprocess)


def _objective_and_decoder(settings: SSD) -> tuple[Objective, Decoder]:
    coder = DeltaCoder(VARIANCES)
    objective = Objective(
        assign=IoUAssigner(foreground=0.5, background=0.5, force=settings.force),
        sample=HardNegatives(ratio=3, least=settings.least_negatives),
        coder=coder,
        classification=softmax_cross_entropy,
        localisation=SmoothL1(),
    )
    decoder = Decoder(
        coder, "softmax", settings.floor, settings.candidates, settings.iou, settings.detections
    )
    return objective, decoder


# Section 3.1: conv8_2 and conv9_2 halve the map, conv10_2 and conv11_2 shrink it by their 3x3 alone.
EXTRAS_300 = (Extra(256, 512), Extra(128, 256), *(Extra(128, 256, stride=1, padding=0),) * 2)
# Section 3.5 adds conv12_2; in the published net it is 4x4, from 2x2 to 1x1.
EXTRAS_512 = (Extra(256, 512), *(Extra(128, 256),) * 3, Extra(128, 256, kernel=4, stride=1))


def _ssd300(classes: int, settings: SSD) -> Parts:
    return ssd_vgg16(classes, settings, extras=EXTRAS_300)


def _ssd300_bn(classes: int, settings: SSD) -> Parts:
    return ssd_vgg16(classes, settings, extras=EXTRAS_300, norm=True)


def _ssd512(classes: int, settings: SSD) -> Parts:
    return ssd_vgg16(classes, settings, extras=EXTRAS_512)


_PAPER = "Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016"
_SSD300 = SSD(300, VOC300, ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)))
_SSD512 = SSD(512, VOC512, ((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)))
_SSD320 = SSD(
    320, (0.06, 0.12, 0.24, 0.42, 0.6, 0.78, 0.96), ((2,), (2,), (2,), (2,), (2,), (2,)), least_negatives=4
)
_SSDLITE320 = SSD(
    320,
    (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0),
    ((2, 3),) * 6,
    shapes_within_image=True,
    least_negatives=4,
    floor=0.001,
    candidates=300,
    iou=0.55,
    detections=300,
)
# Section 3.1: SGD at 1e-3, momentum .9, decay 5e-4, batch 32. The released schedule for VOC 2007 and 2012, by which
# the 77.2 of table 1 came about: 120,000 iterations (232 passes over 16,551 images), a tenth from 80,000 on and again
# from 100,000; biases at twice the rate; difficult objects are learnt.
_SGD = TrainSettings(
    batch=32,
    epochs=232,
    bias_lr=2.0,
    warmup=0,
    schedule="steps",
    milestones=(2 / 3, 5 / 6),
    train_on_difficult=True,
)
_VGG = Pretrained(vgg_weights.load, vgg_weights.packaged, vgg_weights.ORIGIN, "vgg16")

SSD300_VGG16 = Recipe(
    "ssd300-vgg16",
    "SSD at 300 px on VGG-16, 8732 default boxes",
    _PAPER,
    _SSD300,
    _ssd300,
    AUGMENT_SSD,
    _SGD,
    _VGG,
    coco="ssd300_vgg16",
)
SSD300_VGG16_BN = replace(
    SSD300_VGG16,
    name="ssd300-vgg16-bn",
    summary="SSD at 300 px on VGG-16 with batch normalisation",
    build=_ssd300_bn,
    pretrained=replace(_VGG, published="vgg16_bn"),
    coco=None,
)
SSD512_VGG16 = replace(
    SSD300_VGG16,
    name="ssd512-vgg16",
    summary="SSD at 512 px on VGG-16, 24564 default boxes",
    settings=_SSD512,
    build=_ssd512,
    coco=None,
)
SSD320_EFFICIENTNET_LITE0 = Recipe(
    "ssd320-efficientnet-lite0",
    "SSD at 320 px on EfficientNet-Lite0 with separable heads: small and quick on a CPU",
    f"{_PAPER}; Tan and Le, EfficientNet, ICML 2019; Sandler et al., MobileNetV2, CVPR 2018",
    _SSD320,
    ssd_efficientnet_lite0,
    AUGMENT_LIGHT,
    SMALL_ADAMW,
    Pretrained(lite_weights.load, lite_weights.packaged, lite_weights.ORIGIN),
)
SSDLITE320_MOBILENET_V3_LARGE = Recipe(
    "ssdlite320-mobilenet-v3-large",
    "SSDLite at 320 px on MobileNet v3",
    f"{_PAPER}; Sandler et al., MobileNetV2, CVPR 2018; Howard et al., Searching for MobileNetV3, ICCV 2019",
    _SSDLITE320,
    ssdlite_mobilenet_v3_large,
    AUGMENT_LIGHT,
    SMALL_ADAMW,
    from_torchvision_classifier("mobilenet_v3_large", mobilenet_weights.load_trunk),
    coco="ssdlite320_mobilenet_v3_large",
)
