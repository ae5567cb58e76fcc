from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from boxwright.regions import roi_host
from boxwright.regions.pool import multilevel_roi_align, pyramid_level, roi_align, roi_pool


@pytest.fixture(params=["compiled", "plain"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test that asks for it runs with the kernels and without them."""
    if request.param == "plain":
        monkeypatch.setattr(roi_host, "compiled", lambda: None)


def features(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


coordinate = st.one_of(st.integers(-8, 26).map(lambda n: n / 2), st.floats(-5, 14, width=32))
roi = st.tuples(st.integers(0, 1), coordinate, coordinate, coordinate, coordinate)
case = st.fixed_dictionaries(
    {
        "rois": st.lists(roi, max_size=5),
        "size": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "scale": st.sampled_from([1.0, 0.5, 0.3]),
        "shape": st.tuples(st.just(2), st.integers(1, 10), st.integers(1, 9), st.integers(1, 9)),
    }
)


@given(case, st.integers(0, 3), st.booleans())
def test_kernels_and_plain_torch_agree_on_roi_align(case: dict, samples: int, aligned: bool) -> None:
    def pool(x: Tensor) -> Tensor:
        rois = torch.tensor(case["rois"]).view(-1, 5)
        return roi_align(x, rois, case["size"], case["scale"], samples=samples, aligned=aligned)

    agree(pool, case["shape"], 1e-5)


@given(case)
def test_kernels_and_plain_torch_agree_on_roi_pool(case: dict) -> None:
    def pool(x: Tensor) -> Tensor:
        return roi_pool(x, torch.tensor(case["rois"]).view(-1, 5), case["size"], case["scale"])

    agree(pool, case["shape"], 0.0)


def agree(pool: object, shape: tuple[int, ...], tolerance: float) -> None:
    """Values and gradients, on a map where many cells are alike, so that ties count."""
    outcomes = []
    for patch in (roi_host.compiled, lambda: None):
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(roi_host, "compiled", patch)
            x = features(*shape).clamp(min=0).requires_grad_()
            pooled = pool(x)  # type: ignore[operator]
            weights = torch.linspace(-1, 1, pooled.numel()).view_as(pooled)
            outcomes.append((pooled, *torch.autograd.grad(pooled, x, weights)))
    for ours, plain in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, plain, rtol=max(tolerance, 1e-5), atol=max(tolerance, 1e-5))
    if tolerance == 0:
        assert torch.equal(outcomes[0][0], outcomes[1][0])


ROIS = [
    [0.0, 3, 2, 17, 14],
    [1, -6, 4, 9, 40],
    [1, 11.3, 5.1, 12.2, 6],
    [0, 20, 20, 4, 4],
    [0, 90, 90, 99, 99],
]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("aligned", [False, True])
def test_gradients_of_roi_align_are_the_finite_differences(samples: int, aligned: bool) -> None:
    rois = torch.tensor(ROIS, dtype=torch.float64)
    x = features(2, 1, 5, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: roi_align(x, rois, (2, 3), 0.3, samples=samples, aligned=aligned), (x,)
    )


@pytest.mark.usefixtures("path")
def test_gradients_of_roi_pool_are_the_finite_differences() -> None:
    order = torch.randperm(2 * 5 * 4, generator=torch.Generator().manual_seed(0))  # no ties
    x = order.double().view(2, 1, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: roi_pool(x, torch.tensor(ROIS), (2, 3), 0.3), (x,))


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("aligned", [False, True])
def test_a_constant_map_pools_to_the_constant(aligned: bool) -> None:
    rois = torch.tensor([[0.0, 1, 2, 100, 90], [0, 30, 30, 31, 31], [0, 16, 8, 16, 64]])
    for samples in (1, 2, 5):
        pooled = roi_align(torch.full((1, 9, 14, 14), 2.5), rois, 7, 1 / 8, samples=samples, aligned=aligned)
        torch.testing.assert_close(pooled, torch.full_like(pooled, 2.5))
    assert (roi_pool(torch.full((1, 9, 14, 14), -2.5), rois, 7, 1 / 8) == -2.5).all()


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("samples", [0, 1, 2, 3])
def test_roi_align_of_a_ramp_is_exact_at_the_middles_of_the_bins(samples: int) -> None:
    ramp = 3 * torch.arange(20.0)[:, None] - torch.arange(24.0) + 1
    pooled = roi_align(
        ramp.expand(1, 12, 20, 24).contiguous(), torch.tensor([[0.0, 8, 12, 36, 36]]), (4, 7), 0.5,
        samples=samples, aligned=True,
    )  # fmt: skip
    y = 6 + (torch.arange(4) + 0.5) * 12 / 4 - 0.5  # a cell's value stands at its middle
    x = 4 + (torch.arange(7) + 0.5) * 14 / 7 - 0.5
    torch.testing.assert_close(pooled[0, 5], 3 * y[:, None] - x + 1)


@pytest.mark.usefixtures("path")
def test_a_roi_of_one_cell_is_that_cell() -> None:
    x = features(2, 9, 5, 6)
    corner = torch.tensor([[1.0, 3 * 16, 2 * 16, 3 * 16, 2 * 16]])
    assert torch.equal(roi_pool(x, corner, 3, 1 / 16)[0], x[1, :, 2, 3, None, None].expand(9, 3, 3))
    whole = torch.tensor([[1.0, 3 * 16, 2 * 16, 4 * 16, 3 * 16]])
    one = roi_align(x, whole, 1, 1 / 16, samples=1, aligned=True)
    assert torch.equal(one[0, :, 0, 0], x[1, :, 2, 3])


@pytest.mark.usefixtures("path")
def test_moving_map_and_roi_by_whole_strides_changes_nothing() -> None:
    x = features(1, 9, 20, 20)
    moved = x.roll((3, -2), (2, 3))
    here = torch.tensor([[0.0, 70, 45, 121, 99]])
    there = here + torch.tensor([0.0, -16, 24, -16, 24])
    for pool in (roi_pool, roi_align):
        torch.testing.assert_close(pool(x, here, 5, 1 / 8), pool(moved, there, 5, 1 / 8))  # type: ignore[operator]


@pytest.mark.usefixtures("path")
def test_roi_pool_worked_by_hand() -> None:
    cells = torch.arange(24.0).view(1, 1, 4, 6)
    # Corners 1.5 and 2.5 round away from zero, to 2 and 3: rows 2 and 3 belong to it, columns 1 to 4.
    roi = torch.tensor([[0.0, 12, 24, 64, 40]])
    assert roi_pool(cells, roi, 2, 1 / 16)[0, 0].tolist() == [[14.0, 16.0], [20.0, 22.0]]
    # Three bins of 4/3 cells: 1..2, 2..3 and 3..4; they overlap.
    assert roi_pool(cells, roi, (1, 3), 1 / 16)[0, 0].tolist() == [[20.0, 21.0, 22.0]]
    # Left of the image nothing is read; the bin that straddles the edge has column 0 alone.
    outside = torch.tensor([[0.0, -48, 0, 0, 0]])
    assert roi_pool(cells + 1, outside, (1, 4), 1 / 16)[0, 0].tolist() == [[0.0, 0.0, 0.0, 1.0]]


@pytest.mark.usefixtures("path")
def test_equal_cells_send_the_gradient_to_the_first() -> None:
    x = torch.zeros(1, 1, 3, 3).index_fill_(3, torch.tensor([1, 2]), 7.0).requires_grad_()
    roi_pool(x, torch.tensor([[0.0, 0, 0, 2, 2]]), 1, 1.0).sum().backward()
    assert x.grad is not None
    assert x.grad.nonzero().tolist() == [[0, 0, 0, 1]]


def test_levels_of_the_paper() -> None:
    sides = torch.tensor([0.0, 1, 111, 112, 223, 224, 447, 448, 895, 9000])
    boxes = torch.stack((sides * 0, sides * 0, sides, sides), -1)
    assert pyramid_level(boxes).tolist() == [2, 2, 2, 3, 3, 4, 4, 5, 5, 5]
    assert pyramid_level(boxes, finest=3, coarsest=4).tolist() == [3, 3, 3, 3, 3, 4, 4, 4, 4, 4]
    # Area counts, not the sides; and rounding of coordinates does not move a box to another level.
    assert pyramid_level(torch.tensor([[[0.0, 0, 112, 448]], [[0.1, 0.1, 224.1, 224.1]]])).tolist() == [
        [4],
        [4],
    ]
    assert pyramid_level(torch.tensor([30.0, 30, 10, 10])).item() == 2  # swapped corners: no area


@pytest.mark.usefixtures("path")
def test_each_roi_of_a_pyramid_is_read_from_its_own_level() -> None:
    levels = [features(2, 9, n, n) for n in (64, 32, 16)]
    scales = [1 / 4, 1 / 8, 1 / 16]
    boxes = torch.tensor([[[8.0, 8, 60, 50], [0, 0, 200, 120], [3, 9, 256, 256], [5, 5, 9, 9]]] * 2)
    valid = torch.tensor([[True] * 4, [True, True, False, True]])
    pooled = multilevel_roi_align(levels, scales, boxes, valid, (3, 2), samples=2, aligned=True)
    assert pooled.shape == (2, 4, 9, 3, 2)
    for image in range(2):
        for number, level in enumerate([0, 1, 2, 0]):
            roi = torch.cat((torch.tensor([float(image)]), boxes[image, number]))[None]
            alone = roi_align(levels[level], roi, (3, 2), scales[level], aligned=True)[0]
            torch.testing.assert_close(pooled[image, number], alone * valid[image, number])


@pytest.mark.usefixtures("path")
def test_gradients_reach_every_level_and_not_through_what_is_not_valid() -> None:
    levels = [features(1, 9, n, n).requires_grad_() for n in (64, 32)]
    boxes = torch.tensor([[[8.0, 8, 60, 50], [0, 0, 250, 250]]])
    pooled = multilevel_roi_align(levels, [1 / 4, 1 / 8], boxes, torch.tensor([[True, False]]), 2)
    near, far = torch.autograd.grad(pooled.sum(), levels)
    torch.testing.assert_close(near.sum(), torch.tensor(9 * 4.0))  # the weights of a bin sum to 1
    assert (far == 0).all()


def test_an_index_outside_the_batch_is_refused() -> None:
    for pool in (roi_pool, roi_align):
        for image in (-1.0, 2.0):
            with pytest.raises(ValueError, match="in a batch of 2"):
                pool(features(2, 3, 4, 4), torch.tensor([[image, 0, 0, 1, 1]]), 2, 1.0)  # type: ignore[operator]
