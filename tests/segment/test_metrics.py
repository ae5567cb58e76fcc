from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, jaccard_score

from boxwright.segment.losses import dice_loss, weighted_cross_entropy
from boxwright.segment.metrics import PixelFigures, confusion


@given(
    truth=arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 255])),
    found=arrays(np.uint8, (5, 6), elements=st.integers(0, 2)),
)
def test_figures_are_scikit_learn_s(truth: np.ndarray, found: np.ndarray) -> None:
    figures = PixelFigures.of(confusion(truth, found, 3))
    judged = truth != 255
    a, b = truth[judged], found[judged]
    if not judged.any():
        assert np.isnan(figures.pixel_error) and np.isnan(figures.mean_iou)
        return
    assert figures.pixel_error == pytest.approx((a != b).mean())
    there = [c for c in range(3) if c in a or c in b]
    iou = jaccard_score(a, b, labels=range(3), average=None, zero_division=0)
    dice = f1_score(a, b, labels=range(3), average=None, zero_division=0)
    np.testing.assert_allclose(figures.iou[there], iou[there])
    np.testing.assert_allclose(figures.dice[there], dice[there])
    assert figures.mean_iou == pytest.approx(iou[there].mean())
    assert np.isnan(figures.iou).sum() == 3 - len(there)


def test_the_loss_is_the_weighted_mean() -> None:
    torch.manual_seed(0)
    logits, weights = torch.randn(2, 3, 4, 5), torch.rand(2, 4, 5)
    labels = torch.randint(0, 3, (2, 4, 5))
    labels[0, 0] = 255
    each = [
        (float(weights[b, y, x]), -float(logits[b, :, y, x].log_softmax(0)[labels[b, y, x]]))
        for b in range(2)
        for y in range(4)
        for x in range(5)
        if labels[b, y, x] != 255
    ]
    wanted = sum(w * loss for w, loss in each) / sum(w for w, _ in each)
    assert float(weighted_cross_entropy(logits, labels, weights)) == pytest.approx(wanted, rel=1e-5)
    even = weighted_cross_entropy(logits, labels, torch.ones(2, 4, 5))
    assert float(even) == pytest.approx(float(F.cross_entropy(logits, labels, ignore_index=255)), rel=1e-5)
    nothing = weighted_cross_entropy(logits, torch.full_like(labels, 255), weights)
    assert float(nothing) == 0


def test_dice_is_zero_for_truth_and_near_one_for_its_opposite() -> None:
    labels = torch.randint(0, 2, (2, 16, 16), generator=torch.Generator().manual_seed(0))
    labels[:, :4] = 255
    right = F.one_hot(labels.clamp(max=1), 2).movedim(-1, 1) * 60.0 - 30
    assert float(dice_loss(right, labels)) == pytest.approx(0, abs=1e-6)
    assert float(dice_loss(-right, labels)) > 0.98
    half = dice_loss(torch.zeros_like(right), labels)
    counts = [int((labels == c).sum()) for c in (0, 1)]
    total = sum(counts)
    # Every pixel is half of each class.
    wanted = 1 - sum((count + 1) / (total / 2 + count + 1) for count in counts) / 2
    assert float(half) == pytest.approx(wanted, rel=1e-5)
