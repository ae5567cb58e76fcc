"""Layers that backbones share, against what they stand for."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from boxwright.backbones.layers import DepthwiseConv2d, DropPath, SameConv2d, depthwise


def gradients(bfloat16: bool, stride: int, dilation: int) -> tuple[Tensor, Tensor, Tensor]:
    """Output of a depthwise convolution, and the gradients of its input and its filters."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, 13, 11, requires_grad=True)
    weight = torch.randn(16, 1, 3, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        y = depthwise(x, weight, stride, (dilation, dilation), dilation)
    y.backward(torch.randn(y.shape).to(y.dtype))
    assert y.dtype == (torch.bfloat16 if bfloat16 else torch.float32)
    assert x.grad is not None
    assert weight.grad is not None
    assert x.grad.dtype == weight.grad.dtype == torch.float32
    return y.detach().float(), x.grad, weight.grad


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_depthwise_in_bfloat16_has_float32s_gradients(stride: int, dilation: int) -> None:
    """But for bfloat16's 8 bits: each of the factors and of the results is rounded to one part in 256."""
    for ours, exact in zip(
        gradients(True, stride, dilation), gradients(False, stride, dilation), strict=True
    ):
        assert (ours - exact).norm() < 2**-7 * exact.norm()
        assert not torch.equal(ours, exact), "bfloat16 was not used"


def test_depthwise_takes_each_channel_by_itself() -> None:
    layer = DepthwiseConv2d(3, 5, stride=2, dilation=2)
    x = torch.randn(2, 3, 17, 20)
    alone = [
        F.conv2d(x[:, c : c + 1], layer.weight[c : c + 1], stride=2, padding=4, dilation=2) for c in range(3)
    ]
    torch.testing.assert_close(layer(x), torch.cat(alone, 1))


@pytest.mark.parametrize("size", [7, 8, 9, 10])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("groups", [1, 4])
def test_same_pads_the_odd_cell_after_the_last(kernel: int, stride: int, size: int, groups: int) -> None:
    layer = SameConv2d(4, 4, kernel, stride, groups=groups, bias=False)
    x = torch.randn(1, 4, size, 11)
    sides = []
    for length in (11, size):  # F.pad wants the last axis first
        cells = math.ceil(length / stride)
        missing = max((cells - 1) * stride + kernel - length, 0)
        sides += [missing // 2, missing - missing // 2]
    y = layer(x)
    torch.testing.assert_close(y, F.conv2d(F.pad(x, sides), layer.weight, stride=stride, groups=groups))
    assert y.shape[2:] == (math.ceil(size / stride), math.ceil(11 / stride))


def test_drop_path_leaves_out_whole_images_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    images, probability = 4000, 0.2
    branch = torch.randn(images, 2, 3, 3) + 1
    layer = DropPath(probability)
    factors = layer(branch) / branch
    each = factors.flatten(1)
    torch.testing.assert_close(each, each[:, :1].expand_as(each))
    left_out = each[:, 0] == 0
    torch.testing.assert_close(each[~left_out], torch.full_like(each[~left_out], 1 / (1 - probability)))
    # Five deviations of a mean of that many draws.
    assert abs(left_out.float().mean() - probability) < 5 * math.sqrt(probability * 0.8 / images)
    assert abs(each[:, 0].mean() - 1) < 5 * math.sqrt(probability / 0.8 / images)
    assert torch.equal(layer.eval()(branch), branch)
    assert torch.equal(DropPath(0.0)(branch), branch)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_drop_path_is_finite_for_every_probability(probability: float) -> None:
    """With 1 every branch is left out: 0, and not 0 / 0, in the gradient too."""
    torch.manual_seed(0)
    branch = torch.ones(64, 2, 1, 1, requires_grad=True)
    left = DropPath(probability).train()(branch)
    left.sum().backward()
    assert left.isfinite().all() and branch.grad is not None and branch.grad.isfinite().all()
    kept = {0.0: 64, 1.0: 0}.get(probability)
    if kept is not None:
        assert int((left[:, 0, 0, 0] != 0).sum()) == kept
    assert DropPath(probability).eval()(branch) is branch


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_drop_path_wants_a_probability(probability: float) -> None:
    with pytest.raises(ValueError, match="is a probability"):
        DropPath(probability)
