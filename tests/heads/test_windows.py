"""Windows that share their work: the same scores as one by one, and where padding forbids it, only there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from boxwright.backbones.layers import SameConv2d
from boxwright.features import FeatureSpec, Step
from boxwright.heads.region import CropPool, Patches, RegionHead, TwoLayers
from boxwright.heads.windows import WindowHead
from boxwright.regions.source import Windows
from boxwright.types import Priors, given


class Trunk(nn.Module):
    """3x3 convolutions of stride 2; counts the pixels that it sees.

    Args:
        depth: how many.
        padding: of each; "same" is TensorFlow's.
    """

    def __init__(self, depth: int, padding: int | str) -> None:
        super().__init__()
        channels = [3, *[6] * depth]
        same = padding == "same"
        self.layers = nn.ModuleList(
            SameConv2d(a, b, 3, 2) if same else nn.Conv2d(a, b, 3, 2, int(padding))
            for a, b in pairwise(channels)
        )
        self.specs = (FeatureSpec(6, (Step(3, 2, "same" if same else int(padding)),) * depth),)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> list[Tensor]:
        self.seen.append(tuple(images.shape))
        for layer in self.layers:
            images = layer(images).tanh()
        return [images]

    def stages(self) -> tuple[nn.Module, ...]:
        return tuple(self.layers)


class Interior(nn.Module):
    """All cells but those at the edge."""

    def __init__(self, edge: int) -> None:
        super().__init__()
        self.edge = edge

    def forward(self, maps: Tensor) -> Tensor:
        return maps[..., self.edge : -self.edge, self.edge : -self.edge]


def heads(trunk: Trunk, side: int, context: int = 0, edge: int = 0) -> tuple[RegionHead, WindowHead]:
    """A head of either kind with the same weights; scores depend on every cell and where it is."""
    torch.manual_seed(0)
    cells = trunk.specs[0].cells(side) - 2 * edge
    after = nn.Sequential(Interior(edge) if edge else nn.Identity(), TwoLayers(6 * cells**2, 16))
    pool, body = CropPool(side, context), Patches(trunk, after)
    one = RegionHead(pool, body, 16, 3, moves=False, chunk=7)
    shared = WindowHead(pool, body, 16, 3, moves=False, chunk=7)
    shared.load_state_dict(one.state_dict())
    nn.init.normal_(one.scores.weight)  # as they start, the scores hardly differ
    shared.scores.load_state_dict(one.scores.state_dict())
    return one.eval(), shared.eval()


def laid(cell: float, *sizes: tuple[int, int], sides: tuple[float, ...] = (0.31, 0.47, 0.9)) -> Priors:
    """Windows of images of some sizes, padded to one number.

    A side that goes evenly into the image can put the middle of a pixel of the context on the image's very edge,
    where rounding decides whether it is seen.
    """
    boxes = [Windows(sides, stride=0.25, cell=cell)(np.zeros((*size, 3), np.uint8)) for size in sizes]
    most = max(map(len, boxes))
    valid = np.array([[i < len(own) for i in range(most)] for own in boxes])
    return given(np.stack([np.pad(own, ((0, most - len(own)), (0, 0))) for own in boxes]), valid)


def pictures(count: int, height: int, width: int) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def scores(head: RegionHead, images: Tensor, regions: Priors) -> Tensor:
    return head([images], regions).logits[regions.valid]


@pytest.mark.parametrize(
    ("depth", "side", "context"), [(1, 17, 0), (1, 18, 2), (2, 19, 0), (2, 21, 0), (2, 22, 1), (2, 27, 3)]
)
def test_without_padding_both_ways_are_equal(depth: int, side: int, context: int) -> None:
    trunk = Trunk(depth, 0)
    one, shared = heads(trunk, side, context)
    images, regions = pictures(1, 60, 75), laid(shared.cell, (60, 75))
    expected = scores(one, images, regions)
    passes, trunk.seen = trunk.seen, []
    actual = scores(shared, images, regions)
    assert expected.std(0).min() > 0.02  # windows do differ
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
    # One pass a shape at the most, and far fewer pixels.
    shapes = len(torch.unique((regions.boxes[0, :, 2:] - regions.boxes[0, :, :2]).round(decimals=2), dim=0))
    assert len(trunk.seen) <= shapes < 10
    assert pixels(trunk.seen) < 0.4 * pixels(passes)


def pixels(shapes: list[tuple[int, ...]]) -> int:
    return sum(count * height * width for count, _, height, width in shapes)


@pytest.mark.parametrize("padding", [1, "same"])
@pytest.mark.parametrize("side", [32, 37])
def test_padding_is_all_that_differs(padding: int | str, side: int) -> None:
    """Cells that see nothing beyond their window's edge are equal; the others are not."""
    one, shared = heads(Trunk(2, padding), side, edge=1)
    images, regions = pictures(1, 60, 75), laid(shared.cell, (60, 75))
    torch.testing.assert_close(
        scores(shared, images, regions), scores(one, images, regions), atol=1e-5, rtol=0
    )
    one, shared = heads(Trunk(2, padding), side)
    assert (scores(shared, images, regions) - scores(one, images, regions)).abs().max() > 0.01


