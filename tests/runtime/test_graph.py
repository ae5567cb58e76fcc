"""Exported networks that are no detectors: equal to torch at every size, sealed, and known for what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.runtime.export_net import GraphError, Trace, export_net
from boxwright.runtime.graph import Graph
from boxwright.runtime.onnx import OnnxEngine
from boxwright.runtime.translate import Axis

FREE = {"pictures": {0: Axis("batch"), 2: Axis("height", 2), 3: Axis("width", 2)}}
CARD = Card("style", {"width": 4}, {"data": "none"})


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.InstanceNorm2d(4, affine=True), nn.ReLU(), nn.Upsample(scale_factor=2)
    ).eval()


def trace(*shapes: tuple[int, int, int]) -> Trace:
    examples = [(torch.rand(batch, 3, height, width),) for batch, height, width in shapes]
    return Trace(examples, FREE, ("styled",))


def test_a_graph_is_the_network_at_sizes_it_was_not_traced_at(tmp_path: Path) -> None:
    difference = export_net(net(), CARD, tmp_path / "a.onnx", trace((2, 8, 12), (1, 20, 6)))
    assert difference < 1e-4
    graph = Graph(tmp_path / "a.onnx", "style", threads=1)
    assert graph.card == CARD
    pictures = torch.rand(3, 3, 14, 30)
    (found,) = graph.run(pictures.numpy())
    np.testing.assert_allclose(found, net()(pictures).detach().numpy(), rtol=1e-4, atol=1e-4)


class Unsteady(nn.Module):
    """Not a function of its input: no graph can be equal to it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, pictures: Tensor) -> Tensor:
        self.calls += 1
        return pictures * self.calls


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="differs from the network"):
        export_net(Unsteady(), CARD, tmp_path / "a.onnx", trace((2, 4, 4), (2, 4, 4)))
    assert not list(tmp_path.iterdir())


def test_a_graph_is_taken_for_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    export_net(net(), CARD, file, trace((2, 8, 8)))
    with pytest.raises(InputError, match="is a network for style, not for upscale"):
        Graph(file, "upscale")
    with pytest.raises(InputError, match="is a network for style, not a detector"):
        OnnxEngine(file)
    with pytest.raises(InputError, match="no network for style"):
        Graph(Path(__file__).parents[2] / "src/boxwright/weights/packaged/everyday.onnx", "style")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        Graph(file, "style")
