"""Others' names of tensors as torchvision has them today; what a change of names cannot carry is an error.

detectron2's and mmdetection's RetinaNets are mapped by what their sources say. No outputs of theirs have been held
against ours: `Layout.verified` is false.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from boxwright.errors import InputError

_MEAN = (103.53, 116.28, 123.675)
MSRA_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
MSRA_STD = (1 / 255,) * 3
"""What nets on the ResNets of MSRA want, as they read BGR of 0 to 255 and divide by nothing, for RGB of 0 to 1."""

_SCALES, _RATIOS = 3, 3
_FPN = "backbone.fpn"
_SCORES = "head.classification_head"
_BOXES = "head.regression_head"
_Names = tuple[tuple[str, str], ...]

_OLDER: _Names = (
    (r"(.*\.(?:inner|layer)_blocks\.\d)\.(weight|bias)", r"\1.0.\2"),
    *((rf"(head\.\w+_head\.conv)\.{2 * n}\.(weight|bias)", rf"\1.{n}.0.\2") for n in range(4)),
    (r"(rpn\.head\.conv)\.(weight|bias)", r"\1.0.0.\2"),
)
_DETECTRON2: _Names = (
    (r"backbone\.bottom_up\.stem\.conv1\.weight", "backbone.body.conv1.weight"),
    (r"backbone\.bottom_up\.stem\.conv1\.norm\.(\w+)", r"backbone.body.bn1.\1"),
    (r"backbone\.fpn_lateral3\.(weight|bias)", rf"{_FPN}.inner_blocks.0.0.\1"),
    (r"backbone\.fpn_lateral4\.(weight|bias)", rf"{_FPN}.inner_blocks.1.0.\1"),
    (r"backbone\.fpn_lateral5\.(weight|bias)", rf"{_FPN}.inner_blocks.2.0.\1"),
    (r"backbone\.fpn_output3\.(weight|bias)", rf"{_FPN}.layer_blocks.0.0.\1"),
    (r"backbone\.fpn_output4\.(weight|bias)", rf"{_FPN}.layer_blocks.1.0.\1"),
    (r"backbone\.fpn_output5\.(weight|bias)", rf"{_FPN}.layer_blocks.2.0.\1"),
    (r"backbone\.top_block\.(p[67]\.\w+)", rf"{_FPN}.extra_blocks.\1"),
    *((rf"head\.cls_subnet\.{2 * n}\.(\w+)", rf"{_SCORES}.conv.{n}.0.\1") for n in range(4)),
    *((rf"head\.bbox_subnet\.{2 * n}\.(\w+)", rf"{_BOXES}.conv.{n}.0.\1") for n in range(4)),
    (r"head\.cls_score\.(\w+)", rf"{_SCORES}.cls_logits.\1"),
    (r"head\.bbox_pred\.(\w+)", rf"{_BOXES}.bbox_reg.\1"),
)
_CONV1 = "backbone.body.conv1.weight"
_UNIT = re.compile(r"backbone\.bottom_up\.res(\d)\.(\d+)\.(?:conv(\d)|shortcut)(\.norm)?\.(\w+)")
_MMDETECTION: _Names = (
    (r"backbone\.((?:conv1|bn1|layer\d)\..+)", r"backbone.body.\1"),
    (r"neck\.lateral_convs\.([012])\.conv\.(\w+)", rf"{_FPN}.inner_blocks.\1.0.\2"),
    (r"neck\.fpn_convs\.([012])\.conv\.(\w+)", rf"{_FPN}.layer_blocks.\1.0.\2"),
    (r"neck\.fpn_convs\.3\.conv\.(\w+)", rf"{_FPN}.extra_blocks.p6.\1"),
    (r"neck\.fpn_convs\.4\.conv\.(\w+)", rf"{_FPN}.extra_blocks.p7.\1"),
    (r"bbox_head\.cls_convs\.([0-3])\.conv\.(\w+)", rf"{_SCORES}.conv.\1.0.\2"),
    (r"bbox_head\.reg_convs\.([0-3])\.conv\.(\w+)", rf"{_BOXES}.conv.\1.0.\2"),
    (r"bbox_head\.retina_cls\.(\w+)", rf"{_SCORES}.cls_logits.\1"),
    (r"bbox_head\.retina_reg\.(\w+)", rf"{_BOXES}.bbox_reg.\1"),
)


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A torchvision state by today's names.

    Its pyramids, RetinaNet towers and region proposal heads were plain convolutions in older releases, and the
    first COCO files still have their names: "head.regression_head.conv.2.weight" is today's "conv.1.0.weight".
    """
    return {_renamed(key, _OLDER) or key: value for key, value in state.items()}