def test_a_window_that_shares_with_none_is_equal_in_spite_of_padding() -> None:
    one, shared = heads(Trunk(2, 1), 32)
    images, regions = pictures(1, 40, 40), laid(shared.cell, (40, 40), sides=(0.3, 1.0))
    whole = (regions.boxes[0] == torch.tensor([0.0, 0, 40, 40])).all(1)
    assert whole.sum() == 1
    both = (scores(head, images, regions)[whole] for head in (one, shared))
    torch.testing.assert_close(*both, atol=1e-5, rtol=0)


def test_images_of_a_batch_have_their_own_windows() -> None:
    """Of other sizes, with none at all, thinner than a window."""
    one, shared = heads(Trunk(2, 0), 19)
    regions = laid(shared.cell, (60, 75), (40, 30), (1, 75), (60, 1), (2, 2))
    assert regions.valid.sum(1)[2:4].tolist() == [0, 0]
    images = pictures(5, 60, 75)
    for row, (height, width) in enumerate([(60, 75), (40, 30), (1, 75), (60, 1), (2, 2)]):
        images[row, :, height:] = 0
        images[row, :, :, width:] = 0
    torch.testing.assert_close(
        scores(shared, images, regions), scores(one, images, regions), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("roi", [0, 3])
def test_no_windows_at_all(roi: int) -> None:
    _, shared = heads(Trunk(2, 0), 19)
    none = given(np.zeros((2, roi, 4), np.float32), np.zeros((2, roi), np.bool_))
    with torch.no_grad():
        out = shared([pictures(2, 30, 30)], none)
    assert out.logits.shape == (2, roi, 4)
    assert out.deltas.shape == (2, roi, 0, 4)
    assert out.logits.isfinite().all()


def test_regions_on_no_grid_are_seen_one_by_one() -> None:
    """Where a window lies a little beside its cell it is not scored as if it lay there."""
    trunk = Trunk(2, 0)
    one, shared = heads(trunk, 19)
    grid = laid(shared.cell, (60, 75), sides=(0.4,)).boxes[0, :40]
    generator = torch.Generator().manual_seed(2)
    anywhere = grid[:5] + 3 * torch.rand(5, 4, generator=generator)
    beside = grid[20:30].clone()
    beside[3, ::2] += 0.4
    boxes = torch.cat((anywhere, grid[:20], anywhere + 2, beside))[None]
    regions = given(boxes.numpy(), np.arange(len(boxes[0]))[None] != 7)
    images = pictures(1, 64, 79)
    expected = scores(one, images, regions)
    trunk.seen = []
    torch.testing.assert_close(scores(shared, images, regions), expected, atol=1e-5, rtol=0)
    assert len(trunk.seen) < 6  # the grid once, the others seven at a time


def test_training_is_the_same() -> None:
    one, shared = heads(Trunk(2, 1), 32)
    images, regions = pictures(1, 60, 75), laid(shared.cell, (60, 75))
    left, right = one([images], regions), shared([images], regions)
    assert torch.equal(left.logits, right.logits)
    right.logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in shared.parameters())


def test_windows_at_a_time_change_nothing() -> None:
    _, shared = heads(Trunk(2, 0), 19)
    images, regions = pictures(1, 60, 75), laid(shared.cell, (60, 75))
    found = []
    for shared.chunk in (0, 1, 1000):
        found.append(scores(shared, images, regions))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-5, rtol=1e-5)
