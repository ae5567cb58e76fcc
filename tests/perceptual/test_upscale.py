"""The network: begins as bicubic interpolation, sees as far as its settings say, and is its graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.perceptual.upscale import Upscaler, bicubic, build, icnr, trace
from boxwright.perceptual.upscale_settings import UpscaleSettings
from boxwright.runtime.export_net import graph_of
from boxwright.runtime.graph import Graph


def lively(settings: UpscaleSettings) -> Upscaler:
    """A network whose every weight matters, as after training."""
    torch.manual_seed(3)
    net = Upscaler(settings).eval()
    nn.init.normal_(net.last.weight, std=0.1)
    return net


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_interpolation_is_pillows(factor: int) -> None:
    rng = np.random.default_rng(factor)
    # No overshoot beyond black and white, where Pillow clips between its two passes.
    picture = rng.integers(90, 166, (11, 14, 3), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(picture).resize((14 * factor, 11 * factor), Image.Resampling.BICUBIC))
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    found = bicubic(tensor, factor)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(found - wanted).max() < 1.1  # Pillow rounds twice


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_it_begins_as_good_as_interpolation_and_without_a_checkerboard(factor: int) -> None:
    torch.manual_seed(0)
    net = Upscaler(UpscaleSettings(factor, blocks=2, channels=8))
    pictures = torch.rand(2, 3, 9, 7)
    change = net(pictures).detach() - bicubic(pictures, factor)
    assert 0 < float(change.abs().max()) < 2 / 255
    # ICNR: all pixels that come of one of the small picture change alike.
    cells = change.unflatten(3, (7, factor)).unflatten(2, (9, factor))
    torch.testing.assert_close(cells, cells[:, :, :, :1, :, :1].expand_as(cells), rtol=0, atol=1e-6)


def test_icnr_keeps_the_usual_variance() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 12 * 4, 3)
    icnr(conv, 2)
    assert float(conv.weight.std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert torch.equal(conv.weight[0], conv.weight[3]) and not torch.equal(conv.weight[3], conv.weight[4])


@pytest.mark.parametrize(("blocks", "radius"), [(1, 5), (3, 9)])
def test_the_radius_is_how_far_it_sees_and_no_farther(blocks: int, radius: int) -> None:
    settings = UpscaleSettings(2, blocks=blocks, channels=6)
    assert settings.radius == radius
    net = lively(settings).double()
    side = 2 * radius + 5
    middle = side // 2
    picture = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    # Weights of one sign, so that no way from a pixel to the output is cancelled by another.
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    net(picture)[..., 2 * middle, 2 * middle].sum().backward()
    assert picture.grad is not None
    rows, columns = picture.grad.abs().sum((0, 1)).nonzero().T.tolist()
    assert (min(rows), max(rows)) == (min(columns), max(columns)) == (middle - radius, middle + radius)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_graph_is_the_network_at_any_size(factor: int) -> None:
    settings = {"factor": factor, "blocks": 1, "channels": 4}
    net = build(settings)
    nn.init.normal_(net.last.weight, std=0.1)
    content, difference = graph_of(net, Card("upscale", settings), trace(settings))
    assert difference < 1e-5
    graph = Graph(content, "upscale", threads=1)
    for height, width in ((1, 1), (5, 40)):
        pictures = torch.rand(1, 3, height, width)
        (found,) = graph.run(pictures.numpy())
        np.testing.assert_allclose(found, net(pictures).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"factor": 5}, "give 2 or 3 or 4"),
        ({"blocks": 0}, r"upscale\.blocks is 0, must be at least 1"),
        ({"pixels": 0.0}, "give one of them a weight above 0"),
        ({"held": 1.5}, "number of pictures, or a part below 1"),
        ({"chanels": 4}, "did you mean channels"),
    ],
)
def test_settings_that_are_none(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        UpscaleSettings.from_dict(values)
