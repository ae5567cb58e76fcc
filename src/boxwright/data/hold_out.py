"""Images taken away from training, for validation, where a data set has none of its own. Torch-free."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from boxwright.data.records import Dataset
from boxwright.errors import InputError


def hold_out(dataset: Dataset, part: float, seed: int) -> tuple[Dataset, Dataset]:
    """Take a random part of a data set away for validation.

    Args:
        dataset: at least two images.
        part: how much of it, in (0, 1); at least one image goes, and at least one stays.
        seed: the same seed takes the same images.

    Returns:
        What stays, and what was taken, each in the data set's order.

    Raises:
        InputError: fewer than two images, or a part that is none.
    """
    if not 0 < part < 1:
        raise InputError(f"a validation part of {part} is not between 0 and 1")
    if len(dataset) < 2:
        raise InputError(
            f"{len(dataset)} image cannot be split into training and validation",
            path=dataset.root,
            hint="add images, or give a data set with splits train and val",
        )
    count = min(max(1, round(part * len(dataset))), len(dataset) - 1)
    taken = set(np.random.default_rng(seed).permutation(len(dataset))[:count].tolist())
    rest = [i for i in range(len(dataset)) if i not in taken]
    return replace(dataset.subset(rest), split="train"), replace(dataset.subset(sorted(taken)), split="val")
