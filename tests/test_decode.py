"""The decoder: what it keeps, where it puts it, and what it never gives back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boxwright.boxes import DeltaCoder, iou
from boxwright.decode import Decoder
from boxwright.types import Predictions, Priors

DECODER = Decoder(DeltaCoder(), "softmax", floor=0.05, candidates=20, iou=0.5, detections=15)


def predictions(seed: int, batch: int = 2, priors: int = 40, classes: int = 3) -> Predictions:
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(1, priors, 2, generator=g) * 70
    boxes = torch.cat((corner, corner + 5 + torch.rand(1, priors, 2, generator=g) * 30), -1)
    valid = torch.rand(batch, priors, generator=g) < 0.8
    return Predictions(
        3 * torch.randn(batch, priors, classes + 1, generator=g),
        0.2 * torch.randn(batch, priors, 1, 4, generator=g),
        Priors(boxes, torch.zeros(1, priors, dtype=torch.long), valid),
    )


@given(st.integers(0, 10_000))
def test_laws(seed: int) -> None:
    out = predictions(seed)
    sizes = torch.tensor([[80, 100], [60, 50]])
    found = DECODER(out, sizes)
    assert found.boxes.shape == (2, 15, 4)
    for image, (height, width) in enumerate(sizes.tolist()):
        valid = found.valid[image]
        count = int(valid.sum())
        assert valid[:count].all()  # padding stands at the end
        boxes, scores, labels = (
            found.boxes[image, :count],
            found.scores[image, :count],
            found.labels[image, :count],
        )
        assert (scores[:-1] >= scores[1:]).all()
        assert (scores > 0.05).all()
        assert ((labels >= 0) & (labels < 3)).all()  # background is no label
        assert (boxes >= 0).all()
        assert (boxes[:, 0::2] <= width).all()
        assert (boxes[:, 1::2] <= height).all()
        same = labels[:, None] == labels[None]
        overlap = iou(boxes, boxes).fill_diagonal_(0)
        assert (overlap[same] <= 0.5).all()
        assert not found.boxes[image, count:].any()
        assert not found.scores[image, count:].any()


@given(st.integers(0, 10_000))
def test_an_image_alone_is_as_in_its_batch(seed: int) -> None:
    out = predictions(seed)
    sizes = torch.tensor([[80, 100], [60, 50]])
    together = DECODER(out, sizes)
    alone = DECODER(
        Predictions(
            out.logits[1:], out.deltas[1:], Priors(out.priors.boxes, out.priors.level, out.priors.valid[1:])
        ),
        sizes[1:],
    )
    torch.testing.assert_close(alone.boxes[0], together.boxes[1])
    torch.testing.assert_close(alone.scores[0], together.scores[1])


def test_by_hand() -> None:
    """Two overlapping boxes of one class, one of another on the same place, one below the floor."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]]])
    probability = torch.tensor([[[0.8, 0.1, 0.1], [0.6, 0.1, 0.3], [0.1, 0.7, 0.2], [0.02, 0.02, 0.96]]])
    out = Predictions(
        probability.log(),
        torch.zeros(1, 4, 1, 4),
        Priors(boxes, torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.bool)),
    )
    found = DECODER(out, torch.tensor([[100, 100]]))
    scores = found.scores[0][found.valid[0]]
    # .1 of class 1 at priors 0 and 1 are suppressed by .7; .1 of class 0 at prior 2 by .8.
    assert scores.tolist() == pytest.approx([0.8, 0.7])
    assert found.labels[0, :2].tolist() == [0, 1]
    assert found.boxes[0, 0].tolist() == [0, 0, 10, 10]


def test_sigmoid_heads_have_no_background() -> None:
    out = predictions(3)
    sigmoid = Decoder(DeltaCoder(), "sigmoid", floor=0.05, candidates=20, iou=0.5, detections=15)
    assert sigmoid.scores(out).shape == (2, 4, 40)
    assert DECODER.scores(out).shape == (2, 3, 40)


def test_nothing_found_is_no_special_case() -> None:
    out = predictions(0)
    never = Decoder(DeltaCoder(), "softmax", floor=1.0, candidates=20, iou=0.5, detections=15)
    found = never(out, torch.tensor([[80, 100], [60, 50]]))
    assert not found.valid.any()
