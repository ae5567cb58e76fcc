"""The files that torchvision publishes: where they are, and how good they were found.

Names and accuracies are those of torchvision's source (pytorch/vision, torchvision/models); a name ends in the
first eight digits of the file's sha256. EfficientNet's are the names since pull request 8036: the older ones
carry digests that their files do not have.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from boxwright.errors import InputError, near

BASE = "https://download.pytorch.org/models"

Task = Literal["classify", "detect"]

METRICS: dict[Task, str] = {"classify": "ImageNet top-1", "detect": "COCO val2017 box AP"}
"""What `Published.metric` is, in percent."""

_FIRST = {"classify": "IMAGENET1K_V1", "detect": "COCO_V1"}


@dataclass(frozen=True)
class Published:
    """One published file.

    Attributes:
        network: torchvision's builder, such as "resnet50".
        weights: torchvision's name for this set of weights, such as "IMAGENET1K_V2".
        file: its name.
        task: what the network does.
        metric: see `METRICS`.
        source: the file of torchvision that says so.
    """

    network: str
    weights: str
    file: str
    task: Task
    metric: float
    source: str

    @property
    def name(self) -> str:
        """Builder and weights: "resnet50.IMAGENET1K_V2"."""
        return f"{self.network}.{self.weights}"

    def url(self, base: str | None = None) -> str:
        """Where it is.

        Args:
            base: a mirror, http, https or file; the environment's `BOXWRIGHT_WEIGHTS_URL`, or else torchvision's
                own server, if not given.

        >>> find("resnet18").url("file:///srv/weights/")
        'file:///srv/weights/resnet18-f37072fd.pth'
        """
        return f"{(base or os.environ.get('BOXWRIGHT_WEIGHTS_URL') or BASE).rstrip('/')}/{self.file}"


def _classifiers(source: str, *rows: tuple[str, str, str, float]) -> tuple[Published, ...]:
    path = f"torchvision/models/{source}.py"
    return tuple(
        Published(network, f"IMAGENET1K_{version}", f"{file}.pth", "classify", metric, path)
        for network, version, file, metric in rows
    )


def _detectors(source: str, *rows: tuple[str, str, float]) -> tuple[Published, ...]:
    path = f"torchvision/models/detection/{source}.py"
    return tuple(
        Published(network, "COCO_V1", f"{file}.pth", "detect", metric, path) for network, file, metric in rows
    )


PUBLISHED: tuple[Published, ...] = (
    *_classifiers(
        "vgg",
        ("vgg11", "V1", "vgg11-8a719046", 69.020),
        ("vgg11_bn", "V1", "vgg11_bn-6002323d", 70.370),
        ("vgg13", "V1", "vgg13-19584684", 69.928),
        ("vgg13_bn", "V1", "vgg13_bn-abd245e5", 71.586),
        ("vgg16", "V1", "vgg16-397923af", 71.592),
        ("vgg16_bn", "V1", "vgg16_bn-6c64b313", 73.360),
        ("vgg19", "V1", "vgg19-dcbb9e9d", 72.376),
        ("vgg19_bn", "V1", "vgg19_bn-c79401a0", 74.218),
    ),
    *_classifiers(
        "resnet",
        ("resnet18", "V1", "resnet18-f37072fd", 69.758),
        ("resnet34", "V1", "resnet34-b627a593", 73.314),
        ("resnet50", "V1", "resnet50-0676ba61", 76.130),
        ("resnet50", "V2", "resnet50-11ad3fa6", 80.858),
        ("resnet101", "V1", "resnet101-63fe2227", 77.374),
        ("resnet101", "V2", "resnet101-cd907fc2", 81.886),
        ("resnet152", "V1", "resnet152-394f9c45", 78.312),
        ("resnet152", "V2", "resnet152-f82ba261", 82.284),
        ("resnext50_32x4d", "V1", "resnext50_32x4d-7cdf4587", 77.618),
        ("resnext50_32x4d", "V2", "resnext50_32x4d-1a0047aa", 81.198),
        ("resnext101_32x8d", "V1", "resnext101_32x8d-8ba56ff5", 79.312),
        ("resnext101_32x8d", "V2", "resnext101_32x8d-110c445d", 82.834),
        ("resnext101_64x4d", "V1", "resnext101_64x4d-173b62eb", 83.246),
        ("wide_resnet50_2", "V1", "wide_resnet50_2-95faca4d", 78.468),
        ("wide_resnet50_2", "V2", "wide_resnet50_2-9ba9bcbe", 81.602),
        ("wide_resnet101_2", "V1", "wide_resnet101_2-32ee1156", 78.848),
        ("wide_resnet101_2", "V2", "wide_resnet101_2-d733dc28", 82.510),
    ),
    *_classifiers(
        "mobilenetv2",
        ("mobilenet_v2", "V1", "mobilenet_v2-b0353104", 71.878),
        ("mobilenet_v2", "V2", "mobilenet_v2-7ebf99e0", 72.154),
    ),
    *_classifiers(
        "mobilenetv3",
        ("mobilenet_v3_large", "V1", "mobilenet_v3_large-8738ca79", 74.042),
        ("mobilenet_v3_large", "V2", "mobilenet_v3_large-5c1a4163", 75.274),
        ("mobilenet_v3_small", "V1", "mobilenet_v3_small-047dcff4", 67.668),
    ),
    *_classifiers(
        "efficientnet",
        ("efficientnet_b0", "V1", "efficientnet_b0_rwightman-7f5810bc", 77.692),
        ("efficientnet_b1", "V1", "efficientnet_b1_rwightman-bac287d4", 78.642),
        ("efficientnet_b1", "V2", "efficientnet_b1-c27df63c", 79.838),
        ("efficientnet_b2", "V1", "efficientnet_b2_rwightman-c35c1473", 80.608),
        ("efficientnet_b3", "V1", "efficientnet_b3_rwightman-b3899882", 82.008),
        ("efficientnet_b4", "V1", "efficientnet_b4_rwightman-23ab8bcd", 83.384),
        ("efficientnet_b5", "V1", "efficientnet_b5_lukemelas-1a07897c", 83.444),
        ("efficientnet_b6", "V1", "efficientnet_b6_lukemelas-24a108a5", 84.008),
        ("efficientnet_b7", "V1", "efficientnet_b7_lukemelas-c5b4e57e", 84.122),
    ),
    *_detectors("ssd", ("ssd300_vgg16", "ssd300_vgg16_coco-b556d3b4", 25.1)),
    *_detectors(
        "ssdlite", ("ssdlite320_mobilenet_v3_large", "ssdlite320_mobilenet_v3_large_coco-a79551df", 21.3)
    ),
    *_detectors(
        "retinanet",
        ("retinanet_resnet50_fpn", "retinanet_resnet50_fpn_coco-eeacb38b", 36.4),
        ("retinanet_resnet50_fpn_v2", "retinanet_resnet50_fpn_v2_coco-5905b1c5", 41.5),
    ),
    *_detectors(
        "faster_rcnn",
        ("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_coco-258fb6c6", 37.0),
        ("fasterrcnn_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2_coco-dd69338a", 46.7),
        ("fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7", 32.8),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9", 22.8),
    ),
)


def find(name: str) -> Published:
    """The file called `name`.

    Args:
        name: a builder, which means its first weights (those that torchvision's detectors start from), or builder
            and weights: "resnet50" or "resnet50.IMAGENET1K_V2", in capitals or not.

    Raises:
        InputError: there is none; the nearest names are told.

    >>> find("resnet50").file, find("resnet50.imagenet1k_v2").file
    ('resnet50-0676ba61.pth', 'resnet50-11ad3fa6.pth')
    """
    wanted = name.lower()
    for entry in PUBLISHED:
        first = entry.weights == _FIRST[entry.task]
        if wanted == entry.name.lower() or (first and wanted == entry.network):
            return entry
    names = {entry.name.lower() if "." in name else entry.network for entry in PUBLISHED}
    raise InputError(f"no published weights are called {name!r}", hint=near(wanted, names))
