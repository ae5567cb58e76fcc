"""Detectors by name: each file is a paper, each entry a choice of parts. This dict is the whole registry."""

from __future__ import annotations

from boxwright.errors import InputError, near
from boxwright.recipes import (
    classifier,
    fast_rcnn,
    faster_rcnn,
    localizer,
    rcnn,
    retinanet,
    sliding_window,
    ssd,
)
from boxwright.recipes.recipe import Parts, Pretrained, Recipe

__all__ = ["RECIPES", "Parts", "Pretrained", "Recipe", "find"]

RECIPES: dict[str, Recipe] = {
    "ssd300-vgg16": ssd.SSD300_VGG16,
    "ssd300-vgg16-bn": ssd.SSD300_VGG16_BN,
    "ssd512-vgg16": ssd.SSD512_VGG16,
    "ssd320-efficientnet-lite0": ssd.SSD320_EFFICIENTNET_LITE0,
    "ssdlite320-mobilenet-v3-large": ssd.SSDLITE320_MOBILENET_V3_LARGE,
    "retinanet-resnet18-fpn": retinanet.RETINANET_RESNET18,
    "retinanet-resnet50-fpn": retinanet.RETINANET_RESNET50,
    "retinanet-resnet50-fpn-v2": retinanet.RETINANET_RESNET50_V2,
    "retinanet-resnet101-fpn": retinanet.RETINANET_RESNET101,
    "retinanet-resnext50-fpn": retinanet.RETINANET_RESNEXT50,
    "retinanet-efficientnet-lite0-fpn": retinanet.RETINANET_EFFICIENTNET_LITE0,
    "retinanet-mobilenet-v3-large-fpn": retinanet.RETINANET_MOBILENET_V3_LARGE,
    "localizer-efficientnet-lite0": localizer.LOCALIZER_EFFICIENTNET_LITE0,
    "sliding-window-vgg16": sliding_window.SLIDING_WINDOW_VGG16,
    "sliding-window-efficientnet-lite0": sliding_window.SLIDING_WINDOW_EFFICIENTNET_LITE0,
    "rcnn-vgg16": rcnn.RCNN_VGG16,
    "rcnn-resnet50": rcnn.RCNN_RESNET50,
    "rcnn-efficientnet-lite0": rcnn.RCNN_EFFICIENTNET_LITE0,
    "fast-rcnn-vgg16": fast_rcnn.FAST_RCNN_VGG16,
    "fast-rcnn-resnet50": fast_rcnn.FAST_RCNN_RESNET50,
    "fast-rcnn-resnet50-fpn": fast_rcnn.FAST_RCNN_RESNET50_FPN,
    "fast-rcnn-efficientnet-lite0": fast_rcnn.FAST_RCNN_EFFICIENTNET_LITE0,
    "faster-rcnn-vgg16": faster_rcnn.FASTER_RCNN_VGG16,
    "faster-rcnn-vgg16-alternating": faster_rcnn.FASTER_RCNN_VGG16_ALTERNATING,
    "faster-rcnn-resnet50-c4": faster_rcnn.FASTER_RCNN_RESNET50_C4,
    "faster-rcnn-resnet50-fpn": faster_rcnn.FASTER_RCNN_RESNET50_FPN,
    "faster-rcnn-resnet50-fpn-v2": faster_rcnn.FASTER_RCNN_RESNET50_FPN_V2,
    "faster-rcnn-mobilenet-v3-large-fpn": faster_rcnn.FASTER_RCNN_MOBILENET_V3_LARGE_FPN,
    "faster-rcnn-mobilenet-v3-large-320-fpn": faster_rcnn.FASTER_RCNN_MOBILENET_V3_LARGE_320_FPN,
    "faster-rcnn-efficientnet-lite0-fpn": faster_rcnn.FASTER_RCNN_EFFICIENTNET_LITE0,
    "faster-rcnn-efficientnet-lite0-fpn-alternating": faster_rcnn.FASTER_RCNN_EFFICIENTNET_LITE0_ALTERNATING,
    **classifier.recipes(),
}


def find(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        InputError: there is none; the nearest names are in the text.
    """
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}", hint=near(name, RECIPES))
    return RECIPES[name]
