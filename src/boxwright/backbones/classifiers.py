"""Classifiers by name, and what each expects of an image. This dict is the whole registry.

A name is the family's, with the variant as its paper writes it; "-v1" is the paper's own ResNet, without it the
stride stands in the 3x3 convolution, as in the nets that torchvision publishes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from boxwright.backbones import (
    cifar_resnet,
    efficientnet,
    inception_resnet,
    mobilenet,
    mobilenet_v3,
    preact_resnet,
    resnet,
    vgg,
)
from boxwright.errors import InputError, near
from boxwright.preprocess import Filter

Three = tuple[float, float, float]

IMAGENET: tuple[Three, Three] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's pixels, as torchvision's files want them."""
ONE_TO_ONE: tuple[Three, Three] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Pixels from -1 to 1, as most of TensorFlow's published nets want them."""
CIFAR: tuple[Three, Three] = ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))
"""Mean and deviation of CIFAR-10's pixels."""
LITE: tuple[Three, Three] = (efficientnet.LITE_MEAN, efficientnet.LITE_STD)


@dataclass(frozen=True)
class ClassifierSpec:
    """A classifier and its input.

    Attributes:
        family: for lists and plots.
        build: the net for a number of classes; images -> logits, with `trunk` and `stages()`.
        trunk: the same convolutions for a detector, with the taps that are asked for.
        taps: those it has, in order of depth.
        more_taps: further ones, which only who names them gets.
        size: side of the square input.
        mean, std: per channel, on the scale where white is 1.
        filter: how an image is resized.
        classes: of the data set that the net was made for.
        torchvision: the builder in torchvision whose published file fits, or "".
    """

    family: str
    build: Callable[[int], nn.Module]
    trunk: Callable[..., nn.Module]
    taps: tuple[str, ...]
    size: int = 224
    mean: Three = IMAGENET[0]
    std: Three = IMAGENET[1]
    filter: Filter = "bilinear-antialias"
    classes: int = 1000
    torchvision: str = ""
    more_taps: tuple[str, ...] = ()


def _resnet(family: str, variant: str, v1: bool = False) -> ClassifierSpec:
    return ClassifierSpec(
        family,
        partial(resnet.ResNetClassifier, variant, v1=v1),
        partial(resnet.ResNet, variant, v1=v1),
        resnet.TAPS,
        torchvision="" if v1 else variant,
    )


def _preact(depth: int) -> ClassifierSpec:
    return ClassifierSpec(
        "pre-activation ResNet",
        partial(preact_resnet.PreActResNetClassifier, depth),
        partial(preact_resnet.PreActResNet, depth),
        resnet.TAPS,
    )


def _cifar(depth: int, plain: bool = False) -> ClassifierSpec:
    return ClassifierSpec(
        "CIFAR plain net" if plain else "CIFAR ResNet",
        partial(cifar_resnet.CifarResNetClassifier, depth, plain=plain),
        partial(cifar_resnet.CifarResNet, depth, plain=plain),
        cifar_resnet.TAPS,
        32,
        *CIFAR,
        classes=10,
    )


def _vgg(depth: int, norm: bool = False) -> ClassifierSpec:
    return ClassifierSpec(
        "VGG with batch norm" if norm else "VGG",
        partial(vgg.VGGClassifier, depth, norm=norm),
        partial(vgg.trunk, depth=depth, norm=norm),
        vgg.TAPS[:5],
        more_taps=(*vgg.inner_taps(depth), *vgg.FC_TAPS),
        torchvision=f"vgg{depth}_bn" if norm else f"vgg{depth}",
    )


def _mobilenet_v3(size: mobilenet_v3.Size, rows: int) -> ClassifierSpec:
    return ClassifierSpec(
        "MobileNet v3",
        partial(mobilenet_v3.MobileNetV3Classifier, size),
        partial(mobilenet_v3.MobileNetV3, size),
        _rows(rows),
        torchvision=f"mobilenet_v3_{size}",
    )


def _efficientnet(variant: int, size: int) -> ClassifierSpec:
    return ClassifierSpec(
        "EfficientNet",
        partial(efficientnet.EfficientNetClassifier, f"b{variant}"),
        partial(efficientnet.EfficientNet, variant),
        _rows(7),
        size,
        torchvision=f"efficientnet_b{variant}",
    )


def _lite(variant: int, size: int) -> ClassifierSpec:
    return ClassifierSpec(
        "EfficientNet-Lite",
        partial(efficientnet.EfficientNetClassifier, f"lite{variant}"),
        partial(efficientnet.EfficientNetLite, variant),
        _rows(7),
        size,
        *LITE,
    )


