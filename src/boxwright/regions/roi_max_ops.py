"""RoIPool as an operator that runs eager, compiled and exported, with its own way back.

In an exported graph `boxwright::roi_pool` becomes ONNX's MaxRoiPool (`boxwright.runtime.onnx_ops`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boxwright.regions import roi_host, roi_plain


@torch.library.custom_op(
    "boxwright::roi_pool",
    mutates_args=(),
    schema="(Tensor features, Tensor rois, float scale, SymInt height, SymInt width) -> (Tensor, Tensor)",
)
def _pool(features: Tensor, rois: Tensor, scale: float, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The pooled RoIs, and for each bin the row-major place of its largest cell; -1 where it has no cell."""
    kernels = roi_host.compiled() if features.device.type == "cpu" else None
    batch, channels, *grid = features.shape
    x1, y1, x2, y2 = (rois.detach()[:, 1:] * scale).unbind(1)
    rows = roi_plain.spans(y1, y2, grid[0], height)
    columns = roi_plain.spans(x1, x2, grid[1], width)
    if kernels is None:
        return roi_plain.largest(features, rois[:, 0].long(), rows, columns)
    image = roi_host.images(rois, batch)
    stored = roi_host.storable(features.dtype)
    cells = roi_host.numbers(roi_plain.table(features.detach().to(stored)))
    out = features.new_empty((len(rois), channels, height * width), dtype=stored)
    chosen = torch.empty(out.shape, dtype=torch.int32)
    jobs = []
    for part in np.array_split(np.arange(len(rois)), min(torch.get_num_threads(), len(rois)) or 1):
        common = (cells, tuple(grid), image.numpy(), rows.numpy(), columns.numpy(), part)
        written = (roi_host.numbers(out), chosen.numpy(), roi_host.computing(stored))
        jobs.append(functools.partial(kernels.largest, *common, *written))
    roi_host.run(jobs)
    shape = (len(rois), channels, height, width)
    return out.view(shape).to(features.dtype), chosen.view(shape)


@_pool.register_fake
def _pool_shape(
    features: Tensor, rois: Tensor, scale: float, height: int, width: int
) -> tuple[Tensor, Tensor]:
    shape = (rois.shape[0], features.shape[1], height, width)
    return features.new_empty(shape), features.new_empty(shape, dtype=torch.int32)


@torch.library.custom_op(
    "boxwright::roi_pool_backward",
    mutates_args=(),
    schema="(Tensor gradient, Tensor chosen, Tensor rois, SymInt[] shape) -> Tensor",
)
def _pool_back(gradient: Tensor, chosen: Tensor, rois: Tensor, shape: Sequence[Any]) -> Tensor:
    kernels = roi_host.compiled() if gradient.device.type == "cpu" else None
    image = rois.detach()[:, 0].long()
    ((batch, channels, height, width),) = roi_host.fours(shape)
    if kernels is None:
        return roi_plain.largest_back(gradient, chosen, image, (batch, channels, height, width))
    stored = roi_host.storable(gradient.dtype)
    flowing = roi_host.numbers(gradient.detach().to(stored).contiguous().flatten(2))
    total = gradient.new_empty((batch * height * width, channels), dtype=stored)
    jobs = []
    for at in roi_host.blocks(batch, channels, kernels.block):
        common = (flowing, chosen.contiguous().flatten(2).numpy(), (height, width), image.numpy())
        job = functools.partial(
            kernels.largest_back, *common, roi_host.numbers(total), at, roi_host.computing(stored)
        )
        jobs.append(job)
    roi_host.run(jobs)
    return total.to(gradient.dtype).view(batch, height, width, channels).permute(0, 3, 1, 2)


@_pool_back.register_fake
def _pool_back_shape(gradient: Tensor, chosen: Tensor, rois: Tensor, shape: Sequence[Any]) -> Tensor:
    return roi_host.empty(gradient, roi_host.fours(shape))[0]


def _pool_keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1], inputs[1])
    ctx.shape = list(inputs[0].shape)
    ctx.mark_non_differentiable(output[1])


def _pool_flow(ctx: Any, gradient: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    chosen, rois = ctx.saved_tensors
    flowing = torch.ops.boxwright.roi_pool_backward(gradient, chosen, rois, ctx.shape)
    return (flowing, *[None] * 4)


_pool.register_autograd(_pool_flow, setup_context=_pool_keep)
