"""From prepared images to one batch: the only place where anything is padded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from boxwright.data.prepare import Prepared
from boxwright.inputs import pad_batch, pad_boxes
from boxwright.types import Batch, Targets, given


def collate(samples: Sequence[Prepared], *, multiple: int = 1) -> Batch:
    """Stack images, padded right and below with zeros, and objects, padded to the most crowded image.

    Args:
        samples: at least one.
        multiple: the batch's height and width become multiples of this (`Preprocess.pad_multiple`).

    >>> picture = Prepared(np.zeros((3, 30, 50), np.float32), np.zeros((0, 4), np.float32),
    ...                    np.zeros(0, np.int64), np.zeros(0, np.bool_), (60, 100), 0, "a.jpg")
    >>> batch = collate([picture], multiple=32)
    >>> tuple(batch.images.shape), batch.sizes.tolist(), tuple(batch.targets.boxes.shape)
    ((1, 3, 32, 64), [[30, 50]], (1, 0, 4))
    """
    images = pad_batch([sample.image for sample in samples], multiple)
    sizes = [sample.image.shape[1:] for sample in samples]
    boxes, valid = pad_boxes([sample.boxes for sample in samples])
    labels = np.zeros(valid.shape, np.int64)
    ignore = np.zeros(valid.shape, np.bool_)
    for row, sample in enumerate(samples):
        labels[row, : len(sample.labels)] = sample.labels
        ignore[row, : len(sample.labels)] = sample.ignore
    keys = np.array([sample.key for sample in samples], np.int64)
    targets = Targets(*(torch.from_numpy(array) for array in (boxes, labels, valid, ignore, keys)))
    paths = tuple(sample.path for sample in samples)
    proposals = [sample.proposals for sample in samples if sample.proposals is not None]
    regions = given(*pad_boxes(proposals, least=1)) if proposals else None
    # Of the image as a whole: a crop is enlarged by more.
    scales = [
        math.sqrt(math.prod(size) / math.prod(one.size)) for size, one in zip(sizes, samples, strict=True)
    ]
    return Batch(
        torch.from_numpy(images),
        torch.tensor(sizes, dtype=torch.int64),
        targets,
        paths,
        regions,
        torch.tensor(scales, dtype=torch.float32),
    )


def padded(batch: Batch, height: int, width: int) -> Batch:
    """The batch with images padded right and below with zeros to one size, which is no smaller than theirs."""
    right, below = width - batch.images.shape[3], height - batch.images.shape[2]
    if right == below == 0:
        return batch
    return replace(batch, images=F.pad(batch.images, (0, right, 0, below)))


def empty_batch(side: int, *, regions: bool = False) -> Batch:
    """A batch of no image, for a process that has nothing to give to a step of several.

    Args:
        side: of images that would be the smallest.
        regions: whether they would come with regions to judge.
    """
    boxes, valid = pad_boxes([])
    labels, ignore = np.zeros(valid.shape, np.int64), np.zeros(valid.shape, np.bool_)
    arrays = (boxes, labels, valid, ignore, np.zeros(0, np.int64))
    return Batch(
        torch.zeros(0, 3, side, side),
        torch.zeros(0, 2, dtype=torch.int64),
        Targets(*(torch.from_numpy(array) for array in arrays)),
        (),
        given(*pad_boxes([], least=1)) if regions else None,
        torch.zeros(0),
    )
