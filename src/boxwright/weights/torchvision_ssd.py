"""Torchvision's SSDs: names of tensors, and what the originals do that the paper does not.

Default boxes on explicit steps, later objects winning a shared prior, normalising before resizing, background in
column 0: all of it written out as settings of the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from boxwright.backbones.mobilenet_v3 import MobileNetV3
from boxwright.backbones.vgg import VGG
from boxwright.errors import InputError
from boxwright.model import Model
from boxwright.recipes import RECIPES, ssd
from boxwright.weights import vgg as vgg_weights
from boxwright.weights.adopt import adopted, rename
from boxwright.weights.inverted import rename as rename_layers
from boxwright.weights.inverted import rename_trunk


def ssd300_vgg16(state: Mapping[str, Tensor]) -> Model:
    """SSD300 of the paper, with default boxes for COCO."""
    origin = "ssd300_vgg16"
    per_cell = (4, 6, 6, 6, 4, 4)
    bias = state.get("head.classification_head.module_list.0.bias")
    if bias is None or bias.numel() % per_cell[0]:
        raise InputError("not torchvision's ssd300_vgg16: no head.classification_head", path=origin)
    classes = bias.numel() // per_cell[0] - 1
    settings = replace(
        RECIPES["ssd300-vgg16"].settings,
        scales=ssd.COCO300,
        placement="step",
        steps=(8.0, 16.0, 32.0, 64.0, 100.0, 300.0),
        shapes_within_image=True,
        force="last",
    )
    # torchvision subtracts the mean on [0, 1] and leaves the range of 0..255, and resizes after that.
    return adopted(
        "ssd300-vgg16",
        origin,
        settings,
        _ssd_names(state, per_cell),
        ids=range(1, classes + 1),
        filter="bilinear",
        order="normalise-resize",
        mean=(0.48235, 0.45882, 0.40784),
        std=(1 / 255,) * 3,
    )


def _ssd_names(state: Mapping[str, Tensor], per_cell: tuple[int, ...]) -> dict[str, Tensor]:
    names = {
        f"backbone.{theirs}": f"backbone.{ours}"
        for theirs, ours in vgg_weights.rename(VGG(16)).items()
        if not ours.startswith("blocks.4")
    }
    names["backbone.scale_weight"] = "neck.first.scale"
    for leaf in ("weight", "bias"):
        # extra.0 is pool4, conv5_1 to conv5_3, then pool5, fc6 and fc7.
        for ours, theirs in ((0, 1), (2, 3), (4, 5)):
            names[f"backbone.extra.0.{theirs}.{leaf}"] = f"backbone.blocks.4.{ours}.{leaf}"
        for ours, theirs in ((0, 1), (2, 3)):
            names[f"backbone.extra.0.7.{theirs}.{leaf}"] = f"backbone.atrous.{ours}.{leaf}"
        for extra in range(4):
            for layer in (0, 2):
                names[f"backbone.extra.{extra + 1}.{layer}.{leaf}"] = f"neck.extras.{extra}.{layer}.{leaf}"
        for level in range(len(per_cell)):
            names[f"head.classification_head.module_list.{level}.{leaf}"] = f"head.scores.{level}.{leaf}"
            names[f"head.regression_head.module_list.{level}.{leaf}"] = f"head.offsets.{level}.{leaf}"
    renamed = {names.get(key, key): value for key, value in state.items()}
    for level, shapes in enumerate(per_cell):
        for leaf in ("weight", "bias"):
            key = f"head.scores.{level}.{leaf}"
            if key in renamed:
                renamed[key] = background_last(renamed[key], shapes)
    return renamed


# SSDLite cuts MobileNet v3 in two inside block 13; these are the same layers by the classifier's names, then the
# extra layers and heads, whose activations are counted through in our names.
_LITE = (
    (r"backbone\.features\.0\.13\.(\d)\.", r"features.13.block.0.\1."),
    (r"backbone\.features\.0\.", "features."),
    (r"backbone\.features\.1\.0\.", "features.13.block."),
    (r"backbone\.features\.1\.1\.", "features.14."),
    (r"backbone\.features\.1\.2\.", "features.15."),
    (r"backbone\.features\.1\.3\.", "features.16."),
    *(
        (rf"backbone\.extra\.(\d)\.{part}\.{i}\.", rf"neck.extras.\1.{3 * part + i}.")
        for part in range(3)
        for i in (0, 1)
    ),
    *(
        (rf"head\.{theirs}_head\.module_list\.(\d)\.{old}\.", rf"head.{ours}.\1.{new}.")
        for theirs, ours in (("classification", "scores"), ("regression", "offsets"))
        for old, new in ((r"0\.0", 0), (r"0\.1", 1), ("1", 3))
    ),
)
_LITE_SHAPES = 6


def ssdlite320_mobilenet_v3_large(state: Mapping[str, Tensor]) -> Model:
    """SSDLite; the file published for COCO has the reduced tail, one begun from ImageNet's weights has not."""
    origin = "ssdlite320_mobilenet_v3_large"
    bias, tail = (
        state.get(key)
        for key in ("head.classification_head.module_list.0.1.bias", "backbone.features.1.3.0.weight")
    )
    if bias is None or tail is None:
        raise InputError(f"not a {origin}: no classification head", path=origin)
    recipe = RECIPES["ssdlite320-mobilenet-v3-large"].settings
    settings = replace(recipe, reduced_tail=len(tail) == 480, force="last", least_negatives=0)
    trunk = MobileNetV3("large", ("expand6", "last"), reduced_tail=settings.reduced_tail)
    layers = {name: f"backbone.{ours}" for name, ours in rename_trunk(trunk, "blocks").items()}
    renamed = rename_layers(rename(state, _LITE), layers)
    for level in range(len(settings.ratios)):
        for key in (f"head.scores.{level}.3.{leaf}" for leaf in ("weight", "bias")):
            if key in renamed:
                renamed[key] = background_last(renamed[key], _LITE_SHAPES)
    return adopted(
        "ssdlite320-mobilenet-v3-large",
        origin,
        settings,
        renamed,
        ids=range(1, bias.numel() // _LITE_SHAPES),
        filter="bilinear",
        order="normalise-resize",
    )


def background_last(values: Tensor, shapes: int) -> Tensor:
    """Rows [shape * column, ...] with background in each shape's column 0, moved to its last column."""
    return values.unflatten(0, (shapes, -1)).roll(-1, 1).flatten(0, 1)
