"""Torchvision's VGG, MobileNet and EfficientNet classifiers: their logits, layouts and numbers of parameters."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import reference
import torch
from torch import Tensor, nn

from boxwright.backbones.efficientnet import EfficientNet, EfficientNetClassifier
from boxwright.backbones.mobilenet import MobileNetV1Classifier, MobileNetV2
from boxwright.backbones.mobilenet_v3 import MobileNetV3
from boxwright.backbones.vgg import VGG
from boxwright.errors import InputError
from boxwright.weights import efficientnet, mobilenet, vgg

PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
}
"""As published with torchvision's weights, for 1000 classes."""

SCALED = tuple(f"efficientnet_b{number}" for number in range(1, 8))

ORIGIN = Path("published.pth")


def importer(name: str) -> ModuleType:
    return next(module for module in (vgg, mobilenet, efficientnet) if name in module.NAMES)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        "mobilenet_v3_large",
        "efficientnet_b0",
        "efficientnet_b1",
        pytest.param("vgg16", marks=pytest.mark.slow),
        pytest.param("vgg16_bn", marks=pytest.mark.slow),
    ],
)
def test_logits(shared: Path, name: str) -> None:
    case = reference.load(shared / "reference/torchvision", name)
    given = case.spec["input"]
    image = reference.picture(given["h"], given["w"], given["seed"])
    images = (torch.from_numpy(image)[None] - given["mean"]) / given["std"]
    with torch.no_grad():
        ours = importer(name).classifier(name, case.state_dict())(images)[0].numpy()
    theirs = case.outputs["logits"]
    assert np.abs(ours - theirs).max() < 1e-3 * theirs.std()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SCALED else ()) for name in PARAMETERS],
)
def test_layouts(shared: Path, name: str) -> None:
    """Strict by name and shape, on a device that holds no values."""
    layouts = json.loads(gzip.decompress((shared / "reference/torchvision/layouts.json.gz").read_bytes()))
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in layouts[name].items()}
        net = importer(name).classifier(name, state)
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMETERS[name]
    assert len(net.state_dict()) == len(state)


def test_every_layout_has_an_importer(shared: Path) -> None:
    layouts = json.loads(gzip.decompress((shared / "reference/torchvision/layouts.json.gz").read_bytes()))
    ours = {name for name in layouts if name.startswith(("vgg", "mobilenet", "efficientnet"))}
    assert ours == {*vgg.NAMES, *mobilenet.NAMES, *efficientnet.NAMES} == set(PARAMETERS)


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (MobileNetV1Classifier, 4_231_976),
        (lambda: EfficientNetClassifier("lite0"), 4_652_008),
        (lambda: EfficientNetClassifier("lite1"), 5_416_680),
        (lambda: EfficientNetClassifier("lite2"), 6_092_072),
        (lambda: EfficientNetClassifier("lite3"), 8_197_096),
        (lambda: EfficientNetClassifier("lite4"), 13_006_568),
    ],
    ids=["v1", "lite0", "lite1", "lite2", "lite3", "lite4"],
)
def test_parameters_of_nets_that_torchvision_has_not(build: Callable[[], nn.Module], parameters: int) -> None:
    with torch.device("meta"):
        net = build()
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


def test_the_state_tells_the_number_of_classes(shared: Path) -> None:
    for name, last in (("mobilenet_v2", 1), ("mobilenet_v3_large", 3), ("efficientnet_b0", 1)):
        state = reference.load(shared / "reference/torchvision", name).state_dict()
        for leaf in ("weight", "bias"):
            state[f"classifier.{last}.{leaf}"] = state[f"classifier.{last}.{leaf}"][:5]
        net = importer(name).classifier(name, state)
        assert not net.training
        with torch.no_grad():
            assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("mobilenet_v2", MobileNetV2),
        ("mobilenet_v3_large", lambda taps: MobileNetV3("large", taps)),
        ("efficientnet_b0", lambda taps: EfficientNet(0, taps)),
    ],
)
def test_a_trunk_takes_what_it_has_rows_for(
    shared: Path, name: str, build: Callable[[list[str]], nn.Module]
) -> None:
    state = reference.load(shared / "reference/torchvision", name).state_dict()
    classifier = importer(name).classifier(name, state)
    images = torch.randn(1, 3, 64, 64)

    def maps(*taps: str) -> list[Tensor]:
        trunk = build(list(taps)).eval()
        importer(name).load_trunk(trunk, state, ORIGIN)
        with torch.no_grad():
            return list(trunk(images))

    first, last = maps("first3", "last")
    with torch.no_grad():
        assert torch.equal(classifier.trunk(images)[0], last)
        second, wide = maps("stage2", "expand3")
        assert torch.equal(classifier.trunk.rows[2][0].narrow(wide, second), first)
    for taps in (("first3", "stage6"), ("first3",)):
        assert torch.equal(maps(*taps)[0], first)


