"""What the operators owe torch: precisions, layouts, threads, compiler, autocast."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from torch import Tensor

from boxwright.regions.pool import multilevel_roi_align, roi_align, roi_pool

CHANNELS = 130  # two blocks of the kernels that go back, the second one of two channels
SCALES = [1 / 4, 1 / 8]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def maps(dtype: torch.dtype = torch.float32, channels: int = CHANNELS) -> list[Tensor]:
    g = generator()
    return [torch.randn(2, channels, n, n + 1, generator=g).to(dtype).requires_grad_() for n in (24, 12)]


def boxes(count: int = 30) -> Tensor:
    g = generator()
    corner = torch.rand(2, count, 2, generator=g) * 100 - 10
    return torch.cat((corner, corner + torch.rand(2, count, 2, generator=g) ** 2 * 400), -1)


def flat(count: int = 30) -> Tensor:
    images = torch.arange(2.0)[:, None, None].expand(-1, count, 1)
    return torch.cat((images, boxes(count)), -1).flatten(0, 1)


def both(levels: list[Tensor]) -> tuple[Tensor, ...]:
    """All that is pooled, and all that flows back."""
    pooled = multilevel_roi_align(levels, SCALES, boxes(), torch.ones(2, 30, dtype=torch.bool), 3)
    largest = roi_pool(levels[1], flat(), 3, SCALES[1])
    weights = torch.randn(pooled.shape, generator=generator()).to(pooled.dtype)
    back = torch.autograd.grad(pooled, levels, weights)
    return pooled, *back, largest, *torch.autograd.grad(largest, levels[1], weights.view_as(largest))


@pytest.fixture()
def threads() -> Iterator[None]:
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


@pytest.fixture()
def unchecked() -> Iterator[None]:
    """Without the checks of signatures, which torch's compiler cannot read."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("threads")
def test_any_number_of_threads_gives_the_same_bits() -> None:
    torch.set_num_threads(1)
    alone = both(maps())
    for count in (2, 5):
        torch.set_num_threads(count)
        for one, many in zip(alone, both(maps()), strict=True):
            assert torch.equal(one, many)


@pytest.mark.parametrize("channels", [3, CHANNELS])
def test_bfloat16_is_float32_rounded(channels: int) -> None:
    coarse = maps(torch.bfloat16, channels)
    fine = [level.detach().float().requires_grad_() for level in coarse]
    pooled, near, far, largest, back = both(coarse)
    exact = both(fine)
    assert {t.dtype for t in (pooled, near, far, largest, back)} == {torch.bfloat16}
    assert torch.equal(pooled, exact[0].bfloat16())
    assert torch.equal(largest.float(), exact[3])
    # What flows in was rounded before: half a unit of the eighth bit of each part of a sum.
    for ours, reference in ((near, exact[1]), (far, exact[2]), (back, exact[4])):
        torch.testing.assert_close(ours.float(), reference, rtol=0.02, atol=0.02)


def test_a_gradient_in_bfloat16_is_summed_in_float32() -> None:
    x = torch.zeros(1, 1, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    rois = torch.tensor([[0.0, 1, 1, 1, 1]]).expand(1000, 5)
    for pooled in (roi_pool(x, rois, 1, 1.0), roi_align(x, rois, 1, 1.0, samples=1, aligned=True)):
        (back,) = torch.autograd.grad(pooled.sum(), x)
        assert back.sum() == 1000  # 1 + 1 + ... in bfloat16 ends at 256


def test_nan_stays_nan_in_bfloat16() -> None:
    x = torch.full((1, 9, 4, 4), torch.nan, dtype=torch.bfloat16)
    assert roi_align(x, torch.tensor([[0.0, 0, 0, 3, 3]]), 2, 1.0).isnan().all()


def test_float16_is_taken() -> None:
    half = [level.detach().half().requires_grad_() for level in maps()]
    whole = [level.detach().float().requires_grad_() for level in half]
    for ours, reference in zip(both(half), both(whole), strict=True):
        assert ours.dtype == torch.float16
        torch.testing.assert_close(ours.float(), reference, rtol=2e-3, atol=1e-2)


def test_memory_layout_changes_nothing() -> None:
    plain = both(maps())
    last = [level.detach().contiguous(memory_format=torch.channels_last).requires_grad_() for level in maps()]
    wide = [torch.cat((level, level), 3).detach() for level in maps()]
    cut = [level[..., : level.shape[3] // 2].requires_grad_() for level in wide]
    for levels in (last, cut):
        for ours, reference in zip(both(levels), plain, strict=True):
            assert torch.equal(ours, reference)


def test_no_rois_and_none_on_a_level() -> None:
    levels = maps()
    none = torch.zeros(2, 0, dtype=torch.bool)
    pooled = multilevel_roi_align(levels, SCALES, boxes(0), none, 3)
    assert pooled.shape == (2, 0, CHANNELS, 3, 3)
    for back in torch.autograd.grad(pooled.sum(), levels):
        assert (back == 0).all()
    assert roi_pool(levels[0], torch.zeros(0, 5), (2, 1), 1.0).shape == (0, CHANNELS, 2, 1)


def test_the_operators_keep_torch_s_rules() -> None:
    levels, rois = maps(channels=9), flat(6)
    level = torch.tensor([0, 1, -1] * 4)
    for samples, aligned in ((2, True), (0, False)):
        arguments = (levels, rois, level, SCALES, 3, 2, samples, aligned)
        torch.library.opcheck(torch.ops.boxwright.roi_align, arguments)
    torch.library.opcheck(torch.ops.boxwright.roi_pool, (levels[0], rois, 1 / 4, 3, 2))


@pytest.mark.usefixtures("unchecked")
def test_compiles_without_a_graph_break_and_trains() -> None:
    levels, rois, singly = maps(channels=9), boxes(), flat()

    def loss(levels: list[Tensor]) -> Tensor:
        valid = torch.ones(2, 30, dtype=torch.bool)
        pooled = multilevel_roi_align(levels, SCALES, rois, valid, 3)
        return pooled.square().sum() + roi_pool(levels[1], singly, 3, SCALES[1]).square().sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    ours = torch.autograd.grad(compiled(levels), levels)
    for a, b in zip(ours, torch.autograd.grad(loss(levels), levels), strict=True):
        torch.testing.assert_close(a, b)


def test_under_autocast_features_stay_in_16_bits() -> None:
    convolution = torch.nn.Conv2d(3, 16, 3, padding=1)
    with torch.autocast("cpu", torch.bfloat16):
        level = convolution(torch.randn(2, 3, 32, 32))
        # Maps that were added to float32 ones and maps that were not meet in one pyramid.
        valid = torch.ones(2, 5, dtype=torch.bool)
        pooled = multilevel_roi_align([level, level[..., ::2, ::2].float()], SCALES, boxes(5), valid, 7)
        assert pooled.dtype == torch.bfloat16
        assert roi_pool(level, flat(5), 7, 1 / 4).dtype == torch.bfloat16
    pooled.float().square().sum().backward()
    assert convolution.weight.grad is not None
    assert convolution.weight.grad.abs().sum() > 0


def test_nothing_of_the_maps_is_kept_for_the_way_back() -> None:
    kept: list[int] = []
    levels = maps()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        multilevel_roi_align(levels, SCALES, boxes(), torch.ones(2, 30, dtype=torch.bool), 3)
    assert sum(kept) <= 60 * (5 + 1)  # RoIs and their levels
