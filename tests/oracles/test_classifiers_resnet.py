"""Torchvision's ResNet, wide ResNet and ResNeXt classifiers: their logits, layouts and numbers of parameters."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from torch import Tensor, nn

from boxwright.backbones.resnet import VARIANTS, ResNet, ResNetClassifier
from boxwright.errors import InputError
from boxwright.weights import resnet as weights

PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272,
}
"""As published with torchvision's weights, for 1000 classes."""

ORIGIN = Path("resnet18.pth")


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("resnet101", marks=pytest.mark.slow),
        pytest.param("resnext50_32x4d", marks=pytest.mark.slow),
    ],
)
def test_logits(shared: Path, name: str) -> None:
    case = reference.load(shared / "reference/torchvision", name)
    given = case.spec["input"]
    image = reference.picture(given["h"], given["w"], given["seed"])
    images = (torch.from_numpy(image)[None] - given["mean"]) / given["std"]
    with torch.no_grad():
        ours = weights.classifier(name, case.state_dict())(images)[0].numpy()
    theirs = case.outputs["logits"]
    assert np.abs(ours - theirs).max() < 1e-3 * theirs.std()


@pytest.mark.parametrize("name", VARIANTS)
def test_layouts(shared: Path, name: str) -> None:
    layouts = json.loads(gzip.decompress((shared / "reference/torchvision/layouts.json.gz").read_bytes()))
    with torch.device("meta"):
        net = ResNetClassifier(name)
        theirs = weights.rename({key: torch.empty(shape) for key, shape in layouts[name].items()})
    ours = net.state_dict()
    assert {key: value.shape for key, value in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMETERS[name]


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A resnet18 of 5 classes by torchvision's names, whose norms are not what new ones are."""
    torch.manual_seed(0)
    net = ResNetClassifier("resnet18", classes=5)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.running_mean, -1, 1)
    return {
        key.removeprefix("trunk.").replace("linear.", "fc."): value for key, value in net.state_dict().items()
    }


def test_the_state_tells_the_number_of_classes(published: dict[str, Tensor]) -> None:
    net = weights.classifier("resnet18", published)
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 5)
    assert not net.training


def test_a_trunk_takes_what_it_has_stages_for(published: dict[str, Tensor]) -> None:
    whole, part = ResNet("resnet18", ["stage1", "stage2"]), ResNet("resnet18", ["stage1"])
    for trunk in (whole, part):
        weights.load_trunk(trunk, published, ORIGIN)
        for key, value in trunk.state_dict().items():
            assert torch.equal(value, published[key])
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(whole.eval()(images)[0], part.eval()(images)[0])


def test_files_from_before_norms_counted_are_read(published: dict[str, Tensor]) -> None:
    """And their norms keep their eps: 0 is for detectors that were trained with frozen ones."""
    old = {key: value for key, value in published.items() if not key.endswith("num_batches_tracked")}
    weights.load_trunk(trunk := ResNet("resnet18", ["stage1"]), old, ORIGIN)
    assert torch.equal(trunk.bn1.running_var, published["bn1.running_var"])
    net = weights.classifier("resnet18", old)
    assert {m.eps for m in net.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-5}
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(net(images), weights.classifier("resnet18", published)(images))


@pytest.mark.parametrize("spoil", ["lacks", "has more", "shape"])
def test_what_disagrees_is_named(published: dict[str, Tensor], spoil: str) -> None:
    state = dict(published)
    if spoil == "lacks":
        del state["layer1.0.conv2.weight"]
    elif spoil == "has more":
        state["layer1.7.conv2.weight"] = torch.zeros(1)
    else:
        state["layer1.0.conv2.weight"] = torch.zeros(1)
    match = r"layer1\.7\.conv2\.weight" if spoil == "has more" else r"layer1\.0\.conv2\.weight"
    with pytest.raises(InputError, match=match) as trunks:
        weights.load_trunk(ResNet("resnet18", ["stage1"]), state, ORIGIN)
    assert str(trunks.value).startswith("resnet18.pth: ")
    with pytest.raises(InputError, match=match):
        weights.classifier("resnet18", state)


def test_a_misspelt_name_gets_the_near_one() -> None:
    with pytest.raises(InputError, match="did you mean resnet34"):
        weights.classifier("resnet-34", {})
