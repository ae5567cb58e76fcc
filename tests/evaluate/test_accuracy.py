from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from boxwright.data.records import Dataset, Sample
from boxwright.evaluate.accuracy import label_metrics
from boxwright.results import Result


def dataset(*labels: int, format: str = "folders") -> Dataset:
    samples = tuple(
        Sample(
            path=Path(f"{number}.png"),
            size=(4, 4),
            boxes=np.array([[0.0, 0.0, 4.0, 4.0]]),
            labels=np.array([label]),
            crowd=np.zeros(1, bool),
            difficult=np.zeros(1, bool),
            areas=np.array([16.0]),
        )
        for number, label in enumerate(labels)
    )
    return Dataset(samples, tuple("abcdefgh"), tuple(range(8)), Path(), format=format)


def guesses(*order: int) -> Result:
    scores = np.linspace(0.9, 0.1, len(order), dtype=np.float32)
    index = np.array(order, np.int64)
    boxes = np.tile(np.array([0, 0, 4, 4], np.float32), (len(order), 1))
    return Result(boxes, scores, index, index, tuple("abcdefgh"[i] for i in order), (4, 4))


def test_first_and_first_five() -> None:
    found = label_metrics(
        dataset(0, 1, 2, 3), [guesses(0, 1), guesses(0, 1), guesses(7, 6, 5, 4, 3, 2), guesses()]
    )
    assert found == {"accuracy": pytest.approx(1 / 4), "top-5": pytest.approx(2 / 4)}


def test_boxes_have_no_accuracy() -> None:
    assert label_metrics(dataset(0, format="coco"), [guesses(0)]) == {}
