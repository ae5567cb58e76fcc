"""Laws that every backbone keeps; the tests of each family call them on its nets."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

IMAGE_SIZES = ((64, 96), (97, 75), (131, 160))
"""(height, width): even, odd, and one of each; every net makes at least one cell of the smallest."""


def shapes_agree(trunk: nn.Module, sizes: Iterable[tuple[int, int]] = IMAGE_SIZES) -> None:
    """Maps have the channels and cells their specs say, at each (height, width); nothing is computed."""
    state = {key: value.to("meta") for key, value in trunk.state_dict().items()}
    training = trunk.training
    trunk.eval()
    for height, width in sizes:
        maps = functional_call(trunk, state, (torch.empty(2, 3, height, width, device="meta"),))
        told = [(2, spec.channels, spec.cells(height), spec.cells(width)) for spec in trunk.specs]
        shapes = [tuple(x.shape) for x in maps]
        assert shapes == told, f"{shapes}, where the specs say {told}"
    trunk.train(training)


def stages_hold_everything(trunk: nn.Module) -> None:
    """Each parameter of the trunk is in exactly one of its stages."""
    own = sorted(id(parameter) for parameter in trunk.parameters())
    assert sorted(id(parameter) for stage in trunk.stages() for parameter in stage.parameters()) == own


def gradients_reach_everything(module: nn.Module, size: int) -> None:
    """Every parameter of a trunk or classifier gets a finite gradient that is not all zero, in training mode.

    `size` should leave the last map more than one cell, or batch norms would have two values to average.
    """
    torch.manual_seed(0)
    module.train()
    module.zero_grad()
    outputs = module(torch.randn(2, 3, size, size))
    loss = sum((output * torch.randn_like(output)).sum() for output in _listed(outputs))
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    missed = [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]
    assert gradients
    assert not missed, f"no gradient reaches {missed}"
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def exports(module: nn.Module, size: int) -> None:
    """The exported program gives the module's own outputs, on another image than it was traced with."""
    torch.manual_seed(0)
    module.eval()
    program = torch.export.export(module, (torch.zeros(1, 3, size, size),))
    images = torch.randn(1, 3, size, size)
    with torch.no_grad():
        ours, theirs = _listed(module(images)), _listed(program.module()(images))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def centres_agree(
    trunk: nn.Module, size: int, without: tuple[type[nn.Module], ...] = (), breadth: int = 96
) -> None:
    """Cells look where their specs say, found by which pixels move them.

    In a copy of the trunk every convolution becomes a mean of positive weights, every maximum a mean, and norms
    and activations do nothing: the gradient of a cell then is symmetric about the centre of its receptive
    field. The image is a strip, `size` pixels along the axis that is looked at and `breadth` across, which moves
    no centre along the strip and costs little.

    Args:
        trunk: with specs.
        size: pixels; the receptive field of the middle cell of every tap must fit in, which is checked.
        without: parts that look at the whole map (squeeze-and-excitation), replaced by the identity.
        breadth: pixels; VALID padding needs more of them.
    """
    plain = _averaging(trunk, without)
    for axis in (2, 3):
        shape = [1, 3, breadth, breadth]
        shape[axis] = size
        image = torch.ones(shape, dtype=torch.float64, requires_grad=True)
        with _Linear():
            maps = plain(image)
        for tap, (x, spec) in enumerate(zip(maps, plain.specs, strict=True)):
            cell = [x.shape[2] // 2, x.shape[3] // 2]
            (gradient,) = torch.autograd.grad(x[0, :, cell[0], cell[1]].sum(), image, retain_graph=True)
            weight = gradient.abs().sum((0, 1, 5 - axis))
            assert weight.sum() > 0
            assert weight[0] == 0, f"tap {tap} sees the border at {size} pixels"
            assert weight[-1] == 0, f"tap {tap} sees the border at {size} pixels"
            pixels = torch.arange(size, dtype=torch.float64) + 0.5
            centre = float((weight * pixels).sum() / weight.sum())
            told = spec.first_centre(size) + cell[axis - 2] * spec.stride
            assert abs(centre - told) < 0.01, (
                f"tap {tap} at {size} pixels: {centre}, where its spec says {told}"
            )


def _listed(outputs: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else outputs


def _averaging(trunk: nn.Module, without: tuple[type[nn.Module], ...]) -> nn.Module:
    """A copy in float64 whose convolutions average, without some kinds of parts."""
    plain = copy.deepcopy(trunk).eval().double().requires_grad_(False)
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, without):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.Conv2d):
                nn.init.constant_(child.weight, 1 / child.weight[0].numel())
                if child.bias is not None:
                    nn.init.zeros_(child.bias)
    return plain


class _Linear(TorchFunctionMode):
    """Within it maxima are means, and norms and activations hand their input on."""

    silent = frozenset(
        (
            F.batch_norm, F.group_norm, F.relu, F.relu_, F.relu6, F.silu, F.hardswish, F.hardtanh, F.hardtanh_,
            F.hardsigmoid, torch.relu, torch.relu_, torch.clamp, torch.Tensor.relu, torch.Tensor.relu_,
        )
    )  # fmt: skip
    maxima = frozenset((F.max_pool2d, torch.max_pool2d))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self.silent:
            return args[0] if args else kwargs["input"]
        if func in self.maxima:
            return _mean_instead(*args, **kwargs)
        return func(*args, **kwargs)


def _mean_instead(
    input: Tensor,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    assert dilation in (1, (1, 1))
    assert not return_indices
    return F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode)
