"""What a network reads of a region: RoI pooling, RoIAlign on one map or on a pyramid, and the crop of R-CNN.

RoIs are boxes in pixels of the network's input. `roi_pool` and `roi_align` give gradients to the maps and none to
the RoIs, on the CPU the same to the last bit whatever the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from boxwright import boxes as geometry
from boxwright.errors import InputError
from boxwright.regions import roi_max_ops, roi_ops  # noqa: F401  (they register the operators)

_TINY = 1e-6
"""In levels: a box whose side is a level's to the last digit belongs to it (torchvision's number)."""


def roi_align(
    features: Float[Tensor, "batch channel height width"],
    rois: Float[Tensor, "roi 5"],
    size: int | tuple[int, int],
    scale: float,
    *,
    samples: int = 2,
    aligned: bool = False,
) -> Float[Tensor, "roi channel h w"]:
    """Each bin of a RoI as the mean of points in it, read bilinearly: He et al. 2017 (Mask R-CNN, section 3).

    Args:
        features: the map; channels last is quickest.
        rois: index into the batch, then xyxy in pixels.
        size: bins of a RoI, (height, width) or both alike.
        scale: cells per pixel, 1 / stride.
        samples: points in a bin along each axis; 0 for one in each cell (not in a graph that is compiled).
        aligned: a cell's value stands at the cell's middle, as in Detectron2, and not at its corner, as
            in the paper and in torchvision's detectors, where no RoI is smaller than a cell either.

    Returns:
        The dtype of the features.

    Raises:
        ValueError: a batch index outside the batch (checked on the CPU only).

    >>> ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    >>> roi_align(ramp, torch.tensor([[0.0, 8, 8, 24, 24]]), 2, 1 / 4, aligned=True)[0, 0]
    tensor([[2.5000, 4.5000],
            [2.5000, 4.5000]])
    """
    level = torch.zeros_like(rois[:, 0], dtype=torch.int64)
    return _align([features], rois, level, [scale], size, samples, aligned)


def roi_pool(
    features: Float[Tensor, "batch channel height width"],
    rois: Float[Tensor, "roi 5"],
    size: int | tuple[int, int],
    scale: float,
) -> Float[Tensor, "roi channel h w"]:
    """The largest cell of each bin of a RoI: Girshick 2015 (Fast R-CNN, section 2.1).

    Corners are rounded to whole cells and both belong to the RoI: this is the one place with a "+1", since
    the networks of 2015 were trained with it. A bin that has no cell of the map is 0. The gradient goes to the
    first of a bin's largest cells, row by row.

    Args:
        features: the map; channels last is quickest.
        rois: index into the batch, then xyxy in pixels.
        size: bins of a RoI, (height, width) or both alike.
        scale: cells per pixel, 1 / stride.

    Raises:
        ValueError: a batch index outside the batch (checked on the CPU only).

    >>> cells = torch.arange(16.0).view(1, 1, 4, 4)
    >>> roi_pool(cells, torch.tensor([[0.0, 0, 0, 31, 47]]), 2, 1 / 16)[0, 0]
    tensor([[ 5.,  6.],
            [13., 14.]])
    """
    height, width = _pair(size)
    pooled: Tensor = torch.ops.boxwright.roi_pool(
        features, _at_least_single(rois, features), scale, height, width
    )[0]
    return pooled


def multilevel_roi_align(
    levels: Sequence[Float[Tensor, "batch channel _ _"]],
    scales: Sequence[float],
    rois: Float[Tensor, "batch roi 4"],
    valid: Bool[Tensor, "batch roi"],
    size: int | tuple[int, int],
    *,
    samples: int = 2,
    aligned: bool = False,
    canonical: float = 224,
    canonical_level: int = 4,
) -> Float[Tensor, "batch roi channel h w"]:
    """RoIAlign of each RoI from the level of a pyramid that suits its size (`pyramid_level`).

    Args:
        levels: maps, the finest first; each half the resolution of the one before.
        scales: cells per pixel of each; the first and the last say which levels of the pyramid there are.
        rois: xyxy in pixels, as many for each image.
        valid: which of them count; the others are pooled to 0 and take no time.
        size: bins of a RoI, (height, width) or both alike.
        samples: as in `roi_align`.
        aligned: as in `roi_align`.
        canonical: as in `pyramid_level`.
        canonical_level: as in `pyramid_level`.
    """
    finest, coarsest = (round(-math.log2(scale)) for scale in (scales[0], scales[-1]))
    level = pyramid_level(
        rois, finest=finest, coarsest=coarsest, canonical=canonical, canonical_level=canonical_level
    )
    image = torch.arange(rois.shape[0], device=rois.device, dtype=rois.dtype)[:, None, None]
    flat = torch.cat((image.expand(-1, rois.shape[1], -1), rois), -1).flatten(0, 1)
    chosen = torch.where(valid, level - finest, -1).flatten()
    return _align(levels, flat, chosen, scales, size, samples, aligned).unflatten(0, rois.shape[:2])


def pyramid_level(
    boxes: Float[Tensor, "*axes 4"],
    *,
    finest: int = 2,
    coarsest: int = 5,
    canonical: float = 224,
    canonical_level: int = 4,
) -> Int[Tensor, "*axes"]:
    """The level of a feature pyramid to read a box from: Lin et al. 2017 (FPN, equation 1).

    Args:
        boxes: xyxy in pixels; one without area belongs to the finest level.
        finest: the lowest level there is; level k has stride 2^k.
        coarsest: the highest.
        canonical: the side in pixels of a square box of `canonical_level`: ImageNet's crop.
        canonical_level: the level that a classifier's last features would be.

    Returns:
        Levels k, from `finest` to `coarsest`.

    >>> pyramid_level(torch.tensor([[0.0, 0, 224, 224], [0, 0, 223, 223], [0, 0, 5, 5], [0, 0, 999, 999]]))
    tensor([4, 3, 2, 5])
    """
    sides = geometry.area(boxes).sqrt()
    level = torch.floor(canonical_level + torch.log2(sides / canonical) + _TINY)
    return level.clamp(finest, coarsest).long()


def crop_warp(
    images: Float[Tensor, "batch 3 height width"],
    rois: Float[Tensor, "roi 5"],
    size: int | tuple[int, int],
    *,
    context: float = 16,
) -> Float[Tensor, "roi 3 h w"]:
    """Each region as an image of one size, warped: Girshick et al. 2014 (R-CNN, appendix A).

    The box is dilated so that at the warped size there are exactly `context` pixels of what surrounds it on
    every side. What lies outside the image is 0, the mean of normalised images. Read bilinearly, without
    smoothing; the gradient goes to the images.

    Args:
        images: normalised.
        rois: index into the batch, then xyxy in pixels.
        size: of the warped image, (height, width) or both alike; the paper's is 227.
        context: pixels of the warped image on each side.

    Raises:
        InputError: more context than the warped image has room for.

    >>> pixels = torch.arange(36.0).view(1, 1, 6, 6).expand(-1, 3, -1, -1)
    >>> crop_warp(pixels, torch.tensor([[0.0, 0, 2, 2, 4]]), 4, context=1)[0, 0]
    tensor([[ 0.,  6.,  7.,  8.],
            [ 0., 12., 13., 14.],
            [ 0., 18., 19., 20.],
            [ 0., 24., 25., 26.]])
    """
    height, width = _pair(size)
    if context < 0 or 2 * context >= min(height, width):
        raise InputError(
            f"{context} pixels of context on each side leave nothing of {height} x {width} for the region",
            hint="use less context or a larger size",
        )
    rois = _at_least_single(rois, images)
    low, sides = rois[:, 1:3], rois[:, 3:] - rois[:, 1:3]
    inner = sides.new_tensor((width - 2 * context, height - 2 * context))
    around = context * sides / inner
    dilated = torch.cat((rois[:, :1], low - around, low + sides + around), -1)
    # One sample in the middle of each bin: RoIAlign is then bilinear interpolation at the warped pixels.
    warped = roi_align(images, dilated, (height, width), 1.0, samples=1, aligned=True)
    return warped.mul_(
        _inside(dilated[:, 2], dilated[:, 4], height, images.shape[2])[:, None, :, None]
        & _inside(dilated[:, 1], dilated[:, 3], width, images.shape[3])[:, None, None, :]
    )


def _inside(
    low: Float[Tensor, "roi"], high: Float[Tensor, "roi"], pixels: int, limit: int
) -> Bool[Tensor, "roi pixel"]:
    """Which pixels of the warped image have their middle inside the image; RoIAlign allows half a pixel more."""
    middles = (torch.arange(pixels, device=low.device, dtype=low.dtype) + 0.5) / pixels
    at = low[:, None] + middles * (high - low)[:, None]
    return (at >= 0) & (at <= limit)


def _align(
    levels: Sequence[Tensor],
    rois: Float[Tensor, "roi 5"],
    level: Int[Tensor, "roi"],
    scales: Sequence[float],
    size: int | tuple[int, int],
    samples: int,
    aligned: bool,
) -> Float[Tensor, "roi channel h w"]:
    height, width = _pair(size)
    # Under autocast, maps that were added and maps that were convolved can differ.
    maps = [features.to(levels[0].dtype) for features in levels]
    rois = _at_least_single(rois, maps[0])
    pooled: Tensor = torch.ops.boxwright.roi_align(
        maps, rois, level, list(scales), height, width, samples, aligned
    )
    return pooled


def _at_least_single(rois: Tensor, features: Tensor) -> Tensor:
    """Coordinates in float32, which bfloat16 could not tell apart; in float64 where the features are."""
    return rois.detach().to(torch.promote_types(features.dtype, torch.float32))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
