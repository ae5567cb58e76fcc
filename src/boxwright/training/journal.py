"""What a run writes and shows while it goes on: checkpoints, tables, events, the display."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from torch import nn

from boxwright.errors import InputError
from boxwright.manifest import Manifest
from boxwright.modelfile import write_model
from boxwright.training.display import Display, Step
from boxwright.training.pictures import first_batch
from boxwright.training.record import Events, Metrics, write_run
from boxwright.training.setup import Run
from boxwright.training.state import arrays, read_last, write_last
from boxwright.training.validate import Validation

BEST, LAST = "best.safetensors", "last.safetensors"
_OURS = (BEST, LAST, "best.previous.safetensors", "last.previous.safetensors", "metrics.csv", "run.json")
_REPORTED = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge", "AR100", "accuracy", "top-5")

_OTHER = {"AP": "AP50", "AP50": "AP", "accuracy": "AP50"}


class Journal:
    """Keeps the record of a run; only the first of several processes writes.

    Args:
        run: the run.
        show: what a person sees.
        resume: take the state from the folder's `last`.
        overwrite: remove another run that is in the folder.

    Raises:
        InputError: the folder holds a run and neither was asked for, or nothing to resume.
    """

    def __init__(self, run: Run, show: Display, *, resume: bool, overwrite: bool) -> None:
        self.run, self.show, self.out = run, show, run.plan.out
        self.best_validation: Validation | None = None
        self._facts = run.plan.facts()
        self._told_broken = 0
        if resume:
            _need(self.out / LAST)
            read_last(self.out / LAST, run.moving, self._facts)
        elif run.team.first:
            _clear(self.out, overwrite)

    def __enter__(self) -> Journal:
        progress = self.run.moving.progress
        self._began = self._saved = time.monotonic()
        self._start = progress.iteration
        self._spent_before = progress.seconds
        self._since_line: dict[str, float] = {}
        if not self.run.team.first:
            return self
        self._metrics = Metrics(self.out / "metrics.csv", progress.iteration)
        self._events = Events(self.out / "tb", progress.iteration)
        if progress.iteration:
            self.show.say(f"resuming after iteration {progress.iteration} of {self.run.plan.total}")
        else:
            write_run(self.out / "run.json", self.run.described())
            first_batch(self.run, self.out / "first_batch.png")
            self.save()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.run.team.first:
            self._events.close()

    def stepped(self, losses: Mapping[str, float], lr: float, seconds: float) -> None:
        """Take in one iteration: its losses, its learning rate and how long it took."""
        plan, progress = self.run.plan, self.run.moving.progress
        progress.position = progress.iteration * plan.images_per_iteration
        progress.seconds = self._spent_before + time.monotonic() - self._began
        told = {**losses, "steps": 1, "images": plan.images_per_iteration, "seconds": seconds}
        for sums in (self._since_line, progress.since):
            for name, value in told.items():
                sums[name] = sums.get(name, 0.0) + value
            sums["lr"] = lr
        due = progress.iteration % plan.settings.log_every == 0 or progress.iteration == plan.total
        if not self.run.team.first:
            return
        means = _means(self._since_line)
        self.show.step(
            Step(
                iteration=progress.iteration,
                total=plan.total,
                epoch=plan.epoch(progress.iteration),
                epochs=round(plan.epoch(plan.total), 1),
                losses={name: means[name] for name in losses if name not in ("positives", "gradient")},
                lr=lr,
                speed=means["images_per_second"],
                remaining=self._remaining(),
            ),
            due=due,
        )
        if due:
            self._events.add("train", means, progress.iteration)
            self._since_line = {}

    def validated(self, measured: Validation) -> None:
        """Take in a validation; the best so far is written."""
        plan, progress = self.run.plan, self.run.moving.progress
        # Several processes measure the same, but a GPU's sums may differ in the last bit: the first decides.
        figures = (measured.metrics[plan.settings.select], measured.metrics[_OTHER[plan.settings.select]])
        better = progress.note(*self.run.team.agree(*figures))
        if better:
            self.best_validation = measured
        if not self.run.team.first:
            return
        self.run.broken |= measured.broken
        if better:
            notes = self._notes(measured)
            previous = self.out / "best.previous.safetensors"
            write_best(self.out / BEST, self.run.best_net, plan.model.manifest, notes, keep=previous)
        self._tell(measured, better)
        row = {
            "iteration": progress.iteration,
            "epoch": plan.epoch(progress.iteration),
            "seconds": progress.seconds,
            **_means(progress.since),
            **{f"val_{name}": value for name, value in measured.losses.items()},
            **{name: measured.metrics[name] for name in _REPORTED if name in measured.metrics},
            "best": progress.best or 0.0,
        }
        self._metrics.add(row)
        self._events.add("val", {**measured.losses, **measured.metrics}, progress.iteration)
        progress.since = {}

    def save(self) -> None:
        """Write `last`."""
        if self.run.team.first:
            write_last(self.out / LAST, self.run.moving, self.run.plan.model.manifest, self._facts)
        self._saved = time.monotonic()

    @property
    def rows(self) -> list[dict[str, float]]:
        """The validations so far, as `metrics.csv` has them."""
        return self._metrics.rows

    @property
    def save_is_due(self) -> bool:
        """Whether so many minutes have passed since the last one."""
        return time.monotonic() - self._saved > 60 * self.run.plan.settings.save_minutes

    @property
    def patience_is_over(self) -> bool:
        """Whether the figure has not become better for too long."""
        patience = self.run.plan.settings.patience
        return bool(patience) and self.run.moving.progress.stale >= patience

    def _remaining(self) -> float:
        """Seconds that the rest will take at the pace so far, validations included."""
        plan, progress = self.run.plan, self.run.moving.progress
        done = progress.iteration - self._start
        rest = (time.monotonic() - self._began) / done * (plan.total - progress.iteration)
        minutes = plan.settings.minutes
        return min(rest, 60 * minutes - progress.seconds) if minutes else rest

    def _notes(self, measured: Validation) -> dict[str, str | float]:
        plan, progress = self.run.plan, self.run.moving.progress
        figures = {f"val_{k}": v for k, v in measured.metrics.items() if k in _REPORTED and v == v}
        data: dict[str, str | float] = {"data": plan.train.root.name, "images": len(plan.train)}
        return {**data, "iteration": progress.iteration, **figures}

    def _tell(self, measured: Validation, better: bool) -> None:
        progress, select = self.run.moving.progress, self.run.plan.settings.select
        other = _OTHER[select]
        parts = [f"val {select} {measured.metrics[select]:.3f}", f"{other} {measured.metrics[other]:.3f}"]
        parts.append(f"loss {measured.losses.get('loss', float('nan')):.3f}")
        best = (
            "the best so far"
            if better
            else f"best {progress.best:.3f} at iteration {progress.best_iteration}"
        )
        self.show.figure("  ".join([*parts, f"({best})"]))
        if len(self.run.broken) > self._told_broken:
            self._told_broken = len(self.run.broken)
            self.show.say(f"{self._told_broken} images could not be read and are left out:")
            for path, reason in sorted(self.run.broken.items()):
                self.show.say(f"  {path}: {reason}")


def _means(sums: Mapping[str, float]) -> dict[str, float]:
    """Means of the losses over steps, the last learning rate, and images per second."""
    if not sums:
        return {}
    others = ("lr", "steps", "images", "seconds")
    means = {name: value / sums["steps"] for name, value in sums.items() if name not in others}
    return {**means, "lr": sums["lr"], "images_per_second": sums["images"] / sums["seconds"]}


def write_best(
    path: Path,
    net: nn.Module,
    manifest: Manifest,
    notes: Mapping[str, str | float],
    *,
    keep: Path | None = None,
) -> None:
    """A model file of these weights; `notes` join the manifest's."""
    described = replace(manifest, notes={**manifest.notes, **notes})
    write_model(path, arrays(net), described, keep=keep)


def _clear(out: Path, overwrite: bool) -> None:
    """Make sure that the folder holds no other run; only what a run writes is ever removed."""
    if out.exists() and not out.is_dir():
        raise InputError("is a file, not a folder", path=out, hint="choose another --out")
    if ((out / LAST).exists() or (out / BEST).exists()) and not overwrite:
        raise InputError(
            "already holds a run",
            path=out,
            hint="go on with --resume, replace it with --overwrite, or choose another --out",
        )
    for name in _OURS:
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / "tb", ignore_errors=True)


def _need(last: Path) -> None:
    if not last.exists():
        raise InputError("holds no run to resume", path=last.parent, hint="begin one without --resume")
