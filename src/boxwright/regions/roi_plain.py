"""RoI pooling in plain torch, for devices without a kernel of their own: nothing waits for the device.

Where samples and bins lie is said here once; the compiled kernels of the CPU read the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Taps:
    """The cells that RoIAlign reads along one axis, two to a sample; what lies outside weighs nothing."""

    cells: Int[Tensor, "roi sample 2"]
    weights: Float[Tensor, "roi sample 2"]


def taps(
    low: Float[Tensor, "roi"],
    high: Float[Tensor, "roi"],
    limit: Int[Tensor, "roi"],
    bins: int,
    samples: int,
    aligned: bool,
) -> Taps:
    """Where to read a map along one axis, so that each bin is the mean of its samples.

    He et al. 2017 (Mask R-CNN, section 3): samples at regular places in each bin, read bilinearly. As in
    torchvision, one that lies up to a cell before the map or after it takes the map's edge.

    Args:
        low: first coordinate of each RoI, in cells.
        high: last coordinate.
        limit: cells of the map.
        bins: along this axis.
        samples: in each bin; 0 for as many as the bin has cells, which asks the device for the largest RoI.
        aligned: a cell's value stands at its middle (Detectron2), not at its corner, and RoIs of less than a
            cell stay as small as they are.
    """
    first = low - 0.5 if aligned else low
    extent = high - low if aligned else (high - low).clamp(min=1)
    step = extent / bins
    if samples:
        own, most = torch.full_like(step, samples), samples
    else:
        own = step.ceil().clamp(min=0)
        most = max(int(own.max()), 1) if own.numel() else 1
    inner = torch.arange(most, device=low.device, dtype=low.dtype)
    outer = torch.arange(bins, device=low.device, dtype=low.dtype)
    within = (inner + 0.5) * step[:, None] / own[:, None]
    at = (first[:, None] + outer * step[:, None])[:, :, None] + within[:, None, :]
    last = (limit - 1)[:, None, None].to(at.dtype)
    there = (at >= -1) & (at <= last + 1) & (inner < own[:, None])[:, None, :]
    at = torch.minimum(torch.where(there, at, 0.0).clamp(min=0), last)
    before = at.floor()
    after = torch.minimum(before + 1, last)
    share = at - before
    weights = torch.stack((1 - share, share), -1) * (there / own[:, None, None])[..., None]
    # Where a RoI has no samples at all, 0 / 0 stands for 0.
    weights = torch.where(there[..., None], weights, 0.0)
    return Taps(torch.stack((before, after), -1).long().flatten(1, 2), weights.flatten(1, 2))


def spans(
    low: Float[Tensor, "roi"], high: Float[Tensor, "roi"], limit: int, bins: int
) -> Int[Tensor, "roi bin 2"]:
    """First cell of each bin of RoIPool along one axis, and the one after its last.

    Girshick 2015 (Fast R-CNN, section 2.1) as its published layer rounds: corners to whole cells, both of them
    part of the RoI (the "+1"), at least one cell, bins that overlap where they do not divide it.

    Args:
        low: first coordinate of each RoI, in cells.
        high: last coordinate.
        limit: cells of the map; bins that leave it are cut, to nothing at worst.
        bins: along this axis.
    """
    start, end = _round(low)[:, None], _round(high)[:, None]
    step = (end - start + 1).clamp(min=1) / bins
    number = torch.arange(bins, device=low.device, dtype=low.dtype)
    edges = torch.stack(((number * step).floor(), ((number + 1) * step).ceil()), -1) + start[..., None]
    return edges.nan_to_num(nan=0.0).clamp(0, limit).long()


def _round(x: Float[Tensor, "roi"]) -> Float[Tensor, "roi"]:
    """To the nearest whole number, halves away from zero as in C; torch's own takes the even one."""
    whole = x.trunc()
    return torch.where((x - whole).abs() >= 0.5, whole + x.sign(), whole)


def table(features: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "cell channel"]:
    """One row of channels for each cell; no copy of a channels-last map."""
    return features.permute(0, 2, 3, 1).contiguous().flatten(0, 2)


def align(
    levels: Sequence[Float[Tensor, "batch channel _ _"]],
    image: Int[Tensor, "roi"],
    level: Int[Tensor, "roi"],
    rows: Taps,
    columns: Taps,
    bins: tuple[int, int],
) -> Float[Tensor, "roi channel h w"]:
    """RoIAlign: each bin a weighted sum of cells. A RoI of level -1 is 0."""
    cells, weights = _cells([tuple(f.shape) for f in levels], image, level, rows, columns, bins)
    number = torch.promote_types(levels[0].dtype, torch.float32)
    everything = torch.cat([table(f).to(number) for f in levels])
    pooled = F.embedding_bag(
        cells.flatten(0, 2), everything, per_sample_weights=weights.to(number).flatten(0, 2), mode="sum"
    )
    return pooled.view(*cells.shape[:3], pooled.shape[1]).permute(0, 3, 1, 2).to(levels[0].dtype).contiguous()


