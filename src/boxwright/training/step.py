"""One step of the optimiser, whatever is learned: gradients, their norm, the weights, the mean of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from boxwright.training import optim
from boxwright.training.distributed import Team
from boxwright.training.settings import DescentSettings
from boxwright.training.state import Moving
from boxwright.training.stop import DivergenceError, StopRequest


def take_step(
    moving: Moving[Any],
    settings: DescentSettings,
    team: Team,
    taught: Iterable[tuple[dict[str, Tensor], list[str]]],
    stop: StopRequest,
) -> tuple[dict[str, float], bool]:
    """Descend once.

    Args:
        moving: what is moved.
        settings: how.
        team: this process among others.
        taught: for each of the batches that are accumulated its losses by name, "loss" (which is descended) among
            them, and its files. Drawn one by one: a batch's graph is gone before the next is made.
        stop: whether this process was asked to stop.

    Returns:
        Losses by name (means over the accumulated batches and all processes) with the norm of the gradients,
        and whether any process was asked to stop.

    Raises:
        DivergenceError: a loss or the gradient is not finite; the weights were not moved.
    """
    sums: dict[str, Tensor] = {}
    paths: list[str] = []
    for losses, files in taught:
        paths += files
        moving.precision.backward(losses["loss"] / settings.accumulate)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach() / settings.accumulate
    if not sums:
        return {}, stop.asked

    team.average_gradients(list(optim.trained(moving.optimiser)))
    moving.precision.unscale(moving.optimiser)
    sums["gradient"] = optim.clip_gradients(moving.optimiser, settings.clip)
    sums["stopping"] = torch.tensor(float(stop.asked), device=team.device)
    # All that the processor wants to know of a step comes over in one piece.
    report = dict(zip(sums, team.mean(torch.stack(list(sums.values()))).tolist(), strict=True))
    stopping = report.pop("stopping") > 0
    report = check_finite(report, paths, moving, team)
    moving.precision.step(moving.optimiser)
    moving.optimiser.zero_grad(set_to_none=True)
    if moving.ema is not None:
        moving.ema.update(moving.net)
    return report, stopping


def check_finite(
    report: dict[str, float], paths: list[str], moving: Moving[Any], team: Team
) -> dict[str, float]:
    """Stop before a step that would spoil the weights; returns what is finite.

    A scaled gradient that overflows is no reason: float16's scale is lowered and the step left out.
    """
    bad = [name for name, value in report.items() if not math.isfinite(value)]
    if bad and not (moving.precision.scaled and bad == ["gradient"]):
        paths = team.told([path for part in team.gathered(paths) for path in part])
        raise DivergenceError(f"the {bad[0]} of iteration {moving.progress.iteration + 1}", paths)
    return {name: value for name, value in report.items() if name not in bad}
