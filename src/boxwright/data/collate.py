"""From prepared images to one batch: the only place where anything is padded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from boxwright.data.prepare import Prepared
from boxwright.predict import pad_batch
from boxwright.types import Batch, Targets


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
    crowd = max(len(sample.labels) for sample in samples)
    boxes = np.zeros((len(samples), crowd, 4), np.float32)
    labels = np.zeros((len(samples), crowd), np.int64)
    valid = np.zeros((len(samples), crowd), np.bool_)
    ignore = np.zeros((len(samples), crowd), np.bool_)
    for row, sample in enumerate(samples):
        objects = len(sample.labels)
        boxes[row, :objects] = sample.boxes
        labels[row, :objects] = sample.labels
        ignore[row, :objects] = sample.ignore
        valid[row, :objects] = True
    targets = Targets(*(torch.from_numpy(array) for array in (boxes, labels, valid, ignore)))
    paths = tuple(sample.path for sample in samples)
    return Batch(torch.from_numpy(images), torch.tensor(sizes, dtype=torch.int64), targets, paths)