def align_back(
    gradient: Float[Tensor, "roi channel h w"],
    shapes: Sequence[tuple[int, int, int, int]],
    image: Int[Tensor, "roi"],
    level: Int[Tensor, "roi"],
    rows: Taps,
    columns: Taps,
) -> list[Float[Tensor, "batch channel _ _"]]:
    """What flows back through `align` to each map, channels last."""
    bins = (gradient.shape[2], gradient.shape[3])
    cells, weights = _cells(shapes, image, level, rows, columns, bins)
    number = torch.promote_types(gradient.dtype, torch.float32)
    flowing = gradient.to(number).permute(0, 2, 3, 1)
    sizes = [batch * height * width for batch, _, height, width in shapes]
    total = gradient.new_zeros((sum(sizes), gradient.shape[1]), dtype=number)
    for tap in range(cells.shape[-1]):  # one by one: all together would be many times the gradient's size
        part = flowing * weights[..., tap, None].to(number)
        total.index_add_(0, cells[..., tap].flatten(), part.flatten(0, 2))
    return [
        part.to(gradient.dtype, copy=True).view(batch, height, width, channels).permute(0, 3, 1, 2)
        for part, (batch, channels, height, width) in zip(total.split(sizes), shapes, strict=True)
    ]


def _cells(
    shapes: Sequence[tuple[int, ...]],
    image: Int[Tensor, "roi"],
    level: Int[Tensor, "roi"],
    rows: Taps,
    columns: Taps,
    bins: tuple[int, int],
) -> tuple[Int[Tensor, "roi h w tap"], Float[Tensor, "roi h w tap"]]:
    """For each bin the cells it reads, in the tables of all levels one after another, and their weights."""
    h, w = bins
    starts = [0]
    for shape in shapes:
        starts.append(starts[-1] + shape[0] * shape[2] * shape[3])
    known = level.clamp(min=0)
    start, height, width = (
        torch.tensor(numbers, device=level.device)[known]
        for numbers in (starts[:-1], [s[2] for s in shapes], [s[3] for s in shapes])
    )
    n, to_y, to_x = len(image), 2 * (rows.cells.shape[1] // h), 2 * (columns.cells.shape[1] // w)
    y = (start + image * height * width)[:, None, None] + rows.cells * width[:, None, None]
    by = rows.weights * (level >= 0)[:, None, None]
    cells = y.view(n, h, 1, to_y, 1) + columns.cells.view(n, 1, w, 1, to_x)
    weights = by.view(n, h, 1, to_y, 1) * columns.weights.view(n, 1, w, 1, to_x)
    return cells.flatten(3), weights.flatten(3)


def largest(
    features: Float[Tensor, "batch channel height width"],
    image: Int[Tensor, "roi"],
    rows: Int[Tensor, "roi h 2"],
    columns: Int[Tensor, "roi w 2"],
) -> tuple[Float[Tensor, "roi channel h w"], Int[Tensor, "roi channel h w"]]:
    """RoIPool: the largest cell of each bin, and its row-major place: the first among equals, -1 for none.

    A map of the largest in each window of 1, 2, 4, ... cells answers for a bin of any extent with the windows
    in its corners. So the number of steps depends on the map alone, and not on the RoIs.
    """
    _, channels, height, width = features.shape
    values = features.permute(0, 2, 3, 1)
    places = torch.arange(height * width, device=features.device).view(1, height, width, 1)
    tall = (values, places.expand_as(values))
    power_y, power_x = (_power(axis[..., 1] - axis[..., 0]) for axis in (rows, columns))
    shape = (len(image), rows.shape[1], columns.shape[1], channels)
    best = (values.new_full(shape, -torch.inf), places.new_full(shape, -1))
    for i in range(height.bit_length()):
        window = tall
        for j in range(width.bit_length()):
            chosen = ((power_y == i)[:, :, None] & (power_x == j)[:, None, :])[..., None]
            for top in (rows[..., 0], rows[..., 1] - (1 << i)):
                for left in (columns[..., 0], columns[..., 1] - (1 << j)):
                    at = (
                        image[:, None, None],
                        top.clamp(0, height - 1)[:, :, None],
                        left.clamp(0, width - 1)[:, None],
                    )
                    met = _larger(best, (window[0][at], window[1][at]))
                    best = (torch.where(chosen, met[0], best[0]), torch.where(chosen, met[1], best[1]))
            # What comes round the edge is in windows that no bin asks for.
            window = _larger(window, (window[0].roll(-(1 << j), 2), window[1].roll(-(1 << j), 2)))
        tall = _larger(tall, (tall[0].roll(-(1 << i), 1), tall[1].roll(-(1 << i), 1)))
    pooled, place = (part.permute(0, 3, 1, 2).contiguous() for part in best)
    return torch.where(place >= 0, pooled, 0.0), place.int()


def _power(extent: Int[Tensor, "*axes"]) -> Int[Tensor, "*axes"]:
    """The largest power of two that fits, as an exponent; -1 where nothing does."""
    return torch.frexp(extent.float())[1].long() - 1


def _larger(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Values and places: the larger value, and the lower place among equals."""
    other = (b[0] > a[0]) | ((b[0] == a[0]) & (b[1] < a[1]))
    return torch.where(other, b[0], a[0]), torch.where(other, b[1], a[1])


def largest_back(
    gradient: Float[Tensor, "roi channel h w"],
    chosen: Int[Tensor, "roi channel h w"],
    image: Int[Tensor, "roi"],
    shape: tuple[int, int, int, int],
) -> Float[Tensor, "batch channel height width"]:
    """What flows back through `largest`: each bin's gradient to the cell it took; channels last."""
    batch, channels, height, width = shape
    number = torch.promote_types(gradient.dtype, torch.float32)
    cell = image[:, None, None, None] * height * width + chosen.clamp(min=0)
    at = cell * channels + torch.arange(channels, device=gradient.device)[:, None, None]
    total = gradient.new_zeros(batch * height * width * channels, dtype=number)
    total.index_add_(0, at.flatten(), (gradient * (chosen >= 0)).to(number).flatten())
    return total.to(gradient.dtype).view(batch, height, width, channels).permute(0, 3, 1, 2)
