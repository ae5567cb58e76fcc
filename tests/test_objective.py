"""The objective by hand, and what it may not depend on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boxwright.assign import IoUAssigner
from boxwright.boxes import DeltaCoder
from boxwright.losses import SmoothL1, softmax_cross_entropy
from boxwright.objective import Objective
from boxwright.sample import HardNegatives
from boxwright.types import Predictions, Priors, Targets

CODER = DeltaCoder((10.0, 10.0, 5.0, 5.0))
OBJECTIVE = Objective(
    IoUAssigner(force="bipartite"), HardNegatives(1), CODER, softmax_cross_entropy, SmoothL1()
)


def predictions(batch: int, priors: int, columns: int, seed: int, groups: int = 1) -> Predictions:
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(1, priors, 2, generator=g) * 50
    boxes = torch.cat((corner, corner + 10), -1)
    return Predictions(
        torch.randn(batch, priors, columns, generator=g),
        torch.randn(batch, priors, groups, 4, generator=g),
        Priors(boxes, torch.zeros(1, priors, dtype=torch.long), torch.ones(batch, priors, dtype=torch.bool)),
    )


def test_by_hand() -> None:
    """One object on the first of three priors; one negative for it, the one that looks most like an object."""
    priors = Priors(
        torch.tensor([[[0.0, 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90]]]),
        torch.zeros(1, 3, dtype=torch.long),
        torch.ones(1, 3, dtype=torch.bool),
    )
    logits = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [1.0, 0.0]]])  # one class, then background
    one = torch.ones(1, 1, dtype=torch.bool)
    truth = Targets(torch.tensor([[[1.0, 0, 11, 10]]]), torch.zeros(1, 1, dtype=torch.long), one, ~one)
    losses = OBJECTIVE(Predictions(logits, torch.zeros(1, 3, 1, 4), priors), truth)
    hardest = math.log(1 + math.exp(2))
    assert losses.classification.item() == pytest.approx(math.log(2) + hardest)
    # The object lies a tenth of the prior to the right: t_x = 10 * .1 = 1, whose smooth L1 is a half.
    assert losses.localisation.item() == pytest.approx(0.5)
    assert losses.positives.item() == 1
    assert losses.total.item() == pytest.approx(math.log(2) + hardest + 0.5)


def targets(objects: list[int], seed: int) -> Targets:
    g = torch.Generator().manual_seed(seed)
    most = max(objects)
    corner = torch.rand(len(objects), most, 2, generator=g) * 50
    valid = torch.arange(most) < torch.tensor(objects)[:, None]
    labels = torch.randint(0, 2, valid.shape, generator=g)
    return Targets(torch.cat((corner, corner + 10), -1), labels, valid, torch.zeros_like(valid))


@given(st.integers(0, 999), st.lists(st.integers(0, 4), min_size=2, max_size=4))
def test_the_order_of_images_and_objects_does_not_matter(seed: int, objects: list[int]) -> None:
    out, truth = predictions(len(objects), 30, 3, seed), targets([*objects[:-1], objects[-1] + 1], seed)
    straight = OBJECTIVE(out, truth)
    images = torch.arange(len(objects)).flip(0)
    flipped = OBJECTIVE(
        Predictions(
            out.logits[images], out.deltas[images], replace(out.priors, valid=out.priors.valid[images])
        ),
        Targets(
            truth.boxes[images].flip(1),
            truth.labels[images].flip(1),
            truth.valid[images].flip(1),
            truth.ignore[images].flip(1),
        ),
    )
    torch.testing.assert_close(straight.total, flipped.total, atol=1e-4, rtol=1e-4)


@given(st.integers(0, 999))
def test_what_stands_in_padding_does_not_matter(seed: int) -> None:
    out, truth = predictions(2, 20, 3, seed), targets([3, 1], seed)
    rubbish = torch.where(truth.valid[..., None], truth.boxes, torch.tensor(float("nan")))
    assert torch.equal(OBJECTIVE(out, truth).total, OBJECTIVE(out, replace(truth, boxes=rubbish)).total)


def test_no_objects_at_all() -> None:
    out = predictions(2, 20, 3, 0)
    nothing = Targets(
        torch.zeros(2, 0, 4),
        torch.zeros(2, 0, dtype=torch.long),
        torch.zeros(2, 0, dtype=torch.bool),
        torch.zeros(2, 0, dtype=torch.bool),
    )
    assert OBJECTIVE(out, nothing).total == 0
    teaching = replace(OBJECTIVE, sample=HardNegatives(3, least=2))(out, nothing)
    assert teaching.total.isfinite()
    assert teaching.classification > 0


def test_deltas_by_class_train_their_class_alone() -> None:
    out, truth = predictions(1, 20, 3, 0, groups=2), targets([3], 0)
    truth = replace(truth, labels=torch.ones_like(truth.labels))
    deltas = out.deltas.clone().requires_grad_()
    OBJECTIVE(replace(out, deltas=deltas), truth).localisation.backward()
    assert deltas.grad is not None
    assert not deltas.grad[:, :, 0].any()
    assert deltas.grad[:, :, 1].any()


def test_records_that_disagree_are_refused() -> None:
    """Shapes inside one record are jaxtyping's to check; between records they are checked always."""
    good, other = predictions(1, 5, 3, 0), predictions(1, 4, 3, 0)
    with pytest.raises(ValueError, match="Predictions: logits"):
        Predictions(good.logits, good.deltas, other.priors)
