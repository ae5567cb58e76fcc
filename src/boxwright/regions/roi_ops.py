"""RoIAlign as an operator that runs eager, compiled and exported, with its own way back.

`boxwright::roi_align` takes all levels of a pyramid at once and reads each RoI from its own, so that shapes are
static and nothing is put together afterwards. In an exported graph it becomes ONNX's RoiAlign
(`boxwright.runtime.onnx_ops`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boxwright.regions import roi_host, roi_plain
from boxwright.regions.roi_plain import Taps


@torch.library.custom_op(
    "boxwright::roi_align",
    mutates_args=(),
    schema="(Tensor[] levels, Tensor rois, Tensor level, float[] scales, SymInt height, SymInt width, "
    "int samples, bool aligned) -> Tensor",
)
def _align(
    levels: Sequence[Tensor],
    rois: Tensor,
    level: Tensor,
    scales: Sequence[float],
    height: int,
    width: int,
    samples: int,
    aligned: bool,
) -> Tensor:
    """RoIs (image, xyxy in pixels) from the maps that `level` names; one of level -1 is 0."""
    rows, columns = _axes(
        [f.shape[2:] for f in levels], rois, level, scales, (height, width), samples, aligned
    )
    return roi_plain.align(levels, rois[:, 0].long(), level, rows, columns, (height, width))


@_align.register_fake
def _align_shape(
    levels: Sequence[Tensor],
    rois: Tensor,
    level: Tensor,
    scales: Sequence[float],
    height: int,
    width: int,
    samples: int,
    aligned: bool,
) -> Tensor:
    return levels[0].new_empty((rois.shape[0], levels[0].shape[1], height, width))


@_align.register_kernel("cpu")
def _align_cpu(
    levels: Sequence[Tensor],
    rois: Tensor,
    level: Tensor,
    scales: Sequence[float],
    height: int,
    width: int,
    samples: int,
    aligned: bool,
) -> Tensor:
    kernels = roi_host.compiled()
    rows, columns = _axes(
        [f.shape[2:] for f in levels], rois, level, scales, (height, width), samples, aligned
    )
    image = roi_host.images(rois, levels[0].shape[0])
    if kernels is None:
        return roi_plain.align(levels, image, level, rows, columns, (height, width))
    stored = roi_host.storable(levels[0].dtype)
    out = levels[0].new_empty((len(rois), levels[0].shape[1], height * width), dtype=stored)
    out[level < 0] = 0
    taps = [(axis.cells.numpy(), axis.weights.numpy()) for axis in (rows, columns)]
    jobs = []
    for number, features in enumerate(levels):
        which = np.flatnonzero(level.numpy() == number)
        if not len(which):
            continue
        grid = (features.shape[2], features.shape[3])
        features = features.detach().to(stored)
        if features.shape[1] < kernels.few:
            pool = functools.partial(kernels.align_planes, roi_host.numbers(features.contiguous()))
        else:
            pool = functools.partial(kernels.align, roi_host.numbers(roi_plain.table(features)), grid)
        for part in np.array_split(which, min(torch.get_num_threads(), len(which))):
            written = roi_host.numbers(out)
            jobs.append(functools.partial(pool, image.numpy(), *taps, part, written, (height, width)))
    roi_host.run(jobs)
    return out.view(len(rois), out.shape[1], height, width).to(levels[0].dtype)


def _axes(
    grids: Sequence[Sequence[int]],
    rois: Tensor,
    level: Tensor,
    scales: Sequence[float],
    bins: tuple[int, int],
    samples: int,
    aligned: bool,
) -> tuple[Taps, Taps]:
    """Samples along y and x of every RoI, each on the map of its own level."""
    known, rois = level.clamp(min=0), rois.detach()
    scale = torch.tensor(scales, dtype=rois.dtype, device=rois.device)[known]
    x1, y1, x2, y2 = (rois[:, 1:] * scale[:, None]).unbind(1)
    height, width = (
        torch.tensor([grid[axis] for grid in grids], device=rois.device)[known] for axis in (0, 1)
    )
    return (
        roi_plain.taps(y1, y2, height, bins[0], samples, aligned),
        roi_plain.taps(x1, x2, width, bins[1], samples, aligned),
    )


@torch.library.custom_op(
    "boxwright::roi_align_backward",
    mutates_args=(),
    schema="(Tensor gradient, Tensor rois, Tensor level, float[] scales, SymInt[] shapes, int samples, "
    "bool aligned) -> Tensor[]",
)
def _align_back(
    gradient: Tensor,
    rois: Tensor,
    level: Tensor,
    scales: Sequence[float],
    shapes: Sequence[Any],
    samples: int,
    aligned: bool,
) -> list[Tensor]:
    maps = roi_host.fours(shapes)
    bins = (gradient.shape[2], gradient.shape[3])
    rows, columns = _axes([m[2:] for m in maps], rois, level, scales, bins, samples, aligned)
    kernels = roi_host.compiled() if gradient.device.type == "cpu" else None
    image = rois[:, 0].long()
    if kernels is None:
        return roi_plain.align_back(gradient, maps, image, level, rows, columns)
    stored = roi_host.storable(gradient.dtype)
    flowing = roi_host.numbers(gradient.detach().to(stored).contiguous().flatten(2))
    taps = [(axis.cells.numpy(), axis.weights.numpy()) for axis in (rows, columns)]
    jobs, totals = [], []
    for number, (batch, channels, height, width) in enumerate(maps):
        which = np.flatnonzero(level.numpy() == number)
        totals.append(gradient.new_empty((batch * height * width, channels), dtype=stored))
        for at in roi_host.blocks(batch, channels, kernels.block):
            common = (flowing, (height, width), image.numpy(), *taps, which)
            jobs.append(
                functools.partial(kernels.align_back, *common, roi_host.numbers(totals[-1]), bins, at)
            )
    roi_host.run(jobs)
    return [
        total.to(gradient.dtype).view(batch, height, width, channels).permute(0, 3, 1, 2)
        for total, (batch, channels, height, width) in zip(totals, maps, strict=True)
    ]


@_align_back.register_fake
def _align_back_shape(
    gradient: Tensor,
    rois: Tensor,
    level: Tensor,
    scales: Sequence[float],
    shapes: Sequence[Any],
    samples: int,
    aligned: bool,
) -> list[Tensor]:
    return roi_host.empty(gradient, roi_host.fours(shapes))


def _align_keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Shapes are enough to go back: no map is kept alive for it."""
    levels, rois, level, scales, _, _, samples, aligned = inputs
    ctx.save_for_backward(rois, level)
    ctx.rest = (scales, [size for features in levels for size in features.shape], samples, aligned)


def _align_flow(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    rois, level = ctx.saved_tensors
    maps = torch.ops.boxwright.roi_align_backward(gradient, rois, level, *ctx.rest)
    return (maps, *[None] * 7)


_align.register_autograd(_align_flow, setup_context=_align_keep)
