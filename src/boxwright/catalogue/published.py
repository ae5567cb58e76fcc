"""Published accuracies, each with where it stands. A figure that could not be looked up is not here.

Torchvision's are read from the table of its files (`boxwright.weights.published`), the papers' stand here. The
first figure of a classifier is of a single central crop and a plain training wherever one was published, so that
those can be compared; what else differs the sources tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from boxwright.weights.published import PUBLISHED as FILES

Metric = Literal["ImageNet", "CIFAR-10", "COCO", "VOC07"]
"""What was measured: top-1 accuracy on ImageNet's validation images or CIFAR-10's test images, AP on COCO
(test-dev in papers, val2017 by torchvision), 11-point mAP on VOC 2007's test images."""

UNITS: dict[Metric, str] = {"ImageNet": "top-1", "CIFAR-10": "top-1", "COCO": "AP", "VOC07": "mAP"}


@dataclass(frozen=True)
class Figure:
    """One published accuracy.

    Attributes:
        metric: on what.
        value: percent.
        source: paper or repository, with the table.
        how: what a reader should know of how it was measured; "" is one central crop, or the usual protocol.
    """

    metric: Metric
    value: float
    source: str
    how: str = ""


VGG = "Simonyan and Zisserman 2015, table 5"
RESNET = "He et al. 2016 (ResNet), table 3"
RESNET_SCALES = "He et al. 2016 (ResNet), table 4"
RESNET_CIFAR = "He et al. 2016 (ResNet), table 6"
PREACT = "He et al. 2016 (Identity mappings), table 5"
WIDE = "Zagoruyko and Komodakis 2016, table 8"
RESNEXT = "Xie et al. 2017, table 3"
RESNEXT_BEST = "Xie et al. 2017, table 5"
INCEPTION = "Szegedy et al. 2017 (AAAI), table 1"
MOBILE1 = "Howard et al. 2017 (MobileNets), table 8"
MOBILE3 = "Howard et al. 2019 (MobileNetV3), table 3"
MOBILE3_SSD = "Howard et al. 2019 (MobileNetV3), table 6"
EFFICIENT = "Tan and Le 2019 (arXiv v1), table 2"
LITE = "tensorflow/tpu, models/official/efficientnet/lite/README.md"
SSD = "Liu et al. 2016, table 6"
FOCAL = "Lin et al. 2017 (Focal loss), table 1e"
TORCHVISION = {
    "V1": "torchvision's published file, first weights",
    "V2": "torchvision's published file, second weights",
}
TRAINED_LATER = ("resnext101_64x4d",)
"""Of these the first published file has a training as long and varied as others' second; the paper comes first."""
TEN = "10 crops"


def _one(metric: Metric, value: float, source: str, how: str = "") -> tuple[Figure, ...]:
    return (Figure(metric, value, source, how),)


PAPERS: dict[str, tuple[Figure, ...]] = {
    "vgg16": _one("ImageNet", 75.6, VGG, "dense and many crops"),
    "resnet50-v1": (
        Figure("ImageNet", 77.15, RESNET, TEN),
        Figure("ImageNet", 79.26, RESNET_SCALES, "several scales"),
    ),
    "resnet101-v1": (
        Figure("ImageNet", 78.25, RESNET, TEN),
        Figure("ImageNet", 80.13, RESNET_SCALES, "several scales"),
    ),
    "resnet152-v1": (
        Figure("ImageNet", 78.57, RESNET, TEN),
        Figure("ImageNet", 80.62, RESNET_SCALES, "several scales"),
    ),
    "preact-resnet152": _one("ImageNet", 78.9, PREACT, "at 320 px"),
    "wide-resnet50-2": _one("ImageNet", 78.1, WIDE),
    "resnext50-32x4d": _one("ImageNet", 77.8, RESNEXT),
    "resnext101-64x4d": _one("ImageNet", 79.6, RESNEXT_BEST),
    "inception-resnet-v2": _one("ImageNet", 80.1, INCEPTION),
    "mobilenet-v1": _one("ImageNet", 70.6, MOBILE1),
    "mobilenet-v2": _one("ImageNet", 72.0, MOBILE3),
    "mobilenet-v3-large": _one("ImageNet", 75.2, MOBILE3),
    "mobilenet-v3-small": _one("ImageNet", 67.4, MOBILE3),
    "efficientnet-b0": _one("ImageNet", 76.3, EFFICIENT),
    "efficientnet-b1": _one("ImageNet", 78.8, EFFICIENT),
    "efficientnet-b2": _one("ImageNet", 79.8, EFFICIENT),
    "efficientnet-b3": _one("ImageNet", 81.1, EFFICIENT),
    "efficientnet-b4": _one("ImageNet", 82.6, EFFICIENT),
    "efficientnet-b5": _one("ImageNet", 83.3, EFFICIENT),
    "efficientnet-b6": _one("ImageNet", 84.0, EFFICIENT),
    "efficientnet-b7": _one("ImageNet", 84.4, EFFICIENT),
    "efficientnet-lite0": _one("ImageNet", 75.1, LITE),
    "efficientnet-lite1": _one("ImageNet", 76.7, LITE),
    "efficientnet-lite2": _one("ImageNet", 77.6, LITE),
    "efficientnet-lite3": _one("ImageNet", 79.8, LITE),
    "efficientnet-lite4": _one("ImageNet", 81.5, LITE),
    "cifar-resnet20": _one("CIFAR-10", 91.25, RESNET_CIFAR),
    "cifar-resnet56": _one("CIFAR-10", 93.03, RESNET_CIFAR),
    "cifar-resnet110": _one("CIFAR-10", 93.57, RESNET_CIFAR, "best of 5 runs"),
    "ssd300-vgg16": (
        Figure("VOC07", 77.2, SSD, "trained on VOC 07+12"),
        Figure("COCO", 25.1, SSD),
    ),
    "ssd512-vgg16": (Figure("VOC07", 79.8, SSD, "trained on VOC 07+12"), Figure("COCO", 28.8, SSD)),
    "ssdlite320-mobilenet-v3-large": _one("COCO", 22.0, MOBILE3_SSD),
    "retinanet-resnet50-fpn": _one("COCO", 35.7, FOCAL, "at 800 px"),
    "retinanet-resnet101-fpn": _one("COCO", 37.8, FOCAL, "at 800 px"),
}
"""By the names of recipes and classifiers."""


def figures(name: str, network: str = "") -> tuple[Figure, ...]:
    """All that was published of a model.

    Args:
        name: of the recipe or classifier.
        network: torchvision's builder of the same, or "".

    >>> [(one.value, one.source) for one in figures("resnext50-32x4d", "resnext50_32x4d")][1:]
    [(81.2, "torchvision's published file, second weights"), (77.8, 'Xie et al. 2017, table 3')]
    """
    files = tuple(
        Figure(
            "COCO" if file.task == "detect" else "ImageNet",
            round(file.metric, 2),
            TORCHVISION[file.weights[-2:]],
        )
        for file in FILES
        if file.network == network
    )
    papers = PAPERS.get(name, ())
    first = network in TRAINED_LATER or any(file.metric == "COCO" for file in files)
    return (*papers, *files) if first else (*files, *papers)
