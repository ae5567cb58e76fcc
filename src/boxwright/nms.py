"""Greedy non-maximum suppression as one operator that runs eager, compiled and exported.

The rule is that of Felzenszwalb et al. 2010 (Object Detection with Discriminatively Trained Part-Based
Models, section 6.2), by class as in R-CNN (Girshick et al. 2014, section 2.2): the best box stays, and takes
away those of its group that overlap it by more than a threshold; then the next best. `boxwright::nms` is
opaque to torch's compiler and becomes ONNX's NonMaxSuppression in an exported graph
(`boxwright.runtime.export`), so that all three give the same boxes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from boxwright.compiling import machine_code

_NONE = -1
"""What fills the operator's output where fewer than k boxes are kept."""


def nms(
    boxes: Float[Tensor, "batch prior 4"],
    scores: Float[Tensor, "batch prior"],
    groups: Int[Tensor, "batch prior"],
    iou: float,
    k: int,
) -> Int[Tensor, "batch det"]:
    """The indices of the first `k` boxes that greedy suppression keeps in each image, best score first.

    Equal scores are taken in the order of their indices. A box is suppressed if its IoU with a kept one of
    the same group is greater than `iou` (both in float32); a box without area overlaps nothing. A score of
    -inf or NaN marks what is no candidate.

    Args:
        boxes: xyxy in pixels.
        scores: any finite scale.
        groups: classes or levels, small numbers from 0; boxes of different groups never meet.
        iou: the greatest overlap that is allowed.
        k: how many to keep at most.

    Returns:
        Indices into the boxes, then -1 where no box is left.

    Raises:
        ValueError: a negative group (checked on the CPU only: elsewhere it would wait for the device).

    >>> boxes = torch.tensor([[[0., 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]]])
    >>> nms(boxes, torch.tensor([[.5, .9, .2]]), torch.zeros(1, 3, dtype=torch.long), iou=0.5, k=3)
    tensor([[ 1,  2, -1]])
    """
    kept: Tensor = torch.ops.boxwright.nms(boxes.float(), scores.float(), groups.long(), iou, k)
    return kept


@torch.library.custom_op(
    "boxwright::nms",
    mutates_args=(),
    schema="(Tensor boxes, Tensor scores, Tensor groups, float iou, SymInt k) -> Tensor",
)
def _nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, k: int) -> Tensor:
    return by_rounds(boxes, scores, groups, iou, k)


@_nms.register_fake
def _shape(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, k: int) -> Tensor:
    return boxes.new_empty((boxes.shape[0], k), dtype=torch.int64)


@_nms.register_kernel("cpu")
def _cpu(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, k: int) -> Tensor:
    compiled = greedy()
    if compiled is None:
        return by_rounds(boxes, scores, groups, iou, k)
    if groups.numel() and int(groups.min()) < 0:
        raise ValueError(f"groups are numbers from 0, not {int(groups.min())}")
    # For the compiler's sake every array is contiguous: one specialisation, not one for each layout.
    b, s, g = (t.detach().contiguous().numpy() for t in (boxes, scores, groups))
    out = np.full((len(b), k), _NONE, np.int64)
    for image in range(len(b)):
        candidates = np.flatnonzero(s[image] > -np.inf)
        order = candidates[np.argsort(-s[image][candidates], kind="stable")]
        compiled(b[image], g[image], order, np.float32(iou), out[image])
    return torch.from_numpy(out)


@functools.cache
def greedy() -> Callable[..., None] | None:
    """The kernel for one image, compiled by numba, or None where numba is not installed."""
    return machine_code(_greedy)


def _greedy(
    boxes: np.ndarray, groups: np.ndarray, order: np.ndarray, iou: np.float32, out: np.ndarray
) -> None:
    """Fill `out` with the kept among `order`: each candidate meets only those kept in its group before it.

    The kept boxes of a group are a linked list (`last` of the group, then `before`), and the loop ends with
    the k-th: the cost is candidates times kept of a group, not candidates squared.
    """
    if len(order) == 0 or len(out) == 0:
        return
    last = np.full(groups.max() + 1, -1, np.int64)
    before = np.empty(len(out), np.int64)
    areas = np.empty(len(out), np.float32)
    kept = 0
    for i in order:
        x1, y1, x2, y2 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        area = (x2 - x1) * (y2 - y1) if x2 > x1 and y2 > y1 else np.float32(0)
        at = last[groups[i]] if area > 0 and iou < 1 else -1  # no overlap is greater than 1
        while at >= 0:
            j = out[at]
            width = min(x2, boxes[j, 2]) - max(x1, boxes[j, 0])
            height = min(y2, boxes[j, 3]) - max(y1, boxes[j, 1])
            if width > 0 and height > 0 and areas[at] > 0:
                shared = width * height
                if shared / (area + areas[at] - shared) > iou:
                    break
            at = before[at]
        if at < 0:
            out[kept] = i
            areas[kept] = area
            before[kept] = last[groups[i]]
            last[groups[i]] = kept
            kept += 1
            if kept == len(out):
                return


def by_rounds(
    boxes: Float[Tensor, "batch prior 4"],
    scores: Float[Tensor, "batch prior"],
    groups: Int[Tensor, "batch prior"],
    iou: float,
    k: int,
) -> Int[Tensor, "batch det"]:
    """The same in plain torch, all images at once, one round for each box that is kept.

    For devices without a kernel of their own and for a CPU without numba. Nothing waits for the device: the
    number of rounds is `k`, whatever the boxes are.
    """
    batch, count = scores.shape
    out = torch.full((batch, k), _NONE, dtype=torch.int64, device=boxes.device)
    if count == 0:
        return out
    # Sorting puts NaN first; as -inf it is out.
    scores = torch.where(scores > -torch.inf, scores, -torch.inf)
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    groups = groups.gather(1, order)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
    alive = scores > -torch.inf
    rank = torch.arange(count, device=boxes.device)
    for step in range(min(k, count)):
        first = torch.where(alive, rank, count).amin(1, keepdim=True)
        best = first.clamp(max=count - 1)
        out[:, step] = torch.where(first < count, order.gather(1, best), _NONE)[:, 0]
        box = boxes.gather(1, best[..., None].expand(-1, -1, 4))
        low, high = torch.maximum(boxes[..., :2], box[..., :2]), torch.minimum(boxes[..., 2:], box[..., 2:])
        shared = (high - low).clamp(min=0).prod(-1)
        # Without area the quotient is 0 or NaN, and neither is greater.
        overlaps = shared / (area + area.gather(1, best) - shared) > iou
        alive = alive & (rank != best) & ~(overlaps & (groups == groups.gather(1, best)))
    return out
