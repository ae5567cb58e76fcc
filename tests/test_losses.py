from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from boxwright.boxes import giou
from boxwright.losses import Focal, SmoothL1, giou_loss


def one_hot(labels: torch.Tensor, positive: torch.Tensor, classes: int) -> torch.Tensor:
    return F.one_hot(labels, classes).float() * positive[..., None]


def drawn(seed: int, classes: int = 4, scale: float = 3.0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 7, classes, generator=generator, dtype=torch.float64) * scale
    labels = torch.randint(classes, (2, 7), generator=generator)
    return logits, labels, torch.rand(2, 7, generator=generator) < 0.4


@given(st.integers(0, 10_000))
def test_without_focus_it_is_binary_cross_entropy(seed: int) -> None:
    logits, labels, positive = drawn(seed)
    plain = F.binary_cross_entropy_with_logits(
        logits, one_hot(labels, positive, 4).double(), reduction="none"
    )
    torch.testing.assert_close(Focal(0.0, None)(logits, labels, positive), plain.sum(-1))


@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_equation_5_and_its_gradient(seed: int, gamma: float) -> None:
    """Against the equation written out in p_t and alpha_t, column by column, with one alpha a class."""
    logits, labels, positive = drawn(seed)
    alpha = (0.1, 0.25, 0.5, 0.9)
    truth = one_hot(labels, positive, 4)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    p = theirs.sigmoid()
    p_t = torch.where(truth == 1, p, 1 - p)
    alpha_t = torch.where(truth == 1, torch.tensor(alpha), 1 - torch.tensor(alpha))
    equation = (-alpha_t * (1 - p_t) ** gamma * p_t.log()).sum(-1)
    loss = Focal(gamma, alpha)(ours, labels, positive)
    torch.testing.assert_close(loss, equation, atol=1e-6, rtol=1e-5)
    loss.sum().backward()
    equation.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_certainty_stays_finite(gamma: float, logit: float) -> None:
    logits = torch.full((1, 2, 3), logit, requires_grad=True)
    positive = torch.tensor([[True, False]])
    loss = Focal(gamma)(logits, torch.zeros(1, 2, dtype=torch.long), positive)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, 0.5), (2.0, None), (5.0, 0.75)])
def test_focal_loss_of_the_reference(shared: Path, gamma: float, alpha: float | None) -> None:
    """Its targets hold several classes a row; a row of one column each is a prior of ours."""
    cases = np.load(shared / "reference/torchvision/functional.npz")
    logits, targets = (torch.from_numpy(cases[f"focal_{part}"]) for part in ("logits", "targets"))
    ours = Focal(gamma, alpha)(
        logits.reshape(1, -1, 1),
        torch.zeros(1, targets.numel(), dtype=torch.long),
        targets.reshape(1, -1) > 0,
    )
    theirs = cases[f"focal_alpha{-1 if alpha is None else alpha}_gamma{gamma}"]
    np.testing.assert_allclose(ours.numpy().reshape(theirs.shape), theirs, rtol=1e-4, atol=1e-6)


def test_giou_of_the_reference(shared: Path) -> None:
    cases = np.load(shared / "reference/torchvision/functional.npz")
    a, b = (torch.from_numpy(cases[name]) for name in ("iou_a", "iou_b"))
    ours = giou(a[:, None].expand(-1, len(b), -1), b[None].expand(len(a), -1, -1))
    np.testing.assert_allclose(ours.numpy(), cases["giou"], atol=1e-5)


def test_smooth_l1_by_hand() -> None:
    deltas = torch.tensor([[0.05, -0.2, 0.0, 1.0]])
    assert SmoothL1(0.1)(deltas, torch.zeros(1, 4)).item() == pytest.approx(0.0125 + 0.15 + 0.95)
    assert SmoothL1(0.0)(deltas, torch.zeros(1, 4)).item() == pytest.approx(1.25)


def test_giou_by_hand() -> None:
    one = torch.tensor([0.0, 0.0, 2.0, 2.0])
    # Shared 1, union 7, hull 9.
    assert giou(one, torch.tensor([1.0, 1.0, 3.0, 3.0])).item() == pytest.approx(1 / 7 - 2 / 9)
    # Apart: no intersection, hull 3 x 1, union 2.
    apart = torch.tensor([[0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 3.0, 1.0]])
    assert giou_loss(apart[:1], apart[1:]).item() == pytest.approx(1 + 1 / 3)
    assert giou_loss(one, one).item() == pytest.approx(0, abs=1e-6)


boxes = st.tuples(*[st.floats(-50, 50, width=32)] * 2, *[st.floats(0.125, 40, width=32)] * 2).map(
    lambda b: torch.tensor([b[0], b[1], b[0] + b[2], b[1] + b[3]])
)


@given(boxes, boxes)
def test_giou_is_symmetric_and_bounded(a: torch.Tensor, b: torch.Tensor) -> None:
    value = giou(a, b)
    assert -1 - 1e-4 <= value <= 1 + 1e-4
    torch.testing.assert_close(value, giou(b, a))
    assert math.isclose(giou(a, a).item(), 1, abs_tol=1e-4)
