from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from boxwright.boxes import DeltaCoder
from boxwright.training.linear import Miner, machines, ridges, typical_scale
from boxwright.training.region_features import ImageFeatures

WIDTH = 6


def image(rng: np.random.Generator, labels: list[int], regions: int = 40) -> ImageFeatures:
    """Objects of class c have feature c at 3; regions beside them have noise; those near them have both."""
    count = len(labels)
    corner = rng.uniform(0, 200, (count, 2))
    objects = np.concatenate((corner, corner + rng.uniform(30, 60, (count, 2))), 1).astype(np.float32)
    corner = rng.uniform(300, 500, (regions, 2))
    away = np.concatenate((corner, corner + 40), 1).astype(np.float32)
    features = rng.normal(0, 0.3, (regions + count, WIDTH))
    for place, label in enumerate(labels):
        features[regions + place, label] += 3
    return ImageFeatures(
        features.astype(np.float16),
        np.concatenate((away, objects)),
        objects,
        np.array(labels, np.int64),
        np.zeros(count, np.bool_),
    )


def test_machines_tell_their_class_from_background() -> None:
    rng = np.random.default_rng(0)
    images = [image(rng, [0, 1]) for _ in range(20)]
    scale = typical_scale(images)
    linear = machines(images, 3, scale, np.random.default_rng(1))
    unseen = image(rng, [0, 1], regions=200)
    margins = unseen.features.astype(np.float32) @ linear.weight.T + linear.bias
    assert margins[200, 0] > margins[:200, 0].max()
    assert margins[201, 1] > margins[:200, 1].max()
    assert (margins[:, 2] == -2).all()  # a class without an object


def test_typical_scale() -> None:
    rng = np.random.default_rng(0)
    images = [image(rng, [0])]
    lengths = np.linalg.norm(images[0].features.astype(np.float32), axis=1) * typical_scale(images)
    assert lengths.mean() == pytest.approx(20, rel=1e-3)


def test_only_hard_negatives_are_kept() -> None:
    miner = Miner(weight=np.array([1.0, 0.0]), bias=0.0)
    miner.meet(np.array([[-3.0, 0.0], [-0.5, 0.0], [2.0, 0.0]], np.float32))
    assert np.concatenate(miner.negatives)[:, 0].tolist() == [-0.5, 2.0]
    assert miner.fresh == 2


def test_ridges_learn_to_move() -> None:
    """The feature says how far the region lies left of its object; the regression must undo it."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(60):
        left = rng.uniform(50, 100)
        truth = np.array([[left, 50, left + 50, 100]], np.float32)
        shift = rng.uniform(-8, 8, 20)
        boxes = (truth + np.stack((shift, 0 * shift, shift, 0 * shift), 1)).astype(np.float32)
        features = np.concatenate((shift[:, None] * 10, np.ones((20, 1))), 1)
        ignore = np.zeros(1, np.bool_)
        images.append(ImageFeatures(features.astype(np.float16), boxes, truth, np.array([1]), ignore))
    linear = ridges(images, 2, 1.0)
    assert not linear.weight[:4].any()  # the class that has no object
    test = images[0]
    offsets = test.features.astype(np.float32) @ linear.weight[4:].T + linear.bias[4:]
    moved = DeltaCoder().decode(torch.from_numpy(offsets), torch.from_numpy(test.boxes))
    np.testing.assert_allclose(moved.numpy(), np.repeat(test.objects, 20, 0), atol=0.3)


def test_boxes_can_be_moved_by_other_features() -> None:
    """What is kept of the regions near an object is what the regression sees, at a scale of its own."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(60):
        left = rng.uniform(50, 100)
        truth = np.array([[left, 50, left + 50, 100]], np.float32)
        shift = rng.uniform(-8, 8, 20)
        boxes = (truth + np.stack((shift, 0 * shift, shift, 0 * shift), 1)).astype(np.float32)
        maps = np.concatenate((shift[:, None] * 10, np.ones((20, 3))), 1).astype(np.float16)
        found = ImageFeatures(
            rng.normal(0, 1, (20, 2)).astype(np.float16), boxes, truth, np.array([1]), np.zeros(1, np.bool_)
        )
        near = found.near_objects()
        images.append(replace(found, near=near, near_features=maps[near]))
    linear = ridges(images, 2)
    assert linear.weight.shape == (8, 4)
    test = images[0]
    offsets = test.near_features.astype(np.float32) @ linear.weight[4:].T + linear.bias[4:]
    moved = DeltaCoder().decode(torch.from_numpy(offsets), torch.from_numpy(test.boxes[test.near]))
    np.testing.assert_allclose(moved.numpy(), np.repeat(test.objects, len(test.near), 0), atol=0.5)