def _rows(count: int) -> tuple[str, ...]:
    return (*(f"stage{number}" for number in range(1, count + 1)), "last")


CLASSIFIERS: dict[str, ClassifierSpec] = {
    "vgg11": _vgg(11),
    "vgg13": _vgg(13),
    "vgg16": _vgg(16),
    "vgg19": _vgg(19),
    "vgg11-bn": _vgg(11, norm=True),
    "vgg13-bn": _vgg(13, norm=True),
    "vgg16-bn": _vgg(16, norm=True),
    "vgg19-bn": _vgg(19, norm=True),
    "resnet18": _resnet("ResNet", "resnet18"),
    "resnet34": _resnet("ResNet", "resnet34"),
    "resnet50": _resnet("ResNet", "resnet50"),
    "resnet101": _resnet("ResNet", "resnet101"),
    "resnet152": _resnet("ResNet", "resnet152"),
    "resnet50-v1": _resnet("ResNet v1", "resnet50", v1=True),
    "resnet101-v1": _resnet("ResNet v1", "resnet101", v1=True),
    "resnet152-v1": _resnet("ResNet v1", "resnet152", v1=True),
    "preact-resnet18": _preact(18),
    "preact-resnet34": _preact(34),
    "preact-resnet50": _preact(50),
    "preact-resnet101": _preact(101),
    "preact-resnet152": _preact(152),
    "wide-resnet50-2": _resnet("wide ResNet", "wide_resnet50_2"),
    "wide-resnet101-2": _resnet("wide ResNet", "wide_resnet101_2"),
    "resnext50-32x4d": _resnet("ResNeXt", "resnext50_32x4d"),
    "resnext101-32x8d": _resnet("ResNeXt", "resnext101_32x8d"),
    "resnext101-64x4d": _resnet("ResNeXt", "resnext101_64x4d"),
    "inception-resnet-v2": ClassifierSpec(
        "Inception-ResNet",
        inception_resnet.InceptionResNetClassifier,
        inception_resnet.InceptionResNet,
        inception_resnet.TAPS,
        299,
        *ONE_TO_ONE,
    ),
    "mobilenet-v1": ClassifierSpec(
        "MobileNet v1",
        partial(mobilenet.MobileNetV1Classifier, 1.0),
        mobilenet.MobileNetV1,
        mobilenet.V1_TAPS,
        224,
        *ONE_TO_ONE,
    ),
    "mobilenet-v2": ClassifierSpec(
        "MobileNet v2",
        partial(mobilenet.MobileNetV2Classifier, 1.0),
        mobilenet.MobileNetV2,
        _rows(7),
        torchvision="mobilenet_v2",
    ),
    "mobilenet-v3-small": _mobilenet_v3("small", 5),
    "mobilenet-v3-large": _mobilenet_v3("large", 6),
    # Sizes are those that torchvision's files were trained and measured at; the paper's B2 has 260.
    "efficientnet-b0": _efficientnet(0, 224),
    "efficientnet-b1": _efficientnet(1, 240),
    "efficientnet-b2": _efficientnet(2, 288),
    "efficientnet-b3": _efficientnet(3, 300),
    "efficientnet-b4": _efficientnet(4, 380),
    "efficientnet-b5": _efficientnet(5, 456),
    "efficientnet-b6": _efficientnet(6, 528),
    "efficientnet-b7": _efficientnet(7, 600),
    "efficientnet-lite0": _lite(0, 224),
    "efficientnet-lite1": _lite(1, 240),
    "efficientnet-lite2": _lite(2, 260),
    "efficientnet-lite3": _lite(3, 280),
    "efficientnet-lite4": _lite(4, 300),
    "cifar-plain20": _cifar(20, plain=True),
    "cifar-resnet20": _cifar(20),
    "cifar-plain56": _cifar(56, plain=True),
    "cifar-resnet56": _cifar(56),
    "cifar-resnet110": _cifar(110),
}


def find_classifier(name: str) -> ClassifierSpec:
    """The classifier called `name`.

    Raises:
        InputError: there is none; the nearest names are in the text.

    >>> find_classifier("resnet50").torchvision
    'resnet50'
    """
    if name not in CLASSIFIERS:
        raise InputError(f"no classifier {name!r}", hint=near(name, CLASSIFIERS))
    return CLASSIFIERS[name]
