"""The training loop: plain torch, and all of it on this page.

Whoever wants another loop writes one with the same parts; each stands in its own module of this package.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch

from boxwright.errors import InputError
from boxwright.files import write_text
from boxwright.training import display, optim
from boxwright.training.distributed import team
from boxwright.training.finish import TrainResult, finish
from boxwright.training.journal import Journal
from boxwright.training.loader import Loaded
from boxwright.training.setup import Plan, Run
from boxwright.training.stop import DivergenceError, Interrupted, StopRequest
from boxwright.training.validate import named, to_device, validate


def train_net(todo: Plan, *, resume: bool, overwrite: bool, device: str) -> TrainResult:
    """Train a plan's network by gradients; `boxwright.training.run.train` says how, and what it raises."""
    with (
        team(device) as here,
        display.shown(here.first) as show,
        Run(todo, here, show.say) as run,
        Journal(run, show, resume=resume, overwrite=overwrite) as journal,
        StopRequest() as stop,
    ):
        try:
            fit(run, journal, stop)
        except DivergenceError as error:
            write_text(todo.out / "not_finite.txt", "\n".join(error.images) + "\n")
            raise
        except (Interrupted, InputError):
            # An unreadable image too: repaired, the run can go on where it stood.
            journal.save()
            raise
        return finish(run, journal)


def fit(run: Run, journal: Journal, stop: StopRequest) -> None:
    """Train from where the run stands to its end, validating and saving on the way.

    Raises:
        Interrupted: after a batch, when asked to stop.
    """
    progress, total, settings = run.moving.progress, run.plan.total, run.plan.settings
    batches = run.batches()
    run.frozen.train(run.moving.net)
    while True:
        place = run.place
        due = run.plan.validates(progress.iteration) or place >= total
        if due and progress.validated < progress.iteration:
            journal.validated(validate(run, stop.watch(run.validation_batches(), alone=run.team.world == 1)))
            journal.save()
            run.frozen.train(run.moving.net)
        if place >= total or journal.patience_is_over:
            return
        started = time.monotonic()
        lr = optim.lr_at(settings, place, total)
        optim.set_lr(run.moving.optimiser, lr)
        losses, stopping = iterate(run, batches, stop)
        progress.iteration += 1
        journal.stepped(losses, lr, time.monotonic() - started)
        if stopping:
            raise Interrupted(f"stopped after iteration {progress.iteration} of {total}")
        if journal.save_is_due:
            journal.save()


def iterate(run: Run, batches: Iterator[Loaded], stop: StopRequest) -> tuple[dict[str, float], bool]:
    """One step of the optimiser.

    Returns:
        Losses by name (means over the accumulated batches and all processes) with the norm of the gradients,
        and whether any process was asked to stop.

    Raises:
        DivergenceError: a loss or the gradient is not finite; the weights were not moved.
    """
    settings, moving = run.plan.settings, run.moving
    sums: dict[str, torch.Tensor] = {}
    paths: list[str] = []
    # All at once, so that an unreadable image is met before anything has moved.
    for loaded in [next(batches) for _ in range(settings.accumulate)]:
        run.broken |= {one.path: one.reason for one in loaded.broken}
        if loaded.batch is None:
            continue
        paths += loaded.batch.paths
        batch = to_device(loaded.batch, run.team.device, channels_last=settings.channels_last)
        with moving.precision.autocast():
            out = moving.net.taught(batch)
        losses = named(run.plan.model.objective(out, batch.targets))
        moving.precision.backward(losses["loss"] / settings.accumulate)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach() / settings.accumulate
    if not sums:
        return {}, stop.asked

    run.team.average_gradients(list(optim.trained(moving.optimiser)))
    moving.precision.unscale(moving.optimiser)
    sums["gradient"] = optim.clip_gradients(moving.optimiser, settings.clip)
    sums["stopping"] = torch.tensor(float(stop.asked), device=run.team.device)
    # All that the processor wants to know of a step comes over in one piece.
    report = dict(zip(sums, run.team.mean(torch.stack(list(sums.values()))).tolist(), strict=True))
    stopping = report.pop("stopping") > 0
    report = check_finite(report, paths, run)
    moving.precision.step(moving.optimiser)
    moving.optimiser.zero_grad(set_to_none=True)
    if moving.ema is not None:
        moving.ema.update(moving.net)
    return report, stopping


def check_finite(report: dict[str, float], paths: list[str], run: Run) -> dict[str, float]:
    """Stop before a step that would spoil the weights; returns what is finite.

    A scaled gradient that overflows is no reason: float16's scale is lowered and the step left out.
    """
    bad = [name for name, value in report.items() if not math.isfinite(value)]
    if bad and not (run.moving.precision.scaled and bad == ["gradient"]):
        raise DivergenceError(f"the {bad[0]} of iteration {run.moving.progress.iteration + 1}", paths)
    return {name: value for name, value in report.items() if name not in bad}
