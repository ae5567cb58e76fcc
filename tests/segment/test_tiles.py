"""Overlap-tile: no seams, whatever the size of the picture and of the tile."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from boxwright.segment.networks import begin, settled, tiling
from boxwright.segment.settings import NetSettings
from boxwright.segment.tiles import Tiling, tiled
from boxwright.segment.unet import UNet


def box_sum(cropped: bool, radius: int):
    """A network whose output at a pixel is the sum of its surroundings: any wrong neighbour shows."""

    def run(batch: np.ndarray) -> np.ndarray:
        window = 2 * radius + 1
        views = np.lib.stride_tricks.sliding_window_view(batch[:, :1], (window, window), (2, 3)).astype(
            np.float64
        )
        found = views.sum((-1, -2)).astype(np.float32)
        if cropped:
            return found
        return np.pad(found, [(0, 0), (0, 0), (radius, radius), (radius, radius)], constant_values=np.nan)

    return run


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cells=st.integers(1, 5),
    multiple=st.sampled_from([1, 2, 4]),
    more=st.integers(0, 3),
    cropped=st.booleans(),
    fixed=st.booleans(),
)
def test_every_pixel_sees_its_own_surroundings(
    size: tuple[int, int], cells: int, multiple: int, more: int, cropped: bool, fixed: bool
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    radius = 4
    side = cells * multiple + (more if cropped else 0)
    found = tiled(picture, box_sum(cropped, radius), Tiling(side, radius, multiple, cropped, fixed))
    mirrored = np.pad(picture[..., 0] / np.float32(255), radius, mode="reflect").astype(np.float32)
    wanted = box_sum(True, radius)(mirrored[None, None])[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


class Counted:
    """Remembers the sizes that a network is fed."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.sizes.append((batch.shape[2], batch.shape[3]))
        return batch[:, :1]


def test_a_free_network_is_fed_no_more_than_a_small_picture_needs() -> None:
    picture = np.zeros((20, 70, 3), np.uint8)
    free, fixed = Counted(), Counted()
    tiled(picture, free, Tiling(64, 8, 8, cropped=False, fixed=False))
    tiled(picture, fixed, Tiling(64, 8, 8, cropped=False, fixed=True))
    assert free.sizes == [(24 + 16, 64 + 16)] * 2
    assert fixed.sizes == [(80, 80)] * 2


def as_run(net: nn.Module):
    @torch.inference_mode()
    def run(batch: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(batch).double()).float().numpy()

    return run


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_tiles_of_unet_are_the_whole_picture(padded: bool, norm: bool) -> None:
    torch.manual_seed(0)
    settings = NetSettings(width=4, depth=2, padded=padded, norm=norm, tile=16 if padded else 20)
    net = begin("unet", 3, settings).double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    net.eval()
    picture = np.random.default_rng(1).integers(0, 256, (50, 67, 3), dtype=np.uint8)
    small = tiling(net, settings)
    assert small.margin >= net.margin
    large = tiling(net, NetSettings(width=4, depth=2, padded=padded, tile=96 if padded else 100))
    assert large.tile > 67 > 50 > small.tile
    one, many = (tiled(picture, as_run(net), how) for how in (large, small))
    # The same sums in double precision; only their order may differ.
    np.testing.assert_allclose(many, one, rtol=0, atol=1e-6 * np.abs(one).max())


def test_too_narrow_a_margin_has_seams() -> None:
    """The law above is no accident of a network that looks at nothing."""
    torch.manual_seed(0)
    net = begin("unet", 2, NetSettings(width=4, depth=2, padded=True)).double().eval()
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    how = NetSettings(width=4, depth=2, padded=True, tile=16, margin=0)
    one = tiled(picture, as_run(net), tiling(net, NetSettings(width=4, depth=2, padded=True, tile=64)))
    many = tiled(picture, as_run(net), tiling(net, how))
    assert np.abs(one - many).max() > 1e-3 * np.abs(one).max()


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_unpadded_net_takes_its_margin_off(depth: int) -> None:
    net = UNet(2, width=2, depth=depth).eval()
    for cells in (1, 3):
        side = net.side(cells)
        found = net(torch.zeros(1, 3, side + 2 * net.margin, side + 2 * net.margin))
        assert found.shape == (1, 2, side, side)


def test_the_paper_s_sizes() -> None:
    net = UNet(2)
    how = tiling(net, NetSettings())
    assert (how.side, how.tile) == (572, 388)
    assert settled(net, NetSettings()).margin == 92
    assert [step[0].out_channels for step in net.down] == [64, 128, 256, 512, 1024]


@pytest.mark.parametrize("padded", [False, True])
def test_unet_sees_no_farther_than_its_margin(padded: bool) -> None:
    torch.manual_seed(0)
    net = UNet(2, width=4, depth=2, padded=padded).double().eval()
    for parameter in net.parameters():
        # Nothing is negative, so that no ReLU hides how far it sees.
        parameter.data.abs_()
    side = net.side(4) + 2 * net.margin if not padded else 80
    picture = 0.5 + torch.rand(1, 3, side, side, dtype=torch.float64) / 2
    found = net(picture.requires_grad_())
    place = found.shape[2] // 2 // 4 * 4
    shift = 0 if padded else net.margin
    # From the first pixel of a cell to one side, from its last to the other.
    for at, side_of in ((place, min), (place + 3, max)):
        (gradient,) = torch.autograd.grad(found[0, 0, at, place], picture, retain_graph=True)
        rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten().tolist()
        reach = abs(side_of(rows) - at - shift)
        assert net.margin - 4 <= reach <= (tiling(net, NetSettings()).margin if padded else net.margin)
