"""Which weights learn, how fast, and by which rule."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from boxwright.errors import InputError
from boxwright.training.settings import DescentSettings

WARMUP_PART = 4
"""Warm-up takes at most one part in so many of a run, so that short runs reach their learning rate."""


@dataclass(frozen=True)
class Frozen:
    """The parts of a network that are not trained: set once, and again after every `net.train()`.

    Attributes:
        stages: backbone stages without gradients, their norms in evaluation mode.
        norms: batch norms elsewhere that keep their statistics, weights and biases.
    """

    stages: tuple[nn.Module, ...]
    norms: tuple[nn.Module, ...]

    def train(self, net: nn.Module) -> None:
        """`net.train()`, except for what is frozen."""
        net.train()
        for part in (*self.stages, *self.norms):
            part.eval()


def freeze(net: nn.Module, stages: int, *, norms: bool = False) -> Frozen:
    """Take the first `stages` of the backbone, and all batch norms if asked, out of training; train the rest.

    Args:
        net: has `stages()`, the backbone's parts from the stem on.
        stages: how many of them.
        norms: freeze every batch norm of the network too.

    Raises:
        InputError: the backbone has fewer stages.
    """
    parts = backbone_stages(net)
    if stages > len(parts):
        raise InputError(f"cannot freeze {stages} stages of a backbone that has {len(parts)}")
    net.requires_grad_(True)
    batch_norms = tuple(m for m in net.modules() if isinstance(m, _BatchNorm)) if norms else ()
    for part in (*parts[:stages], *batch_norms):
        part.requires_grad_(False)
    return Frozen(tuple(parts[:stages]), batch_norms)


def backbone_stages(net: nn.Module) -> tuple[nn.Module, ...]:
    """The backbone's parts in order of depth; none for a network that does not say."""
    stages = getattr(net, "stages", None)
    return tuple(stages()) if callable(stages) else ()


def build_optimiser(net: nn.Module, settings: DescentSettings) -> torch.optim.Optimizer:
    """SGD or AdamW over what has gradients.

    Weights with two axes or more are decayed; norms and scales are not (He et al. 2019, "Bag of tricks", section
    3.1), nor are biases unless the settings say so. Each group carries `factor`, by which `set_lr` multiplies the
    learning rate.
    """
    backbone = {id(p) for stage in backbone_stages(net) for p in stage.parameters()}
    biases = _biases(net) if (settings.bias_lr, settings.bias_decay) != (1.0, 0.0) else set()
    groups: dict[tuple[bool, bool, bool], list[nn.Parameter]] = {}
    for parameter in net.parameters():
        if parameter.requires_grad:
            key = (id(parameter) in backbone, parameter.ndim >= 2, id(parameter) in biases)
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise InputError("nothing is left to train", hint="freeze fewer stages")
    described = [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay * (settings.bias_decay if bias else float(decayed)),
            "factor": (settings.backbone_lr if pretrained else 1.0) * (settings.bias_lr if bias else 1.0),
        }
        for (pretrained, decayed, bias), parameters in groups.items()
    ]
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(described, lr=settings.lr, betas=(settings.momentum, 0.999), fused=True)
    return torch.optim.SGD(described, lr=settings.lr, momentum=settings.momentum, fused=True)


def _biases(net: nn.Module) -> set[int]:
    """The biases of layers whose weights have two axes or more; a norm's shift is none of them."""
    found = set()
    for module in net.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter) and isinstance(weight, Tensor) and weight.ndim >= 2:
            found.add(id(bias))
    return found


def lr_at(settings: DescentSettings, iteration: int, total: int) -> float:
    """The learning rate of an iteration (from 0) of a run of `total`.

    Warm-up rises linearly and reaches `settings.lr` in its last iteration (Goyal et al. 2017, section 2.2);
    the cosine goes from there to `final_lr * lr` in the run's last (Loshchilov and Hutter 2017, eq. 5).

    >>> s = DescentSettings(lr=1.0, warmup=2, schedule="steps", milestones=(0.5, 0.8))
    >>> [round(lr_at(s, i, 10), 3) for i in range(10)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01]
    """
    warmup = min(settings.warmup, total // WARMUP_PART)
    if iteration < warmup:
        return settings.lr * (iteration + 1) / warmup
    match settings.schedule:
        case "constant":
            return settings.lr
        case "steps":
            passed = sum(iteration >= part * total for part in settings.milestones)
            return settings.lr * settings.gamma**passed
        case "cosine":
            part = (iteration - warmup) / max(1, total - 1 - warmup)
            share = settings.final_lr + (1 - settings.final_lr) * (1 + math.cos(math.pi * part)) / 2
            return settings.lr * share


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give each group its share of the learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["factor"]


def trained(optimiser: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    """Every parameter that the optimiser moves."""
    for group in optimiser.param_groups:
        yield from group["params"]


def clip_gradients(optimiser: torch.optim.Optimizer, largest: float) -> Float[Tensor, ""]:
    """Scale gradients so that their common norm is at most `largest` (0: leave them); returns the norm."""
    gradients = [p.grad for p in trained(optimiser) if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if largest:
        torch._foreach_mul_(gradients, (largest / (norm + 1e-6)).clamp(max=1.0))
    return norm
