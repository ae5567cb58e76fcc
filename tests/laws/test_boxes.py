"""Laws of the geometry: coding is invertible, overlap is symmetric, clipping stays inside."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from boxwright.boxes import DeltaCoder, area, clip, intersection, iou

side = st.floats(1, 500, width=32)
place = st.floats(-200, 800, width=32)


@st.composite
def boxes(draw: st.DrawFn, most: int = 8) -> Tensor:
    rows = draw(st.lists(st.tuples(place, place, side, side), min_size=1, max_size=most))
    return torch.tensor([(x, y, x + w, y + h) for x, y, w, h in rows])


@given(boxes(), boxes(), st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]))
def test_decode_undoes_encode(a: Tensor, b: Tensor, weights: tuple[float, float, float, float]) -> None:
    coder = DeltaCoder(weights, largest=math.log(1e4))
    n = min(len(a), len(b))
    again = coder.decode(coder.encode(a[:n], b[:n]), b[:n])
    torch.testing.assert_close(again, a[:n], atol=5e-2, rtol=1e-4)


@given(boxes())
def test_a_box_on_its_prior_has_no_offset(a: Tensor) -> None:
    torch.testing.assert_close(DeltaCoder((10.0, 10.0, 5.0, 5.0)).encode(a, a), torch.zeros_like(a))


@given(boxes(), boxes())
def test_iou_is_symmetric_and_bounded(a: Tensor, b: Tensor) -> None:
    overlap = iou(a, b)
    torch.testing.assert_close(overlap, iou(b, a).T)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-5)).all()
    assert (intersection(a, b) <= torch.minimum(area(a)[:, None], area(b)[None]) * (1 + 1e-4)).all()


@given(boxes(), st.floats(-100, 100, width=32), st.floats(0.5, 4, width=32))
def test_iou_does_not_care_for_place_and_scale(a: Tensor, shift: float, scale: float) -> None:
    torch.testing.assert_close(iou(a, a), iou(a * scale + shift, a * scale + shift), atol=2e-3, rtol=1e-3)


@given(boxes(), st.integers(1, 600), st.integers(1, 600))
def test_clip_stays_inside_and_is_idempotent(a: Tensor, height: int, width: int) -> None:
    sizes = torch.tensor([[height, width]])
    inside = clip(a[None], sizes)
    assert (inside >= 0).all()
    assert (inside[..., 0::2] <= width).all()
    assert (inside[..., 1::2] <= height).all()
    torch.testing.assert_close(clip(inside, sizes), inside)


def test_worked_numbers() -> None:
    a = torch.tensor([[0.0, 0.0, 4.0, 2.0]])
    assert area(a).item() == 8
    assert iou(a, torch.tensor([[2.0, 1.0, 6.0, 3.0]])).item() == pytest.approx(2 / 14)
    assert iou(a, torch.tensor([[4.0, 0.0, 8.0, 2.0]])).item() == 0  # they touch and share nothing
    assert iou(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0  # two empty boxes: no 0 / 0
    # Twice as wide: t_w = 5 log 2; moved right by a quarter of the prior's width: t_x = 10 / 4.
    offsets = DeltaCoder((10.0, 10.0, 5.0, 5.0)).encode(torch.tensor([-1.0, 0.0, 7.0, 2.0]), a[0])
    torch.testing.assert_close(offsets, torch.tensor([2.5, 0.0, 5 * math.log(2), 0.0]))


def test_a_wild_offset_stays_finite() -> None:
    decoded = DeltaCoder().decode(torch.tensor([0.0, 0.0, 1e6, 1e6]), torch.tensor([0.0, 0.0, 16.0, 16.0]))
    torch.testing.assert_close(decoded, torch.tensor([8.0 - 500, 8.0 - 500, 8.0 + 500, 8.0 + 500]))


def test_the_reference_agrees(shared) -> None:
    import numpy as np

    case = np.load(shared / "reference/torchvision/functional.npz")
    ours = iou(torch.from_numpy(case["iou_a"]), torch.from_numpy(case["iou_b"]))
    torch.testing.assert_close(ours, torch.from_numpy(case["iou"]), atol=1e-6, rtol=1e-5)