@pytest.mark.parametrize("spoil", ["lacks", "has more", "shape"])
@pytest.mark.parametrize(
    ("name", "key", "trunk"),
    [
        ("mobilenet_v2", "features.2.conv.1.0.weight", lambda: MobileNetV2(["stage2"])),
        ("mobilenet_v3_large", "features.2.block.1.0.weight", lambda: MobileNetV3("large", ["stage2"])),
        ("efficientnet_b0", "features.2.0.block.1.0.weight", lambda: EfficientNet(0, ["stage2"])),
    ],
)
def test_what_disagrees_is_named(
    shared: Path, name: str, key: str, trunk: Callable[[], nn.Module], spoil: str
) -> None:
    state = reference.load(shared / "reference/torchvision", name).state_dict()
    match = r"rows\.1\.0\.depthwise\.0\.weight"
    if spoil == "lacks":
        del state[key]
    elif spoil == "has more":
        state[key.replace(".1.0.weight", ".9.0.weight")] = torch.zeros(1)
        match = key.replace(".1.0.weight", ".9.0.weight").replace(".", r"\.")
    else:
        state[key] = torch.zeros(1)
    with pytest.raises(InputError, match=match) as error:
        importer(name).load_trunk(trunk(), state, ORIGIN)
    assert str(error.value).startswith("published.pth: ")
    with pytest.raises(InputError, match=match):
        importer(name).classifier(name, state)


@pytest.mark.parametrize(
    ("module", "name", "near"),
    [(vgg, "vgg16-bn", "vgg16_bn"), (mobilenet, "mobilenetv2", "mobilenet_v2"), (efficientnet, "b0", "_b0")],
)
def test_a_misspelt_name_gets_the_near_one(module: ModuleType, name: str, near: str) -> None:
    with pytest.raises(InputError, match=near):
        module.classifier(name, {})


@pytest.fixture(scope="module")
def vgg11() -> dict[str, Tensor]:
    """The trunk of a VGG-11 with norms by torchvision's names; its classifier would be half a gigabyte."""
    torch.manual_seed(0)
    trunk = VGG(11, norm=True)
    for part in trunk.modules():
        if isinstance(part, nn.BatchNorm2d):  # not what new ones are
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.running_mean, -1, 1)
    own = trunk.state_dict()
    state = {theirs: own[ours] for theirs, ours in vgg.rename(trunk).items()}
    return {**state, "classifier.6.bias": torch.zeros(1000)}


def test_a_vgg_takes_what_it_has_blocks_for(vgg11: dict[str, Tensor]) -> None:
    whole, part = VGG(11, ["conv3", "conv5"], norm=True), VGG(11, ["conv3"], norm=True)
    for trunk in (whole, part):
        vgg.load_trunk(trunk, vgg11, ORIGIN)
    assert torch.equal(whole.state_dict()["blocks.4.3.weight"], vgg11["features.25.weight"])
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(whole.eval()(images)[0], part.eval()(images)[0])


def test_files_older_than_the_counters_keep_their_eps(vgg11: dict[str, Tensor]) -> None:
    """Torchvision's VGG with norms is of 2017; the norms were not frozen when it was trained."""
    old = {key: value for key, value in vgg11.items() if not key.endswith("num_batches_tracked")}
    new, trunk = VGG(11, norm=True), VGG(11, norm=True)
    vgg.load_trunk(trunk, old, ORIGIN)
    vgg.load_trunk(new, vgg11, ORIGIN)
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(trunk.eval()(images)[0], new.eval()(images)[0])
    assert {m.eps for m in trunk.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-5}


@pytest.mark.parametrize("spoil", ["lacks", "has more", "shape", "other depth"])
def test_what_disagrees_with_a_vgg_is_named(vgg11: dict[str, Tensor], spoil: str) -> None:
    state, match, depth = dict(vgg11), r"1\.0\.weight", 11
    if spoil == "lacks":
        del state["features.4.weight"]
    elif spoil == "has more":
        state["features.5.more"] = torch.zeros(1)
        match = r"features\.5\.more"
    elif spoil == "shape":
        state["features.4.weight"] = torch.zeros(1)
    else:
        match, depth = r"0\.3\.weight", 13
    with pytest.raises(InputError, match=match) as error:
        vgg.load_trunk(VGG(depth, norm=True), state, ORIGIN)
    assert str(error.value).startswith("published.pth: ")
