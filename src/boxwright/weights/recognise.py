"""Which network a foreign state dict is of, told from names and shapes alone.

Every known layout is a few landmarks: tensors that it has, with their shapes, and tensors that a deeper or
otherwise built relative has in their place. Landmarks tell layouts apart; that a file holds all of its network is
for the strict copy to see. Numbers of classes are left open, so that nets trained on other data are known too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from torch import Tensor

from boxwright.backbones.resnet import VARIANTS
from boxwright.backbones.vgg import DEPTHS, WIDTHS
from boxwright.errors import InputError

Origin = Literal["torchvision", "efficientnet-lite", "detectron2", "mmdetection"]
Shape = tuple[int | None, ...]
"""Lengths of the axes; None is any."""


@dataclass(frozen=True)
class Layout:
    """Whose names these are, and of which network.

    Attributes:
        origin: the library or packages that name tensors so.
        name: the network, as torchvision's builder or, for EfficientNet-Lite, as boxwright calls it.
        verified: whether reference outputs exist that the importer is held against.
    """

    origin: Origin
    name: str
    verified: bool


@dataclass(frozen=True)
class _Known:
    layout: Layout
    has: Mapping[str, Shape]
    lacks: tuple[str, ...] = field(default=())

    def missed(self, state: Mapping[str, Tensor]) -> list[str]:
        """Landmarks that `state` does not show."""
        absent = [key for key, shape in self.has.items() if not _fits(state.get(key), shape)]
        return absent + [key for key in self.lacks if key in state]


def recognise(state: Mapping[str, Tensor]) -> Layout:
    """The layout of a state dict.

    Two nets of torchvision share one layout and differ in settings alone: what could be
    "fasterrcnn_mobilenet_v3_large_320_fpn" is called "fasterrcnn_mobilenet_v3_large_fpn".

    Raises:
        InputError: none that is known; the first names and the nearest layout are told.

    >>> import torch
    >>> recognise({"conv1.weight": torch.zeros(64, 1, 7, 7)})
    Traceback (most recent call last):
    boxwright.errors.InputError: no known layout of weights, which begin with conv1.weight [64, 1, 7, 7]; ...
    """
    for known in _layouts():
        if not known.missed(state):
            return known.layout
    first = ", ".join(f"{key} {list(value.shape)}" for key, value in list(state.items())[:3])
    nearest = max(_layouts(), key=lambda known: _likeness(known, state))
    hint = "torchvision's, EfficientNet-Lite's, detectron2's and mmdetection's are known"
    if _likeness(nearest, state) > 0:
        key = nearest.missed(state)[0]
        instead = f"has {key} {list(state[key].shape)}" if key in state else f"lacks {key}"
        hint = f"nearest is {nearest.layout.origin}'s {nearest.layout.name}, but this {instead}"
    raise InputError(f"no known layout of weights, which begin with {first or 'nothing'}", hint=hint)


def _likeness(known: _Known, state: Mapping[str, Tensor]) -> float:
    """Share of the landmarks that are there; a name of another shape counts half."""
    shown = sum((key in state) + _fits(state.get(key), shape) for key, shape in known.has.items())
    return shown / (2 * len(known.has))


def _fits(value: Tensor | None, shape: Shape) -> bool:
    return (
        value is not None
        and value.ndim == len(shape)
        and all(wanted is None or length == wanted for length, wanted in zip(value.shape, shape, strict=True))
    )


@cache
def _layouts() -> tuple[_Known, ...]:
    return (
        *_resnets(),
        *_vggs(),
        *_mobilenets(),
        *_efficientnets(),
        *_lites(),
        *_dense(),
        *_two_stage(),
        *_foreign(),
    )


def _torchvision(name: str, has: Mapping[str, Shape], *lacks: str) -> _Known:
    return _Known(Layout("torchvision", name, True), has, lacks)


def _resnets() -> Iterator[_Known]:
    for name, plan in VARIANTS.items():
        inner = plan.width * plan.groups
        has: dict[str, Shape] = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (None, None)}
        for stage, count in enumerate(plan.blocks):
            width = inner * 2**stage
            has[f"layer{stage + 1}.{count - 1}.conv2.weight"] = (width, width // plan.groups, 3, 3)
        lacks = [f"layer{stage + 1}.{count}.conv2.weight" for stage, count in enumerate(plan.blocks)]
        if plan.bottleneck:
            has["layer1.0.conv3.weight"] = (256, inner, 1, 1)
        else:
            lacks.append("layer1.0.conv3.weight")
        yield _torchvision(name, has, *lacks)


def _vggs() -> Iterator[_Known]:
    for depth, counts in DEPTHS.items():
        for norm in (False, True):
            has: dict[str, Shape] = {
                "classifier.0.weight": (4096, 25088),
                "classifier.6.weight": (None, 4096),
            }
            number, channels = 0, 3
            for count, width in zip(counts, WIDTHS, strict=True):
                for _ in range(count):
                    has[f"features.{number}.weight"] = (width, channels, 3, 3)
                    if norm:
                        has[f"features.{number + 1}.weight"] = (width,)
                    number, channels = number + 2 + norm, width
                number += 1  # the pooling
            yield _torchvision(f"vgg{depth}{'_bn' if norm else ''}", has)


def _mobilenets() -> Iterator[_Known]:
    yield _torchvision(
        "mobilenet_v2",
        {
            "features.1.conv.0.0.weight": (32, 1, 3, 3),
            "features.18.0.weight": (1280, 320, 1, 1),
            "classifier.1.weight": (None, 1280),
        },
    )
    for name, last, channels, hidden in (("large", 16, 160, 1280), ("small", 12, 96, 1024)):
        yield _torchvision(
            f"mobilenet_v3_{name}",
            {
                "features.1.block.0.0.weight": (16, 1, 3, 3),
                f"features.{last}.0.weight": (6 * channels, channels, 1, 1),
                "classifier.0.weight": (hidden, 6 * channels),
                "classifier.3.weight": (None, hidden),
            },
        )


def _efficientnets() -> Iterator[_Known]:
    # Channels of the stem and behind the rows, and the blocks of each row.
    plans = {
        "b0": (32, 1280, (1, 2, 2, 3, 3, 4, 1)),
        "b1": (32, 1280, (2, 3, 3, 4, 4, 5, 2)),
        "b2": (32, 1408, (2, 3, 3, 4, 4, 5, 2)),
        "b3": (40, 1536, (2, 3, 3, 5, 5, 6, 2)),
        "b4": (48, 1792, (2, 4, 4, 6, 6, 8, 2)),
        "b5": (48, 2048, (3, 5, 5, 7, 7, 9, 3)),
        "b6": (56, 2304, (3, 6, 6, 8, 8, 11, 3)),
        "b7": (64, 2560, (4, 7, 7, 10, 10, 13, 4)),
    }
    for name, (stem, last, counts) in plans.items():
        has: dict[str, Shape] = {
            "features.0.0.weight": (stem, 3, 3, 3),
            "features.8.0.weight": (last, last // 4, 1, 1),
            "classifier.1.weight": (None, last),
        }
        has |= {f"features.{row}.{n - 1}.block.0.0.weight": (None,) * 4 for row, n in enumerate(counts, 1)}
        lacks = [f"features.{row}.{n}.block.0.0.weight" for row, n in enumerate(counts, 1)]
        yield _torchvision(f"efficientnet_{name}", has, *lacks)


def _lites() -> Iterator[_Known]:
    # Blocks, and channels of the last one. Reference logits exist for the first three.
    for number, (blocks, channels) in enumerate(((16, 320), (21, 320), (21, 352), (24, 384), (30, 448))):
        yield _Known(
            Layout("efficientnet-lite", f"efficientnet-lite{number}", number < 3),
            {
                "_conv_stem.weight": (32, 3, 3, 3),
                f"_blocks.{blocks - 1}._project_conv.weight": (channels, None, 1, 1),
                "_conv_head.weight": (1280, channels, 1, 1),
                "_fc.weight": (None, 1280),
            },
            (f"_blocks.{blocks}._project_conv.weight", "_blocks.0._se_reduce.weight"),
        )


_BODY50: dict[str, Shape] = {
    "backbone.body.layer1.0.conv2.weight": (64, 64, 3, 3),
    "backbone.body.layer3.5.conv3.weight": (1024, 256, 1, 1),
}


def _dense() -> Iterator[_Known]:
    scores = "head.classification_head"
    yield _torchvision(
        "ssd300_vgg16",
        {
            "backbone.scale_weight": (512,),
            "backbone.features.21.weight": (512, 512, 3, 3),
            "backbone.extra.0.7.1.weight": (1024, 512, 3, 3),
            f"{scores}.module_list.5.weight": (None, 256, 3, 3),
        },
        f"{scores}.module_list.6.weight",
    )
    yield _torchvision(
        "ssdlite320_mobilenet_v3_large",
        {
            "backbone.features.0.13.0.weight": (672, 112, 1, 1),
            "backbone.extra.0.0.0.weight": (256, 480, 1, 1),
            f"{scores}.module_list.0.1.weight": (None, 672, 1, 1),
            f"{scores}.module_list.5.1.weight": (None, 128, 1, 1),
        },
        f"{scores}.module_list.6.1.weight",
    )
    # The first version's tower has other names in older files: `foreign.current_names`.
    for name, source in (("retinanet_resnet50_fpn", 256), ("retinanet_resnet50_fpn_v2", 2048)):
        has = _BODY50 | {
            "backbone.fpn.extra_blocks.p6.weight": (256, source, 3, 3),
            f"{scores}.cls_logits.weight": (None, 256, 3, 3),
        }
        norm = f"{scores}.conv.0.1.weight"
        deeper = "backbone.body.layer3.6.conv3.weight"
        if source == 2048:
            yield _torchvision(name, has | {norm: (256,)}, deeper)
        else:
            yield _torchvision(name, has, deeper, norm)


def _two_stage() -> Iterator[_Known]:
    others = (
        "roi_heads.mask_predictor.conv5_mask.weight",
        "roi_heads.keypoint_predictor.kps_score_lowres.weight",
    )
    boxes: dict[str, Shape] = {
        "rpn.head.bbox_pred.weight": (None, 256, 1, 1),
        "roi_heads.box_predictor.cls_score.weight": (None, 1024),
    }
    plain: dict[str, Shape] = {"roi_heads.box_head.fc6.weight": (1024, 12544)}
    deeper = "backbone.body.layer3.6.conv3.weight"
    mobile: dict[str, Shape] = {"backbone.body.16.0.weight": (960, 160, 1, 1)}
    yield _torchvision("fasterrcnn_resnet50_fpn", _BODY50 | boxes | plain, deeper, *others)
    v2: dict[str, Shape] = {"roi_heads.box_head.5.weight": (1024, 12544)}
    yield _torchvision("fasterrcnn_resnet50_fpn_v2", _BODY50 | boxes | v2, deeper, *others)
    yield _torchvision("fasterrcnn_mobilenet_v3_large_fpn", mobile | boxes | plain, *others)


def _foreign() -> Iterator[_Known]:
    for depth, count in ((50, 6), (101, 23)):
        name = f"retinanet_resnet{depth}_fpn"
        yield _Known(
            Layout("detectron2", name, False),
            {
                "backbone.bottom_up.res2.0.conv2.weight": (64, 64, 3, 3),
                f"backbone.bottom_up.res4.{count - 1}.conv3.weight": (1024, 256, 1, 1),
                "backbone.top_block.p6.weight": (256, None, 3, 3),
                "head.cls_subnet.0.weight": (256, 256, 3, 3),
                "head.cls_score.weight": (None, 256, 3, 3),
                "head.bbox_pred.weight": (36, 256, 3, 3),
            },
            (f"backbone.bottom_up.res4.{count}.conv3.weight",),
        )
        yield _Known(
            Layout("mmdetection", name, False),
            {
                "backbone.layer1.0.conv2.weight": (64, 64, 3, 3),
                f"backbone.layer3.{count - 1}.conv3.weight": (1024, 256, 1, 1),
                "neck.lateral_convs.0.conv.weight": (256, 512, 1, 1),
                "neck.fpn_convs.4.conv.weight": (256, 256, 3, 3),
                "bbox_head.retina_cls.weight": (None, 256, 3, 3),
                "bbox_head.retina_reg.weight": (36, 256, 3, 3),
            },
            (f"backbone.layer3.{count}.conv3.weight",),
        )
