"""What the operators of RoI pooling share on the CPU: kernels, memory, threads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Shape = tuple[Any, Any, Any, Any]
"""Batch, channels, height and width of a map; symbols while torch traces."""


@dataclass(frozen=True)
class Kernels:
    """What numba compiled (`roi_kernels`, `roi_plane_kernels`, `roi_max_kernels`), and its two sizes."""

    align: Callable[..., None]
    align_planes: Callable[..., None]
    align_back: Callable[..., None]
    largest: Callable[..., None]
    largest_back: Callable[..., None]
    block: int
    few: int


@functools.cache
def compiled() -> Kernels | None:
    """The kernels, or None where numba is not installed."""
    try:
        from boxwright.regions import roi_kernels, roi_max_kernels, roi_plane_kernels
    except ImportError:
        return None
    return Kernels(
        roi_kernels.align,
        roi_plane_kernels.align_planes,
        roi_kernels.align_back,
        roi_max_kernels.largest,
        roi_max_kernels.largest_back,
        roi_kernels.BLOCK,
        roi_plane_kernels.FEW,
    )


def images(rois: Tensor, batch: int) -> Tensor:
    """Batch indices, checked: a kernel would read beyond the maps."""
    image = rois.detach()[:, 0].long()
    if len(image) and not (int(image.min()) >= 0 and int(image.max()) < batch):
        raise ValueError(f"RoIs of images {int(image.min())} to {int(image.max())} in a batch of {batch}")
    return image


def storable(dtype: torch.dtype) -> torch.dtype:
    """The kernels know these; float16 is widened for them."""
    return dtype if dtype in (torch.float64, torch.bfloat16) else torch.float32


def computing(dtype: torch.dtype) -> np.dtype:
    return np.dtype(np.float64 if dtype == torch.float64 else np.float32)


def numbers(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as numpy knows it: bfloat16 as its bits."""
    return tensor.view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def blocks(batch: int, channels: int, size: int) -> list[tuple[int, int]]:
    return [(image, start) for image in range(batch) for start in range(0, channels, size)]


def fours(shapes: Sequence[Any]) -> list[Shape]:
    return [(b, c, h, w) for b, c, h, w in zip(*(shapes[i::4] for i in range(4)), strict=True)]


def empty(like: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    """Maps of unknown numbers, channels last."""
    return [like.new_empty((b, h, w, c)).permute(0, 3, 1, 2) for b, c, h, w in shapes]


def run(jobs: Sequence[Callable[[], None]]) -> None:
    """Do the jobs on as many threads as torch may use; the kernels hold no lock of Python's."""
    workers = min(torch.get_num_threads(), len(jobs))
    if workers <= 1:
        for job in jobs:
            job()
        return
    # Threads for this call alone: a pool that is kept would not survive a fork.
    with ThreadPoolExecutor(workers) as threads:
        for done in [threads.submit(job) for job in jobs]:
            done.result()
