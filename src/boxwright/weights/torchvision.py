"""Checkpoints in torchvision's layout as boxwright models and nets that act as the originals do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

from boxwright.backbones.resnet import VARIANTS
from boxwright.errors import InputError, near
from boxwright.model import Model
from boxwright.weights import (
    efficientnet,
    mobilenet,
    resnet,
    torchvision_faster_rcnn,
    torchvision_retinanet,
    torchvision_ssd,
    vgg,
)
from boxwright.weights.foreign import current_names

State = Mapping[str, Tensor]

DETECTORS: dict[str, Callable[[State], Model]] = {
    "ssd300_vgg16": torchvision_ssd.ssd300_vgg16,
    "ssdlite320_mobilenet_v3_large": torchvision_ssd.ssdlite320_mobilenet_v3_large,
    "retinanet_resnet50_fpn": torchvision_retinanet.retinanet_resnet50_fpn,
    "retinanet_resnet50_fpn_v2": torchvision_retinanet.retinanet_resnet50_fpn_v2,
    "fasterrcnn_resnet50_fpn": torchvision_faster_rcnn.fasterrcnn_resnet50_fpn,
    "fasterrcnn_resnet50_fpn_v2": torchvision_faster_rcnn.fasterrcnn_resnet50_fpn_v2,
    "fasterrcnn_mobilenet_v3_large_fpn": torchvision_faster_rcnn.fasterrcnn_mobilenet_v3_large_fpn,
    "fasterrcnn_mobilenet_v3_large_320_fpn": torchvision_faster_rcnn.fasterrcnn_mobilenet_v3_large_320_fpn,
}
CLASSIFIERS: dict[str, Callable[[State], nn.Module]] = {
    **{name: partial(resnet.classifier, name) for name in VARIANTS},
    **{name: partial(mobilenet.classifier, name) for name in mobilenet.NAMES},
    **{name: partial(efficientnet.classifier, name) for name in efficientnet.NAMES},
    **{name: partial(vgg.classifier, name) for name in vgg.NAMES},
}


def build(name: str, state_dict: State) -> Model | nn.Module:
    """See `boxwright.weights.from_torchvision`."""
    if name in DETECTORS:
        return DETECTORS[name](current_names(state_dict))
    if name in CLASSIFIERS:
        return CLASSIFIERS[name](state_dict)
    raise InputError(f"no importer for torchvision's {name!r}", hint=near(name, (*DETECTORS, *CLASSIFIERS)))
