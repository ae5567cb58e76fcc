"""One list of classes for data sets that were read apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from boxwright.data.records import Dataset
from boxwright.errors import InputError, near


def with_classes(dataset: Dataset, classes: Sequence[str], ids: Sequence[int]) -> Dataset:
    """The same images with labels that count another list of classes, such as a model's; names decide.

    Args:
        dataset: any of whose classes may be missing where no object has them.
        classes: the names.
        ids: parallel to `classes`.

    Raises:
        InputError: an object has a class that is not in the list.
    """
    classes, ids = tuple(classes), tuple(ids)
    if (dataset.classes, dataset.ids) == (classes, ids):
        return dataset
    place = {name: index for index, name in enumerate(classes)}
    mapping = np.array([place.get(name, -1) for name in dataset.classes], np.int64)
    samples = []
    for sample in dataset.samples:
        labels = mapping[sample.labels]
        if (labels < 0).any():
            name = dataset.classes[int(sample.labels[labels < 0][0])]
            raise InputError(
                f"an object of class {name!r}, which the model lacks",
                path=sample.path,
                hint=near(name, classes),
            )
        samples.append(replace(sample, labels=labels))
    return replace(dataset, samples=tuple(samples), classes=classes, ids=ids)
