"""Every kind of network that is no detector: its file becomes a graph by one command, equal at sizes of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from boxwright.card import Card
from boxwright.cli import app
from boxwright.modelfile import write_model
from boxwright.nets import SINGLE, export
from boxwright.perceptual.upscale_settings import UpscaleSettings
from boxwright.perceptual.vae import Vae, VaeSettings
from boxwright.runtime.graph import Graph
from boxwright.segment import networks
from boxwright.segment.masks import Classes
from boxwright.segment.model import describe
from boxwright.segment.settings import NetSettings
from boxwright.training.state import arrays


def segment_card() -> Card:
    settings = NetSettings(width=4, depth=2, padded=True)
    net = networks.begin("unet", 2, settings)
    return describe(
        "unet",
        Classes(("paper", "ink"), (0, 255)),
        networks.settled(net, settings),
        networks.tiling(net, settings),
        {},
    )


CARDS: dict[str, Callable[[], Card]] = {
    "style": lambda: Card("style", {"width": 4, "blocks": 1}),
    "upscale": lambda: Card("upscale", asdict(UpscaleSettings(blocks=1, channels=4))),
    "segment": segment_card,
}


def written(net: nn.Module, card: Card, path: Path) -> Path:
    write_model(path, arrays(net), card)
    return path


def test_every_kind_is_here() -> None:
    assert CARDS.keys() == SINGLE.keys()


@pytest.mark.parametrize("task", CARDS)
def test_a_checkpoint_becomes_a_graph_that_says_the_same(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    card = CARDS[task]()
    net = SINGLE[task][0](card.settings)
    file = written(net, card, tmp_path / "best.safetensors")
    app(["export", str(file), "--json"], standalone_mode=False)
    said = json.loads(capsys.readouterr().out.splitlines()[0])
    assert said["file"] == str(tmp_path / "best.onnx") and said["difference"] < 1e-4
    graph = Graph(tmp_path / "best.onnx", task)
    assert graph.card.settings == card.settings
    pictures = torch.rand(2, 3, 64, 32)
    with torch.inference_mode():
        wanted = net.eval()(pictures).numpy()
    np.testing.assert_allclose(graph.run(pictures.numpy())[0], wanted, rtol=1e-3, atol=1e-4)


def test_an_auto_encoder_becomes_two(tmp_path: Path) -> None:
    torch.manual_seed(1)
    settings = VaeSettings(size=32, latent=3, width=4)
    net = Vae(settings).eval()
    file = written(net, Card("vae", asdict(settings)), tmp_path / "best.safetensors")
    folder, difference = export(file, "vae")
    assert folder == tmp_path / "best" and difference < 1e-4
    latents = torch.randn(5, 3)
    (found,) = Graph(folder / "decoder.onnx", "vae").run(latents.numpy())
    with torch.inference_mode():
        np.testing.assert_allclose(found, net.decode(latents).numpy(), rtol=1e-3, atol=1e-4)


def test_what_is_only_for_detectors_is_refused(tmp_path: Path) -> None:
    from boxwright.errors import InputError

    card = CARDS["style"]()
    file = written(SINGLE["style"][0](card.settings), card, tmp_path / "best.safetensors")
    with pytest.raises(InputError, match="--half is for detectors, and this is a network for style"):
        app(["export", str(file), "--half"], standalone_mode=False)
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        app(["export", str(file), "--out", str(tmp_path / "a.bin")], standalone_mode=False)
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]