def detectron2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The RetinaNet of detectron2 on ResNet-50 or -101 by torchvision's names, for RGB and our order of anchors.

    The original reads BGR of 0 to 255 less (103.53, 116.28, 123.675), and divides by nothing: its first convolution
    is turned to RGB here, so that what remains is the mean (123.675, 116.28, 103.53) and the deviation 1 on that
    scale. At each cell it has the ratios of one scale after another, where torchvision and we have the scales of
    one ratio after another: the nine groups of both last convolutions change places. Frozen norms get their
    counters, for they divide by sqrt(variance + 1e-5), not with 0 as torchvision's do. Scores are a sigmoid each,
    80 for COCO.

    What else differs is not in the tensors: the stride of a unit is in its first convolution, P6 stands on C5,
    anchors are centred on i * stride, neither moved nor rounded.

    Raises:
        InputError: another normalisation than ResNet-50's and -101's of the model zoo, or tensors that these nets
            have not.
    """
    _check_pixels(state)
    kept = {key: value for key, value in state.items() if not key.startswith(("pixel_", "anchor_generator."))}
    renamed = {_detectron2_name(key): value for key, value in kept.items()}
    for key in [key for key in renamed if key.endswith(".running_var")]:
        counter = key.replace("running_var", "num_batches_tracked")
        renamed.setdefault(counter, torch.zeros((), dtype=torch.long))
    _turn_to_rgb(renamed)
    for layer in (f"{_SCORES}.cls_logits", f"{_BOXES}.bbox_reg"):
        for leaf in ("weight", "bias"):
            if (key := f"{layer}.{leaf}") in renamed:
                renamed[key] = ratios_first(renamed[key])
    return renamed


def mmdetection(state: Mapping[str, Tensor], *, caffe: bool = False) -> dict[str, Tensor]:
    """The RetinaNet of mmdetection on ResNet-50 or -101 by torchvision's names; its order of anchors is ours.

    What differs is not in the tensors: P6 stands on C5, P7 on P6 without the ReLU between; anchors are centred on
    i * stride and not rounded. Whether the backbone's stride is in the 3x3 convolution ("pytorch", RGB, ImageNet's
    mean and deviation) or in the 1x1 before it ("caffe", BGR), only the configuration tells.

    Args:
        state: its tensors.
        caffe: they are of that style: the first convolution is turned to RGB.

    Raises:
        InputError: tensors that these nets have not.
    """
    renamed = {
        _strict(key, _renamed(key, _MMDETECTION), "mmdetection"): value for key, value in state.items()
    }
    if caffe:
        _turn_to_rgb(renamed)
    return renamed


def ratios_first(values: Tensor) -> Tensor:
    """Rows in groups by scale and ratio as groups by ratio and scale.

    >>> ratios_first(torch.arange(9)).tolist()
    [0, 3, 6, 1, 4, 7, 2, 5, 8]
    """
    return values.unflatten(0, (_SCALES, _RATIOS, -1)).transpose(0, 1).flatten(0, 2)


def _turn_to_rgb(state: dict[str, Tensor]) -> None:
    """Change the first convolution, which knows BGR."""
    if _CONV1 in state:
        state[_CONV1] = state[_CONV1].flip(1)


def _detectron2_name(key: str) -> str:
    if unit := _UNIT.fullmatch(key):
        stage, number, convolution, norm, leaf = unit.groups()
        kind = "bn" if norm else "conv"
        part = f"{kind}{convolution}" if convolution else f"downsample.{int(norm is not None)}"
        return f"backbone.body.layer{int(stage) - 1}.{number}.{part}.{leaf}"
    return _strict(key, _renamed(key, _DETECTRON2), "detectron2")


def _check_pixels(state: Mapping[str, Tensor]) -> None:
    """Older checkpoints hold what is subtracted and divided by; the zoo's ResNets of other kinds have their own."""
    for key, wanted in (("pixel_mean", _MEAN), ("pixel_std", (1.0, 1.0, 1.0))):
        if key in state:
            found = [round(value, 3) for value in state[key].flatten().tolist()]
            if found != list(wanted):
                raise InputError(
                    f"a RetinaNet of detectron2's with {key} {found} where {list(wanted)} is known",
                    hint="only its ResNet-50 and -101 of the MSRA weights are known",
                )


def _renamed(key: str, names: Iterable[tuple[str, str]]) -> str | None:
    """The name by the first pattern that fits it whole."""
    for pattern, name in names:
        if found := re.fullmatch(pattern, key):
            return found.expand(name)
    return None


def _strict(key: str, name: str | None, origin: str) -> str:
    if name is None:
        raise InputError(
            f"has {key}, which {origin}'s RetinaNet on ResNet-50 or -101 has not",
            hint="nets that were built in another way cannot be read",
        )
    return name
