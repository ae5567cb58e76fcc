"""A learning rate from a short sweep: raise it until the loss breaks away (Smith 2017, section 3.3)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from boxwright.errors import InputError
from boxwright.files import write_bytes
from boxwright.training import optim
from boxwright.training.distributed import team
from boxwright.training.loop import iterate
from boxwright.training.setup import Plan, Run
from boxwright.training.stop import DivergenceError, StopRequest

LOWEST, HIGHEST = 1e-6, 1.0
SMOOTHING = 0.9
BREAKAWAY = 3.0
"""The sweep ends when the smoothed loss exceeds so many times its least value."""
MARGIN = 10.0
"""The suggestion is the rate of the least loss divided by this: there it falls and is far from breaking."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep saw.

    Attributes:
        rates: learning rates, each `ratio` times the one before.
        losses: smoothed.
        suggestion: the learning rate to train with.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float

    def plot(self, path: Path) -> None:
        """Loss over learning rate as a picture, with the suggestion marked."""
        from matplotlib.figure import Figure  # an extra that only this needs

        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses)
        axes.axvline(
            self.suggestion, linestyle="--", color="black", label=f"suggested: {self.suggestion:.2g}"
        )
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("smoothed loss")
        axes.legend()
        file = BytesIO()
        figure.savefig(file, format="png", dpi=110)
        write_bytes(path, file.getvalue())


def find_lr(plan: Plan, *, iterations: int = 100, device: str = "auto") -> Sweep:
    """Sweep the learning rate upwards over a few iterations of training; the model's weights are put back.

    Args:
        plan: a run that is not begun; everything but the learning rate is as it will be.
        iterations: of the sweep.
        device: see `train`.

    Raises:
        InputError: the loss is not finite from the start.
    """
    changed = replace(plan.settings, iterations=iterations, minutes=0.0, ema=0.0)
    kept = copy.deepcopy(plan.model.net.state_dict())
    with team(device) as here, Run(replace(plan, settings=changed), here) as run:
        batches = run.batches()
        run.frozen.train(run.moving.net)

        def loss_at(rate: float) -> float:
            optim.set_lr(run.moving.optimiser, rate)
            losses, _ = iterate(run, batches, StopRequest())
            run.moving.progress.iteration += 1
            return losses.get("loss", math.nan)

        try:
            return sweep(loss_at, iterations)
        finally:
            plan.model.net.load_state_dict(kept)


def sweep(loss_at: Callable[[float], float], iterations: int) -> Sweep:
    """Raise the rate geometrically from `LOWEST` to `HIGHEST` and watch the loss.

    Args:
        loss_at: makes a training step at a rate and returns its loss.
        iterations: at least two.

    Raises:
        InputError: there is nothing to see, because the first losses are not finite.
    """
    ratio = (HIGHEST / LOWEST) ** (1 / (iterations - 1))
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for step in range(iterations):
        try:
            loss = loss_at(LOWEST * ratio**step)
        except DivergenceError:
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        # The mean starts from nothing; this takes the start's share out (Kingma and Ba 2015, section 3).
        smooth = mean / (1 - SMOOTHING ** (step + 1))
        if losses and not smooth < BREAKAWAY * min(losses):
            break
        rates.append(LOWEST * ratio**step)
        losses.append(smooth)
    if len(rates) < 2:
        raise InputError(
            "the loss is not finite from the start", hint="look at the data with boxwright check"
        )
    least = min(range(len(losses)), key=losses.__getitem__)
    return Sweep(tuple(rates), tuple(losses), float(f"{rates[least] / MARGIN:.1e}"))
