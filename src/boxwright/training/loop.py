"""The training loop: plain torch, and all of it on this page.

Whoever wants another loop writes one with the same parts; each stands in its own module of this package.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from torch import Tensor

from boxwright.data.collate import empty_batch, padded
from boxwright.errors import InputError
from boxwright.files import write_text
from boxwright.training import display, optim
from boxwright.training.distributed import team
from boxwright.training.finish import TrainResult, finish
from boxwright.training.journal import Journal
from boxwright.training.loader import Loaded
from boxwright.training.setup import Plan, Run
from boxwright.training.step import take_step
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
            if here.first:
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
    """One step of the optimiser; `boxwright.training.step.take_step` says what comes of it, and what it raises."""
    # All at once, so that an unreadable image is met before anything has moved.
    loaded = [next(batches) for _ in range(run.plan.settings.accumulate)]
    return take_step(run.moving, run.plan.settings, run.team, taught(run, loaded), stop)


def taught(run: Run, loaded: Iterable[Loaded]) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
    """The losses of batches, and their files; a batch without a readable image has none."""
    moving = run.moving
    for one in loaded:
        run.broken |= {image.path: image.reason for image in one.broken}
        loaded_batch = one.batch
        if loaded_batch is None and run.team.world > 1:
            # The others wait for this process's part of every sum: it gives one of nothing.
            regions = run.plan.model.manifest.regions is not None
            loaded_batch = empty_batch(run.plan.model.preprocess.pad_multiple, regions=regions)
        if loaded_batch is not None:
            # One process would have padded them all to the largest.
            height, width = run.team.largest(*loaded_batch.images.shape[2:])
            loaded_batch = padded(loaded_batch, height, width)
            batch = to_device(loaded_batch, run.team.device, channels_last=run.plan.settings.channels_last)
            run.keys.begin(batch.targets.keys)
            with moving.precision.autocast():
                out = moving.net.taught(batch)
            losses = named(run.plan.model.objective(out, batch.targets))
            losses["positives"] = (
                losses["positives"] * run.team.world
            )  # a count, of which the mean is reported
            yield losses, list(loaded_batch.paths)
