"""How often a classifier's first guess is right: for data sets in which each image has one label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boxwright.data.records import Dataset
from boxwright.results import Result

TOP = 5


def label_metrics(dataset: Dataset, results: Sequence[Result]) -> dict[str, float]:
    """Top-1 ("accuracy") and top-5 accuracy of labelled images, in [0, 1]; nothing for other data sets.

    Args:
        dataset: the images.
        results: one per image; the label of the highest score is the first guess.
    """
    if not dataset.labelled:
        return {}
    ranks = [_rank(result, int(sample.labels[0])) for sample, result in zip(dataset, results, strict=True)]
    return {
        "accuracy": float(np.mean([rank == 0 for rank in ranks])),
        f"top-{TOP}": float(np.mean([rank < TOP for rank in ranks])),
    }


def _rank(result: Result, label: int) -> float:
    """How many labels are guessed before the right one."""
    order = result.index[np.argsort(-result.scores, kind="stable")]
    places = np.flatnonzero(order == label)
    return float(places[0]) if len(places) else np.inf
