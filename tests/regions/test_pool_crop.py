from __future__ import annotations

import pytest
import torch
from torch import Tensor

from boxwright.errors import InputError
from boxwright.regions import roi_host
from boxwright.regions.pool import crop_warp


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(roi_host, "compiled", lambda: None)


def picture(height: int = 40, width: int = 50) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def coordinates(height: int, width: int) -> Tensor:
    """An image that says where it was read: x + .5, y + .5, and 1."""
    x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    return torch.stack((x.expand(height, -1), y[:, None].expand(-1, width), torch.ones(height, width)))[None]


def test_at_the_region_s_own_size_pixels_are_copied_with_their_context() -> None:
    images = picture()
    crop = crop_warp(images, torch.tensor([[1.0, 10, 12, 30, 22]]), (16, 26), context=3)
    assert torch.equal(crop[0], images[1, :, 9:25, 7:33])


def test_without_context_twice_the_size_takes_quarters_of_the_neighbours() -> None:
    images = picture()
    crop = crop_warp(images, torch.tensor([[0.0, 10, 12, 20, 22]]), 20, context=0)
    row = images[0, 0, 11:24, 9:22]
    wide = torch.empty(13, 20)
    wide[:, 0::2] = 0.25 * row[:, 0:10] + 0.75 * row[:, 1:11]
    wide[:, 1::2] = 0.75 * row[:, 1:11] + 0.25 * row[:, 2:12]
    torch.testing.assert_close(crop[0, 0, 0::2], 0.25 * wide[0:10] + 0.75 * wide[1:11])


@pytest.mark.parametrize("size, context", [(227, 16.0), (224, 16.0), ((64, 96), 5.0)])
def test_the_box_ends_exactly_at_the_context(size: int | tuple[int, int], context: float) -> None:
    height, width = (size, size) if isinstance(size, int) else size
    box = torch.tensor([0.0, 100, 60, 180, 140])
    crop = crop_warp(coordinates(200, 300), box[None], size, context=context)[0]
    across, down = 80 / (width - 2 * context), 80 / (height - 2 * context)  # image pixels per warped pixel
    torch.testing.assert_close(crop[0, 0], 100 + (torch.arange(width) + 0.5 - context) * across)
    torch.testing.assert_close(crop[1, :, 0], 60 + (torch.arange(height) + 0.5 - context) * down)


def test_what_leaves_the_image_is_the_mean_and_the_edge_is_not_blended() -> None:
    # 10 px of box and 5 of context on each side, at scale 2; the image begins at the box.
    crop = crop_warp(coordinates(30, 30), torch.tensor([[0.0, 0, 20, 10, 30]]), 40, context=10)[0]
    there = torch.zeros(40, 40)
    there[:30, 10:] = 1
    assert torch.equal(crop[2], there)
    assert (crop[:2, :, :10] == 0).all()


def test_a_region_without_area_and_one_outside_are_no_trouble() -> None:
    rois = torch.tensor([[0.0, 7.5, 7.5, 7.5, 7.5], [0, 900, 900, 950, 950], [1, -90, -90, -50, -50]])
    images = picture()
    crop = crop_warp(images, rois, 12, context=2)
    torch.testing.assert_close(crop[0], images[0, :, 7, 7, None, None].expand(3, 12, 12))
    assert (crop[1:] == 0).all()
    assert crop_warp(images, torch.zeros(0, 5), 12, context=2).shape == (0, 3, 12, 12)


def test_context_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(InputError, match="16 pixels of context on each side leave nothing of 32 x 40"):
        crop_warp(picture(), torch.zeros(1, 5), (32, 40))
