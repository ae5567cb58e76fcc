from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boxwright.boxes import iou
from boxwright.data.records import Dataset, Sample
from boxwright.regions.proposals import Proposals, write
from boxwright.regions.recall import best_overlaps, measure


def sample(name: str, boxes: list[list[float]], labels: list[int], difficult: list[bool]) -> Sample:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return Sample(
        Path("/data") / name,
        (20, 20),
        array,
        np.array(labels, np.int64),
        np.zeros(len(labels), bool),
        np.array(difficult, bool),
        (array[:, 2:] - array[:, :2]).prod(1),
    )


def test_by_hand(tmp_path: Path) -> None:
    data = Dataset(
        (
            # Cats: best overlaps 1 and 1/3; the difficult one does not count. A dog of 1/2.
            sample("a.jpg", [[0, 0, 2, 2], [9, 9, 12, 10], [3, 0, 4, 1]], [0, 0, 0], [False, False, True]),
            sample("b.jpg", [[0, 0, 4, 4]], [2], [False]),
            sample("none.jpg", [], [], []),
        ),
        ("cat", "cow", "dog"),
        (1, 2, 3),
        Path("/data"),
    )
    write(
        tmp_path / "p.npz",
        {},
        ["a.jpg", "b.jpg"],
        [(20, 20)] * 2,
        [np.array([[0, 0, 2, 2], [9, 9, 10, 10]], np.float32), np.array([[0, 0, 4, 2]], np.float32)],
    )
    found = measure(data, Proposals.open(tmp_path / "p.npz"))
    assert (found.images, found.objects) == (3, 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.overlap == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    assert found.mabo == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.boxes == pytest.approx(1)
    cat, dog = found.classes
    assert (cat.name, cat.objects, cat.recall, cat.boxes) == ("cat", 2, 0.5, 2)
    assert (dog.name, dog.recall, dog.overlap, dog.boxes) == ("dog", 1, 0.5, 1)
    assert "MABO 0.583 over 2 classes, 3 images" in found.text()
    assert found.to_dict()["classes"][1]["name"] == "dog"


def test_nothing_to_cover(tmp_path: Path) -> None:
    data = Dataset((sample("a.jpg", [], [], []),), ("cat",), (1,), Path("/data"))
    write(tmp_path / "p.npz", {}, [], [], [])
    found = measure(data, Proposals.open(tmp_path / "p.npz"))
    assert (found.objects, found.recall, found.mabo, found.boxes, found.classes) == (0, 0, 0, 0, ())
    assert found.text()


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 1000))
def test_equals_the_library_s_iou(objects: int, count: int, seed: int) -> None:
    corners = np.random.default_rng(seed).integers(0, 9, (objects + count, 2, 2)).astype(np.float32)
    boxes = np.concatenate((corners.min(1), corners.max(1)), 1)
    found = best_overlaps(boxes[:objects].astype(np.float64), boxes[objects:])
    pairs = iou(torch.from_numpy(boxes[:objects]), torch.from_numpy(boxes[objects:])).numpy()
    np.testing.assert_allclose(found, pairs.max(1, initial=0), rtol=1e-6)
