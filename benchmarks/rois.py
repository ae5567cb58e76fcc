"""RoI pooling by itself: forward and backward on the pyramid of a 480 x 480 batch, and the crops of R-CNN."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.kernels import scattered
from benchmarks.timing import Figure, milliseconds, seconds
from boxwright.regions import roi_plain
from boxwright.regions.pool import crop_warp, multilevel_roi_align, pyramid_level, roi_pool

GRIDS = (120, 60, 30, 15)
SCALES = [grid / 480 for grid in GRIDS]
IMAGES, ROIS, CHANNELS = 2, 512, 256


def regions() -> Tensor:
    """As many boxes of each image on each level of the pyramid."""
    g = torch.Generator().manual_seed(0)
    sides = torch.tensor([60.0, 150.0, 300.0, 450.0]).repeat(ROIS // 4)[None, :, None]
    sides = sides * (0.8 + 0.4 * torch.rand(IMAGES, ROIS, 2, generator=g))
    corners = torch.rand(IMAGES, ROIS, 2, generator=g) * (480 - sides).clamp(min=0)
    return torch.cat((corners, (corners + sides).clamp(max=480)), -1)


def maps(dtype: torch.dtype) -> list[Tensor]:
    """The pyramid's levels, channels last as in training."""
    g = torch.Generator().manual_seed(0)
    levels = [torch.randn(IMAGES, CHANNELS, grid, grid, generator=g).to(dtype) for grid in GRIDS]
    return [level.contiguous(memory_format=torch.channels_last).requires_grad_() for level in levels]


def pooling() -> list[Figure]:
    """RoIAlign of 2 x 512 RoIs, beside the same in plain torch; RoIPool of as many on the level of stride 16."""
    boxes, valid = regions(), torch.ones(IMAGES, ROIS, dtype=torch.bool)
    flat = torch.cat((torch.arange(2.0).repeat_interleave(ROIS)[:, None], boxes.flatten(0, 1)), 1)

    def align(levels: list[Tensor]) -> None:
        pooled = multilevel_roi_align(levels, SCALES, boxes, valid, 7)
        torch.autograd.grad(pooled, levels, pooled.detach())

    def plain(levels: list[Tensor]) -> None:
        level = pyramid_level(flat[:, 1:]) - 2
        x1, y1, x2, y2 = (flat[:, 1:] * torch.tensor(SCALES)[level][:, None]).unbind(1)
        limit = torch.tensor(GRIDS)[level]
        rows = roi_plain.taps(y1, y2, limit, 7, 2, aligned=False)
        columns = roi_plain.taps(x1, x2, limit, 7, 2, aligned=False)
        image = flat[:, 0].long()
        shapes = [(IMAGES, CHANNELS, grid, grid) for grid in GRIDS]
        with torch.no_grad():
            pooled = roi_plain.align(levels, image, level, rows, columns, (7, 7))
            roi_plain.align_back(pooled, shapes, image, level, rows, columns)

    def largest(levels: list[Tensor]) -> None:
        pooled = roi_pool(levels[2], flat, 7, SCALES[2])
        torch.autograd.grad(pooled, levels[2], pooled.detach())

    figures = []
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        levels = maps(dtype)
        ours = milliseconds(f"RoIAlign and back, 2 x 512 RoIs, {name}", lambda levels=levels: align(levels))  # type: ignore[misc]
        other, _ = seconds(lambda levels=levels: plain(levels), repeats=3, warmup=1)  # type: ignore[misc]
        versus = f"{1e3 * other / ours.value:.1f}x the speed of plain torch"
        figures.append(Figure(ours.name, ours.value, ours.unit, "", ours.spread, versus))
    levels = maps(torch.float32)
    figures.append(milliseconds("RoIPool and back, 2 x 512 RoIs, float32", lambda: largest(levels)))
    return figures


def crops() -> list[Figure]:
    """R-CNN's warped regions, 128 of them at 227 x 227."""
    g = torch.Generator().manual_seed(0)
    images = torch.randn(1, 3, 375, 500, generator=g)
    rois = torch.cat((torch.zeros(128, 1), scattered(g, 128)), 1)
    return [milliseconds("warping 128 regions to 227 x 227", lambda: crop_warp(images, rois, 227))]
