"""A learning rate from a short sweep: raise it until the loss breaks away (Smith 2017, section 3.3)."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import fmean

from boxwright.errors import InputError
from boxwright.files import write_bytes
from boxwright.training import display, optim
from boxwright.training.distributed import team
from boxwright.training.gate import learnable
from boxwright.training.loop import iterate
from boxwright.training.setup import Plan, Run
from boxwright.training.stop import DivergenceError, StopRequest

LOWEST, HIGHEST = 1e-6, 1.0
SMOOTHING = 0.9
BREAKAWAY = 3.0
"""The sweep ends when the running mean of the loss exceeds so many times its least value."""
WINDOW = 3
"""Afterwards each loss is averaged with so many on either side, which does not lag as a running mean does."""
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
        InputError: no object to learn, or the loss is not finite from the start.
    """
    learnable(plan.train, plan.val)
    changed = replace(plan.settings, iterations=iterations, minutes=0.0, ema=0.0)
    kept = copy.deepcopy(plan.model.net.state_dict())
    with (
        team(device) as here,
        display.shown(here.first) as show,
        Run(replace(plan, settings=changed), here) as run,
    ):
        batches, began = run.batches(), time.monotonic()
        run.frozen.train(run.moving.net)

        def loss_at(rate: float) -> float:
            optim.set_lr(run.moving.optimiser, rate)
            losses, _ = iterate(run, batches, StopRequest())
            run.moving.progress.iteration += 1
            done, spent = run.moving.progress.iteration, time.monotonic() - began
            step = display.Step(
                iteration=done,
                total=iterations,
                epoch=run.plan.epoch(done),
                epochs=round(run.plan.epoch(iterations), 1),
                losses=losses,
                lr=rate,
                speed=done * run.plan.images_per_iteration / spent,
                remaining=spent / done * (iterations - done),
            )
            show.step(step, due=done % 10 == 0)
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
    losses: list[float] = []
    mean = least = math.inf
    for step in range(iterations):
        try:
            loss = loss_at(LOWEST * ratio**step)
        except DivergenceError:
            break
        mean = loss if step == 0 else SMOOTHING * mean + (1 - SMOOTHING) * loss
        least = min(least, mean)
        if not mean <= BREAKAWAY * least:
            break
        losses.append(loss)
    if len(losses) < 2:
        raise InputError(
            "the loss is not finite from the start", hint="look at the data with boxwright check"
        )
    smooth = [fmean(losses[max(0, i - WINDOW) : i + WINDOW + 1]) for i in range(len(losses))]
    rates = [LOWEST * ratio**step for step in range(len(losses))]
    best = rates[min(range(len(smooth)), key=smooth.__getitem__)]
    return Sweep(tuple(rates), tuple(smooth), float(f"{best / MARGIN:.1e}"))
