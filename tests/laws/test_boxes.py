"""Laws of the geometry: coding is invertible, overlap is symmetric, clipping stays inside."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from boxwright.boxes import DeltaCoder, area, clip, giou, intersection, iou

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


NARROW = (torch.uint8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16)


@pytest.mark.parametrize("kind", NARROW)
def test_integers_and_half_precision_do_not_overflow(kind: torch.dtype) -> None:
    """255 x 255 pixels are more than 16 bits hold, signed or of half precision; differences may be negative."""
    side = 248 if kind == torch.bfloat16 else 255  # bfloat16 holds 8 bits of a number
    a = torch.tensor([[0, 0, side, side], [200, 200, 100, 100]], dtype=kind)
    b = torch.tensor([[0, 0, side, 100], [250, 250, 252, 252]], dtype=kind)
    assert area(a).tolist() == [side * side, 0]  # swapped corners are no area, unsigned ones neither
    assert intersection(a, b)[0].tolist() == [side * 100.0, 4.0 if side == 255 else 0.0]
    assert iou(a, b)[0, 0].item() == pytest.approx(100 / side)
    assert iou(a, b)[1].tolist() == [0, 0]
    assert iou(a, b).dtype in (torch.float32, torch.float64)
    assert giou(a[:1], a[:1]).item() == pytest.approx(1)
    torch.testing.assert_close(iou(a, b), iou(a.double(), b.double()), check_dtype=False)


def test_large_integers_are_exact() -> None:
    far = 2**25  # float32 counts in steps of 4 there
    box = torch.tensor([[far, far, far + 1, far + 1]])
    assert area(box).tolist() == [1.0]
    assert iou(box, box).tolist() == [[1.0]]


@pytest.mark.parametrize("kind", NARROW)
def test_clipping_and_coding_do_not_wrap_either(kind: torch.dtype) -> None:
    """An image of 1000 pixels is wider than 8 bits count."""
    box = torch.tensor([[10, 20, 100, 60]], dtype=kind)
    clipped = clip(box[None], torch.tensor([[1000, 1000]]))
    assert clipped.tolist() == [[[10, 20, 100, 60]]]
    coder = DeltaCoder()
    prior = torch.tensor([[100, 20, 190, 60]], dtype=kind)  # lies to the right: the offset is negative
    assert coder.encode(box, prior)[0].tolist() == pytest.approx([-1, 0, 0, 0])
    torch.testing.assert_close(
        coder.decode(torch.zeros(1, 4, dtype=torch.float16), box), box.float(), check_dtype=False
    )
