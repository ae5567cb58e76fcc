"""From prepared images to one batch: the only place where anything is padded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

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
    targets = Targets(*(torch.from_numpy(array) for array in (boxes, labels, valid, ignore)))
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


def empty_batch(size: tuple[int, int]) -> Batch:
    """A batch of no image, for a process that has nothing to give to a step of several.

    Args:
        size: (height, width) that images would have.
    """
    boxes, valid = pad_boxes([])
    labels, ignore = np.zeros(valid.shape, np.int64), np.zeros(valid.shape, np.bool_)
    targets = Targets(*(torch.from_numpy(array) for array in (boxes, labels, valid, ignore)))
    return Batch(torch.zeros(0, 3, *size), torch.zeros(0, 2, dtype=torch.int64), targets, ())
