"""Where a model's weights come from: files as torchvision publishes them, by a mirror on this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from boxwright.backbones.mobilenet_v3 import MobileNetV3Classifier
from boxwright.errors import InputError
from boxwright.model import create
from boxwright.weights import published
from boxwright.weights.inverted import rename_trunk

QUIET = {"say": lambda line: None}


def publish(mirror: Path, name: str, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file where the mirror has it, and the table told of its digest."""
    file = mirror / "file.pth"
    torch.save(state, file)
    named = file.rename(mirror / f"{name}-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth")
    table = [
        published.Published(name, "IMAGENET1K_V1", named.name, "classify", 1.0, "this test")
        if entry.network == name
        else entry
        for entry in published.PUBLISHED
    ]
    monkeypatch.setattr(published, "PUBLISHED", tuple(table))
    monkeypatch.setenv("BOXWRIGHT_WEIGHTS_URL", mirror.as_uri())
    monkeypatch.setenv("BOXWRIGHT_CACHE", str(mirror / "cache"))


def test_imagenet_is_downloaded_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    net = MobileNetV3Classifier("large")
    names = {ours: theirs for theirs, ours in rename_trunk(net.trunk, "blocks").items()}
    state = {}
    for key, value in net.trunk.state_dict().items():
        layer, _, leaf = key.rpartition(".")
        state[f"{names[layer]}.{leaf}"] = value
    publish(tmp_path, "mobilenet_v3_large", state, monkeypatch)
    told: list[str] = []
    model = create("retinanet-mobilenet-v3-large-fpn", classes=["a"], weights="imagenet", say=told.append)
    assert "mobilenet_v3_large from mobilenet_v3_large-" in told[-1]
    for key, value in net.trunk.state_dict().items():
        assert torch.equal(model.net.backbone.state_dict()[key], value)


def test_a_file_of_another_digest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = published.find("mobilenet_v3_large")
    torch.save({"x": torch.zeros(1)}, tmp_path / entry.file)
    monkeypatch.setenv("BOXWRIGHT_WEIGHTS_URL", tmp_path.as_uri())
    monkeypatch.setenv("BOXWRIGHT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=entry.file):
        create("ssdlite320-mobilenet-v3-large", classes=["a"], weights="imagenet", **QUIET)
    assert not list((tmp_path / "cache").glob("*.pth"))


def test_offline_it_says_where_to_put_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setenv("BOXWRIGHT_OFFLINE", "1")
    with pytest.raises(InputError, match=r"offline; put the file at .*resnet18-f37072fd\.pth"):
        create("retinanet-resnet18-fpn", classes=["a"], weights="imagenet", **QUIET)


def test_coco_brings_all_but_the_head(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    layout = json.loads((shared / "reference/torchvision/ssdlite320_mobilenet_v3_large.json").read_text())[
        "layout"
    ]
    generator = torch.Generator().manual_seed(0)
    state = {
        key: torch.zeros((), dtype=torch.long) if not shape else torch.rand(shape, generator=generator)
        for key, shape in layout.items()
    }
    publish(tmp_path, "ssdlite320_mobilenet_v3_large", state, monkeypatch)
    told: list[str] = []
    # The published file has the reduced tail.
    model = create(
        "ssdlite320-mobilenet-v3-large",
        classes=["a"],
        weights="coco",
        settings={"reduced_tail": True},
        say=told.append,
    )
    assert torch.equal(model.net.backbone.stem[0].weight, state["backbone.features.0.0.0.weight"])
    assert torch.equal(
        model.net.head.offsets[2][3].weight, state["head.regression_head.module_list.2.1.weight"]
    )
    # Weights and biases of six levels' scores belong to other classes.
    assert "12 tensors start fresh" in told[-1]
